import AssayPrimitives
import CLibcrypto

/// The primitives of a keystore: scrypt to stretch a password, AES-128 in counter mode to hide the key.
public enum PasswordCipher {
    /// scrypt (RFC 7914). Nil if libcrypto refuses the parameters.
    public static func scrypt(password: [UInt8], salt: [UInt8], n: UInt64, r: UInt64, p: UInt64, count: Int) -> [UInt8]? {
        guard count > 0, count <= 1024, n > 1, n <= 1 << 20, r >= 1, r <= 64, p >= 1, p <= 16 else { return nil }
        var out = [UInt8](repeating: 0, count: count)
        let done = password.withUnsafeBufferPointer { secret in
            secret.withMemoryRebound(to: CChar.self) { EVP_PBE_scrypt($0.baseAddress, password.count, salt, salt.count, n, r, p, 1 << 30, &out, count) }
        }
        return done == 1 ? out : nil
    }

    /// AES-128-CTR; the same call hides and shows. Key and counter have 16 bytes.
    public static func aes128ctr(_ bytes: [UInt8], key: [UInt8], counter: [UInt8]) -> [UInt8]? {
        guard key.count == 16, counter.count == 16, let context = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        var out = [UInt8](repeating: 0, count: bytes.count)
        var count: Int32 = 0
        guard EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nil, key, counter) == 1,
              EVP_EncryptUpdate(context, &out, &count, bytes, Int32(bytes.count)) == 1 else { return nil }
        return out
    }

    /// HMAC-SHA-256 (RFC 2104).
    public static func hmac(key: [UInt8], _ message: [UInt8]) -> Digest {
        let block = (key.count > 64 ? Digest.sha256(key).bytes : key)
        let padded = block + [UInt8](repeating: 0, count: 64 - block.count)
        return Digest.sha256(padded.map { $0 ^ 0x5C } + Digest.sha256(padded.map { $0 ^ 0x36 } + message).bytes)
    }
}
