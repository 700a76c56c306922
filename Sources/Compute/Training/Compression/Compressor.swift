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
    /// A group's largest value is ±7 and its scale is that value's seventh, or its scale is 0 and so are all its values: there is one encoding of a
    /// group, so nobody can write a copy differently.
    case groupNotNormal(group: Int)
}

/// Station 4: from a pseudo-gradient to payload bytes that stand for themselves, and back.
///
/// A payload is canonical: one value, one encoding, no library's version in it. So its root can be committed to, and one trainer's worth judged alone.
public protocol Compressor: Sendable {
    /// - Parameter delta: one float a parameter, in the table's order.
    func compress(_ delta: FloatBuffer) -> [UInt8]
    /// Refuses what is not whole and canonical; never allocates more than the table asks for.
    func decompress(_ payload: [UInt8]) throws(PayloadError) -> FloatBuffer
    /// Share of equal quantised values among those that are not zero in the first, in millionths. 0 for payloads of different sizes.
    func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int
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
}

/// Equal ones among those counted, in millionths; nothing to count is all alike.
func likenessShare(equal: Int, counted: Int) -> Int { counted == 0 ? 1_000_000 : equal * 1_000_000 / counted }

/// Floats as they are: the baseline.
public struct UncompressedPayload: Compressor {
    let count: Int
    public init(count: Int) { self.count = count }
    public func compress(_ delta: FloatBuffer) -> [UInt8] { delta.littleEndianBytes() }
    public func decompress(_ payload: [UInt8]) throws(PayloadError) -> FloatBuffer {
        guard payload.count == count * 4, let values = try? FloatBuffer(littleEndianBytes: payload) else { throw .wrongSize(found: payload.count, expected: count * 4) }
        for index in 0..<count where !values.pointer[index].isFinite { throw .valueNotFinite(index: index) }
        return values
    }
    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count == b.count, a.count == count * 4 else { return 0 }
        var counted = 0, equal = 0
        for start in stride(from: 0, to: a.count, by: 4) {
            let value = a[start..<start + 4]
            guard value.contains(where: { $0 != 0 }) else { continue }
            counted += 1
            if value == b[start..<start + 4] { equal += 1 }
        }
        return likenessShare(equal: equal, counted: counted)
    }
}
