extension GymFile {
    /// One way of training, as it is written. What it does not say it has from the arm that it is `like`, then from the file's defaults.
    public struct Arm: Decodable, Sendable {
        public var name: String?
        public var like: String?
        /// adamw, allreduce or diloco.
        public var strategy: String?
        public var workers, innerSteps, rows, microBatches: Int?
        public var delay, innerState: String?
        public var outerLearningRate, outerMomentum: Float?
        public var aggregation: String?
        public var firstClip, trimmedShare, centeringRadius: Float?
        public var centeringRounds: Int?
        public var compressor: String?
        public var rank, keptValues, valueBits, oneOf: Int?
        public var adaptation: Adaptation?
        public var feedbackDecay: Float?
        public var residualRestart: Int?
        public var optimizer: Optimizer?

        public init() {}
        public init(from decoder: any Decoder) throws {
            let fields = try Fields(decoder, of: "an arm", [
                "name", "like", "strategy", "workers", "rows", "microBatches", "innerSteps", "delay", "innerState", "outerLearningRate", "outerMomentum", "aggregation", "firstClip",
                "trimmedShare", "centeringRounds", "centeringRadius", "compressor", "rank", "keptValues", "valueBits", "oneOf", "adaptation", "feedbackDecay",
                "residualRestart", "optimizer",
            ])
            (name, like, strategy) = (try fields.optional("name"), try fields.optional("like"), try fields.optional("strategy"))
            (workers, innerSteps, rows) = (try fields.optional("workers"), try fields.optional("innerSteps"), try fields.optional("rows"))
            microBatches = try fields.optional("microBatches")
            (delay, innerState) = (try fields.optional("delay"), try fields.optional("innerState"))
            (outerLearningRate, outerMomentum) = (try fields.optional("outerLearningRate"), try fields.optional("outerMomentum"))
            (aggregation, firstClip, trimmedShare) = (try fields.optional("aggregation"), try fields.optional("firstClip"), try fields.optional("trimmedShare"))
            (centeringRounds, centeringRadius) = (try fields.optional("centeringRounds"), try fields.optional("centeringRadius"))
            (compressor, rank, keptValues) = (try fields.optional("compressor"), try fields.optional("rank"), try fields.optional("keptValues"))
            (valueBits, oneOf, adaptation) = (try fields.optional("valueBits"), try fields.optional("oneOf"), try fields.optional("adaptation"))
            (feedbackDecay, residualRestart) = (try fields.optional("feedbackDecay"), try fields.optional("residualRestart"))
            optimizer = try fields.optional("optimizer")
        }

        /// The fields said here, else those of `other`. The name is always one's own.
        func over(_ other: Arm) -> Arm {
            var merged = self
            func fill<Value>(_ path: WritableKeyPath<Arm, Value?>) { if merged[keyPath: path] == nil { merged[keyPath: path] = other[keyPath: path] } }
            for path in [\Arm.strategy, \.delay, \.aggregation, \.innerState, \.compressor] { fill(path) }
            for path in [\Arm.workers, \.innerSteps, \.rows, \.microBatches, \.rank, \.keptValues, \.valueBits, \.oneOf, \.centeringRounds, \.residualRestart] { fill(path) }
            for path in [\Arm.outerLearningRate, \.outerMomentum, \.firstClip, \.trimmedShare, \.centeringRadius, \.feedbackDecay] { fill(path) }
            fill(\.adaptation)
            merged.optimizer = merged.optimizer.map { $0.over(other.optimizer) } ?? other.optimizer
            return merged
        }
    }

    /// Rank and H follow the effective rank of what was aggregated.
    public struct Adaptation: Decodable, Sendable {
        public var windows = 5
        /// Share of the squared norm that the effective rank holds.
        public var energy = 0.95
        public var minimumRank, maximumRank: Int
        public var minimumSteps, maximumSteps: Int?

        public init(minimumRank: Int, maximumRank: Int, minimumSteps: Int, maximumSteps: Int) {
            (self.minimumRank, self.maximumRank, self.minimumSteps, self.maximumSteps) = (minimumRank, maximumRank, minimumSteps, maximumSteps)
        }
        public init(from decoder: any Decoder) throws {
            let fields = try Fields(decoder, of: "an adaptation", ["windows", "energy", "minimumRank", "maximumRank", "minimumSteps", "maximumSteps"])
            (windows, energy) = (try fields.optional("windows") ?? 5, try fields.optional("energy") ?? 0.95)
            (minimumRank, maximumRank) = (try fields.value("minimumRank"), try fields.value("maximumRank"))
            (minimumSteps, maximumSteps) = (try fields.optional("minimumSteps"), try fields.optional("maximumSteps"))
        }
    }
}
