extension GymFile {
    /// One way of training, as it is written. What it does not say it has from the arm that it is `like`, then from the file's defaults.
    public struct Arm: Decodable, Sendable {
        public var name: String?
        public var like: String?
        /// adamw, allreduce or diloco.
        public var strategy: String?
        public var workers, innerSteps, rows: Int?
        public var delay, aggregation, innerState: String?
        public var outerLearningRate, outerMomentum, firstClip: Float?
        public var compressor: String?
        public var rank: Int?
        public var feedbackDecay: Float?
        public var residualRestart: Int?
        public var optimizer: Optimizer?

        public init() {}
        public init(from decoder: any Decoder) throws {
            let fields = try Fields(decoder, of: "an arm", [
                "name", "like", "strategy", "workers", "innerSteps", "rows", "delay", "outerLearningRate", "outerMomentum", "aggregation", "firstClip", "innerState",
                "compressor", "rank", "feedbackDecay", "residualRestart", "optimizer",
            ])
            (name, like, strategy) = (try fields.optional("name"), try fields.optional("like"), try fields.optional("strategy"))
            (workers, innerSteps, rows) = (try fields.optional("workers"), try fields.optional("innerSteps"), try fields.optional("rows"))
            (delay, aggregation, innerState) = (try fields.optional("delay"), try fields.optional("aggregation"), try fields.optional("innerState"))
            (outerLearningRate, outerMomentum, firstClip) = (try fields.optional("outerLearningRate"), try fields.optional("outerMomentum"), try fields.optional("firstClip"))
            (compressor, rank) = (try fields.optional("compressor"), try fields.optional("rank"))
            (feedbackDecay, residualRestart) = (try fields.optional("feedbackDecay"), try fields.optional("residualRestart"))
            optimizer = try fields.optional("optimizer")
        }

        /// The fields said here, else those of `other`. The name is always one's own.
        func over(_ other: Arm) -> Arm {
            var merged = self
            func fill<Value>(_ path: WritableKeyPath<Arm, Value?>) { if merged[keyPath: path] == nil { merged[keyPath: path] = other[keyPath: path] } }
            for path in [\Arm.strategy, \.delay, \.aggregation, \.innerState, \.compressor] { fill(path) }
            for path in [\Arm.workers, \.innerSteps, \.rows, \.rank, \.residualRestart] { fill(path) }
            for path in [\Arm.outerLearningRate, \.outerMomentum, \.firstClip, \.feedbackDecay] { fill(path) }
            merged.optimizer = merged.optimizer.map { $0.over(other.optimizer) } ?? other.optimizer
            return merged
        }
    }
}
