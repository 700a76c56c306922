import AssayPrimitives

// Hashes and addresses in JSON: hexadecimal text. For views and files; nothing hashed depends on it.

extension Digest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer(), text = try container.decode(String.self)
        guard let digest = Digest(hex: text) else { throw Swift.DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no digest") }
        self = digest
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Address: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer(), text = try container.decode(String.self)
        guard let address = Address(text) else { throw Swift.DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no address") }
        self = address
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
