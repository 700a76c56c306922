import Foundation

/// A JSON value that may cross threads.
public enum JSON: Hashable, Sendable {
    case null, bool(Bool), int(Int64), double(Double), string(String), array([JSON]), object([String: JSON])

    public init(_ bytes: Data) throws { self = JSON.wrap(try JSONSerialization.jsonObject(with: bytes, options: [.fragmentsAllowed])) }

    /// Any value that encodes.
    public init(encoding value: some Encodable) throws { try self.init(JSONEncoder().encode(value)) }
    public func decoded<Value: Decodable>(as _: Value.Type = Value.self) throws -> Value { try JSONDecoder().decode(Value.self, from: data) }

    public var data: Data { (try? JSONSerialization.data(withJSONObject: plain, options: [.fragmentsAllowed, .withoutEscapingSlashes, .sortedKeys])) ?? Data("null".utf8) }

    private static func wrap(_ value: Any) -> JSON {
        switch value {
        case let number as NSNumber where isBool(number): .bool(number.boolValue)
        case let number as NSNumber: number.stringValue.contains(where: { ".eE".contains($0) }) ? .double(number.doubleValue) : Int64(number.stringValue).map { .int($0) } ?? .double(number.doubleValue)
        case let text as String: .string(text)
        case let values as [Any]: .array(values.map(wrap))
        case let values as [String: Any]: .object(values.mapValues(wrap))
        default: .null
        }
    }
    /// Foundation's parser keeps truth values as numbers of the type char, and no other number so.
    private static func isBool(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }

    var plain: Any {
        switch self {
        case .null: NSNull()
        case .bool(let flag): flag
        case .int(let number): number
        case .double(let number): number
        case .string(let text): text
        case .array(let values): values.map(\.plain)
        case .object(let values): values.mapValues(\.plain)
        }
    }

    public subscript(_ key: String) -> JSON? { if case .object(let values) = self { values[key] } else { nil } }
    public subscript(_ index: Int) -> JSON? { if case .array(let values) = self, values.indices.contains(index) { values[index] } else { nil } }
    public var string: String? { if case .string(let text) = self { text } else { nil } }
    public var array: [JSON]? { if case .array(let values) = self { values } else { nil } }
    public var object: [String: JSON]? { if case .object(let values) = self { values } else { nil } }
    public var int: Int64? { if case .int(let number) = self { number } else { nil } }
    public var isNull: Bool { self == .null }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(Dictionary(elements) { $1 }) }
}
