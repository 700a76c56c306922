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
    let rules = OptimizerRules()
    var state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)))
    var generator = SeededGenerator(seed: 1, stream: 1)
    let batch = GoldenRun.batch(shape: shape, rows: rows, &generator)
    func rate(_ seconds: [Double]) -> Double { Double(batch.tokens) / seconds.sorted()[seconds.count / 2] }
    guard stages > 1 else {
        let model = Model(shape: shape, rows: rows, microBatches: microBatches, threads: threads, path: path), loop = InnerLoop(shape: shape, rules: rules)
        let each = (0..<(max(1, steps) + 3)).map { _ in timed { _ = loop.step(&state, batch: batch, model: model) } }
        return PipelineBench(stages: 1, microBatches: microBatches, tokensPerSecond: rate(Array(each.dropFirst(3))), bubbleShare: 0, bubbleShareByFormula: 0, waitingSeconds: [0])
    }
    let pipeline = LocalPipeline(shape: shape, rows: rows, microBatches: microBatches, rules: rules, stages: stages, threads: threads, path: path)
    func run(_ steps: Int) -> [Double] {
        var ends: [ContinuousClock.Instant] = []
        let order = StageOrder(assignment: .zero, trainer: Address(number: 0), window: Window(0), steps: 0..<steps, from: state)
        do { _ = try pipeline.run(&state, order, batches: { _ in batch }, progress: { _, _ in ends.append(.now) }) } catch { preconditionFailure("stages of one process failed: \(error)") }
        return zip(ends, ends.dropFirst()).map { ($1 - $0).inSeconds }
    }
    _ = run(3)
    let each = run(max(1, steps) + 1)
    return PipelineBench(
        stages: stages, microBatches: microBatches, tokensPerSecond: rate(each), bubbleShare: StageTimes.bubbleShare(pipeline.times),
        bubbleShareByFormula: PipelineSchedule.bubbleShare(stages: stages, microBatches: microBatches), waitingSeconds: pipeline.times.map { $0.waiting / Double(max(1, steps) + 1) })
}
