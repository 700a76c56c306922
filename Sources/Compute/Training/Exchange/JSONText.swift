/// A JSON text of another program: a safetensors header, a model's configuration. Nothing that is hashed is read or written with it.
///
/// It grows with the text alone: texts longer than the caller allows, and nested deeper than `JSONText.depthLimit`, are refused before they are read.
/// - Source: RFC 8259. A name that stands twice in an object is refused, since readers disagree on which one counts.
public enum JSONText: Hashable, Sendable {
    case null
    case boolean(Bool)
    /// As it is written.
    case number(String)
    case string(String)
    case array([JSONText])
    /// In the order of the text.
    case object([Member])

    public struct Member: Hashable, Sendable {
        public let name: String
        public let value: JSONText
    }

    public static let depthLimit = 8

    public init(_ text: some Collection<UInt8>, limit: Int) throws(JSONTextError) {
        guard text.count <= limit else { throw .tooLong(bytes: text.count, limit: limit) }
        var reader = JSONReader(Array(text))
        self = try reader.whole()
    }

    /// A member of an object; nil if there is none, or if this is no object.
    public subscript(name: String) -> JSONText? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }
    /// A whole number that `Int` holds.
    public var integer: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text)
    }

    /// With the quotes; everything but ASCII's printable characters is escaped.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for unit in text.utf16 {
            switch unit {
            case 0x22: quoted += "\\\""
            case 0x5c: quoted += "\\\\"
            case 0x20..<0x7f: quoted.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            default:
                let digits = String(unit, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return quoted + "\""
    }
}

public enum JSONTextError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(bytes: Int, limit: Int)
    case tooDeep(at: Int)
    case endsEarly
    case unexpected(at: Int)
    case notUnicode(at: Int)
    case nameTwice(String)

    public var description: String {
        switch self {
        case .tooLong(let bytes, let limit): "its \(bytes) bytes of JSON are above the limit of \(limit)"
        case .tooDeep(let at): "its JSON is nested too deep at byte \(at)"
        case .endsEarly: "its JSON ends too early"
        case .unexpected(let at): "byte \(at) is not what JSON has there"
        case .notUnicode(let at): "the JSON string at byte \(at) is not Unicode"
        case .nameTwice(let name): "the name “\(name)” stands twice in one JSON object"
        }
    }
}

private struct JSONReader {
    private let text: [UInt8]
    private var at = 0
    init(_ text: [UInt8]) { self.text = text }

    mutating func whole() throws(JSONTextError) -> JSONText {
        let value = try value(depth: 0)
        skipSpace()
        guard at == text.count else { throw .unexpected(at: at) }
        return value
    }

    private mutating func skipSpace() {
        while at < text.count, [0x20, 0x09, 0x0a, 0x0d].contains(text[at]) { at += 1 }
    }
    /// The next byte that is no space; it stays.
    private mutating func next() throws(JSONTextError) -> UInt8 {
        skipSpace()
        guard at < text.count else { throw .endsEarly }
        return text[at]
    }
    private mutating func take(_ byte: Character) throws(JSONTextError) {
        guard try next() == byte.asciiValue else { throw .unexpected(at: at) }
        at += 1
    }
    private mutating func takes(_ byte: Character) throws(JSONTextError) -> Bool {
        guard try next() == byte.asciiValue else { return false }
        at += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONTextError) -> JSONText {
        guard depth < JSONText.depthLimit else { throw .tooDeep(at: at) }
        switch try next() {
        case UInt8(ascii: "{"): return .object(try members(depth))
        case UInt8(ascii: "["): return .array(try elements(depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }
    private mutating func word(_ word: String, _ value: JSONText) throws(JSONTextError) -> JSONText {
        guard text[at...].starts(with: word.utf8) else { throw .unexpected(at: at) }
        at += word.utf8.count
        return value
    }

    private mutating func elements(_ depth: Int) throws(JSONTextError) -> [JSONText] {
        try take("[")
        var elements: [JSONText] = []
        if try takes("]") { return elements }
        repeat { elements.append(try value(depth: depth + 1)) } while try takes(",")
        try take("]")
        return elements
    }

    private mutating func members(_ depth: Int) throws(JSONTextError) -> [JSONText.Member] {
        try take("{")
        var members: [JSONText.Member] = [], names: Set<String> = []
        if try takes("}") { return members }
        repeat {
            guard try next() == UInt8(ascii: "\"") else { throw .unexpected(at: at) }
            let name = try string()
            guard names.insert(name).inserted else { throw .nameTwice(name) }
            try take(":")
            members.append(.init(name: name, value: try value(depth: depth + 1)))
        } while try takes(",")
        try take("}")
        return members
    }

    /// -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
    private mutating func number() throws(JSONTextError) -> String {
        let start = at
        _ = takeOne(of: "-")
        if !takeOne(of: "0") { try digits() }
        if takeOne(of: ".") { try digits() }
        if takeOne(of: "eE") {
            _ = takeOne(of: "+-")
            try digits()
        }
        return String(decoding: text[start..<at], as: UTF8.self)
    }
    /// Spaces do not stand within a number.
    private mutating func takeOne(of bytes: String) -> Bool {
        guard at < text.count, bytes.utf8.contains(text[at]) else { return false }
        at += 1
        return true
    }
    private mutating func digits() throws(JSONTextError) {
        guard takeOne(of: "0123456789") else { throw at < text.count ? .unexpected(at: at) : .endsEarly }
        while takeOne(of: "0123456789") {}
    }

    private mutating func string() throws(JSONTextError) -> String {
        let start = at
        at += 1
        var bytes: [UInt8] = []
        while true {
            guard at < text.count else { throw .endsEarly }
            let byte = text[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: bytes, as: UTF8.self) else { throw .notUnicode(at: start) }
                return string
            case UInt8(ascii: "\\"): try escape(into: &bytes, of: start)
            case 0..<0x20: throw .unexpected(at: at - 1)
            default: bytes.append(byte)
            }
        }
    }

    private mutating func escape(into bytes: inout [UInt8], of start: Int) throws(JSONTextError) {
        guard at < text.count else { throw .endsEarly }
        let letter = text[at]
        at += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(letter)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0c)
        case UInt8(ascii: "n"): bytes.append(0x0a)
        case UInt8(ascii: "r"): bytes.append(0x0d)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            var scalar = try fourDigits()
            if 0xd800..<0xdc00 ~= scalar {                       // the first half of a pair
                guard text[at...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) else { throw .notUnicode(at: start) }
                at += 2
                let second = try fourDigits()
                guard 0xdc00..<0xe000 ~= second else { throw .notUnicode(at: start) }
                scalar = 0x1_0000 + (scalar - 0xd800) << 10 + (second - 0xdc00)
            }
            guard let character = Unicode.Scalar(scalar) else { throw .notUnicode(at: start) }
            bytes.append(contentsOf: String(character).utf8)
        default: throw .unexpected(at: at - 1)
        }
    }

    private mutating func fourDigits() throws(JSONTextError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard at < text.count else { throw .endsEarly }
            guard let digit = Character(Unicode.Scalar(text[at])).hexDigitValue, text[at] < 0x80 else { throw .unexpected(at: at) }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }
}
