import AssayProtocol

/// Style and sizes of a transformer. GPT-2 style: learned positions, LayerNorm before each part, GELU in its tanh form. Llama style: rotated queries
/// and keys, RMSNorm, SwiGLU. The head is tied to the tokens, or a matrix of its own.
public struct ModelShape: Hashable, Sendable {
    public let vocabulary: Int
    public let context: Int
    public let width: Int
    public let heads: Int
    public let layers: Int
    public let biases: Bool
    public let style: ModelStyle
    /// Columns between the two halves of a layer's second part.
    public let hidden: Int
    /// Heads that have keys and values; each serves `headsPerKey` queries.
    public let keyValueHeads: Int
    public let tied: Bool
    /// What the linear layers are multiplied in.
    public var profile: NumericsProfile

    public static let tiny = ModelShape(vocabulary: 256, context: 64, width: 128, heads: 4, layers: 4)
    public static let micro = ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 2)
    /// The Llama-style model as small as `micro`: two queries share a key, the head is a matrix of its own.
    public static let microLlama = ModelShape(vocabulary: 256, context: 32, width: 32, heads: 4, layers: 2, style: .llama, hidden: 80, keyValueHeads: 2, tied: false)

    /// A shape of our own; a wrong one is a mistake of ours.
    public init(vocabulary: Int, context: Int, width: Int, heads: Int, layers: Int, biases: Bool = false, style: ModelStyle = .gpt2, hidden: Int? = nil,
                keyValueHeads: Int? = nil, tied: Bool = true, profile: NumericsProfile = .f32) {
        self.profile = profile
        (self.vocabulary, self.context, self.width, self.heads, self.layers, self.biases) = (vocabulary, context, width, heads, layers, biases)
        (self.style, self.hidden, self.keyValueHeads, self.tied) = (style, hidden ?? 4 * width, keyValueHeads ?? heads, tied)
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
        style = rules.style
        hidden = Int(rules.hidden)
        keyValueHeads = Int(rules.keyValueHeads)
        tied = rules.tied
        profile = rules.profile
        if let problem { throw problem }
    }

    public var headSize: Int { width / heads }
    public var headsPerKey: Int { heads / keyValueHeads }
    /// Columns of keys, and of values.
    public var keyWidth: Int { keyValueHeads * headSize }
    /// The same model in another profile.
    public func with(_ profile: NumericsProfile) -> ModelShape {
        var shape = self
        shape.profile = profile
        return shape
    }

    private var problem: ModelShapeError? {
        let ranges: [(String, Int, ClosedRange<Int>)] = [
            ("vocabulary", vocabulary, 2...65_536), ("context", context, 1...4_096),                 // a softmax row is one 16-lane sum
            ("width", width, 1...4_096),                                                             // so is a norm's row
            ("heads", heads, 1...256), ("layers", layers, 1...256), ("hidden", hidden, 1...16_384), ("keyValueHeads", keyValueHeads, 1...256),
        ]
        for (field, value, range) in ranges where !range.contains(value) { return .outOfRange(field, value, range) }
        if width % heads != 0 { return .headsDoNotDivideWidth(width: width, heads: heads) }
        if heads % keyValueHeads != 0 { return .keyValueHeadsDoNotDivideHeads(heads: heads, keyValueHeads: keyValueHeads) }
        switch style {
        case .gpt2: return keyValueHeads == heads ? nil : .onlyLlama("keyValueHeads below heads")
        case .llama:
            if biases { return .onlyGPT2("biases") }
            return headSize % 2 == 0 ? nil : .oddHead(headSize)
        }
    }
}

public enum ModelShapeError: Error, Hashable, Sendable, CustomStringConvertible {
    case outOfRange(String, Int, ClosedRange<Int>)
    case headsDoNotDivideWidth(width: Int, heads: Int)
    case keyValueHeadsDoNotDivideHeads(heads: Int, keyValueHeads: Int)
    case onlyGPT2(String)
    case onlyLlama(String)
    /// Columns of a head are rotated in pairs.
    case oddHead(Int)

    public var description: String {
        switch self {
        case .outOfRange(let field, let value, let range): "\(field) is \(value), allowed is \(range.lowerBound)…\(range.upperBound)"
        case .headsDoNotDivideWidth(let width, let heads): "width \(width) is not a multiple of heads \(heads)"
        case .keyValueHeadsDoNotDivideHeads(let heads, let shared): "heads \(heads) is not a multiple of keyValueHeads \(shared)"
        case .onlyGPT2(let what): "\(what): only a model of style gpt2 has them; allowed with llama is false"
        case .onlyLlama(let what): "\(what): only a model of style llama has them; allowed with gpt2 is the same number"
        case .oddHead(let size): "a head has \(size) columns (width ÷ heads); style llama needs an even number"
        }
    }
}
