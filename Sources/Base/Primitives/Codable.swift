// How nouns stand in JSON and the like: numbers as numbers, everything wider as text. For views and files; nothing hashed depends on it.

extension U256: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer(), text = try container.decode(String.self)
        guard let value = U256(text) else { throw Swift.DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no number of 256 bits") }
        self = value
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
