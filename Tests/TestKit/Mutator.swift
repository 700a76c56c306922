import AssayPrimitives

/// Makes new inputs out of known ones, by a seed: flips, cuts, splices, repeats, and numbers at the edges of their range where a length,
/// an offset or a count may stand.
public struct Mutator: Sendable {
    private var chance: SeededGenerator
    /// No input grows beyond this.
    public let longest: Int

    public init(seed: UInt64, stream: UInt64, longest: Int) {
        (chance, self.longest) = (SeededGenerator(seed: seed, stream: stream), longest)
    }

    public mutating func below(_ bound: Int) -> Int { Int(chance.below(UInt64(max(1, bound)))) }

    /// One of the known inputs, changed in one to six places.
    public mutating func mutate(_ known: [[UInt8]]) -> [UInt8] {
        guard !known.isEmpty else { return random(below(64)) }
        var bytes = known[below(known.count)]
        // Few changes mostly: an input with many is refused at its first.
        let changes = chance.chance(2, in: 3) ? 1 : 1 + below(6)
        for _ in 0..<changes { change(&bytes, known) }
        if bytes.count > longest { bytes.removeLast(bytes.count - longest) }
        return bytes
    }

    private mutating func change(_ bytes: inout [UInt8], _ known: [[UInt8]]) {
        guard !bytes.isEmpty else {
            bytes = random(1 + below(40))
            return
        }
        let at = below(bytes.count)
        if (48...57).contains(bytes[at]), chance.chance(1, in: 3) { return digits(&bytes, at) }
        switch below(14) {
        case 0, 1: bytes[at] ^= 1 << UInt8(below(8))
        case 2: bytes[at] = UInt8(truncatingIfNeeded: chance.next())
        case 3: bytes[at] = Mutator.edges8[below(Mutator.edges8.count)]
        case 4, 5: number(&bytes, at)
        case 6: nudge(&bytes, at)
        case 7: bytes.removeLast(bytes.count - at)
        case 8: bytes.removeSubrange(at..<min(bytes.count, at + 1 + below(40)))
        case 9: bytes.insert(contentsOf: random(1 + below(40)), at: at)
        case 10: bytes.insert(contentsOf: Array(repeating: bytes[at], count: 1 + below(64)), at: at)
        case 11:
            // A piece again, once or many times: items of a list, digits, brackets.
            let piece = Array(bytes[at..<min(bytes.count, at + 1 + below(80))])
            for _ in 0..<(chance.chance(1, in: 8) ? 1 + below(64) : 1) where bytes.count < longest { bytes.insert(contentsOf: piece, at: at) }
        case 12:
            // A piece of another, over or between.
            let other = known[below(known.count)]
            guard !other.isEmpty else { return }
            let from = below(other.count), piece = Array(other[from..<min(other.count, from + 1 + below(120))])
            if chance.chance(1, in: 2) { bytes.insert(contentsOf: piece, at: at) } else { bytes.replaceSubrange(at..<min(bytes.count, at + piece.count), with: piece) }
        default:
            // The head of one, the tail of another.
            let other = known[below(known.count)]
            bytes = Array(bytes[..<at]) + other.dropFirst(min(at, other.count))
        }
    }

    private static let texts = ["0", "-1", "1e999", "-0.0", "1.5", "2147483648", "4294967295", "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
                                "18446744073709551615", "18446744073709551616", "0xffffffffffffffff", "00", "null", "[]", "{}", "\"\"", "true"].map { Array($0.utf8) }
    /// A number written as text, in JSON for example, becomes one from the edge of its range, or something else.
    private mutating func digits(_ bytes: inout [UInt8], _ at: Int) {
        let end = bytes[at...].firstIndex { !(48...57).contains($0) } ?? bytes.count
        bytes.replaceSubrange(at..<end, with: Mutator.texts[below(Mutator.texts.count)])
    }

    private static let edges8: [UInt8] = [0, 1, 2, 0x7F, 0x80, 0x81, 0xB7, 0xB8, 0xBF, 0xC0, 0xF7, 0xF8, 0xFE, 0xFF]
    private static let edges: [UInt64] = [
        0, 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 4_095, 4_096, 4_097, 65_535, 65_536, 1 << 31 - 1, 1 << 31, 1 << 32 - 1, 1 << 32, 1 << 40 - 1, 1 << 40,
        1 << 53, 1 << 62, 1 << 63 - 1, 1 << 63, .max - 1, .max,
    ]
    /// Writes a number from the edge of its range, of any width and in either order.
    private mutating func number(_ bytes: inout [UInt8], _ at: Int) {
        let width = [1, 2, 4, 8, 32][below(5)], value = Mutator.edges[below(Mutator.edges.count)], isBig = width == 32 || chance.chance(1, in: 2)
        let fill: UInt8 = width == 32 && chance.chance(1, in: 4) ? 0xFF : 0
        for step in 0..<width where at + step < bytes.count {
            let place = isBig ? width - 1 - step : step
            bytes[at + step] = place < 8 ? UInt8(truncatingIfNeeded: value >> UInt64(8 * place)) : fill
        }
    }
    /// A number a little larger or smaller than it was: the length that is off by one.
    private mutating func nudge(_ bytes: inout [UInt8], _ at: Int) {
        let width = min([1, 2, 4, 8][below(4)], bytes.count - at), isBig = chance.chance(1, in: 2), step = UInt64(1 + below(32))
        var value: UInt64 = 0
        for place in 0..<width { value |= UInt64(bytes[at + (isBig ? width - 1 - place : place)]) << UInt64(8 * place) }
        value = chance.chance(1, in: 2) ? value &+ step : value &- step
        for place in 0..<width { bytes[at + (isBig ? width - 1 - place : place)] = UInt8(truncatingIfNeeded: value >> UInt64(8 * place)) }
    }
    private mutating func random(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: chance.next()) } }
}
