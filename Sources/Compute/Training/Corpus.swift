import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A run's text as tokens: its first 95 % to train on, the rest to validate. Bytes are tokens.
public struct Corpus: Sendable {
    public enum Invalid: Error, Hashable, Sendable, CustomStringConvertible {
        case wrongData(found: Digest, expected: Digest)
        case wrongSize(found: Int, expected: UInt64)
        case tooShort(bytes: Int, needed: Int)
        case vocabularyTooSmall(UInt32)

        public var description: String {
            switch self {
            case .wrongData(let found, let expected): "the data file is not the run's: its root is \(found), the genesis has \(expected)"
            case .wrongSize(let found, let expected): "the data file is not the run's: it has \(found) bytes, the genesis says \(expected)"
            case .tooShort(let bytes, let needed): "the data file has \(bytes) bytes; this model needs at least \(needed)"
            case .vocabularyTooSmall(let size): "a vocabulary of \(size) cannot hold bytes: 256 are needed"
            }
        }
    }

    public let bytes: [UInt8]
    public let context: Int
    /// Tokens to train on: the first 95 %.
    public var trainingTokens: Int { bytes.count / 20 * 19 }

    public init(_ bytes: [UInt8], context: Int) throws(Invalid) {
        let needed = 40 * (context + 1)
        guard bytes.count >= needed else { throw .tooShort(bytes: bytes.count, needed: needed) }
        (self.bytes, self.context) = (bytes, context)
    }

    /// The data of a run, checked against its genesis.
    public init(_ bytes: [UInt8], genesis: Genesis) throws(Invalid) {
        guard genesis.model.vocabulary >= 256 else { throw .vocabularyTooSmall(genesis.model.vocabulary) }
        guard UInt64(bytes.count) == genesis.dataBytes else { throw .wrongSize(found: bytes.count, expected: genesis.dataBytes) }
        let root = Blob.root(bytes)
        guard root == genesis.dataRoot else { throw .wrongData(found: root, expected: genesis.dataRoot) }
        try self.init(bytes, context: Int(genesis.model.context))
    }

    /// Sequences that begin at these tokens, each with the token that follows every one of its tokens.
    public func batch(at offsets: [Int]) -> Batch {
        var inputs: [UInt16] = [], targets: [UInt16] = []
        inputs.reserveCapacity(offsets.count * context)
        targets.reserveCapacity(offsets.count * context)
        for offset in offsets {
            for position in offset..<offset + context {
                inputs.append(UInt16(bytes[position]))
                targets.append(UInt16(bytes[position + 1]))
            }
        }
        return Batch(inputs: inputs, targets: targets, rows: offsets.count, context: context)
    }

    /// A token of the training part at which a sequence may begin, from 64 random bits: the high half of a 128-bit product.
    public func trainingOffset(_ bits: UInt64) -> Int { Int(UInt64(trainingTokens - context).multipliedFullWidth(by: bits).high) }

    /// Batches that go once through the first `sequences` sequences of the validation part.
    public func validationBatches(rows: Int, sequences: Int) -> [Batch] {
        let all = Array(stride(from: trainingTokens, to: bytes.count - context - 1, by: context).prefix(sequences))
        return stride(from: 0, to: all.count, by: rows).map { start in batch(at: Array(all[start..<min(start + rows, all.count)])) }
    }
}
