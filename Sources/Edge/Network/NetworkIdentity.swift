import AssayCrypto
import AssayPrimitives
import CLibcrypto
import NIOSSL

/// What went wrong with connections, for people.
public struct NetworkError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A node's TLS key (P-256) with a certificate that it signed itself. Nobody vouches for it: peers know the key's digest from the ledger.
public struct NetworkIdentity: Sendable {
    /// Private key and certificate.
    public let pem: String
    /// SHA-256 of the SubjectPublicKeyInfo: what the ledger pins.
    public let keyDigest: Digest
    let certificate: NIOSSLCertificate
    let key: NIOSSLPrivateKey

    public init(pem: String) throws {
        do {
            guard let certificate = try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)).first else { throw NetworkError("no certificate in the network key file") }
            self.certificate = certificate
            key = try NIOSSLPrivateKey(bytes: Array(pem.utf8), format: .pem)
            keyDigest = try NetworkIdentity.digest(of: certificate)
        } catch { throw NetworkError("the network key file holds no key and certificate in PEM: \(error)") }
        self.pem = pem
    }

    static func digest(of certificate: NIOSSLCertificate) throws -> Digest { Digest.sha256(try certificate.extractPublicKey().toSPKIBytes()) }

    /// TLS 1.3 both ways. Who calls must verify by pinned keys: no authority vouches for anybody here.
    func configuration(server: Bool) -> TLSConfiguration {
        var configuration = server
            ? TLSConfiguration.makeServerConfiguration(certificateChain: [.certificate(certificate)], privateKey: .privateKey(key))
            : TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = [.certificate(certificate)]
        configuration.privateKey = .privateKey(key)
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        return configuration
    }

    public static func generate() throws -> NetworkIdentity {
        var pkey: OpaquePointer?
        let context = EVP_PKEY_CTX_new_id(NID_X9_62_id_ecPublicKey, nil)
        defer { EVP_PKEY_CTX_free(context) }
        try check(EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1 && EVP_PKEY_keygen(context, &pkey) == 1, "make a key")
        defer { EVP_PKEY_free(pkey) }
        return try signed(pkey)
    }

    /// The one identity that follows from a secret, so that all who hold it know each other's key: the stages of one trainer, from its node key.
    ///
    /// The P-256 key is H("assay/stage/tls/1" ‖ secret) with its highest bit cleared, which is below the group's order.
    public static func derived(from secret: [UInt8]) throws -> NetworkIdentity {
        var scalar = Digest.tagged("assay/stage/tls/1") { $0.append(counted: secret) }.bytes
        scalar[0] &= 0x7F
        // RFC 5915, ECPrivateKey without its public key: libcrypto computes that.
        let der: [UInt8] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20] + scalar + [0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
        let pkey = der.withUnsafeBufferPointer { buffer in
            var next = buffer.baseAddress
            return d2i_AutoPrivateKey(nil, &next, buffer.count)
        }
        try check(pkey != nil, "read a derived key")
        defer { EVP_PKEY_free(pkey) }
        return try signed(pkey)
    }

    private static func check(_ condition: Bool, _ what: String) throws { if !condition { throw NetworkError("libcrypto could not \(what)") } }

    /// A key with a certificate signed by itself.
    private static func signed(_ pkey: OpaquePointer?) throws -> NetworkIdentity {
        guard let certificate = X509_new() else { throw NetworkError("libcrypto could not make a certificate") }
        defer { X509_free(certificate) }
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1)
        X509_set_version(certificate, 2)
        // Its dates are not looked at: the ledger says when a key counts.
        X509_gmtime_adj(X509_getm_notBefore(certificate), -86_400)
        X509_gmtime_adj(X509_getm_notAfter(certificate), 100 * 365 * 86_400)
        let name = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC_VALUE, "assay", -1, -1, 0)
        X509_set_issuer_name(certificate, name)
        try check(X509_set_pubkey(certificate, pkey) == 1 && X509_sign(certificate, pkey, EVP_sha256()) > 0, "sign a certificate")
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        try check(PEM_write_bio_PrivateKey(bio, pkey, nil, nil, 0, nil, nil) == 1 && PEM_write_bio_X509(bio, certificate) == 1, "write PEM")
        var pem: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 4_096)
        while case let count = BIO_read(bio, &buffer, Int32(buffer.count)), count > 0 { pem += buffer.prefix(Int(count)) }
        return try NetworkIdentity(pem: String(decoding: pem, as: UTF8.self))
    }
}

/// MBSTRING_FLAG | 1, an expression that the importer leaves out.
private let MBSTRING_ASC_VALUE: Int32 = 0x1001
