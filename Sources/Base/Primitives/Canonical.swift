/// The one encoding of everything that is hashed, signed, sent between validators or kept: fixed-width little-endian integers,
/// 32-bit counts before anything of variable length, fields in declaration order. One value has one encoding.
public protocol CanonicalCodable {
    func encode(into encoder: inout CanonicalEncoder)
    init(from decoder: inout CanonicalDecoder) throws(DecodingError)
}

extension CanonicalCodable {
    @inlinable public var canonicalBytes: [UInt8] {
        var encoder = CanonicalEncoder()
        encode(into: &encoder)
        return encoder.bytes
    }

    /// - Throws: `DecodingError` also if bytes are left over.
    @inlinable public init(canonicalBytes bytes: [UInt8]) throws(DecodingError) {
        var decoder = CanonicalDecoder(bytes)
        self = try Self(from: &decoder)
        try decoder.finish()
    }
}

/// Why bytes were refused: what was expected, and where.
public enum DecodingError: Error, Hashable, Sendable, CustomStringConvertible {
    case truncated(at: Int, wanted: Int, available: Int)
    case trailingBytes(count: Int)
    case countTooLarge(found: Int, limit: Int)
    case invalidValue(field: String, value: UInt64)
    case invalidText(at: Int)

    public var description: String {
        switch self {
        case .truncated(let at, let wanted, let available): "truncated at byte \(at): wanted \(wanted) bytes, found \(available)"
        case .trailingBytes(let count): "\(count) bytes left over after the value"
        case .countTooLarge(let found, let limit): "count \(found) is above the limit of \(limit)"
        case .invalidValue(let field, let value): "\(field) may not be \(value)"
        case .invalidText(let at): "text at byte \(at) is not UTF-8"
        }
    }
}

public struct CanonicalEncoder: Sendable {
    public private(set) var bytes: [UInt8] = []
    public init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    public mutating func append(_ value: UInt8) { bytes.append(value) }
    public mutating func append(_ value: Bool) { bytes.append(value ? 1 : 0) }
    public mutating func append(_ value: UInt16) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    public mutating func append(_ value: UInt32) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    public mutating func append(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    public mutating func append(_ value: U256) { bytes.append(contentsOf: value.bigEndianBytes) }
    @inlinable public mutating func append(_ value: some CanonicalCodable) { value.encode(into: &self) }

    /// Bytes whose number both sides know.
    public mutating func append(fixed value: [UInt8]) { bytes.append(contentsOf: value) }
    public mutating func append(fixed value: UnsafeRawBufferPointer) { bytes.append(contentsOf: value) }
    public mutating func append(fixed value: ArraySlice<UInt8>) { bytes.append(contentsOf: value) }

    /// Bytes of any number, behind their count.
    public mutating func append(counted value: [UInt8]) {
        append(UInt32(value.count))
        bytes.append(contentsOf: value)
    }
    public mutating func append(_ text: String) { append(counted: Array(text.utf8)) }
    @inlinable public mutating func append<Values: Collection>(_ values: Values) where Values.Element: CanonicalCodable {
        append(UInt32(values.count))
        for value in values { value.encode(into: &self) }
    }
    @inlinable public mutating func append<Value: CanonicalCodable>(optional value: Value?) {
        append(value != nil)
        if let value { value.encode(into: &self) }
    }
}

/// Reads what `CanonicalEncoder` wrote. It never allocates more than the bytes it holds, whatever a count claims.
public struct CanonicalDecoder: Sendable {
    private let bytes: [UInt8]
    private var position = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Bytes not yet read.
    public var remaining: Int { bytes.count - position }

    public mutating func uint8() throws(DecodingError) -> UInt8 {
        let at = try take(1)
        return bytes[at]
    }
    public mutating func uint16() throws(DecodingError) -> UInt16 { UInt16(littleEndian: try load()) }
    public mutating func uint32() throws(DecodingError) -> UInt32 { UInt32(littleEndian: try load()) }
    public mutating func uint64() throws(DecodingError) -> UInt64 { UInt64(littleEndian: try load()) }
    public mutating func u256() throws(DecodingError) -> U256 { U256(bigEndianBytes: try fixed(32)) }
    public mutating func bool() throws(DecodingError) -> Bool {
        switch try uint8() {
        case 0: return false
        case 1: return true
        case let value: throw .invalidValue(field: "flag", value: UInt64(value))
        }
    }

    public mutating func fixed(_ count: Int) throws(DecodingError) -> [UInt8] {
        let at = try take(count)
        return Array(bytes[at..<at + count])
    }
    /// The next bytes where they lie, without a copy.
    public mutating func fixed<Result>(_ count: Int, _ read: (UnsafeRawBufferPointer) -> Result) throws(DecodingError) -> Result {
        let at = try take(count)
        return bytes.withUnsafeBytes { read(UnsafeRawBufferPointer(rebasing: $0[at..<at + count])) }
    }
    public mutating func counted(limit: Int) throws(DecodingError) -> [UInt8] { try fixed(try count(limit: limit)) }
    public mutating func text(limit: Int) throws(DecodingError) -> String {
        let at = position
        guard let text = String(validating: try counted(limit: limit), as: UTF8.self) else { throw .invalidText(at: at) }
        return text
    }
    public mutating func count(limit: Int) throws(DecodingError) -> Int {
        let found = Int(try uint32())
        guard found <= limit else { throw .countTooLarge(found: found, limit: limit) }
        return found
    }
    @inlinable public mutating func value<Value: CanonicalCodable>(_: Value.Type = Value.self) throws(DecodingError) -> Value { try Value(from: &self) }
    @inlinable public mutating func array<Value: CanonicalCodable>(of _: Value.Type = Value.self, limit: Int) throws(DecodingError) -> [Value] {
        let count = try count(limit: limit)
        var values: [Value] = []
        for _ in 0..<count { values.append(try Value(from: &self)) }
        return values
    }
    @inlinable public mutating func optional<Value: CanonicalCodable>(_: Value.Type = Value.self) throws(DecodingError) -> Value? {
        try bool() ? try Value(from: &self) : nil
    }
    /// One of the choices that a byte can stand for. - Parameter field: what an error calls it.
    @inlinable public mutating func choice<Choice: RawRepresentable>(_ field: String, of _: Choice.Type = Choice.self) throws(DecodingError) -> Choice where Choice.RawValue == UInt8 {
        let code = try uint8()
        guard let choice = Choice(rawValue: code) else { throw .invalidValue(field: field, value: UInt64(code)) }
        return choice
    }
    public func finish() throws(DecodingError) {
        guard remaining == 0 else { throw .trailingBytes(count: remaining) }
    }

    /// Where the next bytes begin, once it is sure that they are there.
    private mutating func take(_ count: Int) throws(DecodingError) -> Int {
        guard count <= remaining else { throw .truncated(at: position, wanted: count, available: remaining) }
        defer { position += count }
        return position
    }

    private mutating func load<Integer: FixedWidthInteger>() throws(DecodingError) -> Integer {
        let at = try take(MemoryLayout<Integer>.size)
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: Integer.self) }
    }
}
