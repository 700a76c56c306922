import AssayCrypto
import AssayPrimitives
import AssayTensor

/// A short training run that needs no data: what every machine, path and number of threads must agree on to the bit.
///
/// θ(0) is from Philox(key: seed, stream: 0). Tokens are from Philox(key: seed, stream: 1): a sequence begins with a draw below the vocabulary, then
/// t′ = (5·t + 17 + a draw below 4) mod vocabulary; sequence after sequence, step after step. The optimizer's rules are the defaults.
public struct GoldenRun {
    public static let rows = 4
    public let model: Model
    public private(set) var state: InnerState
    private let loop: InnerLoop
    private var generator: SeededGenerator

    public init(shape: ModelShape = .tiny, seed: UInt64 = 1, microBatches: Int = 1, threads: Int = 1, path: KernelPath = .current, integers: IntegerUnit? = nil) {
        model = Model(shape: shape, rows: GoldenRun.rows, microBatches: microBatches, threads: threads, path: path, integers: integers)
        state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: seed)))
        loop = InnerLoop(shape: shape, rules: OptimizerRules())
        generator = SeededGenerator(seed: seed, stream: 1)
    }

    @discardableResult public mutating func step() -> StepResult { loop.step(&state, batch: nextBatch(), model: model) }

    /// θ_root after `steps` more steps.
    public mutating func root(after steps: Int) -> Digest {
        for _ in 0..<steps { step() }
        return state.parameters.withUnsafeBytes { Blob.root($0) }
    }

    private mutating func nextBatch() -> Batch {
        GoldenRun.batch(shape: model.shape, rows: GoldenRun.rows, &generator)
    }

    package static func batch(shape: ModelShape, rows: Int, _ generator: inout SeededGenerator) -> Batch {
        var inputs: [UInt16] = [], targets: [UInt16] = []
        let vocabulary = UInt64(shape.vocabulary)
        for _ in 0..<rows {
            var token = generator.below(vocabulary)
            for _ in 0..<shape.context {
                inputs.append(UInt16(token))
                token = (5 * token + 17 + generator.below(4)) % vocabulary
                targets.append(UInt16(token))
            }
        }
        return Batch(inputs: inputs, targets: targets, rows: rows, context: shape.context)
    }
}
