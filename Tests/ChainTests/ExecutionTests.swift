import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Testing

/// Paid transactions: what they move, what they cost, and what is left of one that fails.
struct ExecutionTests {
    private static let transferGas: UInt64 = 21_000

    @Test func `a transfer moves its value, and its fee goes to the leader's owner`() throws {
        var script = try LedgerScript()
        let (from, to) = (script.trainers[0].owner, script.trainerOwners[1]), leader = script.validatorOwners[2]
        let before = (script.ledger.balance(of: from.address), script.ledger.balance(of: to), script.ledger.balance(of: leader))
        let block = script.commit([script.send(from, to, value: 1_000_000)], leader: 2)
        let fee = Ledger.baseFee * U256(ExecutionTests.transferGas)
        #expect(script.ledger.balance(of: from.address) == before.0 - 1_000_000 - fee)
        #expect(script.ledger.balance(of: to) == before.1 + 1_000_000)
        #expect(script.ledger.balance(of: leader) == before.2 + fee)
        let receipt = try #require(block.signed.first)
        #expect(receipt.succeeded && receipt.gasUsed == ExecutionTests.transferGas && receipt.effectiveGasPrice == Ledger.baseFee && receipt.revert.isEmpty)
        #expect(block.header.gasUsed == ExecutionTests.transferGas && block.header.proposer == leader)
        #expect(script.ledger.nonce(of: from.address) == 1)
    }

    @Test func `a tip is paid on top of the base fee, up to the fee that was offered`() throws {
        var script = try LedgerScript()
        let from = script.trainers[0].owner, to = script.trainerOwners[1]
        let full = script.send(from, to, value: 1, tip: 500_000_000, maxFee: 2_000_000_000)
        let cut = script.send(from, to, value: 1, ahead: 1, tip: 1_500_000_000, maxFee: 2_000_000_000)
        let block = script.commit([full, cut])
        #expect(block.signed.map(\.effectiveGasPrice) == [1_500_000_000, 2_000_000_000])
    }

    @Test func `what is ordered twice is executed once, in one commit or in two`() throws {
        var script = try LedgerScript()
        let transfer = script.send(script.trainers[0].owner, script.trainerOwners[1], value: 5)
        #expect(script.commit([transfer, transfer]).signed.count == 1)
        #expect(script.commit([transfer]).signed.isEmpty)
        #expect(script.ledger.balance(of: script.trainerOwners[1]) == LedgerScript.tokens(1_000) + 5)
    }

    @Test func `what may not be executed leaves no trace`() throws {
        var script = try LedgerScript()
        let rich = script.trainers[0].owner, poor = KeyPair(seed: "nobody"), to = script.trainerOwners[1]
        let otherChain = Transaction.dynamicFee(chainID: script.genesis.chainID + 1, nonce: 0, maxFeePerGas: Ledger.baseFee, gasLimit: 21_000, to: to, value: 1, by: rich)
        let good = script.send(rich, to, value: 1)
        let refused: [(String, [UInt8])] = [
            ("a number too high", script.send(rich, to, value: 1, ahead: 1).raw),
            ("another chain's", otherChain.raw),
            ("no money", script.send(poor, to, value: 0).raw),
            ("more than there is", script.send(rich, to, value: LedgerScript.tokens(1_000)).raw),
            ("less than the base fee", script.send(rich, to, value: 1, maxFee: 999_999_999).raw),
            ("less gas than a transaction costs", script.send(rich, to, value: 1, gasLimit: 20_999).raw),
            ("nothing", []), ("noise", Array("assay".utf8)), ("a cut one", Array(good.raw.dropLast())), ("one too long", good.raw + [0]),
        ]
        let empty = try LedgerScript()
        for (name, raw) in refused {
            #expect(script.ledger.admission(of: raw).isRefused || name == "a number too high", "\(name)")
            let before = script.ledger.balance(of: rich.address)
            let block = script.commit(raw: [raw])
            #expect(block.signed.isEmpty, "\(name)")
            #expect(script.ledger.balance(of: rich.address) == before && script.ledger.nonce(of: rich.address) == 0, "\(name)")
        }
        #expect(script.ledger.balance(of: to) == empty.ledger.balance(of: to))
    }

    @Test func `a number used up is refused, and one to come waits`() throws {
        var script = try LedgerScript()
        let from = script.trainers[0].owner, to = script.trainerOwners[1]
        let first = script.send(from, to, value: 1), early = script.send(from, to, value: 1, ahead: 5), tooEarly = script.send(from, to, value: 1, ahead: 70)
        #expect(!script.ledger.admission(of: first.raw).isRefused && !script.ledger.admission(of: early.raw).isRefused)
        #expect(script.ledger.admission(of: tooEarly.raw).isRefused)
        script.commit([first])
        guard case .refused(let reason) = script.ledger.admission(of: first.raw) else { return #expect(Bool(false), "a used number is refused") }
        #expect(reason.hasPrefix("nonce too low"))
        #expect(script.ledger.isStale(first.raw))
    }

    // MARK: Failing

    @Test func `a failing transaction pays its gas, and nothing else changes`() throws {
        var script = try LedgerScript()
        let from = script.trainers[0].owner
        let before = script.ledger.balance(of: from.address), staked = script.ledger.balance(of: ContractAddress.staking)
        // Stakes too little: the value that came along goes back.
        let block = script.commit([script.registration(script.trainers[0], stake: LedgerScript.tokens(99))], leader: 1)
        expectReverted(block, "StakeTooLow(uint256,uint256)")
        let gas = try #require(block.signed.first).gasUsed
        #expect(gas > 100_000)
        #expect(script.ledger.balance(of: from.address) == before - Ledger.baseFee * U256(gas))
        #expect(script.ledger.balance(of: ContractAddress.staking) == staked)
        #expect(script.ledger.nonce(of: from.address) == 1)
        #expect(script.ledger.staker(from.address) == nil && script.ledger.owner(ofNodeKey: script.trainers[0].identity.nodeKey.address) == nil)
        #expect(block.signed[0].logs.isEmpty)
        #expect(Set(block.changedTables) == ["account", "run"])         // "run" holds the phase clock, which moves with every commit
        #expect(block.changedTables.count { $0 == "account" } == 2)     // who paid, and who was paid
        // The error carries its values.
        #expect(try ABI.decode([.uint(bits: 256), .uint(bits: 256)], block.signed[0].revert.dropFirst(4)) == [.uint(LedgerScript.tokens(99)), .uint(LedgerScript.tokens(100))])
    }

    @Test func `gas that does not suffice is paid, and no more than was allowed`() throws {
        var script = try LedgerScript()
        let from = script.trainers[0].owner, before = script.ledger.balance(of: from.address)
        let block = script.commit([script.call(from, ContractAddress.staking, "withdraw()", gasLimit: 30_000)])
        expectReverted(block, "OutOfGas(uint256,uint256)")
        #expect(block.signed[0].gasUsed == 30_000)
        #expect(script.ledger.balance(of: from.address) == before - Ledger.baseFee * 30_000)
    }

    /// Also with an account that has just what it allowed and not what the call needs.
    @Test func `an account emptied by its gas limit still pays for the failure`() throws {
        var script = try LedgerScript()
        let drain = script.trainers[2].owner, cost = Ledger.baseFee * 30_000
        let rest = script.ledger.balance(of: drain.address) - cost - Ledger.baseFee * 21_000
        script.commit([script.send(drain, script.trainerOwners[1], value: rest, gasLimit: 21_000)])
        #expect(script.ledger.balance(of: drain.address) == cost)
        let block = script.commit([script.call(drain, ContractAddress.staking, "withdraw()", gasLimit: 30_000)])
        expectReverted(block, "OutOfGas(uint256,uint256)")
        #expect(script.ledger.balance(of: drain.address).isZero && script.ledger.nonce(of: drain.address) == 2)
    }

    @Test func `no contract is created here`() throws {
        var script = try LedgerScript()
        let from = script.trainers[0].owner
        let fields: [RLP] = [.number(script.genesis.chainID), .number(0 as UInt64), .number(0 as UInt64), .number(Ledger.baseFee), .number(100_000 as UInt64), .bytes([]), .number(0 as UInt64), .bytes([0x60]), .list([])]
        let signature = from.sign(hash: keccak256([2] + RLP.list(fields).encoded))
        let raw = [2] + RLP.list(fields + [.number(UInt64(signature.recovery)), .number(signature.r), .number(signature.s)]).encoded
        expectReverted(script.commit(raw: [raw]), "NoContractCreation()")
    }

    @Test func `a wrong call fails by name`() throws {
        var script = try LedgerScript()
        script.joinAll()
        let owner = script.trainers[0].owner, staking = ContractAddress.staking, runs = ContractAddress.runs
        let run = ABIValue.bytes32(script.genesis.runID), validator = script.validators[0].owner
        let calls: [(String, (LedgerScript) -> Transaction)] = [
            ("UnknownFunction(bytes4)", { $0.call(owner, staking, "mint()") }),
            ("UnknownFunction(bytes4)", { $0.send(owner, staking, value: 1) }),
            ("NotPayable(uint256)", { $0.call(owner, staking, "withdraw()", value: 1) }),
            ("WrongArguments(string)", { $0.send(owner, staking, value: 0, data: ABI.selector("beginUnstake(uint256)") + [1, 2, 3]) }),
            ("AlreadyRegistered(address)", { $0.registration($0.trainers[0], nodeKey: KeyPair(seed: "new")) }),
            ("AlreadyJoined(address)", { $0.call(owner, runs, "joinRun(bytes32)", run) }),
            ("UnknownRun(bytes32)", { $0.call(owner, runs, "joinRun(bytes32)", .bytes32(.zero)) }),
            ("NotATrainer(address)", { $0.call(validator, runs, "joinRun(bytes32)", run) }),
            ("NotJoined(address)", { $0.call(validator, runs, "leaveRun(bytes32)", run) }),
            ("NothingToClaim(address)", { $0.call(owner, ContractAddress.rewards, "claim()") }),
            ("NotAMember(address)", { $0.call(validator, ContractAddress.windows, "commit(bytes32,uint64,bytes32)", run, .uint(0 as UInt64), .bytes32(.zero)) }),
            ("PhaseNotOpen(uint64,uint8)", { $0.call(owner, ContractAddress.windows, "reveal(bytes32,uint64,bytes)", run, .uint(0 as UInt64), .bytes([])) }),
            ("UnknownWindow(uint64)", { $0.call(owner, ContractAddress.windows, "void(bytes32,uint64)", run, .uint(77 as UInt64)) }),
            ("UnknownContest(bytes32)", { $0.call(validator, ContractAddress.disputes, "voteCommit(bytes32,bytes32)", .bytes32(.zero), .bytes32(.zero)) }),
        ]
        for (error, make) in calls { expectReverted(script.commit([make(script)]), error) }
        #expect(script.ledger.windowView(Window(0))?.contributions.isEmpty == true)
    }

    @Test func `every error that a contract can give is in its published interface`() {
        // Any error's selector is told apart from any other's.
        let errors = Set(Ledger.interfaces.flatMap(\.errors).map { ABI.selector(ExecutionTests.types(of: $0)) })
        #expect(errors.count == Set(Ledger.interfaces.flatMap(\.errors).map(ExecutionTests.types)).count)
    }
    private static func types(of error: String) -> String {
        let name = error.prefix { $0 != "(" }
        let fields = error.dropFirst(name.count + 1).dropLast().split(separator: ",").map { $0.split(separator: " ")[0] }
        return "\(name)(\(fields.joined(separator: ",")))"
    }

    // MARK: Any mixture

    @Test(arguments: UInt64(0)..<4)
    func `tokens are neither made nor lost, and the same commits give the same roots, whatever is sent`(seed: UInt64) throws {
        var script = try LedgerScript(), chance = SeededGenerator(seed: seed)
        let people = (script.trainers + script.validators).map(\.owner)
        var succeeded = 0, failed = 0
        for _ in 0..<50 {
            var sent: [Transaction] = []
            for (place, person) in chance.sample(people, count: 4).enumerated() {
                let amount = LedgerScript.token * U256(chance.below(150)), to = people[Int(chance.below(UInt64(people.count)))].address, staking = ContractAddress.staking
                switch chance.below(8) {
                case 0: sent.append(script.send(person, to, value: amount, tip: U256(chance.below(3))))
                case 1: sent.append(script.registration(script.trainers[place % 3], stake: amount))
                case 2: sent.append(script.call(person, staking, "addStake()", value: amount))
                case 3: sent.append(script.call(person, staking, "beginUnstake(uint256)", .uint(amount)))
                case 4: sent.append(script.call(person, staking, "withdraw()"))
                case 5: sent.append(script.call(person, ContractAddress.runs, chance.chance(1, in: 2) ? "joinRun(bytes32)" : "leaveRun(bytes32)", .bytes32(script.genesis.runID)))
                case 6: sent.append(script.call(person, ContractAddress.rewards, "claim()"))
                default: sent.append(script.call(person, to, "anything()", value: amount, gasLimit: 21_000 + chance.below(60_000)))
                }
            }
            let block = script.commit(sent, after: chance.below(100_000), leader: Int(chance.below(4)))   // the script checks supply.conserved and staking.backed
            succeeded += block.signed.count { $0.succeeded }
            failed += block.signed.count { !$0.succeeded }
        }
        #expect(succeeded > 30 && failed > 30, "\(succeeded) succeeded and \(failed) failed")
        let again = try script.replayed()
        #expect(again.tree.root == script.ledger.tree.root && again.logTree.root == script.ledger.logTree.root)
    }
}

extension Admission {
    var isRefused: Bool { if case .refused = self { true } else { false } }
}
