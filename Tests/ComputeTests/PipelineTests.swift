import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

/// Micro-batches and stages: the bits of whole runs, whoever computes which layers.
@Suite struct PipelineTests {
    static let shapes = [
        ModelShape(vocabulary: 101, context: 19, width: 36, heads: 2, layers: 4, biases: true),
        ModelShape(vocabulary: 101, context: 19, width: 36, heads: 2, layers: 4, style: .llama, hidden: 75, keyValueHeads: 1, tied: false),
        ModelShape(vocabulary: 67, context: 11, width: 24, heads: 2, layers: 3, biases: false, tied: false),
        ModelShape(vocabulary: 67, context: 11, width: 24, heads: 2, layers: 3, style: .llama, hidden: 40, tied: true),
    ]

    /// A run's batches are drawn before it, so that any stage may ask for any step.
    private static func batches(_ shape: ModelShape, seed: UInt64, steps: Int) -> [Batch] {
        var generator = SeededGenerator(seed: seed, stream: 1)
        return (0..<steps).map { _ in GoldenRun.batch(shape: shape, rows: GoldenRun.rows, &generator) }
    }
    /// The golden run's optimizer, as the rules of a run.
    private static func rules(steps: Int, microBatches: Int) -> TrainingRules {
        var rules = SmallRun.rules
        (rules.innerSteps, rules.rows, rules.microBatches, rules.compressor) = (UInt32(steps), UInt32(GoldenRun.rows), UInt32(microBatches), .none)
        (rules.learningRate, rules.minimumLearningRate, rules.warmupSteps, rules.decaySteps) = (SmallRun.bits(1e-3), SmallRun.bits(1e-4), 100, 2_000)
        return rules
    }
    /// Steps in two segments from these parameters. - Returns: the state after them, and the digest that was put together of the parts.
    private static func piped(_ shape: ModelShape, from parameters: FloatBuffer, batches: [Batch], stages: Int, microBatches: Int, threads: Int = 1, path: KernelPath = .current) throws -> (state: InnerState, digest: Digest) {
        let steps = batches.count, pipeline = try LocalPipeline(shape: shape, rules: rules(steps: steps, microBatches: microBatches), stages: stages, threads: threads, path: path)
        let opening = PipelineOpening(StageOpening(assignment: .zero, trainer: Address(number: 1), window: Window(0), steps: steps, firstStep: 0), parameters: { parameters.copy(of: $0) })
        return try pipeline.window(opening, batches: { batches[$0] }) { window in
            for segment in 0..<2 { _ = try window.train(segment * steps / 2..<(segment + 1) * steps / 2, batches: { batches[$0] }) }
            var blob: [UInt8] = []
            try window.give { blob += $0 }
            return (try InnerState(blob: blob, count: parameters.count), window.digest)
        }
    }
    private static func piped(_ shape: ModelShape, seed: UInt64 = 1, stages: Int, microBatches: Int, threads: Int = 1, path: KernelPath = .current, steps: Int) throws -> Digest {
        let (state, digest) = try piped(
            shape, from: InnerLoop.initialParameters(shape: shape, philox: Philox(key: seed)), batches: batches(shape, seed: seed, steps: steps), stages: stages, microBatches: microBatches, threads: threads, path: path)
        #expect(state.digest == digest)
        return state.parameters.blobRoot
    }

    // MARK: Micro-batches

    /// In f32 a gradient's chains go on from micro-batch to micro-batch as they do within one, so their number changes no bit. In i8 each has scales of its own.
    static let llamaRoot200 = "0xf2459c9de6b18017a23cdb88e5d1e67ae134b8a2794bc00f57744e305110b5a1"
    static let integerRoots = [
        1: "0x6fb368d80a27dcce9100e68dfffe72d418146c99a640fd9d58f45dd7c2b09537",
        2: "0xef1ed42ac302d66d9993079e8602419affbfc067aceca650df9cd4cbefceb076",
        4: "0xce49290fecb9bb5a89c5e4ade9b57d1b6bd2c20be377bcd9b60b739cc52a1a09",
    ]
    static let llamaIntegerRoots = [
        1: "0x3117ccda27a0ec200cbc5cd8e226a34a8c769d03ee78a2a9768ae26d1d3cef07",
        2: "0xb969240d47716d4f2f236adda0182b8416ff7b4727da2959855671f350b5450f",
        4: "0xd310b3233b774cf4a46633c7b4179a70a3ca28b2babd1d2ba7588a4c940877a8",
    ]
    static let committed: [(shape: ModelShape, roots: [Int: String])] = [
        (.micro, [1: GoldenTests.microRoot200, 2: GoldenTests.microRoot200, 4: GoldenTests.microRoot200]), (ModelShape.micro.with(.i8), integerRoots),
        (.microLlama, [1: llamaRoot200, 2: llamaRoot200, 4: llamaRoot200]), (ModelShape.microLlama.with(.i8), llamaIntegerRoots),
    ]

    @Test(arguments: KernelPath.available, [1, 2])
    func `two hundred steps in any number of micro-batches and stages end on the committed root, on every path and number of threads`(path: KernelPath, threads: Int) throws {
        for (shape, roots) in Self.committed {
            for (microBatches, root) in roots.sorted(by: { $0.key < $1.key }) {
                var whole = GoldenRun(shape: shape, microBatches: microBatches, threads: threads, path: path)
                #expect("\(whole.root(after: 200))" == root, "\(shape.style.name) \(shape.profile) M = \(microBatches)")
                let piped = try Self.piped(shape, stages: 2, microBatches: microBatches, threads: threads, path: path, steps: 200)
                #expect("\(piped)" == root, "S = 2, \(shape.style.name) \(shape.profile) M = \(microBatches)")
            }
        }
    }

    @Test(arguments: PipelineTests.shapes, [NumericsProfile.f32, .i8])
    func `any number of stages ends on the root of one, tied or not, with biases or without`(shape: ModelShape, profile: NumericsProfile) throws {
        let shape = shape.with(profile), steps = 200
        for microBatches in [1, 2, 4] {
            var whole = GoldenRun(shape: shape, seed: 5, microBatches: microBatches)
            let root = whole.root(after: steps)
            for stages in 2...3 {
                #expect(try Self.piped(shape, seed: 5, stages: stages, microBatches: microBatches, steps: steps) == root, "S = \(stages), M = \(microBatches)")
            }
        }
    }

    @Test(arguments: KernelPath.available, [1, 2])
    func `two and three stages end on the root of one, on every path and number of threads, in both profiles`(path: KernelPath, threads: Int) throws {
        for shape in Self.shapes.suffix(2).flatMap({ [$0.with(.f32), $0.with(.i8)] }) {
            var whole = GoldenRun(shape: shape, seed: 7, microBatches: 2, path: .reference)
            let root = whole.root(after: 200)
            for stages in 2...3 {
                #expect(try Self.piped(shape, seed: 7, stages: stages, microBatches: 2, threads: threads, path: path, steps: 200) == root, "S = \(stages), \(shape.style.name) \(shape.profile)")
            }
        }
    }

    @Test(arguments: [ModelShape.micro, .microLlama])
    func `in f32 gradients of two and four micro-batches are those of the whole batch, in i8 but for rounding, and losses are the same bits`(shape: ModelShape) {
        gradientsAgree(shape, within: 0)
        gradientsAgree(shape.with(.i8), within: 0.02)
    }
    private func gradientsAgree(_ shape: ModelShape, within share: Double) {
        let batch = Self.batches(shape, seed: 3, steps: 1)[0], parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 3))
        func gradient(_ microBatches: Int) -> (Float, FloatBuffer) {
            let gradient = FloatBuffer(count: parameters.count)
            return (Model(shape: shape, rows: GoldenRun.rows, microBatches: microBatches).lossAndGradient(parameters, batch, into: gradient), gradient)
        }
        let (loss, whole) = gradient(1)
        for microBatches in [2, 4] {
            let (other, parts) = gradient(microBatches)
            #expect(other.bitPattern == loss.bitPattern)
            for entry in ParameterTable(shape).entries {
                let norm = entry.range.reduce(0.0) { $0 + Double(whole[$1]) * Double(whole[$1]) }.squareRoot()
                let difference = entry.range.reduce(0.0) { $0 + Double(whole[$1] - parts[$1]) * Double(whole[$1] - parts[$1]) }.squareRoot()
                #expect(difference <= share * norm, "\(entry.name): \(difference) of \(norm)")
            }
        }
    }

    @Test func `a model with micro-batches judges any number of sequences as one without`() {
        let shape = ModelShape.micro, parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 3)), batch = Self.batches(shape, seed: 3, steps: 1)[0]
        let whole = Model(shape: shape, rows: GoldenRun.rows), parts = Model(shape: shape, rows: GoldenRun.rows, microBatches: 2)
        #expect(parts.tokenLosses(parameters, batch) == whole.tokenLosses(parameters, batch))
        #expect(parts.loss(parameters, batch).bitPattern == whole.loss(parameters, batch).bitPattern)
        let three = Batch(inputs: Array(batch.inputs.prefix(96)), targets: Array(batch.targets.prefix(96)), rows: 3, context: 32)
        #expect(parts.tokenLosses(parameters, three) == Array(whole.tokenLosses(parameters, batch).prefix(96)))
    }

    @Test func `a step that is not finite is skipped by every stage, and the next goes on`() throws {
        let shape = ModelShape.micro
        let start = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 3)), zero = FloatBuffer(count: start.count)
        start[100] = .infinity
        let end = try Self.piped(shape, from: start, batches: Self.batches(shape, seed: 3, steps: 2), stages: 2, microBatches: 2).state
        #expect(end.step == 2 && end.stepsSinceReset == 0)
        #expect(end.parameters == start && end.m == zero && end.v == zero)
    }

    /// Three windows by stages, each from what the one before left, beside the same by one model.
    @Test(arguments: [TrainingRules.Compressor.none, .int4, .int8, .lowRankInt4, .topK, .dctTopK, .sparta], 2...3)
    func `windows trained by stages have the payloads, trajectories and residuals of those trained by a model, with every compressor`(compressor: TrainingRules.Compressor, stages: Int) throws {
        var run = SmallRun()
        (run.rules.compressor, run.rules.rank, run.rules.microBatches, run.rules.valueBits, run.rules.oneOf, run.rules.keptValues) = (compressor, 4, 2, compressor == .sparta ? 8 : 2, 100, 256)
        let shape = ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 3), count = ParameterTable(shape).count
        let alone = try WindowTrainer(shape: shape, rules: run.rules, corpus: run.corpus, threads: 1), pipeline = try LocalPipeline(shape: shape, rules: run.rules, stages: stages)
        var opening = run.opening(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 2)))
        for window in 0..<3 as Range<UInt64> {
            let expected = try alone.train(opening), shard = alone.shard(opening)
            var residual: [UInt8] = [], pieces = 0
            var staged = PipelineOpening(opening, steps: 10, rules: run.rules), asked: [Range<Int>] = []
            let read = staged.parameters
            staged.parameters = {
                asked.append($0)
                return try read($0)
            }
            let found = try pipeline.window(staged, batches: { shard.batch(step: $0) }) { window in
                try window.run(steps: 10, segmentSteps: 2, batches: { shard.batch(step: $0) }) {
                    residual += $0
                    pieces += 1
                }
            }
            #expect(found.payload == expected.payload && found.loss.bitPattern == expected.loss.bitPattern, "window \(window)")
            #expect(found.states == Array(expected.trajectory.digests.dropLast()) && Blob.root(residual) == expected.residualRoot, "window \(window)")
            // Nobody asks for more than a part at a time.
            #expect(Set(asked) == Set(ModelPart.split(shape, stages: stages).map { ParameterTable(shape, $0).range }) && asked.count == stages)
            #expect(pieces == stages && residual.count == 4 * count)
            opening = run.opening(window + 1, parameters: opening.parameters, ownPayload: expected.payload, residual: expected.residual)
        }
    }

    @Test func `the state of a segment comes from the stages as it does from a model, and their times are told`() throws {
        var run = SmallRun()
        run.rules.microBatches = 2
        let trainer = try run.trainer(), opening = run.opening(), shard = trainer.shard(opening)
        let (blob, digest, times) = try LocalPipeline(shape: trainer.shape, rules: run.rules, stages: 2).window(PipelineOpening(opening, steps: 10, rules: run.rules), batches: { shard.batch(step: $0) }) { window in
            _ = try window.train(0..<6, batches: { shard.batch(step: $0) })
            var blob: [UInt8] = []
            try window.give { blob += $0 }
            return (blob, window.digest, window.times)
        }
        let state = try trainer.state(at: 3, of: opening)
        #expect(blob == state.blob && digest == state.digest)
        #expect(times.count == 2 && times.allSatisfy { $0.whole > 0 && $0.waiting >= 0 && $0.waiting <= $0.whole * 1.01 })
        run.rules.microBatches = 3
        #expect(throws: WindowError.microBatchesDoNotDivideRows(3, rows: 2)) { try run.trainer() }
    }

    @Test func `what cannot be kept ends the window with that error`() throws {
        struct Full: Error {}
        var run = SmallRun()
        run.rules.microBatches = 2
        let pipeline = try LocalPipeline(shape: .micro, rules: run.rules, stages: 2), opening = run.opening(), shard = try run.trainer().shard(opening)
        for (place, ends) in [(1, { (window: PipelineWindow, take: ([UInt8]) throws -> Void) in _ = try window.close(residual: take) }), (2, { window, take in try window.give(take) })] {
            #expect(throws: Full.self) {
                try pipeline.window(PipelineOpening(opening, steps: 10, rules: run.rules), batches: { shard.batch(step: $0) }) { window in
                    var pieces = 0
                    try ends(window) { _ in
                        pieces += 1
                        if pieces > place { throw Full() }
                    }
                }
            }
        }
        // The threads' stages are as good as new.
        #expect(throws: Never.self) { try pipeline.window(PipelineOpening(opening, steps: 10, rules: run.rules), batches: { shard.batch(step: $0) }) { _ = try $0.train(0..<2, batches: { shard.batch(step: $0) }) } }
    }

    // MARK: Parts

    @Test(arguments: shapes + [.tiny, .micro])
    func `parts are as even as can be, and their tensors together are the whole model's`(shape: ModelShape) {
        let whole = ParameterTable(shape)
        for stages in 1...shape.layers {
            let parts = ModelPart.split(shape, stages: stages), sizes = parts.map(\.layers.count)
            #expect(parts.flatMap { Array($0.layers) } == Array(0..<shape.layers))
            #expect(sizes.max()! - sizes.min()! <= 1 && sizes == sizes.sorted(by: >))
            let tables = parts.map { ParameterTable(shape, $0) }
            #expect(tables.flatMap { table in table.entries.map { "\($0.name) \($0.offset + table.start) \($0.count)" } } == whole.entries.map { "\($0.name) \($0.offset) \($0.count)" })
            #expect(tables.reduce(0) { $0 + $1.count } == whole.count)
            #expect(tables.map(\.firstNumber) == tables.indices.map { tables[..<$0].reduce(0) { $0 + $1.entries.count } } && tables.allSatisfy { $0.wholeCount == whole.count })
        }
    }

    // MARK: The schedule

    @Test func `every micro-batch goes forward and backward once, in order, and no more are alive than there are stages from here on`() {
        for stages in 1...9 {
            for microBatches in 1...12 {
                for stage in 0..<stages {
                    let operations = PipelineSchedule.operations(stage: stage, stages: stages, microBatches: microBatches)
                    var forward = 0, backward = 0, most = 0
                    for operation in operations {
                        switch operation {
                        case .forward(let number):
                            #expect(number == forward)
                            forward += 1
                        case .backward(let number):
                            #expect(number == backward && number < forward)
                            backward += 1
                        }
                        most = max(most, forward - backward)
                    }
                    #expect(forward == microBatches && backward == microBatches)
                    #expect(most == PipelineSchedule.inFlight(stage: stage, stages: stages, microBatches: microBatches) && most <= stages - stage)
                }
            }
        }
    }

    /// Forward takes one turn, backward two; what is sent arrives with the next turn, through a link that holds one message, behind a writer of its own.
    @Test func `links that hold one message let every schedule end, writers never hold more than the stages behind, and the bubble is as the formula says`() {
        for stages in 1...6 {
            for microBatches in 1...10 {
                var left = (0..<stages).map { ArraySlice(PipelineSchedule.operations(stage: $0, stages: stages, microBatches: microBatches)) }
                var ready = [Double](repeating: 0, count: stages), activations = [[Double]](repeating: [], count: stages), gradients = activations
                var writers = [Int](repeating: 0, count: stages), busy = 0.0, moved = true
                while moved {
                    moved = false
                    for stage in 0..<stages {
                        guard let operation = left[stage].first else { continue }
                        let needed: Double?
                        switch operation {
                        case .forward(let number): needed = stage == 0 ? 0 : number < activations[stage - 1].count ? activations[stage - 1][number] : nil
                        case .backward(let number): needed = stage == stages - 1 ? 0 : number < gradients[stage + 1].count ? gradients[stage + 1][number] : nil
                        }
                        guard let needed else { continue }
                        moved = true
                        left[stage].removeFirst()
                        let start = max(ready[stage], needed)
                        if case .forward = operation {
                            ready[stage] = start + 1
                            activations[stage].append(ready[stage])
                        } else {
                            ready[stage] = start + 2
                            gradients[stage].append(ready[stage])
                        }
                        busy += ready[stage] - start
                        // Sent and not taken by the next stage, which takes a micro-batch when its turn comes.
                        if stage + 1 < stages { writers[stage] = max(writers[stage], activations[stage].count - activations[stage + 1].count) }
                    }
                }
                #expect(left.allSatisfy { $0.isEmpty }, "S = \(stages), M = \(microBatches): it stands still")
                #expect(writers.indices.allSatisfy { writers[$0] <= stages - $0 })
                let whole = Double(stages) * ready.max()!, bubble = 1 - busy / whole
                #expect(abs(bubble - PipelineSchedule.bubbleShare(stages: stages, microBatches: microBatches)) < 1e-9, "S = \(stages), M = \(microBatches): \(bubble)")
            }
        }
    }
}
