import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol

/// The transactions that one node's clients send.
struct BenchLoad: Sendable {
    enum Kind: String, Codable, Sendable, CaseIterable {
        /// Random bytes, to a ledger that counts and hashes.
        case opaque
        /// Transfers of one wei, to the real ledger; calldata fills them up to the size.
        case signed
    }
    /// Accounts that send through one node. With several, few of a sender's transactions wait for each other.
    static let senders = 250
    /// A transfer without calldata takes up to this much.
    static let smallestSigned = 128

    private var generator: SeededGenerator
    private let bytes: Int
    private var prepared: [[UInt8]] = []
    private var next = 0
    /// Refused: a sender's later ones would wait for them in vain.
    private var again: [[UInt8]] = []
    private let kind: Kind

    init(_ kind: Kind, bytes: Int, node: Int) {
        (self.kind, self.bytes) = (kind, bytes)
        generator = SeededGenerator(seed: UInt64(node) &+ 1)
    }

    /// Signs as many as will be sent, so that doing it costs the measured time nothing.
    mutating func prepare(_ count: Int, node: Int, chainID: UInt64) {
        guard kind == .signed else { return }
        let keys = BenchLoad.keys(node), to = Address(number: 0xBE4C)
        func transfer(_ index: Int, _ padding: Int) -> [UInt8] {
            Transaction.dynamicFee(chainID: chainID, nonce: UInt64(index / keys.count), maxFeePerGas: Ledger.baseFee, gasLimit: 21_000 + 16 * UInt64(padding), to: to, value: 1,
                                   data: [UInt8](repeating: 7, count: padding), by: keys[index % keys.count]).raw
        }
        let padding = max(0, 2 * bytes - transfer(0, bytes).count)
        prepared = (0..<count).map { transfer($0, padding) }
    }

    static func keys(_ node: Int) -> [KeyPair] { (0..<senders).map { KeyPair(seed: "assay bench sender \(node) \($0)") } }

    /// The next transaction; nil when all that were prepared have gone out.
    mutating func take() -> [UInt8]? {
        if kind == .signed {
            if let old = again.popLast() { return old }
            guard next < prepared.count else { return nil }
            next += 1
            return prepared[next - 1]
        }
        return [UInt8](unsafeUninitializedCapacity: bytes) { buffer, count in
            var at = 0
            while at < bytes {
                let word = generator.next()
                withUnsafeBytes(of: word) { for byte in $0.prefix(bytes - at) { buffer.initializeElement(at: at, to: byte); at += 1 } }
            }
            count = bytes
        }
    }
    mutating func refused(_ raw: [UInt8]) { if kind == .signed { again.append(raw) } }

    /// Tells transactions apart by their last eight bytes: random, or the end of a signature.
    static func mark(_ raw: [UInt8]) -> UInt64 { raw.suffix(8).reduce(0) { $0 << 8 | UInt64($1) } }
}
