import AssayCrypto
import AssayPrimitives
import Foundation

/// Keys in Ethereum's keystore format, version 3, as geth and eth-account write it.
///
/// Source: "Web3 Secret Storage Definition": scrypt stretches the password, AES-128-CTR hides the key, keccak-256 over half of the stretched
/// password and the ciphertext tells a wrong password.
public enum Keystore {
    private struct File: Codable {
        struct Crypto: Codable {
            struct CipherParameters: Codable { var iv: String }
            struct KDFParameters: Codable { var dklen: Int, n: UInt64, p: UInt64, r: UInt64, salt: String }
            var cipher, ciphertext: String
            var cipherparams: CipherParameters
            var kdf: String
            var kdfparams: KDFParameters
            var mac: String
        }
        var address: String
        var crypto: Crypto
        var id: String
        var version: Int
    }
    private struct Header: Decodable {
        struct Crypto: Decodable { var cipher, kdf: String }
        var crypto: Crypto
        var version: Int
    }
    /// geth's own cost.
    public static let standardCost: UInt64 = 262_144

    public static func write(_ key: KeyPair, to url: URL, password: String, n: UInt64 = standardCost) throws {
        let salt = randomBytes(32), counter = randomBytes(16)
        guard let stretched = PasswordCipher.scrypt(password: Array(password.utf8), salt: salt, n: n, r: 8, p: 1, count: 32),
              let hidden = PasswordCipher.aes128ctr(key.privateBytes, key: Array(stretched.prefix(16)), counter: counter) else { throw Failure("scrypt with n = \(n) is not possible here") }
        let file = File(
            address: hex(key.address.bytes, prefix: false),
            crypto: .init(cipher: "aes-128-ctr", ciphertext: hex(hidden, prefix: false), cipherparams: .init(iv: hex(counter, prefix: false)), kdf: "scrypt",
                          kdfparams: .init(dklen: 32, n: n, p: 1, r: 8, salt: hex(salt, prefix: false)), mac: hex(keccak256(stretched[16...] + hidden), prefix: false)),
            id: UUID().uuidString.lowercased(), version: 3)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        try NodeHome.writeSecret(String(decoding: try encoder.encode(file), as: UTF8.self), to: url)
    }

    /// - Throws: `Failure` that says whether the file or the password is wrong.
    public static func read(_ url: URL, password: String) throws -> KeyPair {
        let crypto = try file(url).crypto
        func raw(_ text: String, _ field: String) throws -> [UInt8] {
            guard let raw = bytes(hex: text) else { throw Failure("keystore \(url.path): \(field) is not hexadecimal") }
            return raw
        }
        let hidden = try raw(crypto.ciphertext, "ciphertext"), parameters = crypto.kdfparams
        guard parameters.dklen == 32, let stretched = PasswordCipher.scrypt(password: Array(password.utf8), salt: try raw(parameters.salt, "salt"), n: parameters.n, r: parameters.r, p: parameters.p, count: 32) else {
            throw Failure("keystore \(url.path): its scrypt parameters are out of range")
        }
        guard keccak256(stretched[16...] + hidden) == (try raw(crypto.mac, "mac")) else { throw Failure("wrong password for the key in \(url.path), or the file was changed") }
        guard let plain = PasswordCipher.aes128ctr(hidden, key: Array(stretched.prefix(16)), counter: try raw(crypto.cipherparams.iv, "iv")), let key = try? KeyPair(privateBytes: plain) else {
            throw Failure("keystore \(url.path) holds no private key")
        }
        return key
    }

    /// Whose key it is, without the password.
    public static func address(_ url: URL) throws -> Address {
        let text = try file(url).address
        guard let address = Address(text.hasPrefix("0x") ? text.lowercased() : "0x" + text.lowercased()) else { throw Failure("keystore \(url.path): “\(text)” is no address") }
        return address
    }

    private static func file(_ url: URL) throws -> File {
        // What it is comes before what is in it: a key hidden in another way has other fields.
        let header = try readJSON(Header.self, url, what: "keystore")
        guard header.version == 3 else { throw Failure("keystore \(url.path) has version \(header.version); only 3 is known") }
        guard header.crypto.cipher == "aes-128-ctr", header.crypto.kdf == "scrypt" else {
            throw Failure("keystore \(url.path): only scrypt with aes-128-ctr is known, not \(header.crypto.kdf) with \(header.crypto.cipher)", remedy: "Write it anew with scrypt in your wallet, or put the key into a new one with: assay keys import")
        }
        let file = try readJSON(File.self, url, what: "keystore")
        return file
    }
}
