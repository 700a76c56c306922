import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Why a block was refused: the offender, and both sides of the comparison that failed.
public enum BlockError: Error, Hashable, Sendable {
    case wrongEpoch(found: Epoch, expected: Epoch)
    case genesisRound
    case unknownAuthor(AuthorityIndex, committeeSize: Int)
    case wrongSignature(AuthorityIndex)
    case ancestorCount(found: Int, limit: Int)
    case unknownAncestorAuthor(AuthorityIndex, committeeSize: Int)
    case firstAncestorNotOwn(found: AuthorityIndex, author: AuthorityIndex)
    case ownAncestorTwice
    case ancestorNotBelow(ancestor: BlockReference, round: Round)
    case unknownGenesis(BlockReference)
    case authorTwice(AuthorityIndex)
    case parentStakeTooLow(found: Stake, quorum: Stake)
    case transactionCount(found: Int, limit: Int)
    case transactionBytes(found: Int, limit: Int)
    case blockBytes(found: Int, limit: Int)
    case commitVoteCount(found: Int, limit: Int)
}

/// A block that passed `BlockVerifier`; there is no other way to make one.
public struct VerifiedBlock: Hashable, Sendable {
    public let signed: SignedBlock
    public let reference: BlockReference

    fileprivate init(_ signed: SignedBlock, digest: Digest) {
        self.signed = signed
        reference = BlockReference(round: signed.block.round, author: signed.block.author, digest: digest)
    }
    public var block: Block { signed.block }
    public var round: Round { reference.round }
    public var author: AuthorityIndex { reference.author }
    public var ancestors: [BlockReference] { signed.block.ancestors }

    public static func == (a: VerifiedBlock, b: VerifiedBlock) -> Bool { a.reference == b.reference }
    public func hash(into hasher: inout Hasher) { hasher.combine(reference) }
}

/// Whether a block is valid by itself: without clock, DAG or ledger, so that every honest authority comes to the same verdict.
public struct BlockVerifier: Sendable {
    public let committee: Committee
    public let genesis: Digest
    public let genesisBlocks: [BlockReference]
    private let isSigned: SignatureCheck

    /// Whether a key made a signature over a digest. Whoever plays many authorities at once may ask each question once and remember the answer.
    public typealias SignatureCheck = @Sendable (PublicKey, Signature, Digest) -> Bool
    public static let checkSignature: SignatureCheck = { $0.verifies($1, hash: $2.bytes) }

    public init(committee: Committee, genesis: Digest, isSigned: @escaping SignatureCheck = BlockVerifier.checkSignature) {
        self.committee = committee
        self.genesis = genesis
        self.isSigned = isSigned
        genesisBlocks = Block.genesisBlocks(of: committee, genesis: genesis)
    }

    /// A block's name, whether or not it is valid.
    public func reference(of signed: SignedBlock) -> BlockReference {
        BlockReference(round: signed.block.round, author: signed.block.author, digest: signed.block.digest(genesis: genesis))
    }

    public func verify(_ signed: SignedBlock) throws(BlockError) -> VerifiedBlock { try verify(signed, as: reference(of: signed)) }

    /// - Parameter reference: the block's own name, which the caller has computed already.
    public func verify(_ signed: SignedBlock, as reference: BlockReference) throws(BlockError) -> VerifiedBlock {
        let block = signed.block, digest = reference.digest
        guard block.epoch == committee.epoch else { throw .wrongEpoch(found: block.epoch, expected: committee.epoch) }
        guard block.round >= Round(1) else { throw .genesisRound }
        // Before anything is indexed by it.
        guard committee.contains(block.author) else { throw .unknownAuthor(block.author, committeeSize: committee.size) }
        guard isSigned(committee.members[block.author.index].consensusKey, signed.signature, digest) else { throw .wrongSignature(block.author) }
        try verifyAncestors(block)
        try verifyContent(block)
        return VerifiedBlock(signed, digest: digest)
    }

    /// A block that was verified before it was kept, or one drawn in a test: taken at its word.
    package func trust(_ signed: SignedBlock) -> VerifiedBlock { VerifiedBlock(signed, digest: signed.block.digest(genesis: genesis)) }

    private func verifyAncestors(_ block: Block) throws(BlockError) {
        guard (1...committee.size).contains(block.ancestors.count) else { throw .ancestorCount(found: block.ancestors.count, limit: committee.size) }
        for ancestor in block.ancestors where !committee.contains(ancestor.author) { throw .unknownAncestorAuthor(ancestor.author, committeeSize: committee.size) }
        guard block.ancestors[0].author == block.author else { throw .firstAncestorNotOwn(found: block.ancestors[0].author, author: block.author) }
        var seen: Set<AuthorityIndex> = []
        var parents = StakeTally(committee)
        for ancestor in block.ancestors {
            guard ancestor.round < block.round else { throw .ancestorNotBelow(ancestor: ancestor, round: block.round) }
            if ancestor.round == Round(0), genesisBlocks[ancestor.author.index] != ancestor { throw .unknownGenesis(ancestor) }
            guard seen.insert(ancestor.author).inserted else { throw ancestor.author == block.author ? .ownAncestorTwice : .authorTwice(ancestor.author) }
            if ancestor.round.next == block.round { parents.add(ancestor.author) }
        }
        guard parents.hasQuorum else { throw .parentStakeTooLow(found: parents.stake, quorum: committee.quorum) }
    }

    private func verifyContent(_ block: Block) throws(BlockError) {
        guard block.transactions.count <= Limits.blockTransactions else { throw .transactionCount(found: block.transactions.count, limit: Limits.blockTransactions) }
        var total = 0
        for transaction in block.transactions {
            guard transaction.count <= Limits.transactionBytes else { throw .transactionBytes(found: transaction.count, limit: Limits.transactionBytes) }
            total += transaction.count
        }
        guard total <= Limits.blockTransactionBytes else { throw .blockBytes(found: total, limit: Limits.blockTransactionBytes) }
        guard block.commitVotes.count <= Limits.commitVotes else { throw .commitVoteCount(found: block.commitVotes.count, limit: Limits.commitVotes) }
    }
}
