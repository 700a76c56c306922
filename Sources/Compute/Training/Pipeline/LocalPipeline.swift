import AssayPrimitives
import AssayProtocol
import AssayTensor

/// A pipeline whose stages are threads of this process: for benches, and to see that the number of stages changes no bit.
public final class LocalPipeline: @unchecked Sendable {
    public let shape: ModelShape
    private let stages: [PipelineStage]
    /// Where time went in the last run.
    public private(set) var times: [StageTimes] = []

    /// - Parameters:
    ///   - stages: S, at least two, and no more than there are layers.
    ///   - threads: of each stage.
    public init(shape: ModelShape, rows: Int, microBatches: Int, rules: OptimizerRules, stages: Int, threads: Int = 1, path: KernelPath = .current, integers: IntegerUnit? = nil, timeout: Double = 300) {
        self.shape = shape
        self.stages = ModelPart.split(shape, stages: stages).map {
            PipelineStage(shape: shape, part: $0, rows: rows, microBatches: microBatches, rules: rules, kernels: Kernels(path: path, threads: threads, integers: integers), timeout: timeout)
        }
    }

    public func run(
        _ state: inout InnerState, _ order: StageOrder, batches: @escaping @Sendable (Int) -> Batch, progress: (Int, Float) -> Void = { _, _ in }
    ) throws(StageError) -> Float {
        let links = (1..<stages.count).map { _ in MemoryLink.pair(stages: stages.count) }
        let others = stages.indices.dropFirst().map { number in
            ComputeThread { [stages] in
                let previous = links[number - 1].1
                do throws(StageError) { try stages[number].follow(previous: previous, next: number < links.count ? links[number].0 : nil) { _ in batches } } catch { try? previous.send(error.message, seconds: stages[number].timeout) }
                previous.close()
                if number < links.count { links[number].0.close() }
            }
        }
        defer {
            links[0].0.close()
            for thread in others { thread.join() }
        }
        let (loss, times) = try stages[0].lead(&state, order, next: links[0].0, batches: batches, progress: progress)
        self.times = times
        return loss
    }
}

extension LocalPipeline: InnerEngine {
    public func run(_ state: inout InnerState, steps: Range<Int>, shard: Shard, progress: (Int, Float) -> Void) throws(StageError) -> Float {
        try run(&state, StageOrder(shard, steps: steps, from: state), batches: { shard.batch(step: $0) }, progress: progress)
    }
}
