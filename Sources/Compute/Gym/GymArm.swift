import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTraining

/// One way of training, with everything settled.
public struct GymArm: Hashable, Sendable {
    public enum Strategy: String, NamedRule {
        /// One worker.
        case adamw
        /// Gradients averaged after every step, in worker order.
        case allreduce
        /// Windows of inner steps, payloads, an outer step.
        case diloco

        public var name: String { rawValue }
    }

    public let name: String
    public let strategy: Strategy
    /// D.
    public let workers: Int
    /// Sequences of a step, over all workers.
    public let rows: Int
    /// Steps of every worker.
    public let steps: Int
    /// The rules as the network has them: H, delay, inner state, compressor, aggregation, outer and inner step.
    public let rules: TrainingRules

    /// Sequences of a step for one worker.
    public var workerRows: Int { rows / workers }
    public var optimizer: OptimizerRules { OptimizerRules(rules) }
    public var isDelayed: Bool { strategy == .diloco && rules.delay != .none }

    /// Settles what is written, and says which field cannot be.
    ///
    /// - Parameters:
    ///   - written: with everything inherited.
    ///   - sequences: that every arm trains on in all.
    init(_ written: GymFile.Arm, name: String, fileRows: Int, sequences: Int, fileOptimizer: GymFile.Optimizer, at field: String) throws(GymError) {
        func one<Rule: NamedRule>(_ text: String?, _ name: String, _ fallback: Rule) throws(GymError) -> Rule {
            guard let text else { return fallback }
            guard let found = Rule(named: text) else { throw .field("\(field).\(name)", "there is no “\(text)”; known are \(Rule.names.joined(separator: ", "))") }
            return found
        }
        func whole(_ value: Int, _ range: ClosedRange<Int>, _ name: String) throws(GymError) -> UInt32 {
            guard range.contains(value) else { throw .field("\(field).\(name)", "is \(value), allowed is \(range.lowerBound)…\(range.upperBound)") }
            return UInt32(value)
        }
        func number(_ value: Float, _ range: ClosedRange<Float>, _ name: String) throws(GymError) -> FloatBits {
            guard range.contains(value) else { throw .field("\(field).\(name)", "is \(value), allowed is \(range.lowerBound)…\(range.upperBound)") }
            return FloatBits(bits: value.bitPattern)
        }
        guard !name.isEmpty, name.utf8.count <= 40, name.first != ".", name.utf8.allSatisfy({ UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 32 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || "-_.".utf8.contains($0) }) else {
            throw .field("\(field).name", "“\(name)” will name files: use up to 40 letters, digits, -, _ and . only")
        }
        self.name = name
        strategy = try one(written.strategy, "strategy", .adamw)
        workers = strategy == .adamw ? 1 : Int(try whole(written.workers ?? 4, 1...256, "workers"))
        rows = Int(try whole(written.rows ?? fileRows, 1...65_536, "rows"))
        guard rows.isMultiple(of: workers) else { throw .field("\(field).rows", "\(rows) sequences of a step cannot be shared evenly by \(workers) workers. Change rows or workers") }
        guard sequences.isMultiple(of: rows) else {
            throw .field("\(field).rows", "all arms train on \(sequences) sequences, which are no whole number of steps of \(rows). Change rows, or the file's steps")
        }
        steps = sequences / rows
        let microBatches = try whole(written.microBatches ?? 1, 1...(rows / workers), "microBatches")
        guard (rows / workers).isMultiple(of: Int(microBatches)) else { throw .field("\(field).microBatches", "is \(microBatches), which does not divide the \(rows / workers) sequences of a worker's step") }

        let asked = written.optimizer?.over(fileOptimizer) ?? fileOptimizer, usual = OptimizerRules()
        let rate = asked.learningRate ?? usual.learningRate, warmup = asked.warmupSteps ?? min(100, steps / 10)
        let delay = try one(written.delay, "delay", TrainingRules.Delay.none)
        let innerSteps = strategy == .diloco ? try whole(written.innerSteps ?? 20, 1...1_000_000, "innerSteps") : 1
        let compressor = try one(written.compressor, "compressor", TrainingRules.Compressor.none), rank = try whole(written.rank ?? 8, 1...4_096, "rank")
        var adaptation: TrainingRules.Adaptation?, fewest = innerSteps, most = innerSteps
        if let asked = written.adaptation {
            guard asked.energy > 0, asked.energy <= 1 else { throw .field("\(field).adaptation.energy", "is \(asked.energy); it is a share above 0 and up to 1, like 0.95") }
            adaptation = TrainingRules.Adaptation(
                windows: try whole(asked.windows, 1...1_000, "adaptation.windows"), energy: UInt32(asked.energy * 1e6 + 0.5),
                minimumRank: try whole(asked.minimumRank, 1...Int(rank), "adaptation.minimumRank"), maximumRank: try whole(asked.maximumRank, Int(rank)...4_096, "adaptation.maximumRank"))
            fewest = try whole(asked.minimumSteps ?? Int(innerSteps), 1...Int(innerSteps), "adaptation.minimumSteps")
            most = try whole(asked.maximumSteps ?? Int(innerSteps), Int(innerSteps)...1_000_000, "adaptation.maximumSteps")
        }
        rules = TrainingRules(
            innerSteps: innerSteps, segmentSteps: 1, rows: UInt32(rows / workers), delay: delay, compressor: compressor, rank: rank,
            feedbackDecay: try number(written.feedbackDecay ?? 1, 0...1, "feedbackDecay"), residualRestart: try whole(written.residualRestart ?? 0, 0...1_000_000, "residualRestart"),
            outerLearningRate: try number(written.outerLearningRate ?? 0.7, 0...10, "outerLearningRate"),
            outerMomentum: try number(written.outerMomentum ?? (delay == .none ? 0.9 : 0.5), 0...0.9999, "outerMomentum"),
            evaluationFactor: FloatBits(bits: 0), firstClip: try number(written.firstClip ?? 0.05, 1e-10...1e10, "firstClip"),
            learningRate: try number(rate, 0...10, "optimizer.learningRate"), minimumLearningRate: try number(asked.minimumLearningRate ?? rate / 10, 0...10, "optimizer.minimumLearningRate"),
            warmupSteps: try whole(warmup, 0...1_000_000_000, "optimizer.warmupSteps"),
            decaySteps: try whole(asked.decaySteps ?? max(warmup + 1, steps), (warmup + 1)...1_000_000_001, "optimizer.decaySteps"),
            beta1: try number(asked.beta1 ?? usual.beta1, 0...0.99999, "optimizer.beta1"), beta2: try number(asked.beta2 ?? usual.beta2, 0...0.99999, "optimizer.beta2"),
            epsilon: try number(asked.epsilon ?? usual.epsilon, 0...1, "optimizer.epsilon"), weightDecay: try number(asked.weightDecay ?? usual.weightDecay, 0...10, "optimizer.weightDecay"),
            gradientClip: try number(asked.clip ?? usual.clip, 1e-10...1e10, "optimizer.clip"), randomBatches: 1, ownBatches: 1, seed: 0,
            innerState: try one(written.innerState, "innerState", .carry), minimumSteps: fewest, maximumSteps: most,
            keptValues: try whole(written.keptValues ?? 32, 1...4_096, "keptValues"), valueBits: try whole(written.valueBits ?? 8, 1...32, "valueBits"),
            oneOf: try whole(written.oneOf ?? 1_000, 1...1_000_000, "oneOf"), aggregation: try one(written.aggregation, "aggregation", .mean),
            trimmedShare: UInt32(Double(Float(bitPattern: try number(written.trimmedShare ?? 0.2, 0...0.5, "trimmedShare").bits)) * 1e6 + 0.5),
            centeringRounds: try whole(written.centeringRounds ?? 3, 1...100, "centeringRounds"), centeringRadius: try number(written.centeringRadius ?? 1, 1e-6...1e6, "centeringRadius"),
            adaptation: adaptation, microBatches: microBatches)
    }

    /// Everything that an arm's numbers depend on.
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(strategy.rawValue)
        for number in [workers, rows, steps] { encoder.append(UInt64(number)) }
        rules.encode(into: &encoder)
    }
}
