/// A choice among rules, with the name it has in files that people write.
public protocol NamedRule: CaseIterable, Sendable {
    var name: String { get }
}
extension NamedRule {
    public init?(named name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }
    public static var names: [String] { allCases.map(\.name) }
}

extension TrainingRules.Delay: NamedRule {
    public var name: String { switch self { case .none: "none"; case .continued: "continued"; case .plain: "plain" } }
}
extension TrainingRules.Compressor: NamedRule {
    public var name: String {
        switch self {
        case .none: "none"
        case .int4: "int4"
        case .int8: "int8"
        case .lowRankInt4: "lowrank-int4"
        case .topK: "topk"
        case .dctTopK: "dct-topk"
        case .sparta: "sparta"
        }
    }
}
extension TrainingRules.InnerState: NamedRule {
    public var name: String { switch self { case .reset: "reset"; case .carry: "carry" } }
}
extension TrainingRules.Aggregation: NamedRule {
    public var name: String {
        switch self {
        case .clippedMean: "clipped-mean"
        case .mean: "mean"
        case .median: "median"
        case .trimmedMean: "trimmed-mean"
        case .centeredClip: "centered-clip"
        }
    }
}
