import AssayPrimitives

/// An account: the last 20 bytes of the keccak-256 of a public key, or a contract's fixed number.
public struct Address: Hashable, Comparable, Sendable, CustomStringConvertible, CanonicalCodable {
    /// Big-endian, so that order of words is order of bytes.
    private let words: (UInt64, UInt64, UInt32)
    public static let zero = Address(bytes: [UInt8](repeating: 0, count: 20))

    /// - Precondition: exactly 20 bytes.
    public init(bytes: some Collection<UInt8>) {
        precondition(bytes.count == 20, "an address has 20 bytes, not \(bytes.count)")
        var words: (UInt64, UInt64, UInt32) = (0, 0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
        self.words = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian)
    }

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(20)
        withUnsafeBytes(of: words.0.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: words.1.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: words.2.bigEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// 0x…`number`, where the native contracts live.
    public init(number: UInt64) { self.init(bytes: Array(U256(number).bigEndianBytes.suffix(20))) }

    /// From 40 hexadecimal digits. Mixed case must carry a right EIP-55 checksum; nil for anything else.
    public init?(_ text: String) {
        guard let bytes = AssayPrimitives.bytes(hex: text), bytes.count == 20, text.hasPrefix("0x") else { return nil }
        self.init(bytes: bytes)
        let digits = text.dropFirst(2)
        if digits.contains(where: \.isLowercase), digits.contains(where: \.isUppercase), description != text { return nil }
    }

    /// EIP-55: a digit is upper-case where the keccak of the lower-case digits has a nibble of 8 or more.
    public var description: String {
        let digits = Array(hex(bytes, prefix: false).utf8)
        let hash = keccak256(digits)
        return "0x" + String(decoding: digits.enumerated().map { index, digit in
            let nibble = index.isMultiple(of: 2) ? hash[index / 2] >> 4 : hash[index / 2] & 15
            return digit >= 97 && nibble >= 8 ? digit - 32 : digit
        }, as: UTF8.self)
    }
    public static func == (a: Address, b: Address) -> Bool { a.words == b.words }
    public static func < (a: Address, b: Address) -> Bool { a.words < b.words }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
    }
    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(fixed: bytes) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) { self.init(bytes: try decoder.fixed(20)) }
}
