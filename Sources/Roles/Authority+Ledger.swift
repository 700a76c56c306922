import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol

/// Ordering and ledger meet here: what an authority commits, its ledger executes, and its next block attests the roots.
extension Ledger: Executor {
    public var orderedBy: Committee? { committee }
    public func nextNonce(of sender: Address) -> UInt64? { nonce(of: sender) }
    public mutating func execute(_ commit: OrderedCommit) -> (vote: CommitVote, executed: ExecutedBlock) {
        let block: ExecutedBlock = execute(commit)
        return (CommitVote(index: commit.commit.index, commit: commit.digest, stateRoot: block.header.stateRoot, logRoot: logTree.root), block)
    }
}

extension LedgerHead {
    /// What the roles look at after a commit.
    public init(_ ledger: Ledger) {
        self.init(status: ledger.runStatus, views: ledger.windowsInFlight.compactMap { ledger.windowView($0) })
    }
}
