import AssayPrimitives

/// What a run's transformer is made of. Both styles go through the same code; `Docs/Models.md` says what each computes.
public enum ModelStyle: UInt8, NamedRule, Hashable, CanonicalCodable {
    /// Learned positions, LayerNorm, GELU, biases or none.
    case gpt2 = 0
    /// Rotated queries and keys, RMSNorm, SwiGLU, no biases, queries that may share keys and values.
    case llama = 1

    /// As people write it.
    public var name: String { self == .llama ? "llama" : "gpt2" }

    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(rawValue) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        self = try decoder.choice("style")
    }
}
