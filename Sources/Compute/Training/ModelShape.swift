import AssayProtocol

/// Sizes of a GPT-2-style transformer: learned positions, LayerNorm before each part, GELU in its tanh form, the head tied to the tokens.
public struct ModelShape: Hashable, Sendable {
    public let vocabulary: Int
    public let context: Int
    public let width: Int
    public let heads: Int
    public let layers: Int
    public let biases: Bool
    /// What the linear layers are multiplied in.
    public var profile: NumericsProfile

    public static let tiny = ModelShape(vocabulary: 256, context: 64, width: 128, heads: 4, layers: 4)
    public static let micro = ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 2)

    /// A shape of our own; a wrong one is a mistake of ours.
    public init(vocabulary: Int, context: Int, width: Int, heads: Int, layers: Int, biases: Bool = false, profile: NumericsProfile = .f32) {
        self.profile = profile
        (self.vocabulary, self.context, self.width, self.heads, self.layers, self.biases) = (vocabulary, context, width, heads, layers, biases)
        if let problem { preconditionFailure("\(problem)") }
    }

    /// The shape that a run's rules name, which somebody else may have written.
    public init(_ rules: ModelRules) throws(ModelShapeError) {
        vocabulary = Int(rules.vocabulary)
        context = Int(rules.context)
        width = Int(rules.width)
        heads = Int(rules.heads)
        layers = Int(rules.layers)
        biases = rules.biases
        profile = rules.profile
        if let problem { throw problem }
    }

    public var headSize: Int { width / heads }
    /// The same model in another profile.
    public func with(_ profile: NumericsProfile) -> ModelShape {
        var shape = self
        shape.profile = profile
        return shape
    }

    private var problem: ModelShapeError? {
        if !(2...65_536).contains(vocabulary) { return .outOfRange("vocabulary", vocabulary, 2...65_536) }
        if !(1...4_096).contains(context) { return .outOfRange("context", context, 1...4_096) }      // a softmax row is one 16-lane sum
        if !(1...4_096).contains(width) { return .outOfRange("width", width, 1...4_096) }            // so is a norm's row
        if !(1...256).contains(heads) { return .outOfRange("heads", heads, 1...256) }
        if !(1...256).contains(layers) { return .outOfRange("layers", layers, 1...256) }
        return width % heads == 0 ? nil : .headsDoNotDivideWidth(width: width, heads: heads)
    }
}

public enum ModelShapeError: Error, Hashable, Sendable {
    case outOfRange(String, Int, ClosedRange<Int>)
    case headsDoNotDivideWidth(width: Int, heads: Int)
}
