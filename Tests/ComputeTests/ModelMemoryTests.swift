import AssayPrimitives
import AssayTensor
import AssayTraining
import TestKit
import Testing

/// What a model holds is what Docs/Kernels.md says, and nothing that it does not need.
@Suite struct ModelMemoryTests {
    private static let shapes = [
        ModelShape(vocabulary: 4_096, context: 16, width: 128, heads: 4, layers: 3, biases: true),
        ModelShape(vocabulary: 4_096, context: 16, width: 128, heads: 4, layers: 3, style: .llama, hidden: 352, keyValueHeads: 2, tied: false),
    ]
    private static let rows = 2
    /// Packing of one thread, and small things: tables, batches, the C library's own rounding.
    private static let packing = 4 << 20, slack = 96 << 10
    private static func batch(_ shape: ModelShape) -> Batch {
        let tokens = (0...(rows * shape.context)).map { UInt16($0 * 31 % shape.vocabulary) }
        return Batch(inputs: Array(tokens.dropLast()), targets: Array(tokens.dropFirst()), rows: rows, context: shape.context)
    }
    private static func forward(_ shape: ModelShape) -> Int {
        let isLlama = shape.style == .llama, wide = isLlama ? 3 : 2, statistics = isLlama ? 2 : 4
        let floats = shape.layers * (8 * shape.width + wide * shape.hidden + 2 * shape.heads + statistics) + 2 * shape.width + (isLlama ? 2 : 3) + shape.vocabulary
        return 4 * (rows * shape.context * floats + (isLlama ? shape.context * shape.headSize : 0))
    }
    private static func backward(_ shape: ModelShape) -> Int { 4 * rows * shape.context * (5 * shape.width + (shape.style == .llama ? 2 : 1) * shape.hidden) }

    @Test(arguments: shapes)
    func `a trainer's step holds sixteen bytes a parameter, and its activations`(shape: ModelShape) throws {
        let count = ParameterTable(shape).count, batch = Self.batch(shape)
        let peak = Allocations.peak {
            var state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)))
            let model = Model(shape: shape, rows: Self.rows), loop = InnerLoop(shape: shape, rules: OptimizerRules())
            for _ in 0..<2 { _ = loop.step(&state, batch: batch, model: model) }
        }
        guard let peak else { return }                           // nothing counts allocations here
        let expected = 16 * count + Self.forward(shape) + Self.backward(shape) + Self.packing
        #expect((expected...(expected + Self.slack)).contains(peak), "\(peak) bytes for \(count) parameters, \(expected) were expected")
    }

    @Test(arguments: shapes)
    func `a model that only judges holds its parameters and the forward pass`(shape: ModelShape) {
        let count = ParameterTable(shape).count, batch = Self.batch(shape)
        let peak = Allocations.peak {
            let parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1))
            _ = Model(shape: shape, rows: Self.rows).tokenLosses(parameters, batch)
        }
        guard let peak else { return }
        let expected = 4 * count + Self.forward(shape) + Self.packing
        #expect((expected...(expected + Self.slack)).contains(peak), "\(peak) bytes for \(count) parameters, \(expected) were expected")
    }
}
