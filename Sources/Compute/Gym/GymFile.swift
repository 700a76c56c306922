/// A gym file as it is written: what is trained on what, and the arms that are compared. `Docs/Gym.md` describes every field.
public struct GymFile: Decodable, Sendable {
    public var name: String
    public var data = Data()
    public var model = Model()
    public var optimizer = Optimizer()
    public var steps: Int?
    public var tokens: Int?
    /// Sequences of a step, over all workers.
    public var rows: Int
    public var seeds: [UInt64] = [1]
    public var evaluation = Evaluation()
    /// A safetensors file, or a directory with `model.safetensors`, whose parameters all arms start from, instead of drawn ones.
    public var initial: String?
    /// What an arm has that does not say otherwise.
    public var defaults = Arm()
    public var arms: [Arm]

    public struct Data: Decodable, Sendable {
        public var text: String?
        public var alphabet: String?
        /// Files of little-endian u16 tokens, one after the other.
        public var shards: [String]?
        public var vocabulary: Int?
        /// Of the text's bytes, or the shards' one after the other: so that two people compare the same thing.
        public var sha256: String?
        public var trainingShare: Double?

        public init() {}
        public init(from decoder: any Decoder) throws {
            let fields = try Fields(decoder, of: "data", ["text", "alphabet", "shards", "vocabulary", "sha256", "trainingShare"])
            (text, alphabet, shards) = (try fields.optional("text"), try fields.optional("alphabet"), try fields.optional("shards"))
            (vocabulary, sha256, trainingShare) = (try fields.optional("vocabulary"), try fields.optional("sha256"), try fields.optional("trainingShare"))
        }
    }

    public struct Model: Decodable, Sendable {
        public var context = 64, width = 128, heads = 4, layers = 4, biases = false
        public var profile: String?
        public var style: String?
        /// Four times the width where it is not said; keys and values of as many heads as queries.
        public var hidden, keyValueHeads: Int?
        /// In style gpt2 true where it is not said, in style llama false.
        public var tied: Bool?

        public init() {}
        public init(from decoder: any Decoder) throws {
            let fields = try Fields(decoder, of: "the model", ["context", "width", "heads", "layers", "biases", "profile", "style", "hidden", "keyValueHeads", "tied"])
            (context, width, heads, layers) = (try fields.value("context"), try fields.value("width"), try fields.value("heads"), try fields.value("layers"))
            biases = try fields.optional("biases") ?? false
            (profile, style) = (try fields.optional("profile"), try fields.optional("style"))
            (hidden, keyValueHeads, tied) = (try fields.optional("hidden"), try fields.optional("keyValueHeads"), try fields.optional("tied"))
        }
    }

    public struct Optimizer: Decodable, Sendable {
        public var learningRate, minimumLearningRate, beta1, beta2, epsilon, weightDecay, clip: Float?
        public var warmupSteps, decaySteps: Int?

        public init() {}
        public init(from decoder: any Decoder) throws {
            let fields = try Fields(decoder, of: "an optimizer", ["learningRate", "minimumLearningRate", "warmupSteps", "decaySteps", "beta1", "beta2", "epsilon", "weightDecay", "clip"])
            (learningRate, minimumLearningRate) = (try fields.optional("learningRate"), try fields.optional("minimumLearningRate"))
            (warmupSteps, decaySteps) = (try fields.optional("warmupSteps"), try fields.optional("decaySteps"))
            (beta1, beta2, epsilon) = (try fields.optional("beta1"), try fields.optional("beta2"), try fields.optional("epsilon"))
            (weightDecay, clip) = (try fields.optional("weightDecay"), try fields.optional("clip"))
        }

        /// The fields said here, else those of `other`.
        func over(_ other: Optimizer?) -> Optimizer {
            guard let other else { return self }
            var merged = self
            func fill<Value>(_ path: WritableKeyPath<Optimizer, Value?>) { if merged[keyPath: path] == nil { merged[keyPath: path] = other[keyPath: path] } }
            for path in [\Optimizer.learningRate, \.minimumLearningRate, \.beta1, \.beta2, \.epsilon, \.weightDecay, \.clip] { fill(path) }
            for path in [\Optimizer.warmupSteps, \.decaySteps] { fill(path) }
            return merged
        }
    }

    public struct Evaluation: Decodable, Sendable {
        /// Steps between two points of a curve.
        public var every = 100
        /// Validation sequences of a point, and of the last one; 0 for all.
        public var sequences = 0, finalSequences = 0

        public init() {}
        public init(from decoder: any Decoder) throws {
            let fields = try Fields(decoder, of: "evaluation", ["every", "sequences", "finalSequences"])
            every = try fields.optional("every") ?? 100
            sequences = try fields.optional("sequences") ?? 0
            finalSequences = try fields.optional("finalSequences") ?? 0
        }
    }

    public init(name: String, rows: Int, arms: [Arm]) { (self.name, self.rows, self.arms) = (name, rows, arms) }
    public init(from decoder: any Decoder) throws {
        let fields = try Fields(decoder, of: "a gym file", ["name", "data", "model", "optimizer", "steps", "tokens", "rows", "seeds", "evaluation", "initial", "defaults", "arms"])
        name = try fields.value("name")
        data = try fields.optional("data") ?? Data()
        model = try fields.optional("model") ?? Model()
        optimizer = try fields.optional("optimizer") ?? Optimizer()
        (steps, tokens) = (try fields.optional("steps"), try fields.optional("tokens"))
        rows = try fields.value("rows")
        seeds = try fields.optional("seeds") ?? [1]
        evaluation = try fields.optional("evaluation") ?? Evaluation()
        initial = try fields.optional("initial")
        defaults = try fields.optional("defaults") ?? Arm()
        arms = try fields.value("arms")
    }
}
