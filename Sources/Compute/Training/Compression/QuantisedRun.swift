/// Consecutive values in four or eight bits with one scale for every 64: q = clamp(round-half-even(x · (top ÷ amax)), −top, top), x̂ = q · (amax ÷ top),
/// with top = 7 or 127.
///
/// Bytes: scales (f32 each), then the values: in four bits as q + 8, two a byte, the first in the low half; in eight as two's complement; all
/// little-endian. A group whose largest magnitude is below 2^-100 has scale 0 and all values 0. NaN becomes 0.
struct QuantisedRun {
    enum Bits: Int, Sendable { case four = 4, eight = 8 }
    static let groupSize = 64
    static let smallest: Float = 0x1p-100
    static let largestScale: Float = 0x1p40
    /// Added and taken off again it rounds half to even: the sum of it and any |x| < 2²² has no room for a fraction.
    private static let rounder: Float = 0x1.8p23

    let count: Int
    let bits: Bits
    var groups: Int { (count + QuantisedRun.groupSize - 1) / QuantisedRun.groupSize }
    var valuesStart: Int { groups * 4 }
    var byteCount: Int { valuesStart + (count * bits.rawValue + 7) / 8 }
    private var top: Float { bits == .four ? 7 : 127 }
    private func length(_ group: Int) -> Int { min(QuantisedRun.groupSize, count - group * QuantisedRun.groupSize) }

    /// Writes a whole run.
    func write(_ values: UnsafePointer<Float>, _ bytes: UnsafeMutablePointer<UInt8>) {
        withUnsafeTemporaryAllocation(of: Int8.self, capacity: QuantisedRun.groupSize) { codes in
            let q = codes.baseAddress!
            for group in 0..<groups {
                let start = group * QuantisedRun.groupSize, length = length(group)
                let scale = QuantisedRun.quantise(values + start, length, top, q)
                PayloadBytes.store(scale.bitPattern, bytes + 4 * group)
                if bits == .eight {
                    let out = bytes + valuesStart + start
                    for index in 0..<length { out[index] = UInt8(bitPattern: q[index]) }
                } else {
                    let out = bytes + valuesStart + start / 2
                    if length & 1 == 1 { q[length] = 0 }
                    for pair in 0..<(length + 1) / 2 { out[pair] = UInt8(bitPattern: (q[2 * pair + 1] &+ 8) << 4 | (q[2 * pair] &+ 8)) }
                }
            }
        }
    }

    /// Codes of one group; gives its scale. Clamped before it becomes an integer, so nothing can trap.
    private static func quantise(_ x: UnsafePointer<Float>, _ length: Int, _ top: Float, _ codes: UnsafeMutablePointer<Int8>) -> Float {
        var most: Int32 = 0
        for index in 0..<length {
            let magnitude = Int32(bitPattern: x[index].bitPattern & 0x7FFF_FFFF)
            let counted = magnitude > 0x7F80_0000 ? 0 : magnitude       // NaN
            most = counted > most ? counted : most
        }
        let largest = Float(bitPattern: UInt32(bitPattern: most))
        guard largest >= smallest else {
            codes.update(repeating: 0, count: length)
            return 0
        }
        let inverse = top / largest
        for index in 0..<length {
            let scaled = x[index] * inverse
            let above = scaled > top ? top : scaled
            let clamped = above < -top ? -top : above
            let number = clamped == clamped ? clamped : 0
            codes[index] = Int8(truncatingIfNeeded: Int32(bitPattern: (number + rounder).bitPattern) &- Int32(bitPattern: rounder.bitPattern))
        }
        return largest / top
    }

    /// The scale that its own largest value has: of the neighbours that give the same largest value only one is ever written.
    static func checkScale(_ scale: Float, top: Float, least: Float, group: Int) throws(PayloadError) {
        guard scale.isFinite else { throw .scaleNotFinite(group: group) }
        guard scale.sign == .plus, scale == 0 || scale >= least, scale <= largestScale else { throw .scaleOutOfRange(group: group, bits: scale.bitPattern) }
        guard scale * top / top == scale else { throw .groupNotNormal(group: group) }
    }

    /// Reads a whole run, and refuses what `write` would not write. Groups and values in errors are counted from those given.
    func read(_ bytes: UnsafePointer<UInt8>, into values: UnsafeMutablePointer<Float>, firstGroup: Int = 0, firstIndex: Int = 0) throws(PayloadError) {
        let least = QuantisedRun.smallest / top
        let outcome: Result<Void, PayloadError> = withUnsafeTemporaryAllocation(of: Int8.self, capacity: QuantisedRun.groupSize) { codes in
            let q = codes.baseAddress!
            do throws(PayloadError) {
                for group in 0..<groups {
                    let scale = PayloadBytes.float(bytes + 4 * group), start = group * QuantisedRun.groupSize, length = length(group)
                    try QuantisedRun.checkScale(scale, top: top, least: least, group: firstGroup + group)
                    self.codes(bytes, group, q)
                    let lowest = bits == .four ? -8 : Int8.min
                    var largest: Int32 = 0, isWrong: Int32 = 0
                    for index in 0..<length {
                        let value = Int32(q[index]), magnitude = value < 0 ? -value : value
                        largest = magnitude > largest ? magnitude : largest
                        isWrong |= q[index] == lowest ? 1 : 0
                        values[start + index] = Float(value) * scale
                    }
                    if isWrong != 0 { throw .valueOutOfRange(index: firstIndex + start + (0..<length).first { q[$0] == lowest }!) }
                    guard largest == (scale == 0 ? 0 : Int32(top)) else { throw .groupNotNormal(group: firstGroup + group) }
                }
                return .success(())
            } catch { return .failure(error) }
        }
        try outcome.get()
        if bits == .four, count & 1 == 1, bytes[byteCount - 1] >> 4 != 8 { throw .paddingNotZero }
    }

    private func codes(_ bytes: UnsafePointer<UInt8>, _ group: Int, _ codes: UnsafeMutablePointer<Int8>) {
        let length = length(group), start = group * QuantisedRun.groupSize
        if bits == .eight {
            let from = bytes + valuesStart + start
            for index in 0..<length { codes[index] = Int8(bitPattern: from[index]) }
        } else {
            let from = bytes + valuesStart + start / 2
            for pair in 0..<length / 2 {
                codes[2 * pair] = Int8(bitPattern: from[pair] & 15) &- 8
                codes[2 * pair + 1] = Int8(bitPattern: from[pair] >> 4) &- 8
            }
            if length & 1 == 1 { codes[length - 1] = Int8(bitPattern: from[length / 2] & 15) &- 8 }
        }
    }

    /// Values that are not zero in `a`, and those of them that `b` has too, scales aside.
    func compare(_ a: UnsafePointer<UInt8>, _ b: UnsafePointer<UInt8>) -> (equal: Int, counted: Int) {
        var counted = 0, equal = 0
        withUnsafeTemporaryAllocation(of: Int8.self, capacity: 2 * QuantisedRun.groupSize) { codes in
            let (x, y) = (codes.baseAddress!, codes.baseAddress! + QuantisedRun.groupSize)
            for group in 0..<groups {
                self.codes(a, group, x)
                self.codes(b, group, y)
                for index in 0..<length(group) where x[index] != 0 {
                    counted += 1
                    if x[index] == y[index] { equal += 1 }
                }
            }
        }
        return (equal, counted)
    }

    /// The first value that is not zero is below it.
    func beginsNegative(_ bytes: UnsafePointer<UInt8>) -> Bool {
        for index in 0..<count {
            let code: Int8
            if bits == .eight { code = Int8(bitPattern: bytes[valuesStart + index]) } else {
                let byte = bytes[valuesStart + index / 2]
                code = Int8(bitPattern: index & 1 == 0 ? byte & 15 : byte >> 4) &- 8
            }
            if code != 0 { return code < 0 }
        }
        return false
    }
    /// The largest of its scales: 0 if nothing is in it.
    func largestScale(_ bytes: UnsafePointer<UInt8>) -> UInt32 { (0..<groups).reduce(0) { max($0, PayloadBytes.word(bytes + 4 * $1)) } }
}
