import AssayAudit
import AssayCrypto
import AssayPrimitives
import AssayProtocol
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
    private static let packing = 5 << 20, slack = 96 << 10
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

    private static let rules: TrainingRules = {
        var rules = SmallRun().rules
        (rules.innerSteps, rules.segmentSteps, rules.rows, rules.compressor, rules.rank) = (4, 2, UInt32(rows), .lowRankInt4, 4)
        return rules
    }()
    private static func trainer(_ shape: ModelShape) throws -> WindowTrainer {
        try WindowTrainer(shape: shape, rules: rules, corpus: try Corpus((0..<4_000).map { UInt8(truncatingIfNeeded: $0 * 31) }, context: shape.context), threads: 1)
    }
    private static func opening(_ shape: ModelShape, ownPayload: [UInt8]? = nil, residual: FloatBuffer? = nil) -> WindowOpening {
        WindowOpening(window: Window(1), trainer: Address(number: 1), assignment: .zero, parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)), ownPayload: ownPayload, residual: residual)
    }

    /// θ(w), s that becomes δ and then the residual, θ′, m, v, the gradient, the old residual, and the decoded payload: eight floats a parameter, where 36 bytes are allowed.
    @Test(arguments: shapes)
    func `a whole window with delay and residual holds thirty-two bytes a parameter, and its activations`(shape: ModelShape) throws {
        let count = ParameterTable(shape).count, first = try Self.trainer(shape).train(Self.opening(shape))
        let peak = try Allocations.peak {
            let trainer = try Self.trainer(shape)
            _ = try trainer.train(Self.opening(shape, ownPayload: first.payload, residual: first.residual.copy()))
        }
        guard let peak else { return }
        let expected = 32 * count + Self.forward(shape) + Self.backward(shape) + Self.packing + first.payload.count
        #expect(peak <= expected + 3 * Self.slack, "\(Double(peak - Self.forward(shape) - Self.backward(shape) - Self.packing) / Double(count)) bytes a parameter")
        #expect(peak > 28 * count)
    }

    /// θ(w), the served bytes, and θ, m, v and the gradient from them: 4 + 12 + 16.
    @Test(arguments: shapes)
    func `a replay from a served state holds thirty-two bytes a parameter, and its activations`(shape: ModelShape) throws {
        let count = ParameterTable(shape).count, trainer = try Self.trainer(shape), result = try trainer.train(Self.opening(shape)), served = try trainer.state(at: 1, of: Self.opening(shape)).blob
        let reveal = Reveal(parametersRoot: .zero, payloadRoot: result.payloadRoot, trajectoryRoot: result.trajectory.root, residualIn: .zero, residualOut: result.residualRoot, steps: 4, salt: .zero)
        let draw = ReplayDraw(trainer: Address(number: 1), window: Window(1), segment: 1, withCompression: false)
        var verdict: ReplayFact.Verdict?
        let peak = try Allocations.peak {
            let bytes = served.map { $0 &+ 0 }
            verdict = try Replay(try Self.trainer(shape)).replay(draw, opening: Self.opening(shape), served: bytes, trajectory: result.trajectory, reveal: reveal, validator: Address(number: 2)).fact.verdict
        }
        #expect(verdict == .equal)
        guard let peak else { return }
        let expected = 32 * count + Self.forward(shape) + Self.backward(shape) + Self.packing
        #expect(peak <= expected + 3 * Self.slack, "\(Double(peak - Self.forward(shape) - Self.backward(shape) - Self.packing) / Double(count)) bytes a parameter")
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
