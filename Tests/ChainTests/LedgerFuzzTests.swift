import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import TestKit
import Testing

/// The ledger under calls that nobody would make, and under facts from the edges of what a report can say.
struct LedgerFuzzTests {
    @Test(arguments: LedgerFuzz.all)
    func `no call data traps a contract, whoever calls`(calls: Fuzz) throws { try calls.run(in: LedgerFuzz.all, short: 20_000) }

    /// Reports, replays and votes with numbers from the edges, agreed on or not: every commit keeps all tokens, and the windows go on.
    @Test(arguments: 0..<6 as Range<UInt64>)
    func `whatever facts the validators report, the ledger settles its windows`(seed: UInt64) throws {
        var script = try LedgerScript(windows: 4)
        script.joinAll()
        let edges: [Int64] = [.min, .min + 1, -1_000_000_000, -1, 0, 1, 999_999_999, 1_000_000_000, 1 << 40, .max - 1, .max]
        var conduct = Conduct()
        func fact(_ who: Address, _ trainer: Address) -> ScoreFact {
            // Odd seeds agree, so that the facts are settled on; even ones do not, so that they are contested.
            var chance = SeededGenerator(Digest.tagged("edges") { encoder in
                encoder.append(seed)
                encoder.append(trainer)
                if seed.isMultiple(of: 2) { encoder.append(who) }
            })
            func edge() -> Int64 { edges[Int(chance.below(UInt64(edges.count)))] }
            return ScoreFact(randomBefore: edge(), randomAfter: edge(), ownBefore: edge(), ownAfter: edge())
        }
        conduct.score = fact
        conduct.replay = { who, trainer in
            ReplayFact(verdict: seed.isMultiple(of: 3) ? .differs : .equal, expected: Conduct.root("a"), found: Conduct.root(seed.isMultiple(of: 2) ? "\(who)" : "a"))
        }
        let isSettled = script.play(conduct, until: { $0.isSettled(2) })
        #expect(isSettled, "seed \(seed): window 2 is not settled")
        #expect(try script.replayed().head == script.ledger.head)
    }
}

enum LedgerFuzz {
    /// In the middle of a run: windows open in every phase.
    static let script: LedgerScript = {
        guard var script = try? LedgerScript(windows: 6) else { preconditionFailure("a script's genesis is a ledger's") }
        script.joinAll()
        script.play(until: { $0.isSettled(0) })
        script.commit(script.duties(Conduct()), after: 500)
        return script
    }()
    private static let contracts = [ContractAddress.staking, ContractAddress.windows, ContractAddress.scores, ContractAddress.disputes, ContractAddress.checkpoints, ContractAddress.runs, ContractAddress.rewards]
    private static let callers = script.validatorOwners + script.trainerOwners + [.zero]

    /// All functions that are published, each with plausible arguments.
    private static let calls: [(contract: Int, data: [UInt8])] = Ledger.interfaces.flatMap { interface -> [(Int, [UInt8])] in
        guard let place = contracts.firstIndex(of: interface.address) else { return [] }
        return interface.functions.map { (place, $0.interface.selector + ABI.encode($0.interface.inputs.map { sample($0) })) }
    } + script.duties(Conduct()).compactMap { duty in contracts.firstIndex(of: duty.to ?? .zero).map { ($0, duty.data) } }

    private static func sample(_ type: ABIType) -> ABIValue {
        switch type {
        case .uint: .uint(1)
        case .int: .int(1)
        case .address: .address(script.trainerOwners[0])
        case .bool: .bool(true)
        case .fixedBytes(let count): .fixedBytes(Array(script.genesis.runID.bytes.prefix(count)))
        case .bytes: .bytes([1])
        case .string: .string("name")
        case .array(let element): .array([sample(element)])
        case .tuple(let parts): .tuple(parts.map { sample($0) })
        }
    }

    /// The first two bytes say which contract is called and by whom.
    static let all = [
        Fuzz("call data", takesCorpus: false, baseBytes: 1 << 20, factor: 256, values: { calls.enumerated().map { [UInt8($1.contract), UInt8($0 % callers.count)] + $1.data } }) { input in
            guard input.count >= 2 else { return false }
            let to = contracts[Int(input[0]) % contracts.count], from = callers[Int(input[1]) % callers.count]
            if case .returned = script.ledger.call(to: to, data: Array(input.dropFirst(2)), from: from) { return true }
            return false
        },
        // As a whole transaction, from admission through a commit; duties are signed by node keys and name themselves by their nonce.
        Fuzz("executed transaction", weight: 0.1, takesCorpus: false, baseBytes: 8 << 20, factor: 256, values: { script.duties(Conduct()).map { [0] + $0.nonce.canonicalDigits + $0.data } + calls.prefix(40).map { [UInt8(1 + $0.contract)] + (0 as UInt64).canonicalDigits + $0.data } }) { input in
            guard let first = input.first, input.count >= 9 else { return false }
            let number = input[1..<9].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }, data = Array(input.dropFirst(9)), ledger = script.ledger
            let transaction: Transaction
            guard data.count < 8_000 else { return false }
            if first == 0, let (duty, _) = Duty.named(by: number) {
                let people = script.validators + script.trainers
                transaction = .dynamicFee(chainID: script.genesis.chainID, nonce: number, maxFeePerGas: 0, gasLimit: 1 << 20, to: DutyFunction.of(duty.kind).contract, data: data, by: people[data.count % people.count].identity.nodeKey)
            } else {
                let owner = script.trainers[Int(number % UInt64(script.trainers.count))].owner
                transaction = .dynamicFee(chainID: script.genesis.chainID, nonce: ledger.nonce(of: owner.address), maxFeePerGas: Ledger.baseFee, gasLimit: 1 << 20, to: contracts[Int(first) % contracts.count], value: U256(number >> 40), data: data, by: owner)
            }
            let admission = ledger.admission(of: transaction.raw)
            var next = ledger
            let index = CommitIndex(ledger.head.number + 1), reference = BlockReference(round: Round(index.rawValue), author: AuthorityIndex(0), digest: .zero)
            let commit = Commit(epoch: Epoch(0), index: index, previous: .zero, timestamp: script.now.advanced(by: 100), leader: reference, blocks: [reference])
            let block: ExecutedBlock = next.execute(OrderedCommit(commit: commit, entries: [.init(author: AuthorityIndex(0), transaction: transaction.raw)]))
            guard next.brokenInvariants.isEmpty else { throw Fuzz.Broken("broken: \(next.brokenInvariants)") }
            if case .refused = admission { return false }
            return block.transactions.contains { $0.succeeded && $0.transaction != nil }
        },
    ]
}

extension UInt64 {
    fileprivate var canonicalDigits: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> UInt64(56 - 8 * $0)) } }
}
