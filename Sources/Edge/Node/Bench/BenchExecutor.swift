import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// An executor that a measured node can run.
protocol BenchExecutor: Executor {
    /// What the store keeps of a commit beside its order.
    static func kept(_ executed: Executed) -> ExecutedBlock?
    /// The transactions that took effect.
    static func effective(_ ordered: OrderedCommit, _ executed: Executed) -> [[UInt8]]
}

/// A ledger that does not look at what it is given: it counts transactions and hashes them in their order.
struct OpaqueLedger: BenchExecutor {
    private(set) var count: UInt64 = 0
    private(set) var root = Digest.zero

    /// root = H(root ‖ commit ‖ transactions), so that equal roots mean equal content in equal order.
    mutating func execute(_ commit: OrderedCommit) -> (vote: CommitVote, executed: Int) {
        let hasher = SHA256Hasher()
        hasher.update(root.bytes)
        hasher.update(commit.digest.bytes)
        for entry in commit.entries { hasher.update(entry.transaction) }
        root = hasher.finish()
        count += UInt64(commit.entries.count)
        return (CommitVote(index: commit.commit.index, commit: commit.digest, stateRoot: root, logRoot: .zero), commit.entries.count)
    }
    func admission(of transaction: [UInt8]) -> Admission { .duty }
    func nextNonce(of sender: Address) -> UInt64? { nil }
    func isStale(_ transaction: [UInt8]) -> Bool { false }

    static func kept(_ executed: Int) -> ExecutedBlock? { nil }
    static func effective(_ ordered: OrderedCommit, _ executed: Int) -> [[UInt8]] { ordered.entries.map(\.transaction) }
}

extension Ledger: BenchExecutor {
    static func kept(_ executed: ExecutedBlock) -> ExecutedBlock? { executed }
    static func effective(_ ordered: OrderedCommit, _ executed: ExecutedBlock) -> [[UInt8]] { executed.transactions.compactMap { $0.succeeded ? $0.transaction?.raw : nil } }
}
