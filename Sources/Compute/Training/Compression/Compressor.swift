import AssayPrimitives
import AssayProtocol
import AssayTensor

/// Why payload bytes were refused.
public enum PayloadError: Error, Hashable, Sendable {
    case wrongSize(found: Int, expected: Int)
    case wrongMagic(UInt32)
    case wrongCount(found: UInt32, expected: Int)
    case scaleNotFinite(group: Int)
    case scaleOutOfRange(group: Int, bits: UInt32)
    /// −8 has no positive twin and is never written.
    case valueOutOfRange(index: Int)
    case valueNotFinite(index: Int)
    case paddingNotZero
}

/// Station 4: from a pseudo-gradient to payload bytes that stand for themselves, and back.
///
/// A payload is canonical: one value, one encoding, no library's version in it. So its root can be committed to, and one trainer's worth judged alone.
public protocol Compressor: Sendable {
    /// - Parameter delta: one float a parameter, in the table's order.
    func compress(_ delta: FloatBuffer) -> [UInt8]
    /// Refuses what is not whole and canonical; never allocates more than the table asks for.
    func decompress(_ payload: [UInt8]) throws(PayloadError) -> FloatBuffer
    /// The quantised values, for the comparison of payloads.
    func quantised(_ payload: [UInt8]) -> ArraySlice<UInt8>
}

public enum Compressors {
    public struct Unknown: Error, CustomStringConvertible { public let description: String }

    public static func make(_ rules: TrainingRules, table: ParameterTable) throws -> any Compressor {
        switch rules.compressor {
        case .none: UncompressedPayload(count: table.count)
        case .int4: Int4Compressor(count: table.count)
        case .lowRankInt4: throw Unknown(description: "this version has no low-rank compressor; the genesis may name none or int4")
        }
    }

    /// Share of equal quantised values among those that are not zero in the first, in millionths. 0 for payloads of different sizes.
    public static func likeness(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Int {
        guard a.count == b.count, !a.isEmpty else { return 0 }
        var counted = 0, equal = 0
        for (x, y) in zip(a, b) where x != Int4Compressor.zeroPair {
            counted += 1
            if x == y { equal += 1 }
        }
        return counted == 0 ? 1_000_000 : equal * 1_000_000 / counted
    }
}

/// Floats as they are: the baseline.
public struct UncompressedPayload: Compressor {
    let count: Int
    public func compress(_ delta: FloatBuffer) -> [UInt8] { delta.littleEndianBytes() }
    public func decompress(_ payload: [UInt8]) throws(PayloadError) -> FloatBuffer {
        guard payload.count == count * 4, let values = try? FloatBuffer(littleEndianBytes: payload) else { throw .wrongSize(found: payload.count, expected: count * 4) }
        for index in 0..<count where !values.pointer[index].isFinite { throw .valueNotFinite(index: index) }
        return values
    }
    public func quantised(_ payload: [UInt8]) -> ArraySlice<UInt8> { payload[...] }
}
