import AssayAudit
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayScoring
import AssayTensor
import AssayTraining

/// A run small enough for a test: the micro model, ten inner steps in segments of two, on a text made here.
struct SmallRun {
    var rules = SmallRun.rules
    let corpus = SmallRun.corpus

    /// Few words in a seeded order: there is something to learn.
    static let text: [UInt8] = {
        let words = ["gold", "silver", "is", "the", "fire", "tests", "weigh", "it", "and", "pure"]
        var generator = SeededGenerator(seed: 7)
        var text: [UInt8] = []
        while text.count < 20_000 { text += Array((words[Int(generator.below(UInt64(words.count)))] + " ").utf8) }
        return text
    }()
    static let corpus = try! Corpus(text, context: 32)

    static func bits(_ value: Float) -> FloatBits { FloatBits(bits: value.bitPattern) }
    static let rules = TrainingRules(
        innerSteps: 10, segmentSteps: 2, rows: 2, delay: .continued, compressor: .int4, rank: 0, feedbackDecay: bits(1), residualRestart: 8,
        outerLearningRate: bits(0.7), outerMomentum: bits(0.5), evaluationFactor: bits(0.25), firstClip: bits(0.05), learningRate: bits(3e-3),
        minimumLearningRate: bits(3e-4), warmupSteps: 5, decaySteps: 1_000, beta1: bits(0.9), beta2: bits(0.99), epsilon: bits(1e-8),
        weightDecay: bits(0.1), gradientClip: bits(1), randomBatches: 4, ownBatches: 2, seed: 1)

    var genesis: Genesis {
        Genesis(
            name: "small", time: Instant(0), validators: [], accounts: [],
            model: ModelRules(name: "micro", vocabulary: 256, context: 32, width: 32, heads: 2, layers: 2, biases: false), training: rules,
            run: RunRules(windowMilliseconds: 1_000, windows: 0, trainersToStart: 1, lookBack: 2, maturity: 6, scorers: 2, replayers: 2, replayFloor: 100_000,
                          aggregateLimit: 64, emission: U256(1 as UInt64), trainerMinimumStake: U256(1 as UInt64), validatorMinimumStake: U256(1 as UInt64), unbondingMilliseconds: 0),
            dataRoot: Blob.root(SmallRun.text), dataBytes: UInt64(SmallRun.text.count), parametersRoot: .zero)
    }

    static func digest(_ text: String) -> Digest { Digest.tagged(text) { _ in } }
    static let initial = InnerLoop.initialParameters(shape: .micro, philox: Philox(key: 1))
    static let table = ParameterTable(.micro)
    static let validator = Address(number: 900)

    func trainer(threads: Int = 1, path: KernelPath = .current) throws -> WindowTrainer {
        try WindowTrainer(genesis: genesis, corpus: corpus, threads: threads, path: path)
    }
    func outer(path: KernelPath = .current) -> OuterStep { OuterStep(rules: rules, table: SmallRun.table, path: path) }

    func opening(_ window: UInt64 = 0, trainer: UInt64 = 1, parameters: FloatBuffer = SmallRun.initial, ownPayload: [UInt8]? = nil, residual: FloatBuffer? = nil) -> WindowOpening {
        WindowOpening(window: Window(window), trainer: Address(number: trainer), assignment: SmallRun.digest("assignment \(window)"), parameters: parameters,
                      ownPayload: ownPayload, residual: residual)
    }

    /// What a trainer shows of a result.
    func reveal(_ result: WindowResult, residualIn: Digest = .zero, steps: Int? = nil) -> Reveal {
        Reveal(parametersRoot: .zero, payloadRoot: result.payloadRoot, trajectoryRoot: result.trajectory.root, residualIn: residualIn,
               residualOut: result.residualRoot, steps: UInt32(steps ?? result.steps), salt: .zero)
    }
}

/// Floats between −1 and 1 by seed.
func randomFloats(_ count: Int, seed: UInt64) -> FloatBuffer {
    var generator = SeededGenerator(seed: seed)
    return FloatBuffer((0..<count).map { _ in Float(Int64(generator.below(2_000_001)) - 1_000_000) * 1e-6 })
}
