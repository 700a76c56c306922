import AssayCrypto
import AssayPrimitives

/// A value in Ethereum's contract ABI.
public enum ABIValue: Hashable, Sendable {
    case uint(U256)
    case int(Int64)
    case address(Address)
    case bool(Bool)
    /// bytes1 … bytes32, padded on the right.
    case fixedBytes([UInt8])
    case bytes([UInt8])
    case string(String)
    case array([ABIValue])
    case tuple([ABIValue])

    @_disfavoredOverload public static func uint(_ value: UInt64) -> ABIValue { .uint(U256(value)) }
    public static func bytes32(_ digest: Digest) -> ABIValue { .fixedBytes(digest.bytes) }
}

/// A type of the ABI, by its canonical name.
public indirect enum ABIType: Hashable, Sendable, CustomStringConvertible {
    case uint(bits: Int)
    /// Up to 64 bits are kept; a wider value is refused.
    case int(bits: Int)
    case address, bool
    case fixedBytes(Int)
    case bytes, string
    case array(ABIType)
    case tuple([ABIType])

    public static let bytes32 = ABIType.fixedBytes(32)

    /// From a canonical name such as `uint256`, `bytes32`, `address[]` or `(uint64,bytes)`; nil for anything else.
    public init?(_ name: some StringProtocol) {
        if name.hasSuffix("[]") {
            guard let element = ABIType(name.dropLast(2)) else { return nil }
            self = .array(element)
        } else if name.hasPrefix("("), name.hasSuffix(")") {
            var parts: [ABIType] = []
            for part in ABIType.split(name.dropFirst().dropLast()) {
                guard let type = ABIType(part) else { return nil }
                parts.append(type)
            }
            self = .tuple(parts)
        } else if name == "address" { self = .address
        } else if name == "bool" { self = .bool
        } else if name == "bytes" { self = .bytes
        } else if name == "string" { self = .string
        } else if name.hasPrefix("uint"), let bits = Int(name.dropFirst(4)), bits.isMultiple(of: 8), (8...256).contains(bits) { self = .uint(bits: bits)
        } else if name.hasPrefix("int"), let bits = Int(name.dropFirst(3)), bits.isMultiple(of: 8), (8...256).contains(bits) { self = .int(bits: bits)
        } else if name.hasPrefix("bytes"), let count = Int(name.dropFirst(5)), (1...32).contains(count) { self = .fixedBytes(count)
        } else { return nil }
    }

    /// The parts of a list at its outermost commas.
    static func split(_ text: some StringProtocol) -> [String] {
        var parts: [String] = [], part = "", depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append(part)
                part = ""
            } else {
                part.append(character)
            }
        }
        return part.isEmpty && parts.isEmpty ? [] : parts + [part]
    }

    public var description: String {
        switch self {
        case .uint(let bits): "uint\(bits)"
        case .int(let bits): "int\(bits)"
        case .address: "address"
        case .bool: "bool"
        case .fixedBytes(let count): "bytes\(count)"
        case .bytes: "bytes"
        case .string: "string"
        case .array(let element): "\(element)[]"
        case .tuple(let parts): "(\(parts.map(\.description).joined(separator: ",")))"
        }
    }

    var isDynamic: Bool {
        switch self {
        case .bytes, .string, .array: true
        case .tuple(let parts): parts.contains(where: \.isDynamic)
        default: false
        }
    }

    /// Bytes in the head of an enclosing tuple.
    var headBytes: Int {
        if case .tuple(let parts) = self, !isDynamic { return parts.reduce(0) { $0 + $1.headBytes } }
        return 32
    }
}

public enum ABIError: Error, Hashable, Sendable { case truncated, outOfRange(String), notCanonical(String), wrongShape(String), tooMany(Int), overlapping }

/// The contract ABI's coding of a list of values.
///
/// Source: Solidity documentation, "Contract ABI Specification".
public enum ABI {
    /// keccak-256 of the signature, first four bytes.
    public static func selector(_ signature: String) -> [UInt8] { Array(keccak256(signature.utf8).prefix(4)) }
    public static func topic(_ signature: String) -> Digest { Digest(bytes: keccak256(signature.utf8)) }

    public static func encode(_ values: [ABIValue]) -> [UInt8] { encodeTuple(values) }

    private static func encodeTuple(_ values: [ABIValue]) -> [UInt8] {
        let parts = values.map { (dynamic: isDynamic($0), bytes: encodeValue($0)) }
        let headBytes = parts.reduce(0) { $0 + ($1.dynamic ? 32 : $1.bytes.count) }
        var head: [UInt8] = [], tail: [UInt8] = []
        for part in parts {
            if part.dynamic {
                head += U256(UInt64(headBytes + tail.count)).bigEndianBytes
                tail += part.bytes
            } else {
                head += part.bytes
            }
        }
        return head + tail
    }

    private static func isDynamic(_ value: ABIValue) -> Bool {
        switch value {
        case .bytes, .string, .array: true
        case .tuple(let parts): parts.contains(where: isDynamic)
        default: false
        }
    }

    private static func encodeValue(_ value: ABIValue) -> [UInt8] {
        switch value {
        case .uint(let number): number.bigEndianBytes
        case .int(let number): [UInt8](repeating: number < 0 ? 255 : 0, count: 24) + (0..<8).map { UInt8(truncatingIfNeeded: number >> Int64(56 - 8 * $0)) }
        case .address(let address): [UInt8](repeating: 0, count: 12) + address.bytes
        case .bool(let flag): [UInt8](repeating: 0, count: 31) + [flag ? 1 : 0]
        case .fixedBytes(let bytes): bytes + [UInt8](repeating: 0, count: 32 - bytes.count)
        case .bytes(let bytes): counted(bytes)
        case .string(let text): counted(Array(text.utf8))
        case .array(let values): U256(UInt64(values.count)).bigEndianBytes + encodeTuple(values)
        case .tuple(let values): encodeTuple(values)
        }
    }
    private static func counted(_ bytes: [UInt8]) -> [UInt8] {
        U256(UInt64(bytes.count)).bigEndianBytes + bytes + [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
    }

    /// Elements of one array at the most; contracts take far fewer.
    private static let arrayLimit = 4_096

    /// Offsets are the sender's to choose, but no byte is read as two values: nothing decoded is larger than what was sent.
    public static func decode(_ types: [ABIType], _ data: some Collection<UInt8>) throws(ABIError) -> [ABIValue] {
        let bytes = Array(data)
        var unread = bytes.count
        return try decodeTuple(types, bytes[...], &unread)
    }

    private static func take(_ count: Int, _ unread: inout Int) throws(ABIError) {
        guard count <= unread else { throw .overlapping }
        unread -= count
    }

    private static func decodeTuple(_ types: [ABIType], _ data: ArraySlice<UInt8>, _ unread: inout Int) throws(ABIError) -> [ABIValue] {
        var values: [ABIValue] = []
        var position = data.startIndex
        for type in types {
            guard position + type.headBytes <= data.endIndex else { throw .truncated }
            if type.isDynamic {
                try take(32, &unread)
                values.append(try decodeDynamic(type, data[try offset(data, at: position, limit: data.count).advanced(by: data.startIndex)...], &unread))
            } else {
                values.append(try decodeStatic(type, data[position..<position + type.headBytes], &unread))
            }
            position += type.headBytes
        }
        return values
    }

    private static func offset(_ data: ArraySlice<UInt8>, at position: Int, limit: Int) throws(ABIError) -> Int {
        guard position + 32 <= data.endIndex else { throw .truncated }
        guard let value = U256(bigEndianBytes: data[position..<position + 32]).uint64, value <= UInt64(limit) else { throw .truncated }
        return Int(value)
    }

    private static func decodeDynamic(_ type: ABIType, _ data: ArraySlice<UInt8>, _ unread: inout Int) throws(ABIError) -> ABIValue {
        if case .tuple(let parts) = type { return .tuple(try decodeTuple(parts, data, &unread)) }
        try take(32, &unread)
        let count = try offset(data, at: data.startIndex, limit: data.count)
        let rest = data.dropFirst(32)
        if case .array(let element) = type {
            guard count <= arrayLimit else { throw .tooMany(count) }
            return .array(try decodeTuple([ABIType](repeating: element, count: count), rest, &unread))
        }
        guard count <= rest.count else { throw .truncated }
        try take(count, &unread)
        let bytes = Array(rest.prefix(count))
        if type == .bytes { return .bytes(bytes) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notCanonical("string is not UTF-8") }
        return .string(text)
    }

    private static func decodeStatic(_ type: ABIType, _ word: ArraySlice<UInt8>, _ unread: inout Int) throws(ABIError) -> ABIValue {
        if case .tuple(let parts) = type { return .tuple(try decodeTuple(parts, word, &unread)) }
        try take(32, &unread)
        switch type {
        case .uint(let bits):
            let value = U256(bigEndianBytes: word)
            guard value.bitWidth <= bits else { throw .outOfRange(type.description) }
            return .uint(value)
        case .int(let bits):
            let value = Int64(bitPattern: word.suffix(8).reduce(0) { $0 << 8 | UInt64($1) })
            guard word.prefix(24).allSatisfy({ $0 == (value < 0 ? 255 : 0) }),
                  bits >= 64 || (value >= -(1 << Int64(bits - 1)) && value < 1 << Int64(bits - 1)) else { throw .outOfRange(type.description) }
            return .int(value)
        case .address:
            guard word.prefix(12).allSatisfy({ $0 == 0 }) else { throw .outOfRange("address") }
            return .address(Address(bytes: word.suffix(20)))
        case .bool:
            guard word.dropLast().allSatisfy({ $0 == 0 }), let last = word.last, last < 2 else { throw .outOfRange("bool") }
            return .bool(last == 1)
        case .fixedBytes(let count):
            guard word.dropFirst(count).allSatisfy({ $0 == 0 }) else { throw .notCanonical("bytes\(count)") }
            return .fixedBytes(Array(word.prefix(count)))
        case .tuple, .bytes, .string, .array:
            throw .wrongShape(type.description)
        }
    }
}

/// A function of a contract: its name and types, from a text such as `stakeOf(address)(uint256)`.
public struct ABIFunction: Hashable, Sendable {
    public let name: String
    public let inputs: [ABIType]
    public let outputs: [ABIType]

    /// - Precondition: a text that this program wrote itself, so a mistake in it is ours.
    public init(_ text: String) {
        guard let open = text.firstIndex(of: "("), let close = ABIFunction.closing(text, open),
              case .tuple(let inputs)? = ABIType(text[open...close]) else { preconditionFailure("\(text) is no function") }
        name = String(text[..<open])
        self.inputs = inputs
        let rest = text[text.index(after: close)...]
        if rest.isEmpty { outputs = [] } else {
            guard case .tuple(let types)? = ABIType(rest) else { preconditionFailure("\(text) is no function") }
            outputs = types
        }
    }
    private static func closing(_ text: String, _ open: String.Index) -> String.Index? {
        var depth = 0
        for index in text[open...].indices {
            if text[index] == "(" { depth += 1 }
            if text[index] == ")" { depth -= 1 }
            if depth == 0 { return index }
        }
        return nil
    }

    public var signature: String { name + ABIType.tuple(inputs).description }
    public var selector: [UInt8] { ABI.selector(signature) }
    public func call(_ values: ABIValue...) -> [UInt8] { selector + ABI.encode(values) }
    public func decodeOutputs(_ data: [UInt8]) throws(ABIError) -> [ABIValue] { try ABI.decode(outputs, data) }
}
