import AssayPrimitives

/// A validator's hash chain: link 0 is a hash of the seed, each link the SHA-256 of the one before, the last is registered as the tip.
/// Each window shows the link before the tip, which becomes the tip, so what will be shown was fixed long before anybody could choose.
///
/// Every √N-th link is kept; finding any other takes at most 2√N hashes.
public struct BeaconChain: Sendable {
    /// 1 … 2^20: as many windows as the chain can serve.
    public let length: Int
    public let tip: Digest
    private let stride: Int
    /// Links 0, stride, 2 · stride … and the tip, with the way back from a link to its number.
    private let kept: [Digest]
    private let numbers: [Digest: Int]

    /// - Precondition: 1 ≤ length ≤ 2^20, our own configuration.
    public init(seed: [UInt8], length: Int) {
        precondition((1...1 << 20).contains(length), "a beacon chain has 1 to 2^20 links, not \(length)")
        self.length = length
        stride = 1 << ((Int.bitWidth - 1 - length.leadingZeroBitCount) / 2)
        var link = Digest.tagged("assay/beacon-seed/1") { $0.append(counted: seed) }
        var kept: [Digest] = [], numbers: [Digest: Int] = [:]
        for number in 0..<length {
            if number.isMultiple(of: stride) {
                numbers[link] = kept.count * stride
                kept.append(link)
            }
            link = Digest.sha256(link.bytes)
        }
        numbers[link] = length
        tip = link
        self.kept = kept
        self.numbers = numbers
    }

    /// The link whose hash is `tip`. Nil if that is no link of this chain, or its first: the chain is used up.
    public func preimage(of tip: Digest) -> Digest? {
        guard let number = number(of: tip), number > 0 else { return nil }
        var link = kept[(number - 1) / stride]
        for _ in 0..<(number - 1) % stride { link = Digest.sha256(link.bytes) }
        return link
    }

    /// Windows that the chain can still serve from this tip; nil if it is no link of the chain.
    public func remaining(from tip: Digest) -> Int? { number(of: tip) }

    private func number(of link: Digest) -> Int? {
        var next = link
        for steps in 0...stride {
            if let number = numbers[next] { return number - steps }
            next = Digest.sha256(next.bytes)
        }
        return nil
    }
}
