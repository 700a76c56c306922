import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// Stakes: how they come, go, and are answered for.
struct StakingTests {
    private static let staking = ContractAddress.staking

    @Test func `a trainer registers with its stake and a key that agrees`() throws {
        var script = try LedgerScript()
        let trainer = script.trainers[0]
        let block = script.commit([script.registration(trainer, name: "anna")])
        #expect(block.signed.map(\.succeeded) == [true])
        let record = try #require(script.ledger.staker(trainer.owner.address))
        #expect(record.stake == LedgerScript.tokens(100) && record.name == "anna" && record.nodeKey == trainer.identity.nodeKey.address)
        #expect(script.ledger.owner(ofNodeKey: record.nodeKey) == trainer.owner.address)
        let event = try #require(script.events("TrainerRegistered").first?.values)
        #expect(event["owner"] == .address(trainer.owner.address) && event["stake"] == .uint(LedgerScript.tokens(100)))
    }

    @Test func `nobody registers another's key, an owner's key, a key twice, or without its consent`() throws {
        var script = try LedgerScript()
        let (first, second) = (script.trainers[0], script.trainers[1]), digest = script.genesis.digest
        script.commit([script.registration(first)])
        let taken = NodeKeyProof.make(first.identity.nodeKey, owner: second.owner.address, genesis: digest)
        expectReverted(script.commit([script.registration(second, nodeKey: first.identity.nodeKey, proof: taken)]), "NodeKeyTaken(address)")
        let fresh = second.identity.nodeKey
        let wrong: [[UInt8]] = [
            [], [UInt8](repeating: 0, count: 65), [UInt8](repeating: 255, count: 65),
            NodeKeyProof.make(fresh, owner: first.owner.address, genesis: digest),              // given to another owner
            NodeKeyProof.make(fresh, owner: second.owner.address, genesis: .zero),              // for another network
            NodeKeyProof.make(second.owner, owner: second.owner.address, genesis: digest),      // by another key
        ]
        for proof in wrong { expectReverted(script.commit([script.registration(second, proof: proof)]), "WrongProof(address,address)") }
        let own = NodeKeyProof.make(second.owner, owner: second.owner.address, genesis: digest)
        expectReverted(script.commit([script.registration(second, nodeKey: second.owner, proof: own)]), "NodeKeyIsOwner(address)")
        let ownersKey = NodeKeyProof.make(first.owner, owner: second.owner.address, genesis: digest)
        expectReverted(script.commit([script.registration(second, nodeKey: first.owner, proof: ownersKey)]), "NodeKeyTaken(address)")
        expectReverted(script.commit([script.registration(second, name: String(repeating: "x", count: 65))]), "NameTooLong(uint256,uint256)")
        #expect(script.commit([script.registration(second, name: String(repeating: "x", count: 64))]).signed[0].succeeded)
    }

    @Test func `stake is added at once, and goes out after the unbonding time`() throws {
        var script = try LedgerScript()
        let owner = script.trainers[0].owner, unit = LedgerScript.token
        script.commit([script.registration(script.trainers[0])])
        script.commit([script.call(owner, StakingTests.staking, "addStake()", value: unit * 50)])
        #expect(script.ledger.staker(owner.address)?.stake == unit * 150)
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(unit * 151))]), "AmountTooLarge(uint256,uint256)")
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(0 as UInt64))]), "AmountTooLarge(uint256,uint256)")
        script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(unit * 30))])
        let begun = script.now
        #expect(script.ledger.staker(owner.address)?.stake == unit * 120)
        script.commit(after: script.genesis.run.unbondingMilliseconds - 200)
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: 199), "NothingToWithdraw(uint64)")
        #expect(script.now == begun.advanced(by: script.genesis.run.unbondingMilliseconds - 1))
        let before = script.ledger.balance(of: owner.address)
        let block = script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: 1)
        #expect(script.ledger.balance(of: owner.address) == before + unit * 30 - Ledger.baseFee * U256(block.signed[0].gasUsed))
        #expect(script.ledger.staker(owner.address)?.unbonding.isEmpty == true)
        #expect(script.events("Withdrawn").map { $0.values["amount"] } == [.uint(unit * 30)])
    }

    @Test func `seven entries unbond at a time, and only those that are due are paid`() throws {
        var script = try LedgerScript()
        let owner = script.trainers[0].owner
        script.commit([script.registration(script.trainers[0])])
        for _ in 0..<7 { #expect(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.token))], after: 1_000).signed[0].succeeded) }
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.token))]), "TooManyUnbonding(uint256)")
        let first = try #require(script.ledger.staker(owner.address)?.unbonding.first?.available)
        script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: first.advanced(by: 2_500).milliseconds(since: script.now))
        #expect(script.ledger.staker(owner.address)?.unbonding.count == 4)
        #expect(script.events("Withdrawn").map { $0.values["amount"] } == [.uint(LedgerScript.tokens(3))])
    }

    /// What genesis bonds is in the contract's account too, so that a validator is not paid out of trainers' stakes.
    @Test func `a validator of genesis takes out what it has above the least, and no more while it sits`() throws {
        var script = try LedgerScript()
        let owner = script.validators[0].owner, unit = LedgerScript.token
        #expect(script.ledger.balance(of: StakingTests.staking) == LedgerScript.tokens(40_000))
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(unit))]), "StakeInUse(uint256,uint256)")
        script.commit([script.call(owner, StakingTests.staking, "addStake()", value: unit * 20)])
        #expect(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(unit * 20))]).signed[0].succeeded)
        script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: script.genesis.run.unbondingMilliseconds)
        #expect(script.ledger.staker(owner.address)?.stake == LedgerScript.tokens(10_000))
        #expect(script.events("Withdrawn").count == 1)
    }

    @Test func `a trainer in the run keeps its least stake until it leaves`() throws {
        var script = try LedgerScript()
        script.joinAll()
        let owner = script.trainers[0].owner, all = ABIValue.uint(LedgerScript.tokens(100))
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", all)]), "StakeInUse(uint256,uint256)")
        script.commit([script.call(owner, ContractAddress.runs, "leaveRun(bytes32)", .bytes32(script.genesis.runID))])
        #expect(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", all)]).signed[0].succeeded)
        expectReverted(script.commit([script.call(owner, ContractAddress.runs, "joinRun(bytes32)", .bytes32(script.genesis.runID))]), "StakeTooLow(uint256,uint256)")
    }

    @Test func `a changed node key works, and the old one no more`() throws {
        var script = try LedgerScript()
        script.joinAll()
        let trainer = script.trainers[0], fresh = KeyPair(seed: "fresh"), genesis = script.genesis
        let old = DutyBuilder(identity: trainer.identity, genesis: genesis), new = DutyBuilder(identity: Identity(owner: trainer.owner.address, nodeKey: fresh), genesis: genesis)
        let proof = NodeKeyProof.make(fresh, owner: trainer.owner.address, genesis: genesis.digest)
        let change = script.call(trainer.owner, StakingTests.staking, "setNodeKey(address,bytes)", .address(fresh.address), .bytes(proof))
        #expect(script.commit([change]).signed[0].succeeded)
        let reveal = Reveal(parametersRoot: .zero, payloadRoot: .zero, trajectoryRoot: .zero, residualIn: .zero, residualOut: .zero, steps: 1, salt: .zero)
        let byOld = try #require(old.commit(Window(0), reveal)), byNew = try #require(new.commit(Window(0), reveal))
        #expect(script.ledger.admission(of: byOld.raw).isRefused)
        #expect(script.commit([byOld]).signed.isEmpty)
        #expect(script.commit([byNew]).signed.map(\.succeeded) == [true])
        // Nor does the old key become free for somebody else.
        let other = script.trainers[1]
        let stolen = NodeKeyProof.make(trainer.identity.nodeKey, owner: other.owner.address, genesis: genesis.digest)
        expectReverted(script.commit([script.call(other.owner, StakingTests.staking, "setNodeKey(address,bytes)", .address(trainer.identity.nodeKey.address), .bytes(stolen))]), "NodeKeyTaken(address)")
    }

    @Test func `stake and rewards go to the account that the owner names`() throws {
        var script = try LedgerScript()
        script.joinAll()
        let (owner, safe) = (script.trainers[0].owner, script.validatorOwners[3]), run = ABIValue.bytes32(script.genesis.runID)
        for wrong in [Address.zero, StakingTests.staking, script.trainers[1].identity.nodeKey.address] {
            expectReverted(script.commit([script.call(owner, StakingTests.staking, "setWithdrawAddress(address)", .address(wrong))]), "WrongPayee(address)")
        }
        #expect(script.commit([script.call(owner, StakingTests.staking, "setWithdrawAddress(address)", .address(safe))]).signed[0].succeeded)
        #expect(script.play { !$0.ledger.claimable(owner.address).isZero })
        let due = script.ledger.claimable(owner.address), before = script.ledger.balance(of: safe)
        script.commit([script.call(owner, ContractAddress.rewards, "claim()")])
        #expect(script.ledger.balance(of: safe) == before + due)
        script.commit([script.call(owner, ContractAddress.runs, "leaveRun(bytes32)", run), script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.tokens(100)), ahead: 1)])
        script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: script.genesis.run.unbondingMilliseconds)
        #expect(script.ledger.balance(of: safe) == before + due + LedgerScript.tokens(100))
    }

    // MARK: Evidence

    /// A block's statement by a validator; the timestamp tells two of a slot apart.
    private static func statement(_ script: LedgerScript, by seat: Int, round: UInt64 = 7, timestamp: UInt64, epoch: UInt64 = 0, genesis: Digest? = nil) -> Equivocation.Statement {
        let block = Block(epoch: Epoch(epoch), round: Round(round), author: AuthorityIndex(seat), timestamp: Instant(timestamp), ancestors: [])
        return Equivocation.Statement(SignedBlock(block, by: script.world.consensusKeys[min(seat, script.world.consensusKeys.count - 1)], genesis: genesis ?? script.genesis.digest))
    }
    private static func report(_ script: LedgerScript, _ first: Equivocation.Statement, _ second: Equivocation.Statement) -> Transaction {
        script.call(script.trainers[0].owner, staking, "reportEquivocation(bytes,bytes)", .bytes(first.canonicalBytes), .bytes(second.canonicalBytes))
    }

    @Test func `two blocks for one slot cost a validator 5 % and its place for ever, whoever shows them`() throws {
        var script = try LedgerScript()
        script.joinAll()
        let owner = script.validatorOwners[2], stake = try #require(script.ledger.staker(owner)?.stake)
        let (one, other) = (StakingTests.statement(script, by: 2, timestamp: 1), StakingTests.statement(script, by: 2, timestamp: 2))
        #expect(script.commit([StakingTests.report(script, one, other)]).signed[0].succeeded)
        let record = try #require(script.ledger.staker(owner))
        let kept = try stake.scaled(by: 95, over: 100)
        #expect(record.isTombstoned && record.stake == kept)
        let slashed = try #require(script.events("Slashed").first?.values), tombstoned = try #require(script.events("Tombstoned").first?.values)
        #expect(slashed["rule"] == .uint(1) && slashed["evidence"] != .bytes32(.zero) && tombstoned["staker"] == .address(owner) && tombstoned["round"] == .uint(7))
        // Once, in whatever order and by whichever pair.
        for pair in [(one, other), (other, one), (one, StakingTests.statement(script, by: 2, timestamp: 3))] {
            expectReverted(script.commit([StakingTests.report(script, pair.0, pair.1)]), "AlreadyTombstoned(address)")
        }
        // The run goes on without it: nobody waits for it, draws it or pays it.
        #expect(script.play { $0.isSettled(3) })
        #expect((2...3 as ClosedRange<UInt64>).allSatisfy { window in script.view(window).scoreDraws.allSatisfy { !($0.scorers + $0.backups).contains(owner) } })
        #expect(script.events("RewardPending").allSatisfy { $0.values["identity"] != .address(owner) })
        // It may take what is left out.
        let rest = ABIValue.uint(record.stake)
        #expect(script.commit([script.call(script.validators[2].owner, StakingTests.staking, "beginUnstake(uint256)", rest)]).signed[0].succeeded)
    }

    @Test func `what is no proof of two blocks is refused, with the reason`() throws {
        var script = try LedgerScript()
        let good = StakingTests.statement(script, by: 1, timestamp: 1)
        let wrong: [(Equivocation.Statement, String)] = [
            (good, "the same block"),
            (.init(header: good.header, signature: StakingTests.statement(script, by: 2, timestamp: 9).signature), "the same block under another signature"),
            (StakingTests.statement(script, by: 1, round: 8, timestamp: 2), "another round"),
            (StakingTests.statement(script, by: 2, timestamp: 2), "another author"),
            (StakingTests.statement(script, by: 1, timestamp: 2, epoch: 1), "another epoch"),
            (StakingTests.statement(script, by: 1, timestamp: 2, genesis: .zero), "another network"),
            (.init(header: StakingTests.statement(script, by: 1, timestamp: 2).header, signature: good.signature), "a signature of something else"),
        ]
        for (other, why) in wrong {
            for pair in [(good, other), (other, good)] {
                #expect(script.commit([StakingTests.report(script, pair.0, pair.1)]).signed[0].reverted(with: "WrongEvidence(string)"), "\(why)")
            }
        }
        let stranger = StakingTests.statement(script, by: 4, timestamp: 1)
        expectReverted(script.commit([StakingTests.report(script, stranger, StakingTests.statement(script, by: 4, timestamp: 2))]), "WrongEvidence(string)")
        for bytes in [[], [1, 2, 3], good.canonicalBytes + [0]] {
            let call = script.call(script.trainers[0].owner, StakingTests.staking, "reportEquivocation(bytes,bytes)", .bytes(bytes), .bytes(good.canonicalBytes))
            expectReverted(script.commit([call]), "WrongEvidence(string)")
        }
        #expect(script.events("Slashed").isEmpty && script.events("Tombstoned").isEmpty)
    }

    @Test func `a validator's node shows evidence free of charge, once`() throws {
        var script = try LedgerScript()
        let builders = script.validators.map { DutyBuilder(identity: $0.identity, genesis: script.genesis) }
        let pair = Equivocation(StakingTests.statement(script, by: 3, timestamp: 1), StakingTests.statement(script, by: 3, timestamp: 2))
        let duty = try #require(builders[0].evidence(pair)), again = try #require(builders[1].evidence(pair))
        #expect(script.ledger.admission(of: duty.raw) == .duty)
        #expect(script.commit([duty, again]).signed.map(\.succeeded) == [true], "the second brings nothing about and leaves no trace")
        #expect(script.ledger.admission(of: again.raw).isRefused && script.ledger.isStale(again.raw))
    }

    @Test func `from seven validators on, faults in one span of time cost more together`() throws {
        var script = try LedgerScript(validators: 10)
        let stake = try #require(script.ledger.staker(script.validatorOwners[0])?.stake)
        func left(_ seat: Int) -> U256 { script.ledger.staker(script.validatorOwners[seat])?.stake ?? 0 }
        func tombstone(_ seat: Int, after milliseconds: UInt64 = 100) {
            script.commit([StakingTests.report(script, StakingTests.statement(script, by: seat, timestamp: 1), StakingTests.statement(script, by: seat, timestamp: 2))], after: milliseconds)
        }
        tombstone(0)
        #expect(try stake.subtracting(left(0)) == stake.scaled(by: 5, over: 100))
        tombstone(1)
        // Ten have 9.95 of their ten stakes left, and one was tombstoned before: 5 % · (1 + 19 · 3 · 1 ÷ 9.95).
        let base = try stake.scaled(by: 5, over: 100), total = try stake.multiplied(by: 10).subtracting(base)
        #expect(try stake.subtracting(left(1)) == base.adding(base.multiplied(by: 19).scaled(by: stake.multiplied(by: 3), over: total)))
        // After the unbonding time the old ones count no more.
        tombstone(2, after: script.genesis.run.unbondingMilliseconds + 1)
        #expect(try stake.subtracting(left(2)) == base)
    }

    @Test func `four missed windows of eight jail a trainer, who comes back when its term is over`() throws {
        var script = try LedgerScript(windows: 40)
        script.joinAll()
        let trainer = script.trainers[0].owner
        let unjail = { (script: LedgerScript) in script.call(trainer, StakingTests.staking, "unjail()") }
        expectReverted(script.commit([unjail(script)]), "NotJailed(address)")
        let absent = Conduct(silent: [.reveal: [trainer.address]])
        #expect(script.play(absent, every: 1_000) { !$0.events("Jailed").isEmpty })
        expectReverted(script.commit([unjail(script)]), "StillJailed(uint64)")
        guard case .uint(let until)? = script.events("Jailed").first?.values["until"], let last = until.uint64 else { return #expect(Bool(false), "a term") }
        #expect(script.play(every: 1_000) { ($0.ledger.runStatus.opened?.rawValue ?? 0) + 1 >= last })
        #expect(script.commit([unjail(script)]).signed[0].succeeded)
        #expect(script.play(every: 1_000) { $0.view(last + 1).contribution(of: trainer.address) != nil })
    }
}
