import AssayCrypto
import AssayPrimitives

/// An ordered sub-DAG: what one committed leader adds to the ledger. Commits form a hash chain; two honest nodes have one chain.
public struct Commit: Hashable, Sendable, CanonicalCodable {
    public let epoch: Epoch
    /// From 1 on, through all epochs.
    public let index: CommitIndex
    public let previous: Digest
    /// Ledger time: the stake-weighted median of the leader's parents' timestamps, never below the previous commit's.
    public let timestamp: Instant
    public let leader: BlockReference
    /// By round, then author, the leader last.
    public let blocks: [BlockReference]

    public init(epoch: Epoch, index: CommitIndex, previous: Digest, timestamp: Instant, leader: BlockReference, blocks: [BlockReference]) {
        self.epoch = epoch
        self.index = index
        self.previous = previous
        self.timestamp = timestamp
        self.leader = leader
        self.blocks = blocks
    }

    public var digest: Digest { Digest.tagged("assay/commit/2") { $0.append(self) } }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(epoch)
        encoder.append(index)
        encoder.append(previous)
        encoder.append(timestamp)
        encoder.append(leader)
        encoder.append(blocks)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        epoch = try decoder.value()
        index = try decoder.value()
        previous = try decoder.value()
        timestamp = try decoder.value()
        leader = try decoder.value()
        blocks = try decoder.array(limit: Limits.committeeSize * 1024)
    }
}

/// A commit with the transactions of its blocks, in order: what the ledger executes.
public struct OrderedCommit: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public let author: AuthorityIndex
        public let transaction: [UInt8]
        public init(author: AuthorityIndex, transaction: [UInt8]) {
            self.author = author
            self.transaction = transaction
        }
    }
    /// The last commit that an authority's blocks in this one say it has executed.
    public struct Executed: Hashable, Sendable {
        public let author: AuthorityIndex
        public let index: CommitIndex
        public init(author: AuthorityIndex, index: CommitIndex) { (self.author, self.index) = (author, index) }
    }
    public let commit: Commit
    public let digest: Digest
    public let entries: [Entry]
    /// By seat, each once; those that say nothing are left out.
    public let executed: [Executed]

    public init(commit: Commit, entries: [Entry], executed: [Executed] = []) {
        self.commit = commit
        digest = commit.digest
        self.entries = entries
        self.executed = executed
    }
}
