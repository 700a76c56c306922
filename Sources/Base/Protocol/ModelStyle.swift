import AssayPrimitives

/// What a run's transformer is made of. Both styles go through the same code; `Docs/Models.md` says what each computes.
public enum ModelStyle: UInt8, CaseIterable, Hashable, Sendable, CanonicalCodable {
    /// Learned positions, LayerNorm, GELU, biases or none.
    case gpt2 = 0
    /// Rotated queries and keys, RMSNorm, SwiGLU, no biases, queries that may share keys and values.
    case llama = 1

    /// As people write it.
    public var name: String { self == .llama ? "llama" : "gpt2" }
    public init?(named name: String) {
        guard let style = ModelStyle.allCases.first(where: { $0.name == name }) else { return nil }
        self = style
    }

    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(rawValue) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        let value = try decoder.uint8()
        guard let style = ModelStyle(rawValue: value) else { throw .invalidValue(field: "style", value: UInt64(value)) }
        self = style
    }
}
