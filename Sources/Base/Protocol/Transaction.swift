import AssayCrypto
import AssayPrimitives

/// A signed Ethereum transaction of type 0 (EIP-155), 1 (EIP-2930) or 2 (EIP-1559), to call a native contract or to move tokens.
public struct Transaction: Hashable, Sendable {
    public enum Kind: UInt8, Hashable, Sendable { case legacy = 0, accessList = 1, dynamicFee = 2 }

    public let kind: Kind
    public let chainID: UInt64
    public let nonce: UInt64
    /// Types 0 and 1 carry one price, which is both of these.
    public let maxPriorityFeePerGas: U256
    public let maxFeePerGas: U256
    public let gasLimit: UInt64
    /// Nil would create a contract, which this ledger refuses when it executes.
    public let to: Address?
    public let value: U256
    public let data: [UInt8]
    public let accessList: [RLP]
    public let signature: Signature

    /// Who signed it.
    public let sender: Address
    /// keccak-256 of the raw bytes.
    public let hash: Digest
    public let raw: [UInt8]

    /// Why bytes are no transaction of this chain.
    public enum Invalid: Error, Hashable, Sendable, CustomStringConvertible {
        case empty
        case tooLarge(Int)
        case typeNotSupported(UInt8)
        case unprotected
        case wrongFieldCount(Int)
        case encoding(RLP.Invalid)
        case addressSize(Int)
        case wrongChain(found: UInt64, expected: UInt64)
        case signature(KeyError)
        case feeOrder

        public var description: String {
            switch self {
            case .empty: "typed transaction too short"
            case .tooLarge(let bytes): "oversized data: transaction size \(bytes), limit \(Limits.transactionBytes)"
            case .typeNotSupported: "transaction type not supported"
            case .unprotected: "only replay-protected (EIP-155) transactions allowed over RPC"
            case .wrongFieldCount(let count): "rlp: a transaction of this type does not have \(count) fields"
            case .encoding(let error): "rlp: \(error)"
            case .addressSize(let count): "rlp: an address has 20 bytes, not \(count)"
            case .wrongChain(let found, let expected): "invalid chain id for signer: have \(found) want \(expected)"
            case .signature(let error): "invalid transaction v, r, s values: \(error)"
            case .feeOrder: "max priority fee per gas higher than max fee per gas"
            }
        }
    }

    /// Decodes, checks the form and recovers the sender.
    public init(raw: [UInt8], chainID expected: UInt64) throws(Invalid) {
        guard raw.count <= Limits.transactionBytes else { throw .tooLarge(raw.count) }
        guard let first = raw.first else { throw .empty }
        switch first {
        case 0xC0...: kind = .legacy
        case 1: kind = .accessList
        case 2: kind = .dynamicFee
        default: throw .typeNotSupported(first)
        }
        let fields = try Transaction.fields(kind == .legacy ? raw : Array(raw.dropFirst()))
        let wanted = switch kind { case .legacy: 9; case .accessList: 11; case .dynamicFee: 12 }
        guard fields.count == wanted else { throw .wrongFieldCount(fields.count) }
        let recovery: UInt64
        do {
            var next = fields.makeIterator()
            func field() -> RLP { next.next()! }
            var chain = expected
            if kind != .legacy { chain = try field().uint64() }
            nonce = try field().uint64()
            let tip = try field().u256()
            maxPriorityFeePerGas = tip
            maxFeePerGas = kind == .dynamicFee ? try field().u256() : tip
            gasLimit = try field().uint64()
            let recipient = try field().string()
            value = try field().u256()
            data = try field().string()
            accessList = kind == .legacy ? [] : try field().items()
            let v = try field().uint64()
            if kind == .legacy {
                if v == 27 || v == 28 { throw Invalid.unprotected }
                guard v >= 35 else { throw Invalid.signature(.notASignature) }
                chain = (v - 35) / 2
                recovery = (v - 35) % 2
            } else {
                recovery = v
            }
            chainID = chain
            guard recipient.isEmpty || recipient.count == 20 else { throw Invalid.addressSize(recipient.count) }
            to = recipient.isEmpty ? nil : Address(bytes: recipient)
            guard recovery < 2 else { throw Invalid.signature(.notASignature) }
            signature = Signature(r: try field().u256(), s: try field().u256(), recovery: UInt8(recovery))
        } catch let error as RLP.Invalid {
            throw .encoding(error)
        } catch let error as Invalid {
            throw error
        } catch {
            throw .encoding(.wrongKind)
        }
        guard chainID == expected else { throw .wrongChain(found: chainID, expected: expected) }
        guard maxPriorityFeePerGas <= maxFeePerGas else { throw .feeOrder }
        self.raw = raw
        hash = Digest(bytes: keccak256(raw))
        let signing = Transaction.signingHash(kind: kind, chainID: chainID, fields: kind == .legacy ? Array(fields.prefix(6)) : Array(fields.dropLast(3)))
        do { sender = try PublicKey.recover(signature, hash: signing).address } catch { throw .signature(error) }
    }

    /// Makes and signs a transaction of type 2.
    public static func dynamicFee(chainID: UInt64, nonce: UInt64, maxPriorityFeePerGas: U256 = 0, maxFeePerGas: U256, gasLimit: UInt64,
                                  to: Address, value: U256 = 0, data: [UInt8] = [], by key: KeyPair) -> Transaction {
        let fields: [RLP] = [
            .number(chainID), .number(nonce), .number(maxPriorityFeePerGas), .number(maxFeePerGas), .number(gasLimit),
            .bytes(to.bytes), .number(value), .bytes(data), .list([]),
        ]
        let signature = key.sign(hash: signingHash(kind: .dynamicFee, chainID: chainID, fields: fields))
        let raw = [2] + RLP.list(fields + [.number(UInt64(signature.recovery)), .number(signature.r), .number(signature.s)]).encoded
        do { return try Transaction(raw: raw, chainID: chainID) } catch { preconditionFailure("a transaction made here is valid: \(error)") }
    }

    /// The price per gas that is paid at this base fee; nil if the sender does not offer the base fee.
    public func effectiveGasPrice(baseFee: U256) -> U256? {
        guard maxFeePerGas >= baseFee, let room = try? maxFeePerGas.subtracting(baseFee) else { return nil }
        return try? baseFee.adding(min(room, maxPriorityFeePerGas))
    }

    private static func fields(_ bytes: [UInt8]) throws(Invalid) -> [RLP] {
        do { return try RLP.decode(bytes).items() } catch { throw .encoding(error) }
    }

    private static func signingHash(kind: Kind, chainID: UInt64, fields: [RLP]) -> [UInt8] {
        switch kind {
        case .legacy: keccak256(RLP.list(fields + [.number(chainID), .bytes([]), .bytes([])]).encoded)
        case .accessList, .dynamicFee: keccak256([kind.rawValue] + RLP.list(fields).encoded)
        }
    }
}
