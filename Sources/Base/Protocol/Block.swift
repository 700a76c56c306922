import AssayCrypto
import AssayPrimitives

/// Position of a block in the DAG: one authority, one round. Two blocks in one slot are an equivocation.
public struct Slot: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let round: Round
    public let author: AuthorityIndex
    public init(_ round: Round, _ author: AuthorityIndex) {
        self.round = round
        self.author = author
    }
    /// The one behind it, in the order of rounds, then seats.
    public var next: Slot { author.rawValue == .max ? Slot(round.next, AuthorityIndex(0)) : Slot(round, AuthorityIndex(author.rawValue + 1)) }
    public static func < (a: Slot, b: Slot) -> Bool { (a.round, a.author) < (b.round, b.author) }
    public var description: String { "\(author)\(round)" }
}

/// A block's name: its slot and the digest of its unsigned content.
public struct BlockReference: Hashable, Comparable, Sendable, CustomStringConvertible, CanonicalCodable {
    public let round: Round
    public let author: AuthorityIndex
    public let digest: Digest

    public init(round: Round, author: AuthorityIndex, digest: Digest) {
        self.round = round
        self.author = author
        self.digest = digest
    }
    public var slot: Slot { Slot(round, author) }
    public static func < (a: BlockReference, b: BlockReference) -> Bool { (a.round, a.author, a.digest) < (b.round, b.author, b.digest) }
    public var description: String { "\(author)\(round)" }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(round)
        encoder.append(author)
        encoder.append(digest)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        round = try decoder.value()
        author = try decoder.value()
        digest = try decoder.value()
    }
}

/// An authority's word on what it executed: the roots after commit `index`.
public struct CommitVote: Hashable, Sendable, CanonicalCodable {
    public let index: CommitIndex
    public let commit: Digest
    public let stateRoot: Digest
    public let logRoot: Digest

    public init(index: CommitIndex, commit: Digest, stateRoot: Digest, logRoot: Digest) {
        self.index = index
        self.commit = commit
        self.stateRoot = stateRoot
        self.logRoot = logRoot
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(index)
        encoder.append(commit)
        encoder.append(stateRoot)
        encoder.append(logRoot)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        index = try decoder.value()
        commit = try decoder.value()
        stateRoot = try decoder.value()
        logRoot = try decoder.value()
    }
}

/// What an authority says in one round.
public struct Block: Hashable, Sendable, CanonicalCodable {
    public let epoch: Epoch
    public let round: Round
    public let author: AuthorityIndex
    public let timestamp: Instant
    /// The author's own previous block first, then at most one of every other authority.
    public let ancestors: [BlockReference]
    public let transactions: [[UInt8]]
    public let commitVotes: [CommitVote]

    public init(epoch: Epoch, round: Round, author: AuthorityIndex, timestamp: Instant, ancestors: [BlockReference],
                transactions: [[UInt8]] = [], commitVotes: [CommitVote] = []) {
        self.epoch = epoch
        self.round = round
        self.author = author
        self.timestamp = timestamp
        self.ancestors = ancestors
        self.transactions = transactions
        self.commitVotes = commitVotes
    }

    public var slot: Slot { Slot(round, author) }

    /// What is signed: a block without its content, of which it has the digest. So two of them prove an equivocation in few bytes.
    public struct Header: Hashable, Sendable, CanonicalCodable {
        public let epoch: Epoch
        public let round: Round
        public let author: AuthorityIndex
        public let timestamp: Instant
        /// Of ancestors, transactions and commit votes.
        public let content: Digest

        public init(epoch: Epoch, round: Round, author: AuthorityIndex, timestamp: Instant, content: Digest) {
            (self.epoch, self.round, self.author, self.timestamp, self.content) = (epoch, round, author, timestamp, content)
        }
        /// What references name. The genesis digest is part of it, so one key on two networks is no equivocation.
        public func digest(genesis: Digest) -> Digest {
            Digest.tagged("assay/block/1") {
                $0.append(genesis)
                $0.append(Limits.protocolVersion)
                $0.append(self)
            }
        }
        public func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(epoch)
            encoder.append(round)
            encoder.append(author)
            encoder.append(timestamp)
            encoder.append(content)
        }
        public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            epoch = try decoder.value()
            round = try decoder.value()
            author = try decoder.value()
            timestamp = try decoder.value()
            content = try decoder.value()
        }
    }

    public var header: Header {
        Header(epoch: epoch, round: round, author: author, timestamp: timestamp, content: Block.content(body: body, commitVotes: commitVotes))
    }
    /// The digest of ancestors and transactions. Commit votes stand beside it, so that they can be shown without the rest.
    public var body: Digest { Digest.tagged("assay/block-body/1") { encodeBody(into: &$0) } }
    public static func content(body: Digest, commitVotes: [CommitVote]) -> Digest {
        Digest.tagged("assay/block-content/2") {
            $0.append(body)
            $0.append(commitVotes)
        }
    }
    public func digest(genesis: Digest) -> Digest { header.digest(genesis: genesis) }

    /// Round 0: one empty block per authority, known to all, never committed.
    public static func genesisBlocks(of committee: Committee, genesis: Digest) -> [BlockReference] {
        committee.indices.map { author in
            let block = Block(epoch: committee.epoch, round: Round(0), author: author, timestamp: Instant(0), ancestors: [])
            return BlockReference(round: Round(0), author: author, digest: block.digest(genesis: genesis))
        }
    }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(epoch)
        encoder.append(round)
        encoder.append(author)
        encoder.append(timestamp)
        encodeBody(into: &encoder)
        encoder.append(commitVotes)
    }
    private func encodeBody(into encoder: inout CanonicalEncoder) {
        encoder.append(ancestors)
        encoder.append(UInt32(transactions.count))
        for transaction in transactions { encoder.append(counted: transaction) }
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        epoch = try decoder.value()
        round = try decoder.value()
        author = try decoder.value()
        timestamp = try decoder.value()
        ancestors = try decoder.array(limit: Limits.committeeSize)
        var transactions: [[UInt8]] = []
        for _ in 0..<(try decoder.count(limit: Limits.blockTransactions)) { transactions.append(try decoder.counted(limit: Limits.transactionBytes)) }
        self.transactions = transactions
        commitVotes = try decoder.array(limit: Limits.commitVotes)
    }
}

/// A block with its author's signature over the digest. Not yet checked: see `BlockVerifier`.
public struct SignedBlock: Hashable, Sendable, CanonicalCodable {
    public let block: Block
    public let signature: Signature

    public init(block: Block, signature: Signature) {
        self.block = block
        self.signature = signature
    }
    public init(_ block: Block, by key: KeyPair, genesis: Digest) {
        self.init(block: block, signature: key.sign(block.digest(genesis: genesis)))
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(block)
        encoder.append(signature)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        block = try decoder.value()
        signature = try decoder.value()
    }
}
