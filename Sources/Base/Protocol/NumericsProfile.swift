import AssayPrimitives

/// In which numbers a run's linear layers are multiplied. Both are exact, so both are judged by bits; the rest of the model is in floats either way.
public enum NumericsProfile: UInt8, CaseIterable, Hashable, Sendable, CanonicalCodable {
    /// Floats, each sum in its written order.
    case f32 = 0
    /// Operands rounded to eight bits, summed as integers, in which no order can matter.
    case i8 = 1

    /// As people write it.
    public var name: String { self == .i8 ? "i8" : "f32" }
    public init?(named name: String) {
        guard let profile = NumericsProfile.allCases.first(where: { $0.name == name }) else { return nil }
        self = profile
    }

    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(rawValue) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        let value = try decoder.uint8()
        guard let profile = NumericsProfile(rawValue: value) else { throw .invalidValue(field: "profile", value: UInt64(value)) }
        self = profile
    }
}
