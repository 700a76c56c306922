import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

/// Whole training runs in profile i8.
@Suite struct Int8TrainingTests {
    static let tinyRoot = "0xfac8057fc1baf1c69c1a06deb3953fe8ec480fd06a7745a609251a422bbbe520"
    static let microRoot = "0xe436e0493ddc2552d794553bb794c946fb2d534a8445d5b912e016250eeccd85"
    static let raggedRoot = "0x2ce025b501b405f043fd0eba9af1915c1849ea63901d0155a35336c9d4f406b1"

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
