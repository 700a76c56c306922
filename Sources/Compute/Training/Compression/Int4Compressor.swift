import AssayPrimitives
import AssayProtocol
import AssayTensor

/// Four bits a value with one scale for every 64: q = clamp(round-half-even(x · (7 ÷ amax)), −7, 7), x̂ = q · (amax ÷ 7).
///
/// Bytes: "A4v1", count (u32), scales (f32 each), then the values as q + 8, two a byte, the first in the low half; all little-endian.
/// A group whose largest magnitude is below 2^-100 has scale 0 and all values 0.
public struct Int4Compressor: Compressor {
    static let magic: UInt32 = 0x3176_3441
    static let groupSize = 64
    /// Two zeros.
    static let zeroPair: UInt8 = 0x88
    private static let smallest: Float = 0x1p-100
    /// The scale of a group whose largest magnitude is just enough.
    private static let smallestScale: Float = smallest / 7
    private static let largestScale: Float = 0x1p40

    public let count: Int
    public init(count: Int) { self.count = count }

    private var groups: Int { (count + Int4Compressor.groupSize - 1) / Int4Compressor.groupSize }
    private var valuesStart: Int { 8 + groups * 4 }
    public var payloadBytes: Int { valuesStart + (count + 1) / 2 }

    public func compress(_ delta: FloatBuffer) -> [UInt8] {
        precondition(delta.count == count, "compressing \(delta.count) values with a table of \(count)")
        var payload = [UInt8](repeating: Int4Compressor.zeroPair, count: payloadBytes)
        payload.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(of: Int4Compressor.magic.littleEndian, toByteOffset: 0, as: UInt32.self)
            bytes.storeBytes(of: UInt32(count).littleEndian, toByteOffset: 4, as: UInt32.self)
            for group in 0..<groups {
                let start = group * Int4Compressor.groupSize, end = min(start + Int4Compressor.groupSize, count)
                var largest: Float = 0
                for index in start..<end {
                    let magnitude = abs(delta.pointer[index])
                    largest = magnitude > largest ? magnitude : largest
                }
                guard largest >= Int4Compressor.smallest else {
                    bytes.storeBytes(of: 0, toByteOffset: 8 + group * 4, as: UInt32.self)
                    continue
                }
                let inverse = 7 / largest
                bytes.storeBytes(of: (largest / 7).bitPattern.littleEndian, toByteOffset: 8 + group * 4, as: UInt32.self)
                for index in stride(from: start, to: end, by: 2) {
                    let low = Int4Compressor.quantise(delta.pointer[index] * inverse)
                    let high = index + 1 < end ? Int4Compressor.quantise(delta.pointer[index + 1] * inverse) : 8
                    bytes[valuesStart + index / 2] = high << 4 | low
                }
            }
        }
        return payload
    }

    /// Clamped before it becomes an integer, so nothing can trap.
    private static func quantise(_ x: Float) -> UInt8 {
        let clamped = x > 7 ? 7 : x < -7 ? -7 : x
        return clamped.isNaN ? 8 : UInt8(Int32(clamped.rounded(.toNearestOrEven)) + 8)
    }

    public func decompress(_ payload: [UInt8]) throws(PayloadError) -> FloatBuffer {
        guard payload.count == payloadBytes else { throw .wrongSize(found: payload.count, expected: payloadBytes) }
        func word(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(payload[offset + $1]) << UInt32(8 * $1) } }
        guard word(0) == Int4Compressor.magic else { throw .wrongMagic(word(0)) }
        guard word(4) == UInt32(count) else { throw .wrongCount(found: word(4), expected: count) }
        let values = FloatBuffer(count: count)
        for group in 0..<groups {
            let scale = Float(bitPattern: word(8 + group * 4))
            guard scale.isFinite else { throw .scaleNotFinite(group: group) }
            guard scale.sign == .plus, scale == 0 || scale >= Int4Compressor.smallestScale, scale <= Int4Compressor.largestScale else { throw .scaleOutOfRange(group: group, bits: scale.bitPattern) }
            // The scale that its own largest value has: of the neighbours that give the same largest value only one is ever written.
            guard scale * 7 / 7 == scale else { throw .groupNotNormal(group: group) }
            let start = group * Int4Compressor.groupSize, end = min(start + Int4Compressor.groupSize, count)
            var largest: Int32 = 0
            for index in start..<end {
                let byte = payload[valuesStart + index / 2]
                let nibble = index & 1 == 0 ? byte & 15 : byte >> 4
                guard nibble != 0 else { throw .valueOutOfRange(index: index) }
                let value = Int32(nibble) - 8
                largest = max(largest, abs(value))
                values.pointer[index] = Float(value) * scale
            }
            guard largest == (scale == 0 ? 0 : 7) else { throw .groupNotNormal(group: group) }
        }
        if count & 1 == 1, payload[payload.count - 1] >> 4 != 8 { throw .paddingNotZero }
        return values
    }

    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count == payloadBytes, b.count == payloadBytes else { return 0 }
        var counted = 0, equal = 0
        for index in valuesStart..<payloadBytes {
            let (x, y) = (a[index], b[index])
            if x & 15 != 8 {
                counted += 1
                if x & 15 == y & 15 { equal += 1 }
            }
            if x >> 4 != 8 {
                counted += 1
                if x >> 4 == y >> 4 { equal += 1 }
            }
        }
        return likenessShare(equal: equal, counted: counted)
    }
}
