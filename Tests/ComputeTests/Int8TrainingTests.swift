import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

/// Whole training runs in profile i8.
@Suite struct Int8TrainingTests {
    static let tinyRoot = "0xf5f659239f6056004a7e7b1f8773dca3bfbd7112e4047213ae88f1207b6364b0"
    static let microRoot = "0x6fb368d80a27dcce9100e68dfffe72d418146c99a640fd9d58f45dd7c2b09537"
    static let raggedRoot = "0xa7a6a40d6ed85d698c87a626707d78c406cc795485f18b4168d15db281f98043"

    @Test func `fifty steps of the tiny model end on the committed root`() {
        var run = GoldenRun(shape: .tiny.with(.i8))
        #expect("\(run.root(after: 50))" == Self.tinyRoot)
    }

    @Test(arguments: IntegerPath.all, [1, 2])
    func `every unit and every number of threads end on one root after 200 steps`(path: IntegerPath, threads: Int) {
        var run = GoldenRun(shape: .micro.with(.i8), threads: threads, path: path.path, integers: path.unit)
        #expect("\(run.root(after: 200))" == Self.microRoot)
    }

    @Test(arguments: IntegerPath.all, [1, 2])
    func `a ragged shape with biases ends on one root`(path: IntegerPath, threads: Int) {
        let shape = ModelShape(vocabulary: 101, context: 37, width: 42, heads: 3, layers: 2, biases: true, profile: .i8)
        var run = GoldenRun(shape: shape, seed: 9, threads: threads, path: path.path, integers: path.unit)
        #expect("\(run.root(after: 20))" == Self.raggedRoot)
    }

    @Test func `the loss follows that of f32`() {
        var floats = GoldenRun(shape: .micro), integers = GoldenRun(shape: .micro.with(.i8))
        var gap: Float = 0, last: (Float, Float) = (0, 0)
        for step in 0..<400 {
            last = (floats.step().loss, integers.step().loss)
            if step >= 300 { gap += (last.1 - last.0) / 100 }
        }
        #expect(last.0 < 4.4 && abs(gap) < 0.02, "f32 \(last.0), i8 \(last.1), gap \(gap)")
        #expect(last.0 != last.1)
    }

    @Test func `what is not finite makes the step count and change nothing`() {
        let shape = ModelShape.micro.with(.i8), model = Model(shape: shape, rows: 2)
        var state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 3)))
        state.parameters[model.table["h.1.mlp.c_fc.weight"]!.offset + 70] = .nan
        let before = state.copy(), tokens = (0..<65).map { UInt16($0 * 31 % 256) }
        let batch = Batch(inputs: Array(tokens.prefix(64)), targets: Array(tokens.suffix(64)), rows: 2, context: 32)
        let result = InnerLoop(shape: shape, rules: OptimizerRules()).step(&state, batch: batch, model: model)
        #expect(result.skipped && state.step == before.step + 1)
        #expect(state.m == before.m && state.v == before.v && state.parameters == before.parameters)
    }

    @Test func `the profile is part of the rules`() throws {
        let floats = ModelRules(name: "x", vocabulary: 256, context: 32, width: 32, heads: 2, layers: 2, biases: false)
        var integers = floats
        integers.profile = .i8
        #expect(try ModelShape(floats).profile == .f32 && ModelShape(integers).profile == .i8)
        var bytes = integers.canonicalBytes
        #expect(bytes != floats.canonicalBytes)
        #expect(try ModelRules(canonicalBytes: bytes) == integers)
        bytes[bytes.count - 1] = 2
        #expect(throws: DecodingError.invalidValue(field: "profile", value: 2)) { try ModelRules(canonicalBytes: bytes) }
    }
}
