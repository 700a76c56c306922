import AssayCrypto
import AssayPrimitives

/// The commit votes of a block, with what shows that its author signed them: a few hundred bytes, however large the block is.
public struct Attestation: Hashable, Sendable, CanonicalCodable {
    /// Why it shows nothing.
    public enum Invalid: Error, Hashable, Sendable {
        case wrongEpoch(Epoch, expected: Epoch)
        case unknownAuthor(AuthorityIndex, committeeSize: Int)
        case otherContent(AuthorityIndex, Round)
        case wrongSignature(AuthorityIndex)
    }

    public let header: Block.Header
    /// See `Block.body`.
    public let body: Digest
    public let commitVotes: [CommitVote]
    public let signature: Signature

    public init(_ signed: SignedBlock) { (header, body, commitVotes, signature) = (signed.block.header, signed.block.body, signed.block.commitVotes, signed.signature) }

    /// Returns if the author signed these votes as part of a block of the committee's epoch. Whether that block was valid otherwise does not matter: its votes are its word.
    public func check(_ committee: Committee, genesis: Digest) throws(Invalid) {
        guard header.epoch == committee.epoch else { throw .wrongEpoch(header.epoch, expected: committee.epoch) }
        guard committee.contains(header.author) else { throw .unknownAuthor(header.author, committeeSize: committee.size) }
        guard header.content == Block.content(body: body, commitVotes: commitVotes) else { throw .otherContent(header.author, header.round) }
        guard committee.members[header.author.index].consensusKey.verifies(signature, hash: header.digest(genesis: genesis).bytes) else { throw .wrongSignature(header.author) }
    }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(header)
        encoder.append(body)
        encoder.append(commitVotes)
        encoder.append(signature)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        header = try decoder.value()
        body = try decoder.value()
        commitVotes = try decoder.array(limit: Limits.commitVotes)
        signature = try decoder.value()
    }
}
