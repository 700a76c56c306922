import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol

/// What the server serves: a node, or in tests a ledger alone.
public protocol RPCBackend: Sendable {
    var genesis: Genesis { get }
    /// A copy of the ledger as it is now.
    func ledger() async -> Ledger
    func submit(_ raw: [UInt8]) async -> Admission
    /// Transactions that wait for a block.
    func pending() async -> [[UInt8]]

    func header(number: UInt64) async throws -> BlockHeader?
    func header(hash: Digest) async throws -> BlockHeader?
    func receipt(_ hash: Digest) async throws -> StoredReceipt?
    func receipts(number: UInt64) async throws -> [StoredReceipt]
    func logs(from: UInt64, to: UInt64, contracts: [Address], topics: [[Digest]], limit: Int) async throws -> [StoredLog]

    func blob(_ root: Digest) async -> [UInt8]?
    func chunk(_ root: Digest, _ index: Int) async -> (bytes: [UInt8], count: Int, proof: [Digest])?
    func put(_ bytes: [UInt8], root: Digest) async throws

    /// JSON-RPC URLs of the validators, by seat.
    var validatorURLs: [String] { get }
    func status() async -> JSON
    /// Prometheus' text format.
    func metrics() async -> String
    func isHealthy() async -> Bool
}

/// Right to put blobs: a registered node key's signature over (genesis, root, size).
public enum BlobAuthorization {
    public static let header = "Assay-Signature"
    public static func digest(genesis: Digest, root: Digest, bytes: Int) -> Digest {
        Digest.tagged("assay/put-blob/1") {
            $0.append(genesis)
            $0.append(root)
            $0.append(UInt64(bytes))
        }
    }
    public static func signature(_ key: KeyPair, genesis: Digest, root: Digest, bytes: Int) -> String { hex(key.sign(digest(genesis: genesis, root: root, bytes: bytes)).bytes) }
    static func signer(_ text: String, genesis: Digest, root: Digest, bytes: Int) -> Address? {
        guard let raw = AssayPrimitives.bytes(hex: text), raw.count == 65 else { return nil }
        return (try? PublicKey.recover(Signature(bytes: raw), hash: digest(genesis: genesis, root: root, bytes: bytes).bytes))?.address
    }
}

/// An error in JSON-RPC's terms, with geth's words where wallets look for them.
public struct RPCError: Error, Hashable, Sendable {
    public let code: Int
    public let message: String
    public let data: JSON?
    public init(_ code: Int, _ message: String, data: JSON? = nil) { (self.code, self.message, self.data) = (code, message, data) }
    static func parameters(_ message: String) -> RPCError { RPCError(-32602, "invalid params: \(message)") }
}

/// Hexadecimal quantities, as Ethereum's JSON has them.
enum Quantity {
    static func json(_ value: UInt64) -> JSON { .string("0x" + String(value, radix: 16)) }
    static func json(_ value: U256) -> JSON {
        let digits = hex(value.bigEndianBytes, prefix: false).drop { $0 == "0" }
        return .string("0x" + (digits.isEmpty ? "0" : String(digits)))
    }
    static func u256(_ json: JSON?, _ name: String) throws -> U256 {
        guard let text = json?.string, text.hasPrefix("0x"), let value = U256(text) else { throw RPCError.parameters("\(name) must be a hex quantity") }
        return value
    }
    static func uint64(_ json: JSON?, _ name: String) throws -> UInt64 {
        guard let value = try u256(json, name).uint64 else { throw RPCError.parameters("\(name) is too large") }
        return value
    }
    static func bytes(_ json: JSON?, _ name: String) throws -> [UInt8] {
        guard let text = json?.string, text.hasPrefix("0x"), let bytes = AssayPrimitives.bytes(hex: text) else { throw RPCError.parameters("\(name) must be hex data") }
        return bytes
    }
    static func digest(_ json: JSON?, _ name: String) throws -> Digest {
        guard let text = json?.string, text.hasPrefix("0x"), let digest = Digest(hex: text) else { throw RPCError.parameters("\(name) must be 32 bytes of hex data") }
        return digest
    }
    static func address(_ json: JSON?, _ name: String) throws -> Address {
        guard let text = json?.string, let address = Address(text) ?? Address(text.lowercased()) else { throw RPCError.parameters("\(name) must be an address") }
        return address
    }
}
