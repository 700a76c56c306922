import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// A run that exists to be measured: a shape by name, made tokens, and the localnet's rules but for what is asked.
public struct BenchRun: Sendable {
    public let shape: ModelShape
    public let rules: TrainingRules
    public let corpus: Corpus

    public init(shape of: BenchShape, profile: NumericsProfile, steps: Int, segmentSteps: Int, compressor: TrainingRules.Compressor, rank: Int) {
        let shape = of.shape, bytesOfTokens = UInt64(min(256, shape.vocabulary))
        self.shape = shape.with(profile)
        rules = BenchRun.rules(steps: steps, segmentSteps: segmentSteps, rows: of.rows, compressor: compressor, rank: rank)
        var generator = SeededGenerator(seed: 1)
        let bytes = (0..<400 * (shape.context + 1)).map { _ in UInt8(generator.below(bytesOfTokens)) }
        do { corpus = try Corpus(bytes, context: shape.context) } catch { preconditionFailure("made tokens are no corpus: \(error)") }
    }

    /// The localnet's, but for these.
    static func rules(steps: Int, segmentSteps: Int, rows: Int, compressor: TrainingRules.Compressor, rank: Int) -> TrainingRules {
        func bits(_ value: Float) -> FloatBits { FloatBits(bits: value.bitPattern) }
        return TrainingRules(
            innerSteps: UInt32(steps), segmentSteps: UInt32(segmentSteps), rows: UInt32(rows), delay: .continued, compressor: compressor, rank: UInt32(rank),
            feedbackDecay: bits(1), residualRestart: 0, outerLearningRate: bits(0.7), outerMomentum: bits(0.5), evaluationFactor: bits(0.25), firstClip: bits(0.05),
            learningRate: bits(1e-3), minimumLearningRate: bits(1e-4), warmupSteps: 20, decaySteps: 2_000, beta1: bits(0.9), beta2: bits(0.99), epsilon: bits(1e-8),
            weightDecay: bits(0.1), gradientClip: bits(1), randomBatches: 1, ownBatches: 1, seed: 1)
    }

    public func trainer(threads: Int) throws -> WindowTrainer { try WindowTrainer(shape: shape, rules: rules, corpus: corpus, threads: threads) }
    public var first: FloatBuffer { InnerLoop.initialParameters(shape: shape, philox: Philox(key: rules.seed)) }
    public static let address = Address(number: 1)

    /// What a window starts from.
    public func opening(_ window: UInt64, _ parameters: FloatBuffer, ownPayload: [UInt8]? = nil, residual: FloatBuffer? = nil) -> WindowOpening {
        WindowOpening(window: Window(window), trainer: BenchRun.address, assignment: Digest.tagged("assay/bench/window/1") { $0.append(window) }, parameters: parameters,
                      ownPayload: ownPayload, residual: residual)
    }
}
