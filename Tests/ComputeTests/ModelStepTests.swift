import AssayPrimitives
import AssayTensor
import AssayTraining
import Testing

@Suite struct ModelStepTests {
    private let shape = ModelShape.micro
    private var batch: Batch {
        let tokens = (0..<65).map { UInt16($0 * 31 % 256) }
        return Batch(inputs: Array(tokens.prefix(64)), targets: Array(tokens.suffix(64)), rows: 2, context: 32)
    }
    private func state() -> InnerState { InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 3))) }

    @Test func `a step whose loss is not finite changes nothing and counts`() {
        var state = state()
        state.parameters[100] = .infinity
        let before = state.copy()
        let result = InnerLoop(shape: shape, rules: OptimizerRules()).step(&state, batch: batch, model: Model(shape: shape, rows: 2))
        #expect(result.skipped)
        #expect(state.step == before.step + 1)
        #expect(state.parameters == before.parameters && state.m == before.m && state.v == before.v)
        #expect(state.stepsSinceReset == 0 && state.beta1Power == 1)
    }

    @Test func `the mean of the token losses is the loss, and one sequence is judged alone as in company`() {
        let model = Model(shape: shape, rows: 2), parameters = state().parameters
        let losses = model.tokenLosses(parameters, batch)
        #expect(losses.count == 64)
        #expect(abs(losses.reduce(0, +) / 64 - model.loss(parameters, batch)) < 1e-5)
        let alone = Batch(inputs: Array(batch.inputs.suffix(32)), targets: Array(batch.targets.suffix(32)), rows: 1, context: 32)
        #expect(model.tokenLosses(parameters, alone) == Array(losses.suffix(32)))
    }

    @Test func `a model that is used again gives the same bits`() {
        let model = Model(shape: shape, rows: 2), parameters = state().parameters
        let first = FloatBuffer(count: parameters.count), second = FloatBuffer(count: parameters.count)
        let loss = model.lossAndGradient(parameters, batch, into: first)
        _ = model.tokenLosses(InnerLoop.initialParameters(shape: shape, philox: Philox(key: 4)), batch)
        #expect(model.lossAndGradient(parameters, batch, into: second).bitPattern == loss.bitPattern)
        #expect(first == second)
        #expect(model.loss(parameters, batch).bitPattern == loss.bitPattern)
    }

    @Test func `the schedule warms up, follows a half cosine and stays at the minimum`() {
        let rules = OptimizerRules()
        #expect(rules.rate(at: 0) == 1e-3 / 100)
        #expect(rules.rate(at: 99) == 1e-3)
        #expect(rules.rate(at: 100) == 1e-3)
        #expect(abs(rules.rate(at: 1_050) - 5.5e-4) < 1e-9)
        #expect(rules.rate(at: 2_000) == 1e-4 && rules.rate(at: .max) == 1e-4)
    }

    @Test func `a shape that cannot be is refused by name`() {
        #expect(throws: ModelShapeError.headsDoNotDivideWidth(width: 32, heads: 3)) {
            try ModelShape(.init(name: "x", vocabulary: 256, context: 32, width: 32, heads: 3, layers: 1, biases: false))
        }
        #expect(throws: ModelShapeError.outOfRange("context", 0, 1...4_096)) {
            try ModelShape(.init(name: "x", vocabulary: 256, context: 0, width: 32, heads: 2, layers: 1, biases: false))
        }
    }

    @Test func `floats go to bytes and back, and a broken length is refused`() throws {
        let buffer = FloatBuffer([1, -0.0, .infinity, 0x1p-149])
        #expect(try FloatBuffer(littleEndianBytes: buffer.littleEndianBytes()) == buffer)
        #expect(FloatBuffer([0]) != FloatBuffer([-0.0]))
        #expect(throws: FloatBufferError.notWholeFloats(byteCount: 5)) { try FloatBuffer(littleEndianBytes: [1, 2, 3, 4, 5] as [UInt8]) }
    }
}
