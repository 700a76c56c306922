import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTraining

/// One way of training, with everything settled.
public struct GymArm: Hashable, Sendable {
    public enum Strategy: String, CaseIterable, Sendable {
        /// One worker.
        case adamw
        /// Gradients averaged after every step, in worker order.
        case allreduce
        /// Windows of inner steps, payloads, an outer step.
        case diloco
    }
    /// Where a worker starts a window, and when its payload is in θ (`Docs/Training.md`).
    public enum Delay: String, CaseIterable, Sendable {
        /// From θ with all payloads in it.
        case none
        /// From θ without the last window's payloads: they are still under way, and their progress is made twice.
        case plain
        /// From that θ less the worker's own payload of the last window.
        case continued
    }
    public enum InnerState: String, CaseIterable, Sendable {
        /// m = v = 0 when a window begins.
        case reset
        /// They go on.
        case carry
    }
    public enum Aggregation: String, CaseIterable, Sendable {
        case mean
        /// Each tensor clipped to the lower median of the last window's norms: the network's rule.
        case clippedMean = "clipped-mean"
    }

    public let name: String
    public let strategy: Strategy
    /// D.
    public let workers: Int
    /// Sequences of a step, over all workers.
    public let rows: Int
    /// Steps of every worker.
    public let steps: Int
    /// H.
    public let innerSteps: Int
    public let delay: Delay
    public let outerLearningRate: Float
    public let outerMomentum: Float
    public let aggregation: Aggregation
    public let firstClip: Float
    public let innerState: InnerState
    public let compressor: TrainingRules.Compressor
    public let rank: Int
    public let feedbackDecay: Float
    /// Residuals restart from zero in windows divisible by this; 0 for never.
    public let residualRestart: Int
    public let optimizer: OptimizerRules

    /// Sequences of a step for one worker.
    public var workerRows: Int { rows / workers }

    /// Settles what is written, and says which field cannot be.
    ///
    /// - Parameters:
    ///   - written: with everything inherited.
    ///   - sequences: that every arm trains on in all.
    init(_ written: GymFile.Arm, name: String, fileRows: Int, sequences: Int, fileOptimizer: GymFile.Optimizer, at field: String) throws(GymError) {
        func one<Case: RawRepresentable & CaseIterable>(_ text: String?, _ name: String, _ fallback: Case) throws(GymError) -> Case where Case.RawValue == String {
            guard let text else { return fallback }
            guard let found = Case(rawValue: text) else { throw .field("\(field).\(name)", "there is no “\(text)”; known are \(Case.allCases.map(\.rawValue).joined(separator: ", "))") }
            return found
        }
        func within(_ value: Int, _ range: ClosedRange<Int>, _ name: String) throws(GymError) -> Int {
            guard range.contains(value) else { throw .field("\(field).\(name)", "is \(value), allowed is \(range.lowerBound)…\(range.upperBound)") }
            return value
        }
        func within(_ value: Float, _ range: ClosedRange<Float>, _ name: String) throws(GymError) -> Float {
            guard range.contains(value) else { throw .field("\(field).\(name)", "is \(value), allowed is \(range.lowerBound)…\(range.upperBound)") }
            return value
        }
        guard !name.isEmpty, name.utf8.count <= 40, name.unicodeScalars.allSatisfy({ $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.".unicodeScalars.contains($0)) }), name.first != "." else {
            throw .field("\(field).name", "“\(name)” will name files: use up to 40 letters, digits, -, _ and . only")
        }
        self.name = name
        strategy = try one(written.strategy, "strategy", .adamw)
        workers = strategy == .adamw ? 1 : try within(written.workers ?? 4, 1...256, "workers")
        rows = try within(written.rows ?? fileRows, 1...65_536, "rows")
        guard rows.isMultiple(of: workers) else { throw .field("\(field).rows", "\(rows) sequences of a step cannot be shared evenly by \(workers) workers. Change rows or workers") }
        guard sequences.isMultiple(of: rows) else {
            throw .field("\(field).rows", "all arms train on \(sequences) sequences, which are no whole number of steps of \(rows). Change rows, or the file's steps")
        }
        steps = sequences / rows
        innerSteps = strategy == .diloco ? try within(written.innerSteps ?? 20, 1...1_000_000, "innerSteps") : 1
        delay = try one(written.delay, "delay", .none)
        outerLearningRate = try within(written.outerLearningRate ?? 0.7, 0...10, "outerLearningRate")
        outerMomentum = try within(written.outerMomentum ?? (delay == .none ? 0.9 : 0.5), 0...0.9999, "outerMomentum")
        aggregation = try one(written.aggregation, "aggregation", .mean)
        firstClip = try within(written.firstClip ?? 0.05, 1e-10...1e10, "firstClip")
        innerState = try one(written.innerState, "innerState", .carry)
        let compressors = ["none": TrainingRules.Compressor.none, "int4": .int4], compressorName = written.compressor ?? "none"
        guard let compressor = compressors[compressorName] else {
            throw .field("\(field).compressor", "there is no “\(compressorName)”; known are \(compressors.keys.sorted().joined(separator: ", "))")
        }
        self.compressor = compressor
        rank = try within(written.rank ?? 0, 0...4_096, "rank")
        feedbackDecay = try within(written.feedbackDecay ?? 1, 0...1, "feedbackDecay")
        residualRestart = try within(written.residualRestart ?? 0, 0...1_000_000, "residualRestart")

        let asked = written.optimizer?.over(fileOptimizer) ?? fileOptimizer, usual = OptimizerRules()
        let rate = try within(asked.learningRate ?? usual.learningRate, 0...10, "optimizer.learningRate")
        let warmup = try within(asked.warmupSteps ?? min(100, steps / 10), 0...1_000_000_000, "optimizer.warmupSteps")
        optimizer = OptimizerRules(
            learningRate: rate, minimumLearningRate: try within(asked.minimumLearningRate ?? rate / 10, 0...10, "optimizer.minimumLearningRate"), warmupSteps: warmup,
            decaySteps: try within(asked.decaySteps ?? max(warmup + 1, steps), (warmup + 1)...1_000_000_001, "optimizer.decaySteps"),
            beta1: try within(asked.beta1 ?? usual.beta1, 0...0.99999, "optimizer.beta1"), beta2: try within(asked.beta2 ?? usual.beta2, 0...0.99999, "optimizer.beta2"),
            epsilon: try within(asked.epsilon ?? usual.epsilon, 0...1, "optimizer.epsilon"), weightDecay: try within(asked.weightDecay ?? usual.weightDecay, 0...10, "optimizer.weightDecay"),
            clip: try within(asked.clip ?? usual.clip, 1e-10...1e10, "optimizer.clip"))
    }

    /// The rules as compressors and the outer step know them.
    var rules: TrainingRules {
        func bits(_ value: Float) -> FloatBits { FloatBits(bits: value.bitPattern) }
        return TrainingRules(
            innerSteps: UInt32(innerSteps), segmentSteps: UInt32(innerSteps), rows: UInt32(workerRows), delay: delay == .none ? .none : .continued, compressor: compressor,
            rank: UInt32(rank), feedbackDecay: bits(feedbackDecay), residualRestart: UInt32(residualRestart), outerLearningRate: bits(outerLearningRate),
            outerMomentum: bits(outerMomentum), evaluationFactor: bits(0), firstClip: bits(firstClip), learningRate: bits(optimizer.learningRate),
            minimumLearningRate: bits(optimizer.minimumLearningRate), warmupSteps: UInt32(optimizer.warmupSteps), decaySteps: UInt32(optimizer.decaySteps),
            beta1: bits(optimizer.beta1), beta2: bits(optimizer.beta2), epsilon: bits(optimizer.epsilon), weightDecay: bits(optimizer.weightDecay),
            gradientClip: bits(optimizer.clip), randomBatches: 1, ownBatches: 1, seed: 0)
    }

    /// Everything that an arm's numbers depend on.
    func encode(into encoder: inout CanonicalEncoder) {
        for text in [strategy.rawValue, delay.rawValue, aggregation.rawValue, innerState.rawValue] { encoder.append(text) }
        for number in [workers, rows, steps] { encoder.append(UInt64(number)) }
        rules.encode(into: &encoder)
    }
}
