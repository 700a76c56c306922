import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

/// A real ledger and the people on it, told commit by commit what happens. Every commit is checked to keep all tokens that there are.
struct LedgerScript {
    /// Trainers carry their residual from window to window, and owe it where a compression is replayed.
    var carriesResiduals = false
    /// What trainers say they did, where that is not H.
    var steps: [Address: UInt32] = [:]
    typealias Person = WorldGenesis.Person

    let world: WorldGenesis
    private(set) var ledger: Ledger
    private(set) var now: Instant
    private(set) var blocks: [ExecutedBlock] = []
    private var commits: [OrderedCommit] = []
    private var previous = Digest.zero

    static let token = WorldGenesis.token
    static func tokens(_ count: UInt64) -> U256 { (try? token.multiplied(by: U256(count))) ?? .max }

    init(validators: Int = 4, candidates: Int = 0, trainers: Int = 3, windows: UInt64 = 20, windowMilliseconds: UInt64 = 20_000, aggregateLimit: UInt32 = 16, epochMilliseconds: UInt64 = 0, allowedSteps: ClosedRange<UInt32>? = nil, adapts: Bool = false) throws {
        world = WorldGenesis(validators: validators, candidates: candidates, trainers: trainers, windows: windows, windowMilliseconds: windowMilliseconds, aggregateLimit: aggregateLimit, epochMilliseconds: epochMilliseconds, allowedSteps: allowedSteps, adapts: adapts)
        ledger = try Ledger(genesis: world.genesis)
        now = world.genesis.time
    }

    var genesis: Genesis { world.genesis }
    var validators: [Person] { world.validators }
    var trainers: [Person] { world.trainers }
    var validatorOwners: [Address] { validators.map(\.owner.address) }
    var trainerOwners: [Address] { trainers.map(\.owner.address) }

    // MARK: Commits

    @discardableResult
    mutating func commit(_ transactions: [Transaction] = [], after milliseconds: UInt64 = 100, leader: Int = 0) -> ExecutedBlock {
        commit(raw: transactions.map(\.raw), after: milliseconds, leader: leader)
    }

    @discardableResult
    mutating func commit(raw: [[UInt8]], after milliseconds: UInt64 = 100, leader: Int = 0) -> ExecutedBlock {
        commit(raw, after: milliseconds, leader: leader, executed: [])
    }

    /// A commit in which blocks say what their authors, by seat, have executed.
    @discardableResult
    mutating func commit(executed: [(seat: Int, index: UInt64)]) -> ExecutedBlock {
        commit([], after: 100, leader: 0, executed: executed.map { .init(author: AuthorityIndex($0.seat), index: CommitIndex($0.index)) })
    }

    private mutating func commit(_ raw: [[UInt8]], after milliseconds: UInt64, leader: Int, executed: [OrderedCommit.Executed]) -> ExecutedBlock {
        now = now.advanced(by: milliseconds)
        let index = CommitIndex(ledger.head.number + 1), author = AuthorityIndex(leader)
        let reference = BlockReference(round: Round(index.rawValue), author: author, digest: .zero)
        let commit = Commit(epoch: ledger.epoch, index: index, previous: previous, timestamp: now, leader: reference, blocks: [reference])
        previous = commit.digest
        let ordered = OrderedCommit(commit: commit, entries: raw.map { .init(author: author, transaction: $0) }, executed: executed)
        commits.append(ordered)
        let block: ExecutedBlock = ledger.execute(ordered)
        blocks.append(block)
        #expect(ledger.brokenInvariants == [])
        return block
    }

    /// The same ledger, as far as roots can tell, from the first commit on.
    func replayed() throws -> Ledger {
        var again = try Ledger(genesis: genesis)
        for commit in commits { let _: ExecutedBlock = again.execute(commit) }
        return again
    }

    // MARK: Owners' transactions

    /// A call signed by an owner; `ahead` of its next number, for several in one commit.
    func call(_ key: KeyPair, _ to: Address, _ function: String, _ arguments: ABIValue..., value: U256 = 0, ahead: UInt64 = 0, gasLimit: UInt64 = 400_000) -> Transaction {
        send(key, to, value: value, data: ABIFunction(function).selector + ABI.encode(arguments), ahead: ahead, gasLimit: gasLimit)
    }
    func send(_ key: KeyPair, _ to: Address, value: U256, data: [UInt8] = [], ahead: UInt64 = 0, gasLimit: UInt64 = 400_000, tip: U256 = 0, maxFee: U256 = Ledger.baseFee) -> Transaction {
        .dynamicFee(chainID: genesis.chainID, nonce: ledger.nonce(of: key.address) + ahead, maxPriorityFeePerGas: tip, maxFeePerGas: maxFee, gasLimit: gasLimit, to: to, value: value, data: data, by: key)
    }
    /// The registration of a trainer, with its node key's proof.
    func registration(_ trainer: Person, nodeKey: KeyPair? = nil, name: String = "a trainer", stake: U256? = nil, proof: [UInt8]? = nil) -> Transaction {
        let nodeKey = nodeKey ?? trainer.identity.nodeKey
        return call(trainer.owner, ContractAddress.staking, "registerTrainer(address,string,bytes)", .address(nodeKey.address), .string(name),
                    .bytes(proof ?? NodeKeyProof.make(nodeKey, owner: trainer.owner.address, genesis: genesis.digest)), value: stake ?? genesis.run.trainerMinimumStake)
    }
    mutating func joinAll() {
        commit(raw: world.joining)
        #expect(ledger.runStatus.trainers == trainerOwners.sorted())
    }

    // MARK: What happened

    struct Happened { let block: UInt64; let values: [String: ABIValue] }

    func events(_ name: String) -> [Happened] {
        guard let event = Ledger.event(name) else {
            Issue.record("there is no event \(name)")
            return []
        }
        return blocks.flatMap { block in block.transactions.flatMap(\.logs).compactMap { log in event.decode(log).map { Happened(block: block.header.number, values: $0) } } }
    }
}

extension ExecutedBlock {
    /// The only transaction that somebody signed.
    var signed: [ExecutedTransaction] { transactions.filter { $0.transaction != nil } }
    /// Rows of accounts apart from the others, which are named by their table.
    var changedTables: [String] {
        changes.compactMap { change in
            var decoder = CanonicalDecoder(change.key)
            return try? decoder.text(limit: 64)
        }
    }
}

extension ExecutedTransaction {
    func reverted(with error: String) -> Bool { !succeeded && Array(revert.prefix(4)) == ABI.selector(error) }
}

func expectReverted(_ block: ExecutedBlock, _ error: String, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(block.signed.count == 1, sourceLocation: sourceLocation)
    for transaction in block.signed { #expect(transaction.reverted(with: error), "\(hex(transaction.revert)) is not \(error)", sourceLocation: sourceLocation) }
}

extension U256 {
    static func + (a: U256, b: U256) -> U256 { (try? a.adding(b)) ?? .max }
    static func - (a: U256, b: U256) -> U256 { (try? a.subtracting(b)) ?? .max }
    static func * (a: U256, b: U256) -> U256 { (try? a.multiplied(by: b)) ?? .max }
}
