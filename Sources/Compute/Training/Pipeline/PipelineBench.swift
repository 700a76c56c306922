import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// Training steps in stages: how fast, and how much of the stages' time went by waiting.
public struct PipelineBench: Hashable, Sendable, Encodable {
    public let stages, microBatches: Int
    public let tokensPerSecond: Double
    /// Measured: part of all stages' time in which they waited for each other; and (S − 1) ÷ (M + S − 1).
    public let bubbleShare, bubbleShareByFormula: Double
    /// Of each stage, a step.
    public let waitingSeconds: [Double]
}

/// The median of `steps` after three to warm up. With one stage it is `benchTraining` with micro-batches; else each stage is a thread of this process, with `threads` of its own.
public func benchPipeline(shape: ModelShape, rows: Int, stages: Int, microBatches: Int, threads: Int = 1, steps: Int = 12, path: KernelPath = .current) -> PipelineBench {
    var state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)))
    var generator = SeededGenerator(seed: 1, stream: 1)
    let batch = GoldenRun.batch(shape: shape, rows: rows, &generator)
    func rate(_ seconds: [Double]) -> Double { Double(batch.tokens) / seconds.sorted()[seconds.count / 2] }
    guard stages > 1 else {
        let model = Model(shape: shape, rows: rows, microBatches: microBatches, threads: threads, path: path), loop = InnerLoop(shape: shape, rules: OptimizerRules())
        let each = (0..<(max(1, steps) + 3)).map { _ in timed { _ = loop.step(&state, batch: batch, model: model) } }
        return PipelineBench(stages: 1, microBatches: microBatches, tokensPerSecond: rate(Array(each.dropFirst(3))), bubbleShare: 0, bubbleShareByFormula: 0, waitingSeconds: [0])
    }
    var training = BenchRun.rules(steps: steps, segmentSteps: steps, rows: rows, compressor: .none, rank: 1)
    training.microBatches = UInt32(microBatches)
    let start = state.parameters, opening = PipelineOpening(StageOpening(assignment: .zero, trainer: Address(number: 0), window: Window(0), steps: steps, firstStep: 0), parameters: { start.copy(of: $0) })
    var each: [Double] = [], times: [StageTimes] = []
    do {
        try LocalPipeline(shape: shape, rules: training, stages: stages, threads: threads, path: path).window(opening, batches: { _ in batch }) { window in
            var ends: [ContinuousClock.Instant] = []
            _ = try window.train(0..<3, batches: { _ in batch })
            let before = window.times
            _ = try window.train(3..<3 + max(1, steps) + 1, batches: { _ in batch }, progress: { _, _ in ends.append(.now) })
            each = zip(ends, ends.dropFirst()).map { ($1 - $0).inSeconds }
            times = zip(before, window.times).map { StageTimes(whole: $1.whole - $0.whole, waiting: $1.waiting - $0.waiting) }
        }
    } catch { preconditionFailure("stages of one process failed: \(error)") }
    return PipelineBench(
        stages: stages, microBatches: microBatches, tokensPerSecond: rate(each), bubbleShare: StageTimes.bubbleShare(times),
        bubbleShareByFormula: PipelineSchedule.bubbleShare(stages: stages, microBatches: microBatches), waitingSeconds: times.map { $0.waiting / Double(max(1, steps) + 1) })
}
