import AssayPrimitives

/// In which numbers a run's linear layers are multiplied. Both are exact, so both are judged by bits; the rest of the model is in floats either way.
public enum NumericsProfile: UInt8, NamedRule, Hashable, CanonicalCodable {
    /// Floats, each sum in its written order.
    case f32 = 0
    /// Operands rounded to eight bits, summed as integers, in which no order can matter.
    case i8 = 1

    /// As people write it.
    public var name: String { self == .i8 ? "i8" : "f32" }

    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(rawValue) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        self = try decoder.choice("profile")
    }
}
