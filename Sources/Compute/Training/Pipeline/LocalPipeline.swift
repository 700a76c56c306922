import AssayPrimitives
import AssayProtocol
import AssayTensor

/// A pipeline whose stages are threads of this process: for benches, and to see that the number of stages changes no bit.
public final class LocalPipeline: @unchecked Sendable {
    private let stages: [PipelineStage]
    private let compressor: any Compressor

    /// - Parameters:
    ///   - stages: S, at least two, and no more than there are layers.
    ///   - threads: of each stage.
    public init(shape: ModelShape, rules: TrainingRules, stages: Int, threads: Int = 1, path: KernelPath = .current, integers: IntegerUnit? = nil, timeout: Double = 300) throws {
        self.stages = try ModelPart.split(shape, stages: stages).map {
            try PipelineStage(shape: shape, part: $0, rules: rules, kernels: Kernels(path: path, threads: threads, integers: integers), timeout: timeout)
        }
        compressor = try Compressors.make(rules, table: ParameterTable(shape))
    }

    /// Begins a window; the other stages live until the body is done with it.
    public func window<Result>(_ opening: PipelineOpening, batches: @escaping @Sendable (Int) -> Batch, _ body: (PipelineWindow) throws -> Result) throws -> Result {
        let links = (1..<stages.count).map { _ in MemoryLink.pair(stages: stages.count) }
        let others = stages.indices.dropFirst().map { number in
            ComputeThread { [stages] in
                let previous = links[number - 1].1
                do throws(StageError) { try stages[number].follow(previous: previous, next: number < links.count ? links[number].0 : nil) { _ in batches } } catch { try? previous.send(error.message, seconds: 0) }
                previous.close()
                if number < links.count { links[number].0.close() }
            }
        }
        defer {
            links[0].0.close()
            for thread in others { thread.join() }
            stages[0].next = nil
        }
        return try body(try PipelineWindow(stages[0], opening, compressor: compressor, next: links[0].0))
    }
}
