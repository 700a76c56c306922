/// Philox 4×32 with 10 rounds: a block of four words for any counter, so a draw needs no state to carry.
///
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011), section 3.3; vectors of Random123.
public struct Philox: Hashable, Sendable {
    public let key: (UInt32, UInt32)
    /// The upper half of the counter: streams with one key and another number never meet.
    public let stream: UInt64

    public init(key: UInt64, stream: UInt64 = 0) {
        self.key = (UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
        self.stream = stream
    }

    /// The key is bytes 0…7 of the seed and the stream bytes 8…15, little-endian. Seeds are digests, so 16 bytes are enough.
    public init(seed: [UInt8]) {
        precondition(seed.count >= 16, "a seed has at least 16 bytes, not \(seed.count)")
        func word(_ start: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(seed[start + $1]) << UInt64(8 * $1) } }
        self.init(key: word(0), stream: word(8))
    }

    /// The block at `position` of this stream.
    @inlinable public func block(_ position: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
        Philox.block(
            counter: (UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
                      UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)), key: key)
    }

    @inlinable public static func block(counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)) -> (UInt32, UInt32, UInt32, UInt32) {
        var (c0, c1, c2, c3) = counter
        var (k0, k1) = key
        for round in 0..<10 {
            if round > 0 {
                k0 &+= 0x9E37_79B9
                k1 &+= 0xBB67_AE85
            }
            let (h0, l0) = (0xD251_1F53 as UInt32).multipliedFullWidth(by: c0)
            let (h1, l1) = (0xCD9E_8D57 as UInt32).multipliedFullWidth(by: c2)
            (c0, c1, c2, c3) = (h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0)
        }
        return (c0, c1, c2, c3)
    }

    public static func == (a: Philox, b: Philox) -> Bool { a.key == b.key && a.stream == b.stream }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(key.0)
        hasher.combine(key.1)
        hasher.combine(stream)
    }
}

/// A sequence of draws from one Philox stream. The one source of chance in everything that must repeat.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private let philox: Philox
    private var position: UInt64 = 0
    private var spare: UInt64?

    public init(_ philox: Philox) { self.philox = philox }
    public init(seed: UInt64, stream: UInt64 = 0) { philox = Philox(key: seed, stream: stream) }

    public mutating func next() -> UInt64 {
        if let value = spare {
            spare = nil
            return value
        }
        let (a, b, c, d) = philox.block(position)
        position &+= 1
        spare = UInt64(d) << 32 | UInt64(c)
        return UInt64(b) << 32 | UInt64(a)
    }

    /// A number below `bound` by the high half of a 64×64-bit product: the same everywhere, with a bias below bound ÷ 2^64.
    public mutating func below(_ bound: UInt64) -> UInt64 { bound.multipliedFullWidth(by: next()).high }

    /// True in `numerator` of `denominator` draws.
    public mutating func chance(_ numerator: UInt64, in denominator: UInt64) -> Bool { below(denominator) < numerator }

    public mutating func shuffle<Element>(_ elements: inout [Element]) {
        for last in stride(from: elements.count - 1, to: 0, by: -1) { elements.swapAt(last, Int(below(UInt64(last) + 1))) }
    }

    /// `count` different elements, in the order drawn; all of them if there are not more.
    public mutating func sample<Element>(_ elements: [Element], count: Int) -> [Element] {
        var pool = elements
        shuffle(&pool)
        return Array(pool.prefix(count))
    }
}
