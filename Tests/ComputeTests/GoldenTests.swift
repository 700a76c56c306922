import AssayCrypto
import AssayPrimitives
import AssayTensor
import AssayTraining
import Testing

/// The bits of whole training runs, committed: a change of any of them is a change of the protocol.
@Suite struct GoldenTests {
    static let tinyRoot = "0x8c0d244922df17d4b2d4889fa16f3269a679169f41d780fd9ac99061b000d3d1"
    static let microRoot = "0xbef2c0c30455bb8bbdf8fd9075073a0abfe7c335322eea74564e7b3ddbaca62b"
    static let microRoot200 = "0x3a2ad7f393a903f81b74a6c5d78fc52653f901ad4aebe525e4c8f599457bb1a6"
    static let raggedRoot = "0x56d97228f2d73e5127ce138f8e622d90c54ff8c697708ca2459e6302251e808a"

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

    static let llamaRoot = "0xf95ef0608640db8b0bbebffbbcea7e8e9cd1c320292756364f1c9c3dd526ad45"
    static let llamaIntegerRoot = "0x1609a46fa4e003675f1ecb009b0bf8c7bbf25d8cd477e623e6fce35a6dbefaa0"
    static let raggedLlamaRoot = "0xdbb10d53b1ceba35361ee6d957763ea8178787236cb06958f6ee47ac1239fbd7"

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

    @Test func `the first parameters follow the written rule`() throws {
        let shape = ModelShape.micro, table = ParameterTable(shape), parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1))
        let block = Philox(key: 1).block(2)
        #expect(parameters[9] == Float(Int32(block.1 >> 8) * 2 + 1 - 0x100_0000) * 0x1.1bc77ap-29)
        #expect(table["ln_f.weight"]!.range.allSatisfy { parameters[$0] == 1 })
        let kernels = Kernels(), width = Double(shape.width), layers = Double(shape.layers)
        for (name, expected) in [("wte.weight", 0.02), ("h.0.attn.c_attn.weight", 1 / width.squareRoot()), ("h.1.mlp.c_fc.weight", 1 / width.squareRoot()), ("h.1.mlp.c_proj.weight", 0.02 / (2 * layers).squareRoot())] {
            let entry = try #require(table[name])
            let deviation = (kernels.sumSquares(entry.count, parameters.pointer + entry.offset) / Double(entry.count)).squareRoot()
            #expect(abs(deviation / expected - 1) < 0.05, "\(name)")
        }
    }
}
