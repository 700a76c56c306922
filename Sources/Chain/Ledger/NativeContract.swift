import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A refusal by name, as a contract's custom error.
public struct Revert: Error, Hashable, Sendable, CustomStringConvertible {
    /// For example `StakeTooLow(uint256,uint256)`.
    public let signature: String
    public let values: [ABIValue]

    public init(_ signature: String, _ values: ABIValue...) { (self.signature, self.values) = (signature, values) }
    public var data: [UInt8] { ABI.selector(signature) + ABI.encode(values) }
    public var name: String { String(signature.prefix { $0 != "(" }) }
    public var description: String { "\(name)(\(values.map(Revert.text).joined(separator: ", ")))" }

    private static func text(_ value: ABIValue) -> String {
        switch value {
        case .uint(let number): number.description
        case .int(let number): "\(number)"
        case .address(let address): address.description
        case .bool(let flag): "\(flag)"
        case .fixedBytes(let bytes), .bytes(let bytes): hex(bytes)
        case .string(let text): "\"\(text)\""
        case .array(let values), .tuple(let values): "[\(values.map(Revert.text).joined(separator: ", "))]"
        }
    }
}

/// A function of a native contract.
struct NativeFunction: Sendable {
    let interface: ABIFunction
    /// Names of the inputs and outputs, for the published ABI.
    let inputs: [String]
    let outputs: [String]
    let isPayable: Bool
    let isView: Bool
    /// On top of a transaction's own cost.
    let gas: UInt64
    let handler: @Sendable (inout Environment, [ABIValue]) throws -> [ABIValue]

    /// - Parameter text: such as `stakeOf(address staker)(uint256 stake)`.
    init(_ text: String, payable: Bool = false, view: Bool = false, gas: UInt64 = 20_000, _ handler: @escaping @Sendable (inout Environment, [ABIValue]) throws -> [ABIValue]) {
        let (stripped, names) = NativeFunction.parse(text)
        interface = ABIFunction(stripped)
        (inputs, outputs) = names
        (isPayable, isView, self.gas, self.handler) = (payable, view, gas, handler)
    }

    /// Takes the names out of a declaration.
    private static func parse(_ text: String) -> (String, ([String], [String])) {
        var groups: [[String]] = [], stripped = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "("), let close = rest.firstIndex(of: ")") {
            let parts = rest[rest.index(after: open)..<close].split(separator: ",").map { $0.split(separator: " ") }
            stripped += rest[..<open] + "(" + parts.map { String($0[0]) }.joined(separator: ",") + ")"
            groups.append(parts.map { $0.count > 1 ? String($0[1]) : "" })
            rest = rest[rest.index(after: close)...]
        }
        return (stripped, (groups.first ?? [], groups.count > 1 ? groups[1] : []))
    }
}

/// A contract that the node itself is: an address, functions, events and errors.
struct NativeContract: Sendable {
    let name: String
    let address: Address
    let functions: [NativeFunction]
    let events: [EventSignature]
    /// Custom errors with names, such as `StakeTooLow(uint256 sent, uint256 minimum)`.
    let errors: [String]
    private let bySelector: [[UInt8]: Int]

    init(_ name: String, _ address: Address, functions: [NativeFunction], events: [EventSignature], errors: [String]) {
        (self.name, self.address, self.functions, self.events, self.errors) = (name, address, functions, events, errors)
        bySelector = Dictionary(uniqueKeysWithValues: functions.enumerated().map { ($1.interface.selector, $0) })
    }

    func function(_ selector: [UInt8]) -> NativeFunction? { bySelector[selector].map { functions[$0] } }

    static let all: [NativeContract] = [Staking.contract, Runs.contract, Windows.contract, Scores.contract, Rewards.contract, Disputes.contract, Checkpoints.contract]
    static func at(_ address: Address) -> NativeContract? { all.first { $0.address == address } }
}

/// What a contract sees and changes during one call.
struct Environment: Sendable {
    let genesis: Genesis
    let domain: Digest
    let block: BlockContext
    /// Who calls, and what comes along.
    let sender: Address
    let value: U256
    /// The contract that was called.
    let contract: Address
    var state: WorldState
    var logs: [Log] = []
    /// Before this block.
    let logTree: MerkleTree

    struct BlockContext: Sendable {
        let number: UInt64
        let time: Instant
    }

    var rules: RunRules { genesis.run }
    var run: Digest { Genesis.runID(genesis: domain) }

    mutating func emit(_ event: EventSignature, from contract: Address, _ values: ABIValue...) { logs.append(event.log(from: contract, values)) }

    mutating func credit(_ address: Address, _ amount: U256) throws {
        var account = state[Account.key(address)] ?? Account()
        account.balance = try account.balance.adding(amount)
        state[Account.key(address)] = account
    }
    mutating func debit(_ address: Address, _ amount: U256) throws {
        var account = state[Account.key(address)] ?? Account()
        account.balance = try account.balance.subtracting(amount)
        state[Account.key(address)] = account
    }
}

/// An account's tokens and the number of its next paid transaction.
public struct Account: Hashable, Sendable, CanonicalCodable {
    public var balance: U256 = 0
    public var nonce: UInt64 = 0
    public init() {}
    static func key(_ address: Address) -> StateKey<Account> { StateKey("account", address.bytes) }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(balance)
        encoder.append(nonce)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        balance = try decoder.u256()
        nonce = try decoder.uint64()
    }
}

// What a decoded argument is; the ABI has checked its type, so another one is a mistake of ours.
extension ABIValue {
    var asUInt: U256 { if case .uint(let value) = self { value } else { preconditionFailure("\(self) is no uint") } }
    var asUInt64: UInt64 { asUInt.uint64 ?? .max }
    var asAddress: Address { if case .address(let value) = self { value } else { preconditionFailure("\(self) is no address") } }
    var asDigest: Digest { if case .fixedBytes(let value) = self { Digest(bytes: value) } else { preconditionFailure("\(self) is no bytes32") } }
    var asBytes: [UInt8] { if case .bytes(let value) = self { value } else { preconditionFailure("\(self) is no bytes") } }
    var asString: String { if case .string(let value) = self { value } else { preconditionFailure("\(self) is no string") } }
}
