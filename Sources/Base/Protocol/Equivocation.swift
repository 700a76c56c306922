import AssayCrypto
import AssayPrimitives

/// Two blocks that one authority signed for one slot: the proof that it is faulty, which anyone can check.
public struct Equivocation: Hashable, Sendable {
    /// A block's header with its author's signature.
    public struct Statement: Hashable, Sendable, CanonicalCodable {
        public let header: Block.Header
        public let signature: Signature

        public init(_ signed: SignedBlock) { (header, signature) = (signed.block.header, signed.signature) }
        public init(header: Block.Header, signature: Signature) { (self.header, self.signature) = (header, signature) }
        public func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(header)
            encoder.append(signature)
        }
        public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            header = try decoder.value()
            signature = try decoder.value()
        }
    }

    /// Why two statements prove nothing.
    public enum Unproven: Error, Hashable, Sendable, CustomStringConvertible {
        case wrongEpoch(Epoch, expected: Epoch)
        case unknownAuthor(AuthorityIndex)
        case differentSlots
        case sameContent
        case wrongSignature

        public var description: String {
            switch self {
            case .wrongEpoch(let found, let expected): "a block of epoch \(found), where \(expected) is judged"
            case .unknownAuthor(let author): "authority \(author.index) is not in the committee"
            case .differentSlots: "the blocks are not of one author, epoch and round"
            case .sameContent: "both are the same block"
            case .wrongSignature: "a signature is not the author's"
            }
        }
    }

    public let first: Statement
    public let second: Statement

    public init(_ first: Statement, _ second: Statement) { (self.first, self.second) = (first, second) }

    public var author: AuthorityIndex { first.header.author }
    public var round: Round { first.header.round }
    public var epoch: Epoch { first.header.epoch }

    /// Returns if the author signed both and they differ in what was signed: another signature under the same content is no second block.
    public func check(_ committee: Committee, genesis: Digest) throws(Unproven) {
        guard first.header.epoch == committee.epoch else { throw .wrongEpoch(first.header.epoch, expected: committee.epoch) }
        guard committee.contains(author) else { throw .unknownAuthor(author) }
        let other = second.header
        guard (other.epoch, other.author.index, other.round) == (epoch, author.index, round) else { throw .differentSlots }
        guard other != first.header else { throw .sameContent }
        let key = committee.members[author.index].consensusKey
        for statement in [first, second] {
            guard key.verifies(statement.signature, hash: statement.header.digest(genesis: genesis).bytes) else { throw .wrongSignature }
        }
    }
}
