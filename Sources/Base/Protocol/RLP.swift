import AssayPrimitives

/// Ethereum's recursive length prefix: a byte string or a list of items. One value has one encoding; others are refused.
///
/// Source: Wood, "Ethereum: a secure decentralised generalised transaction ledger", appendix B.
public enum RLP: Hashable, Sendable {
    case bytes([UInt8])
    case list([RLP])

    @_disfavoredOverload public static func number(_ value: UInt64) -> RLP { .number(U256(value)) }
    public static func number(_ value: U256) -> RLP { .bytes(Array(value.bigEndianBytes.drop { $0 == 0 })) }

    public var encoded: [UInt8] {
        switch self {
        case .bytes(let bytes):
            if bytes.count == 1, bytes[0] < 0x80 { return bytes }
            return RLP.header(0x80, count: bytes.count) + bytes
        case .list(let items):
            let content = items.flatMap(\.encoded)
            return RLP.header(0xC0, count: content.count) + content
        }
    }

    private static func header(_ base: UInt8, count: Int) -> [UInt8] {
        if count < 56 { return [base + UInt8(count)] }
        let size = Array(U256(UInt64(count)).bigEndianBytes.drop { $0 == 0 })
        return [base + 55 + UInt8(size.count)] + size
    }

    public enum Invalid: Error, Hashable, Sendable { case truncated, trailingBytes, notCanonical, tooDeep, wrongKind, numberTooLarge }

    public static func decode(_ bytes: [UInt8]) throws(Invalid) -> RLP {
        var rest = bytes[...]
        let item = try decodeItem(&rest, depth: 0)
        guard rest.isEmpty else { throw .trailingBytes }
        return item
    }

    /// Lists inside lists at the most: a transaction needs three.
    private static let deepest = 8

    private static func decodeItem(_ rest: inout ArraySlice<UInt8>, depth: Int) throws(Invalid) -> RLP {
        guard depth <= deepest else { throw .tooDeep }
        guard let first = rest.popFirst() else { throw .truncated }
        switch first {
        case ..<0x80:
            return .bytes([first])
        case 0x80...0xBF:
            let content = try take(&rest, count: try length(first - 0x80, &rest))
            if content.count == 1, content.first! < 0x80 { throw .notCanonical }
            return .bytes(Array(content))
        default:
            var content = try take(&rest, count: try length(first - 0xC0, &rest))
            var items: [RLP] = []
            while !content.isEmpty { items.append(try decodeItem(&content, depth: depth + 1)) }
            return .list(items)
        }
    }

    private static func length(_ marker: UInt8, _ rest: inout ArraySlice<UInt8>) throws(Invalid) -> Int {
        if marker < 56 { return Int(marker) }
        let digits = try take(&rest, count: Int(marker) - 55)
        guard digits.first != 0 else { throw .notCanonical }
        guard digits.count <= 4 else { throw .truncated }
        let count = digits.reduce(0) { $0 << 8 | Int($1) }
        guard count >= 56 else { throw .notCanonical }
        return count
    }

    private static func take(_ rest: inout ArraySlice<UInt8>, count: Int) throws(Invalid) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw .truncated }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    public func string() throws(Invalid) -> [UInt8] {
        guard case .bytes(let bytes) = self else { throw .wrongKind }
        return bytes
    }
    public func items() throws(Invalid) -> [RLP] {
        guard case .list(let items) = self else { throw .wrongKind }
        return items
    }
    /// A number without leading zeros.
    public func u256() throws(Invalid) -> U256 {
        let bytes = try string()
        guard bytes.count <= 32 else { throw .numberTooLarge }
        guard bytes.first != 0 else { throw .notCanonical }
        return U256(bigEndianBytes: bytes)
    }
    public func uint64() throws(Invalid) -> UInt64 {
        guard let value = try u256().uint64 else { throw .numberTooLarge }
        return value
    }
}
