import AssayPrimitives
import AssayTensor
import AssayTraining
import TestKit
import Testing

/// What a model holds is what Docs/Kernels.md says, and nothing that it does not need.
@Suite struct ModelMemoryTests {
    private static let shape = ModelShape(vocabulary: 4_096, context: 16, width: 128, heads: 4, layers: 3, biases: true)
    private static let rows = 2
    /// Packing of one thread, and small things: tables, batches, the C library's own rounding.
    private static let packing = 4 << 20, slack = 96 << 10
    private static var batch: Batch {
        let tokens = (0...(rows * shape.context)).map { UInt16($0 * 31 % shape.vocabulary) }
        return Batch(inputs: Array(tokens.dropLast()), targets: Array(tokens.dropFirst()), rows: rows, context: shape.context)
    }
    private static let forward = 4 * rows * shape.context * (shape.layers * (16 * shape.width + 2 * shape.heads + 4) + 2 * shape.width + 3 + shape.vocabulary)
    private static let backward = 4 * rows * shape.context * 9 * shape.width

    @Test func `a trainer's step holds sixteen bytes a parameter, and its activations`() throws {
        let count = ParameterTable(Self.shape).count, batch = Self.batch
        let peak = peakAllocation {
            var state = InnerState(parameters: InnerLoop.initialParameters(shape: Self.shape, philox: Philox(key: 1)))
            let model = Model(shape: Self.shape, rows: Self.rows), loop = InnerLoop(shape: Self.shape, rules: OptimizerRules())
            for _ in 0..<2 { _ = loop.step(&state, batch: batch, model: model) }
        }
        guard let peak else { return }                           // nothing counts allocations here
        let expected = 16 * count + Self.forward + Self.backward + Self.packing
        #expect((expected...(expected + Self.slack)).contains(peak), "\(peak) bytes for \(count) parameters, \(expected) were expected")
    }

    @Test func `a model that only judges holds its parameters and the forward pass`() {
        let count = ParameterTable(Self.shape).count, batch = Self.batch
        let peak = peakAllocation {
            let parameters = InnerLoop.initialParameters(shape: Self.shape, philox: Philox(key: 1))
            _ = Model(shape: Self.shape, rows: Self.rows).tokenLosses(parameters, batch)
        }
        guard let peak else { return }
        let expected = 4 * count + Self.forward + Self.packing
        #expect((expected...(expected + Self.slack)).contains(peak), "\(peak) bytes for \(count) parameters, \(expected) were expected")
    }
}
