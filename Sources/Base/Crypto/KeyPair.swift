import AssayPrimitives
import CSecp256k1

/// Why a key or a signature was refused.
public enum KeyError: Error, Hashable, Sendable { case notAPrivateKey, notAPublicKey, notASignature, highS, notRecoverable }

/// A secp256k1 signature with its recovery bit: r ‖ s ‖ v, v ∈ {0, 1}, low s only (so it has one form).
public struct Signature: Hashable, Sendable, CanonicalCodable {
    public let bytes: [UInt8]

    /// - Precondition: exactly 65 bytes.
    public init(bytes: some Collection<UInt8>) {
        precondition(bytes.count == 65, "a signature has 65 bytes, not \(bytes.count)")
        self.bytes = Array(bytes)
    }
    public init(r: U256, s: U256, recovery: UInt8) { self.init(bytes: r.bigEndianBytes + s.bigEndianBytes + [recovery]) }

    public var r: U256 { U256(bigEndianBytes: bytes[0..<32]) }
    public var s: U256 { U256(bigEndianBytes: bytes[32..<64]) }
    public var recovery: UInt8 { bytes[64] }

    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(fixed: bytes) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) { self.init(bytes: try decoder.fixed(65)) }
}

/// A secp256k1 public key, uncompressed without its first byte: x ‖ y.
public struct PublicKey: Hashable, Sendable, CanonicalCodable {
    public let bytes: [UInt8]
    fileprivate init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// From 64 bytes (x ‖ y), or the 33 or 65 bytes of the SEC 1 forms.
    public init(_ bytes: [UInt8]) throws(KeyError) {
        let form = bytes.count == 64 ? [4] + bytes : bytes
        var key = secp256k1_pubkey()
        guard form.count == 33 || form.count == 65, secp256k1_ec_pubkey_parse(library.context, &key, form, form.count) == 1 else { throw .notAPublicKey }
        self = PublicKey(&key)
    }
    fileprivate init(_ key: inout secp256k1_pubkey) {
        var out = [UInt8](repeating: 0, count: 65)
        var count = 65
        secp256k1_ec_pubkey_serialize(library.context, &out, &count, &key, UInt32(SECP256K1_EC_UNCOMPRESSED))
        bytes = Array(out.dropFirst())
    }

    public var address: Address { Address(bytes: keccak256(bytes).suffix(20)) }

    /// - Parameter hash: the 32 bytes that were signed.
    public func verifies(_ signature: Signature, hash: [UInt8]) -> Bool {
        var key = secp256k1_pubkey()
        var form = secp256k1_ecdsa_signature()
        guard hash.count == 32, secp256k1_ec_pubkey_parse(library.context, &key, [4] + bytes, 65) == 1,
              secp256k1_ecdsa_signature_parse_compact(library.context, &form, signature.bytes) == 1 else { return false }
        return secp256k1_ecdsa_verify(library.context, &form, hash, &key) == 1
    }

    /// Who signed the hash.
    public static func recover(_ signature: Signature, hash: [UInt8]) throws(KeyError) -> PublicKey {
        guard signature.s <= halfOrder else { throw .highS }
        var form = secp256k1_ecdsa_recoverable_signature()
        var key = secp256k1_pubkey()
        guard hash.count == 32, signature.recovery < 2,
              secp256k1_ecdsa_recoverable_signature_parse_compact(library.context, &form, signature.bytes, Int32(signature.recovery)) == 1 else { throw .notASignature }
        guard secp256k1_ecdsa_recover(library.context, &key, &form, hash) == 1 else { throw .notRecoverable }
        return PublicKey(&key)
    }

    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(fixed: bytes) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        let bytes = try decoder.fixed(64)
        do { self = try PublicKey(bytes) } catch { throw .invalidValue(field: "public key", value: 0) }
    }
}

/// A secp256k1 key: accounts, node keys and block signatures.
public struct KeyPair: Sendable {
    public let privateBytes: [UInt8]
    public let publicKey: PublicKey
    public var address: Address { publicKey.address }

    public init(privateBytes: [UInt8]) throws(KeyError) {
        var key = secp256k1_pubkey()
        guard privateBytes.count == 32, secp256k1_ec_pubkey_create(library.context, &key, privateBytes) == 1 else { throw .notAPrivateKey }
        self.privateBytes = privateBytes
        publicKey = PublicKey(&key)
    }

    /// A key that everybody can compute: for tests, simulations and local networks.
    public init(seed: String) {
        var digest = Digest.tagged("assay/seeded-key") { $0.append(seed) }
        while true {
            if let key = try? KeyPair(privateBytes: digest.bytes) {
                self = key
                return
            }
            digest = Digest.sha256(digest.bytes)
        }
    }

    /// Deterministic (RFC 6979), low s.
    /// - Parameter hash: 32 bytes.
    public func sign(hash: [UInt8]) -> Signature {
        precondition(hash.count == 32, "a hash to sign has 32 bytes, not \(hash.count)")
        var form = secp256k1_ecdsa_recoverable_signature()
        guard secp256k1_ecdsa_sign_recoverable(library.context, &form, hash, privateBytes, nil, nil) == 1 else { preconditionFailure("a valid key signs any hash") }
        var out = [UInt8](repeating: 0, count: 65)
        var recovery: Int32 = 0
        secp256k1_ecdsa_recoverable_signature_serialize_compact(library.context, &out, &recovery, &form)
        // Recovery values 2 and 3 need r ≥ the field's order minus the group's: a chance of 2^-127 that no transaction format can carry.
        out[64] = UInt8(recovery & 1)
        return Signature(bytes: out)
    }
    public func sign(_ digest: Digest) -> Signature { sign(hash: digest.bytes) }
}

/// (n − 1) / 2 of secp256k1: the largest s that is low.
private let halfOrder = U256(high: 0x7FFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF, low: 0x5D57_6E73_57A4_501D_DFE9_2F46_681B_20A0)

/// The library's context never changes after it was made, so any thread may use it.
private struct Library: @unchecked Sendable {
    let context: OpaquePointer
    init() {
        guard let context = secp256k1_context_create(UInt32(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY)) else { preconditionFailure("libsecp256k1 gives no context") }
        self.context = context
    }
}
private let library = Library()
