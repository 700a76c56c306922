import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// An event as Ethereum's tools read it.
public struct Log: Hashable, Sendable {
    public let contract: Address
    public let topics: [Digest]
    public let data: [UInt8]

    public init(contract: Address, topics: [Digest], data: [UInt8]) {
        (self.contract, self.topics, self.data) = (contract, topics, data)
    }

    /// A leaf of the log tree: everything that eth_getLogs says of the event, so an auditor maps rows to leaves with public libraries alone.
    public func leaf(chainID: UInt64, blockNumber: UInt64, blockHash: Digest, transactionHash: Digest, index: Int) -> [UInt8] {
        RLP.list([
            .number(chainID), .number(blockNumber), .bytes(blockHash.bytes), .bytes(transactionHash.bytes), .number(UInt64(index)),
            .bytes(contract.bytes), .list(topics.map { .bytes($0.bytes) }), .bytes(data),
        ]).encoded
    }
}

/// An event's declaration, from a text such as `Claimed(address indexed identity, uint256 amount)`.
public struct EventSignature: Hashable, Sendable {
    public struct Field: Hashable, Sendable {
        public let name: String
        public let type: ABIType
        public let isIndexed: Bool
    }
    public let name: String
    public let fields: [Field]
    public let topic: Digest

    /// - Precondition: a text of our own.
    public init(_ text: String) {
        guard let open = text.firstIndex(of: "("), text.last == ")" else { preconditionFailure("\(text) is no event") }
        name = String(text[..<open])
        fields = text[text.index(after: open)...].dropLast().split(separator: ",").map { part in
            let words = part.split(separator: " ")
            guard let type = words.first.flatMap({ ABIType($0) }), let name = words.last, words.count > 1 else { preconditionFailure("\(text) is no event: \(part)") }
            return Field(name: String(name), type: type, isIndexed: words.contains("indexed"))
        }
        topic = ABI.topic("\(name)(\(fields.map(\.type.description).joined(separator: ",")))")
    }

    func log(from contract: Address, _ values: [ABIValue]) -> Log {
        precondition(values.count == fields.count, "\(name) has \(fields.count) fields, not \(values.count)")
        var topics = [topic], data: [ABIValue] = []
        for (field, value) in zip(fields, values) {
            if field.isIndexed { topics.append(Digest(bytes: ABI.encode([value]))) } else { data.append(value) }
        }
        return Log(contract: contract, topics: topics, data: ABI.encode(data))
    }

    /// The event's values by name; nil if the log is another event's.
    public func decode(_ log: Log) -> [String: ABIValue]? {
        guard log.topics.first == topic, let plain = try? ABI.decode(fields.filter { !$0.isIndexed }.map(\.type), log.data) else { return nil }
        var values: [String: ABIValue] = [:], topics = log.topics.dropFirst(), rest = plain[...]
        for field in fields {
            if field.isIndexed {
                guard let word = topics.popFirst(), let value = (try? ABI.decode([field.type], word.bytes))?.first else { return nil }
                values[field.name] = value
            } else {
                values[field.name] = rest.popFirst()
            }
        }
        return values
    }
}
