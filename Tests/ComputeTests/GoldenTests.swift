import AssayCrypto
import AssayPrimitives
import AssayTensor
import AssayTraining
import Testing

/// The bits of whole training runs, committed: a change of any of them is a change of the protocol.
@Suite struct GoldenTests {
    static let tinyRoot = "0x38583d64bf6e4e889bddf56b866079af5ac767aa778f013cbc170c256d6cdae9"
    static let microRoot = "0x4bcbf2a93ee97828f43752c94fadba13dc59b32c33dc11ba359cc9d6f88cb1f9"
    static let microRoot200 = "0x8f6314259b39772f1f71632290e87b965a0e2d89102a9d43b497beb9e883bab7"
    static let raggedRoot = "0xaeb5677ec8c54281e976f8c8e338248cb6c42ccda901f2241c240acc5b7102ac"

    @Test func `fifty steps of the tiny model end on the committed root`() {
        var run = GoldenRun()
        #expect("\(run.root(after: 50))" == Self.tinyRoot)
    }

    @Test(arguments: KernelPath.available, [1, 2, 3])
    func `every path and every number of threads end on one root, after fifty steps and after two hundred`(path: KernelPath, threads: Int) {
        var run = GoldenRun(shape: .micro, threads: threads, path: path)
        #expect("\(run.root(after: 50))" == Self.microRoot)
        #expect("\(run.root(after: 150))" == Self.microRoot200)
    }

    @Test(arguments: KernelPath.available, [1, 2])
    func `a ragged shape with biases ends on one root`(path: KernelPath, threads: Int) {
        let shape = ModelShape(vocabulary: 101, context: 37, width: 42, heads: 3, layers: 2, biases: true)
        var run = GoldenRun(shape: shape, seed: 9, threads: threads, path: path)
        #expect("\(run.root(after: 20))" == Self.raggedRoot)
    }

    static let llamaRoot = "0x1c43a31b4e9000e1cc6de31a962fa4ffff80e8fb0b94c824cba96f5acce4ade7"
    static let llamaIntegerRoot = "0xd8c98a9c08d64cc4c44f2120c9d32efa947ef2b09601c44994268ba70f11616b"
    static let raggedLlamaRoot = "0x57dbd304585c4e2fad1a1d8bc304f62b8dbb4fde4b59ff1f27cc46e72f1c97d3"

    @Test(arguments: KernelPath.available, [1, 2, 3])
    func `a Llama-style model ends on one root on every path and number of threads, in both profiles`(path: KernelPath, threads: Int) {
        var run = GoldenRun(shape: .microLlama, threads: threads, path: path)
        #expect("\(run.root(after: 50))" == Self.llamaRoot)
        var integers = GoldenRun(shape: .microLlama.with(.i8), threads: threads, path: path)
        #expect("\(integers.root(after: 50))" == Self.llamaIntegerRoot)
        let ragged = ModelShape(vocabulary: 101, context: 37, width: 42, heads: 3, layers: 2, style: .llama, hidden: 75, keyValueHeads: 1)
        var uneven = GoldenRun(shape: ragged, seed: 9, threads: threads, path: path)
        #expect("\(uneven.root(after: 20))" == Self.raggedLlamaRoot)
    }

    @Test func `two hundred steps in micro-batches end on the committed roots: in f32 on that of the whole batch, in i8 each on its own`() {
        for microBatches in [1, 2, 4] {
            var floats = GoldenRun(shape: .micro, microBatches: microBatches), integers = GoldenRun(shape: ModelShape.micro.with(.i8), microBatches: microBatches)
            #expect("\(floats.root(after: 200))" == Self.microRoot200)
            #expect("\(integers.root(after: 200))" == PipelineTests.integerRoots[microBatches])
        }
    }

    @Test func `the loss of the golden run falls`() {
        var run = GoldenRun(shape: .micro)
        let first = run.step().loss
        for _ in 0..<300 { run.step() }
        #expect(first > 5.4 && run.step().loss < first - 1)
    }

    @Test func `the first parameters follow the written rule`() {
        let shape = ModelShape.micro, table = ParameterTable(shape), parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1))
        let block = Philox(key: 1).block(2)
        #expect(parameters[9] == Float(Int32(block.1 >> 8) * 2 + 1 - 0x100_0000) * 0x1.1bc77ap-29)
        #expect(table["ln_f.weight"]!.range.allSatisfy { parameters[$0] == 1 })
        let kernels = Kernels(), entry = table["h.0.attn.c_attn.weight"]!
        let deviation = (kernels.sumSquares(entry.count, parameters.pointer + entry.offset) / Double(entry.count)).squareRoot()
        #expect(abs(deviation - 0.02) < 0.001)
    }
}
