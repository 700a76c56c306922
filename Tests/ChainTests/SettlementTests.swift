import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Testing

/// What a window pays and takes: shares, replays that fail, reports that differ.
struct SettlementTests {
    private static func started(trainers: Int = 3, windows: UInt64 = 20) throws -> LedgerScript {
        var script = try LedgerScript(trainers: trainers, windows: windows)
        script.joinAll()
        return script
    }
    private static let equal = ReplayFact(verdict: .equal, expected: Conduct.root("step"), found: Conduct.root("step"))
    private static let differs = ReplayFact(verdict: .differs, expected: Conduct.root("step"), found: Conduct.root("made up"))

    private static func paid(_ script: LedgerScript, _ window: UInt64) -> [(identity: Address, amount: U256, reason: UInt64)] {
        script.events("RewardPending").filter { $0.values["window"] == .uint(window) }.compactMap { event in
            guard case .address(let identity)? = event.values["identity"], case .uint(let amount)? = event.values["amount"], case .uint(let reason)? = event.values["reason"] else { return nil }
            return (identity, amount, reason.uint64 ?? 0)
        }
    }
    private static func sum(_ amounts: [U256]) -> U256 { amounts.reduce(.zero) { $0 + $1 } }

    // MARK: Shares

    @Test func `a window pays its pool to the last unit: trainers by weight, validators by duties, the rest to the treasury`() throws {
        var script = try SettlementTests.started()
        #expect(script.play { $0.isSettled(0) })
        let paid = SettlementTests.paid(script, 0), pool = script.genesis.run.emission
        #expect(SettlementTests.sum(paid.map(\.amount)) == pool)
        let trainers = paid.filter { $0.reason == 1 }, validators = paid.filter { $0.reason == 3 }, treasury = paid.filter { $0.reason == 4 }
        // Three of equal score share 41 % of 100 tokens; what does not divide goes to the treasury.
        let third = U256("13666666666666666666")!
        #expect(trainers.map(\.amount) == [third, third, third] && Set(trainers.map(\.identity)) == Set(script.trainerOwners))
        #expect(validators.map(\.amount) == Array(repeating: U256("10250000000000000000")!, count: 4))
        #expect(treasury.map(\.amount) == [pool - third * 3 - LedgerScript.tokens(41)])
        #expect(script.events("WindowSettled").first?.values["paid"] == .uint(pool))
    }

    @Test func `a weight is the square of the value, so two halves of the work earn less than the whole`() throws {
        var script = try SettlementTests.started()
        let (best, half) = (script.trainerOwners[0], script.trainerOwners[1])
        #expect(script.play(Conduct(score: { _, trainer in Conduct.fact(trainer == best ? 20_000_000 : trainer == half ? 5_000_000 : 10_000_000) })) { $0.isSettled(0) })
        let paid = Dictionary(uniqueKeysWithValues: SettlementTests.paid(script, 0).filter { $0.reason == 1 }.map { ($0.identity, $0.amount) })
        // Values 2 : ½ : 1 of the median, weights 4 : ¼ : 1.
        let first = try #require(paid[best]), second = try #require(paid[half]), third = try #require(paid[script.trainerOwners[2]])
        func near(_ a: U256, _ b: U256) -> Bool { (a > b ? a - b : b - a) < 1_000 }
        #expect(near(first, third * 4) && near(third, second * 4))
    }

    @Test func `a quarter goes to those who scored and found no room in the aggregate`() throws {
        var script = try LedgerScript(trainers: 3, aggregateLimit: 2)
        script.joinAll()
        let last = script.trainerOwners[1], share = LedgerScript.tokens(41)
        #expect(script.play(Conduct(score: { _, trainer in Conduct.fact(trainer == last ? 9_000_000 : 10_000_000) })) { $0.isSettled(0) })
        #expect(script.view(0).aggregated == script.trainerOwners.filter { $0 != last }.sorted())
        let paid = SettlementTests.paid(script, 0), quarter = (try share.dividedBy(4)).quotient
        #expect(paid.filter { $0.reason == 2 }.map(\.identity) == [last] && paid.filter { $0.reason == 2 }.map(\.amount) == [quarter])
        #expect(SettlementTests.sum(paid.filter { $0.reason == 1 }.map(\.amount)) == share - quarter)
        #expect(SettlementTests.sum(paid.map(\.amount)) == script.genesis.run.emission)
    }

    @Test func `with nobody to pay, the trainers' share goes to the treasury`() throws {
        var script = try SettlementTests.started()
        #expect(script.play(Conduct(score: { _, _ in Conduct.fact(-1) })) { $0.isSettled(0) })
        let paid = SettlementTests.paid(script, 0)
        #expect(paid.allSatisfy { $0.reason >= 3 } && SettlementTests.sum(paid.map(\.amount)) == script.genesis.run.emission)
    }

    @Test func `a validator is paid for the duties that it did, and what it lost goes to nobody else`() throws {
        var script = try SettlementTests.started()
        let lazy = script.validatorOwners[3]
        let conduct = Conduct(silent: [.attest: [lazy], .parameters: [lazy]])
        #expect(script.play(conduct) { $0.isSettled(0) })
        let paid = SettlementTests.paid(script, 0).filter { $0.reason == 3 }
        let full = U256("10250000000000000000")!
        for (identity, amount, _) in paid where identity != lazy { #expect(amount == full) }
        #expect(paid.filter { $0.identity == lazy }.allSatisfy { $0.amount < full })
        #expect(SettlementTests.sum(SettlementTests.paid(script, 0).map(\.amount)) == script.genesis.run.emission)
    }

    @Test func `rewards mature some windows after they were earned, are claimed once, and only then are tokens`() throws {
        var script = try SettlementTests.started()
        let trainer = script.trainers[0].owner
        #expect(script.play { $0.isSettled(3) })
        #expect(script.ledger.claimable(trainer.address).isZero && !script.ledger.pendingRewards(trainer.address).isZero)
        #expect(script.play { $0.isSettled(4) })                       // maturity 4: window 0's reward
        let due = script.ledger.claimable(trainer.address), before = script.ledger.balance(of: trainer.address)
        #expect(!due.isZero && script.events("RewardMatured").allSatisfy { $0.values["window"] == .uint(0 as UInt64) })
        let claim = script.commit([script.call(trainer, ContractAddress.rewards, "claim()")])
        #expect(script.ledger.balance(of: trainer.address) == before + due - Ledger.baseFee * U256(claim.signed[0].gasUsed))
        expectReverted(script.commit([script.call(trainer, ContractAddress.rewards, "claim()")]), "NothingToClaim(address)")
    }

    // MARK: Replays

    @Test func `a lazy trainer is slashed by its failed replay, with rule, window and evidence`() throws {
        var script = try SettlementTests.started()
        let lazy = script.trainerOwners[0]
        let conduct = Conduct(replay: { _, trainer in trainer == lazy ? SettlementTests.differs : SettlementTests.equal })
        #expect(script.play(conduct) { !$0.events("Slashed").isEmpty })
        let slashed = try #require(script.events("Slashed").first?.values)
        #expect(slashed["staker"] == .address(lazy) && slashed["rule"] == .uint(UInt64(Rule.failedReplay)) && slashed["window"] == .uint(0 as UInt64) && slashed["run"] == .bytes32(script.genesis.runID))
        // 5 % of what was bonded, or 20 of its largest pending rewards: never more than there is.
        guard case .uint(let amount)? = slashed["amount"] else { return #expect(Bool(false), "an amount") }
        #expect(amount >= LedgerScript.tokens(5) && script.ledger.staker(lazy)?.stake == LedgerScript.tokens(100) - amount)
        #expect(script.ledger.balance(of: Address(number: 0x0AFF)) >= amount)
        // Anyone computes the evidence again from the event that says what was replayed.
        let draw = try #require(script.view(0).replays.first { $0.draw.trainer == lazy }).draw
        let evidence = Digest.tagged("assay/evidence/1") {
            $0.append(script.genesis.digest)
            $0.append(script.genesis.runID)
            $0.append(draw)
            $0.append(SettlementTests.differs)
        }
        #expect(slashed["evidence"] == .bytes32(evidence))
        #expect(script.events("Replayed").contains { $0.values["trainer"] == .address(lazy) && $0.values["verdict"] == .uint(2 as UInt64) })
        #expect(script.ledger.member(lazy)?.isSuspect == true)
        #expect(script.play(conduct) { $0.isSettled(2) })
        #expect(script.view(2).aggregated.map { !$0.contains(lazy) } == true)
        #expect(script.events("Slashed").allSatisfy { $0.values["staker"] == .address(lazy) })
    }

    @Test func `unbonding stake answers for a fault too`() throws {
        var script = try SettlementTests.started()
        let lazy = script.trainers[0].owner
        let conduct = Conduct(replay: { _, trainer in trainer == lazy.address ? SettlementTests.differs : SettlementTests.equal })
        #expect(script.play(conduct) { !$0.view(0).replays.isEmpty })
        // Caught in the draw, it leaves and takes all out: too late.
        script.commit([script.call(lazy, ContractAddress.runs, "leaveRun(bytes32)", .bytes32(script.genesis.runID)),
                       script.call(lazy, ContractAddress.staking, "beginUnstake(uint256)", .uint(LedgerScript.tokens(100)), ahead: 1)])
        #expect(script.ledger.staker(lazy.address)?.stake.isZero == true)
        #expect(script.play(conduct) { !$0.events("Slashed").isEmpty })
        guard case .uint(let amount)? = script.events("Slashed").first?.values["amount"] else { return #expect(Bool(false), "an amount") }
        #expect(!amount.isZero && script.ledger.staker(lazy.address)?.unbonding.first?.amount == LedgerScript.tokens(100) - amount)
    }

    private static let unserved = ReplayFact(verdict: .unserved, expected: .zero, found: .zero)

    @Test func `a residual that is owed and not served costs what was pending, never stake`() throws {
        var script = try SettlementTests.started()
        script.carriesResiduals = true
        let absent = script.trainerOwners[0]
        let conduct = Conduct(replay: { _, trainer in trainer == absent ? SettlementTests.unserved : SettlementTests.equal })
        #expect(script.play(conduct) { !$0.events("Unserved").isEmpty })
        #expect(script.events("Unserved").allSatisfy { $0.values["trainer"] == .address(absent) } && script.events("Slashed").isEmpty)
        let forfeited = script.events("RewardForfeited")
        #expect(!forfeited.isEmpty && forfeited.allSatisfy { $0.values["identity"] == .address(absent) && $0.values["rule"] == .uint(UInt64(Rule.unserved)) })
    }

    /// Found by a network on a slow disk: validators that could not get what all others held took an honest trainer's pay.
    @Test func `where no residual is owed, validators that could not get their blobs have said nothing`() throws {
        var script = try SettlementTests.started()
        let trainer = script.trainerOwners[0]
        #expect(script.play(Conduct(replay: { _, of in of == trainer ? SettlementTests.unserved : SettlementTests.equal })) { $0.isSettled(0) })
        #expect(script.events("Unserved").isEmpty && script.events("RewardForfeited").isEmpty && script.events("Slashed").isEmpty && script.events("ContestOpened").isEmpty)
        #expect(SettlementTests.paid(script, 0).contains { $0.identity == trainer })
        #expect(SettlementTests.sum(SettlementTests.paid(script, 0).map(\.amount)) == script.genesis.run.emission)
    }

    // MARK: Contests

    /// The first of the scorers drawn for a trainer lies about it; all know better.
    @Test func `where reports differ all recompute, and the one who reported otherwise pays`() throws {
        var script = try SettlementTests.started()
        let trainer = script.trainerOwners[0]
        #expect(script.play(Conduct(silent: [.scoreCommit: Set(script.validatorOwners)])) { $0.view(0).beacon != nil })
        let drawn = try #require(script.view(0).scoreDraws.first { $0.trainer == trainer }).scorers
        let lies = Conduct(score: { validator, of in Conduct.fact(of == trainer && validator == drawn[0] ? 30_000_000 : 10_000_000) }, vote: { _, contest in
            contest.kind == .score ? Conduct.fact(10_000_000).canonicalBytes : SettlementTests.equal.canonicalBytes
        })
        #expect(script.play(lies) { !$0.events("ContestDecided").isEmpty })
        #expect(script.events("ContestOpened").count == 1)
        let slashed = script.events("Slashed")
        #expect(slashed.count == 1 && slashed[0].values["staker"] == .address(drawn[0]) && slashed[0].values["rule"] == .uint(UInt64(Rule.falseReport)))
        #expect(slashed[0].values["amount"] == .uint(LedgerScript.tokens(10)) && script.events("Incident").isEmpty)     // 0.1 %
        #expect(slashed[0].values["evidence"] == script.events("ContestDecided")[0].values["contest"])
        #expect(script.view(0).scoreDraws.first { $0.trainer == trainer }?.fact == Conduct.fact(10_000_000))
        #expect(script.play { $0.isSettled(0) })
    }

    @Test func `if a third reported otherwise it is an incident, and nobody is slashed`() throws {
        var script = try SettlementTests.started()
        let trainer = script.trainerOwners[0]
        #expect(script.play(Conduct(silent: [.scoreCommit: Set(script.validatorOwners)])) { $0.view(0).beacon != nil })
        // Both scorers are wrong, each in its way; then three of four vote for the right fact and one does not.
        let drawn = try #require(script.view(0).scoreDraws.first { $0.trainer == trainer }).scorers
        let conduct = Conduct(score: { validator, of in Conduct.fact(of != trainer ? 10_000_000 : validator == drawn[0] ? 30_000_000 : 40_000_000) },
                              vote: { validator, _ in Conduct.fact(validator == drawn[0] ? 30_000_000 : 10_000_000).canonicalBytes })
        #expect(script.play(conduct) { !$0.events("Incident").isEmpty })
        #expect(script.events("ContestDecided").count == 1 && script.events("Slashed").isEmpty)
        #expect(script.view(0).scoreDraws.first { $0.trainer == trainer }?.fact == Conduct.fact(10_000_000))
    }

    @Test func `without two thirds there is no verdict: an alarm, the item unpaid, nobody slashed`() throws {
        var script = try SettlementTests.started()
        let trainer = script.trainerOwners[0], half = Set(script.validatorOwners.prefix(2))
        let conduct = Conduct(replay: { _, of in of == trainer ? SettlementTests.differs : SettlementTests.equal },
                              vote: { validator, _ in (half.contains(validator) ? SettlementTests.differs : SettlementTests.equal).canonicalBytes })
        #expect(script.play(conduct) { !$0.events("Alarm").isEmpty })
        #expect(script.events("ContestDecided").isEmpty && script.events("Slashed").isEmpty)
        #expect(script.view(0).contests.allSatisfy(\.closed) && script.view(0).replays.first { $0.draw.trainer == trainer }?.fact == nil)
        #expect(script.play(conduct) { $0.isSettled(0) })
    }

    @Test func `an honest trainer is not slashed by replayers who lie: the others decide`() throws {
        var script = try SettlementTests.started()
        let honest = script.trainerOwners[0]
        #expect(script.play(Conduct(silent: [.replayCommit: Set(script.validatorOwners)])) { $0.view(0)[.replayCommit].isOpen })
        let replayers = try #require(script.view(0).replays.first { $0.draw.trainer == honest }).replayers
        let conduct = Conduct(replay: { validator, of in of == honest && validator == replayers[0] ? SettlementTests.differs : SettlementTests.equal },
                              vote: { _, _ in SettlementTests.equal.canonicalBytes })
        #expect(script.play(conduct) { !$0.events("ContestDecided").isEmpty })
        #expect(script.events("Slashed").map { $0.values["staker"] } == [.address(replayers[0])])
        #expect(script.ledger.staker(honest)?.stake == LedgerScript.tokens(100))
    }
}
