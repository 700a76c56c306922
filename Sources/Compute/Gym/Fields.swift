/// An object's fields by name. A name that nobody knows is refused: what was misspelt would otherwise silently stay at its default.
struct Fields {
    struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private let container: KeyedDecodingContainer<Name>

    init(_ decoder: any Decoder, of what: String, _ known: [String]) throws {
        container = try decoder.container(keyedBy: Name.self)
        for key in container.allKeys.sorted(by: { $0.stringValue < $1.stringValue }) where !known.contains(key.stringValue) {
            throw Swift.DecodingError.dataCorrupted(.init(codingPath: container.codingPath + [key], debugDescription: "is no field of \(what); known are \(known.joined(separator: ", "))"))
        }
    }

    func value<Value: Decodable>(_ name: String) throws -> Value { try container.decode(Value.self, forKey: Name(stringValue: name)) }
    func optional<Value: Decodable>(_ name: String) throws -> Value? { try container.decodeIfPresent(Value.self, forKey: Name(stringValue: name)) }
}
