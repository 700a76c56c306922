import AssayPrimitives
import CLibcrypto

/// A SHA-256 value: 32 bytes.
public struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible, CanonicalCodable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    public static let zero = Digest(words: (0, 0, 0, 0))

    private init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// - Precondition: exactly 32 bytes.
    public init(bytes: some Collection<UInt8>) {
        precondition(bytes.count == 32, "a digest has 32 bytes, not \(bytes.count)")
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
        self.words = words
    }

    /// From 64 hexadecimal digits; nil for anything else.
    public init?(hex text: some StringProtocol) {
        guard let bytes = AssayPrimitives.bytes(hex: text), bytes.count == 32 else { return nil }
        self.init(bytes: bytes)
    }

    public var bytes: [UInt8] { withUnsafeBytes(of: words) { Array($0) } }
    public var description: String { hex(bytes) }
    /// The first four bytes, for people.
    public var short: String { hex(bytes.prefix(4), prefix: false) }

    public static func == (a: Digest, b: Digest) -> Bool { a.words == b.words }
    public static func < (a: Digest, b: Digest) -> Bool { a.bigEndianWords < b.bigEndianWords }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
    public func encode(into encoder: inout CanonicalEncoder) { withUnsafeBytes(of: words) { encoder.append(fixed: $0) } }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        self.init(words: try decoder.fixed(32) { $0.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self) })
    }

    private var bigEndianWords: (UInt64, UInt64, UInt64, UInt64) {
        (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
    }

    /// SHA-256 of the bytes.
    public static func sha256(_ bytes: some Sequence<UInt8>) -> Digest {
        bytes.withContiguousStorageIfAvailable { sha256(UnsafeRawBufferPointer($0)) } ?? Array(bytes).withUnsafeBytes { sha256($0) }
    }
    private static func sha256(_ bytes: UnsafeRawBufferPointer) -> Digest {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { out in
            guard EVP_Digest(bytes.baseAddress, bytes.count, out.baseAddress, nil, algorithm.md, nil) == 1 else { preconditionFailure("libcrypto computes SHA-256 of anything") }
        }
        return Digest(words: words)
    }

    /// H(tag ‖ left ‖ right): a node of a tree.
    public static func node(_ tag: UInt8, _ left: Digest, _ right: Digest) -> Digest {
        withUnsafeTemporaryAllocation(byteCount: 65, alignment: 1) { bytes in
            bytes[0] = tag
            bytes.storeBytes(of: left.words, toByteOffset: 1, as: (UInt64, UInt64, UInt64, UInt64).self)
            bytes.storeBytes(of: right.words, toByteOffset: 33, as: (UInt64, UInt64, UInt64, UInt64).self)
            return sha256(UnsafeRawBufferPointer(bytes))
        }
    }

    /// H(tag ‖ parts): every hash of a meaning of its own starts with its tag, behind the tag's length.
    @inlinable public static func tagged(_ tag: String, _ build: (inout CanonicalEncoder) -> Void) -> Digest {
        var encoder = CanonicalEncoder()
        encoder.append(tag)
        build(&encoder)
        return sha256(encoder.bytes)
    }
}

extension Philox {
    public init(_ digest: Digest) { self.init(seed: digest.bytes) }
}
extension SeededGenerator {
    public init(_ digest: Digest) { self.init(Philox(digest)) }
}

/// Fetched once: libcrypto would look it up by name for every hash.
private struct Algorithm: @unchecked Sendable {
    let md: OpaquePointer
    init() {
        guard let md = EVP_MD_fetch(nil, "SHA256", nil) else { preconditionFailure("libcrypto has no SHA-256") }
        self.md = md
    }
}
private let algorithm = Algorithm()

/// SHA-256 in pieces.
public struct SHA256Hasher {
    private final class Context {
        let pointer: OpaquePointer
        init() {
            guard let pointer = EVP_MD_CTX_new(), EVP_DigestInit_ex(pointer, algorithm.md, nil) == 1 else { preconditionFailure("libcrypto has no SHA-256") }
            self.pointer = pointer
        }
        deinit { EVP_MD_CTX_free(pointer) }
    }
    private let context = Context()

    public init() {}

    public func update(_ bytes: some Sequence<UInt8>) {
        if bytes.withContiguousStorageIfAvailable({ update(UnsafeRawBufferPointer($0)) }) == nil { Array(bytes).withUnsafeBytes { update($0) } }
    }
    public func update(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count > 0 { EVP_DigestUpdate(context.pointer, bytes.baseAddress, bytes.count) }
    }
    /// Ends the hash; the hasher is spent afterwards.
    public func finish() -> Digest {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { out in
            EVP_DigestFinal_ex(context.pointer, out.baseAddress, nil)
            return Digest(bytes: out)
        }
    }
}
