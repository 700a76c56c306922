import AssayPrimitives
import AssayProtocol

/// What authorities send each other.
public enum AuthorityMessage: Hashable, Sendable, CanonicalCodable {
    case block(SignedBlock)
    /// The sender entered this round.
    case advance(Round)
    case fetch([BlockReference])
    case fetchRounds(from: Round, to: Round)
    /// An answer, lowest rounds first.
    case blocks([SignedBlock])

    public func encode(into encoder: inout CanonicalEncoder) {
        switch self {
        case .block(let block):
            encoder.append(0 as UInt8)
            encoder.append(block)
        case .advance(let round):
            encoder.append(1 as UInt8)
            encoder.append(round)
        case .fetch(let references):
            encoder.append(2 as UInt8)
            encoder.append(references)
        case .fetchRounds(let from, let to):
            encoder.append(3 as UInt8)
            encoder.append(from)
            encoder.append(to)
        case .blocks(let blocks):
            encoder.append(4 as UInt8)
            encoder.append(blocks)
        }
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        switch try decoder.uint8() {
        case 0: self = .block(try decoder.value())
        case 1: self = .advance(try decoder.value())
        case 2: self = .fetch(try decoder.array(limit: Limits.fetchReferences))
        case 3: self = .fetchRounds(from: try decoder.value(), to: try decoder.value())
        case 4: self = .blocks(try decoder.array(limit: Limits.fetchBlocks))
        case let tag: throw .invalidValue(field: "message", value: UInt64(tag))
        }
    }
}
