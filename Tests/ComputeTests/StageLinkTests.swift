import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import TestKit
import Testing

/// What a stage takes from a neighbour, and what it refuses: each by its own name.
@Suite struct StageLinkTests {
    private static let shape = ModelShape.micro
    private static let limits = StageLimits(shape: shape, rows: 4, microBatches: 2, stages: 2)
    private static let activation = 2 * 32 * 32 * 4

    private func header(_ message: StageMessage, _ change: (inout [UInt8]) -> Void) -> StageLinkError? {
        var bytes = message.header.encoded
        change(&bytes)
        do { _ = try StageMessage.Header(bytes, limits: Self.limits) } catch { return error }
        return nil
    }

    @Test func `a header is read as it was written, and one that is cut, of no kind or longer than the run's is refused`() throws {
        for kind in StageMessage.Kind.allCases {
            let message = StageMessage(kind, step: 7, part: 3, [UInt8](repeating: 1, count: min(8, Self.limits.bytes(of: kind))))
            #expect(try StageMessage.Header(message.header.encoded, limits: Self.limits) == message.header)
            let limit = Self.limits.bytes(of: kind)
            let longer = header(message) { (bytes: inout [UInt8]) in bytes.replaceSubrange(13..<21, with: (0..<8).map { UInt8(truncatingIfNeeded: (limit + 1) >> ($0 * 8)) }) }
            #expect(longer == .tooLong(kind, found: UInt64(limit + 1), limit: limit))
            let endless = header(message) { $0.replaceSubrange(13..<21, with: [UInt8](repeating: 255, count: 8)) }
            #expect(endless == .tooLong(kind, found: .max, limit: limit))
        }
        let message = StageMessage(.norm, [UInt8](repeating: 0, count: 8))
        #expect(header(message) { $0.removeLast() } == .noHeader(bytes: 52))
        #expect(header(message) { $0 = [] } == .noHeader(bytes: 0))
        #expect(header(message) { $0[0] = 99 } == .unknownKind(99))
        #expect(throws: StageLinkError.wrongLength(.norm, found: 7, expected: 8)) { try StageMessage(message.header, received: [UInt8](repeating: 0, count: 7)) }
        #expect(Self.limits.bytes(of: .activation) == Self.activation)
        for kind in StageMessage.Kind.allCases { #expect(StageLimits.stranger.bytes(of: kind) <= 4_096) }
    }

    /// Stage 1 of 2 is told something else than it must be, in its first step.
    private func refusal(_ tells: @Sendable @escaping (any StageLink, StageOrder) throws -> Void) throws -> StageError? {
        let (leader, follower) = MemoryLink.pair(stages: 2)
        let order = StageOrder(assignment: .zero, trainer: Address(number: 1), window: Window(0), steps: 0..<1, from: InnerState(parameters: FloatBuffer(count: 1), step: 5))
        let batch = Batch(inputs: [UInt16](repeating: 1, count: 128), targets: [UInt16](repeating: 2, count: 128), rows: 4, context: 32)
        let found = Gate<StageError?>(nil)
        let thread = ComputeThread {
            let stage = PipelineStage(shape: Self.shape, part: ModelPart.split(Self.shape, stages: 2)[1], rows: 4, microBatches: 2, rules: OptimizerRules(), kernels: Kernels(), timeout: 0.2)
            do throws(StageError) { try stage.follow(previous: follower, next: nil) { _ in { _ in batch } } } catch { found.change { $0 = error } }
            follower.close()
        }
        try tells(leader, order)
        // Without a word more: whoever waits for one runs out of time.
        thread.join()
        return found.change { $0 }
    }
    /// Everything up to the first activation.
    private func begin(_ link: any StageLink, _ order: StageOrder) throws {
        try link.send(StageMessage(.order, order.canonicalBytes))
        let table = ParameterTable(Self.shape, ModelPart.split(Self.shape, stages: 2)[1])
        for index in 0..<3 { try link.send(StageMessage(.stateIn, step: 5, part: 3 + index, [UInt8](repeating: 0, count: 4 * table.count))) }
        try link.send(StageMessage(.tokenParameters, step: 5, [UInt8](repeating: 0, count: 4 * 256 * 32)))
    }

    @Test func `an activation of another step, another micro-batch, another kind, another length or another digest is refused by name`() throws {
        let right = [UInt8](repeating: 0, count: Self.activation)
        let cases: [(String, StageMessage)] = [
            ("“activation” of step 4 came where that of step 5 was expected", StageMessage(.activation, step: 4, part: 0, right)),
            ("“activation” number 1 came where number 0 was expected", StageMessage(.activation, step: 5, part: 1, right)),
            ("“activationGradient” came where “activation” was expected", StageMessage(.activationGradient, step: 5, part: 0, right)),
            ("“activation” has 8188 bytes, expected are 8192", StageMessage(.activation, step: 5, part: 0, Array(right.dropLast(4)))),
        ]
        for (words, message) in cases {
            let found = try refusal { link, order in
                try begin(link, order)
                try link.send(message)
            }
            let error = try #require(found)
            #expect(error.reason == words && error.stage == 0 && error.stages == 2 && error.step == 5 && error.microBatch == 0, "\(error)")
            #expect(error.description.contains("stage 0/2 at this process, step 5, micro-batch 0") && error.description.contains("start its stage again"))
        }
        var changed = StageMessage(.activation, step: 5, part: 0, right)
        changed.bytes[9] = 1
        let found = try refusal { [changed] link, order in
            try begin(link, order)
            try link.send(changed)
        }
        let error = try #require(found)
        #expect(error.reason.contains("has the digest"))
    }

    @Test func `every other kind of message is held to step, part and length too, and an order must be one`() throws {
        let cases: [(String, @Sendable (any StageLink, StageOrder) throws -> Void)] = [
            ("“norm” came where “order” was expected", { link, _ in try link.send(StageMessage(.norm, [UInt8](repeating: 0, count: 8))) }),
            ("“order” cannot be read", { link, order in try link.send(StageMessage(.order, Array(order.canonicalBytes.dropLast()))) }),
            ("“stateIn” number 3 came where number 4 was expected", { link, order in
                try link.send(StageMessage(.order, order.canonicalBytes))
                let count = ParameterTable(Self.shape, ModelPart.split(Self.shape, stages: 2)[1]).count
                for _ in 0..<2 { try link.send(StageMessage(.stateIn, step: 5, part: 3, [UInt8](repeating: 0, count: 4 * count))) }
            }),
            ("“stateIn” has 4 bytes, expected are \(4 * ParameterTable(Self.shape, ModelPart.split(Self.shape, stages: 2)[1]).count)", { link, order in
                try link.send(StageMessage(.order, order.canonicalBytes))
                try link.send(StageMessage(.stateIn, step: 5, part: 3, [0, 0, 0, 0]))
            }),
        ]
        for (words, tells) in cases {
            let found = try refusal(tells), error = try #require(found)
            #expect(error.reason == words, "\(error)")
        }
    }

    @Test func `a neighbour that says nothing runs out of time, one that closes is gone, and both are named`() throws {
        let quiet = try refusal { link, order in try begin(link, order) }
        let silent = try #require(quiet)
        #expect(silent.reason.contains("does not answer") && silent.step == 5)
        let ended = try refusal { link, order in
            try begin(link, order)
            link.close()
        }
        let gone = try #require(ended)
        #expect(gone.reason.contains("the connection ended"))
    }

    @Test func `a stage that only waits for the one behind it is not given up, however long, and the silent one is named`() throws {
        let shape = ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 3), parts = ModelPart.split(shape, stages: 3)
        let (first, second) = MemoryLink.pair(stages: 3), (third, silent) = MemoryLink.pair(stages: 3)
        let batch = Batch(inputs: [UInt16](repeating: 1, count: 128), targets: [UInt16](repeating: 2, count: 128), rows: 4, context: 32)
        // The middle stage waits twice as long as the leader would for somebody silent.
        func stage(_ number: Int, timeout: Double) -> PipelineStage { PipelineStage(shape: shape, part: parts[number], rows: 4, microBatches: 2, rules: OptimizerRules(), kernels: Kernels(), timeout: timeout) }
        let middle = ComputeThread { [middle = stage(1, timeout: 8)] in
            do throws(StageError) { try middle.follow(previous: second, next: third) { _ in { _ in batch } } } catch { try? second.send(error.message) }
            second.close()
        }
        var state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)), step: 9)
        let order = StageOrder(assignment: .zero, trainer: Address(number: 1), window: Window(0), steps: 0..<1, from: state)
        var found: StageError?
        do throws(StageError) { _ = try stage(0, timeout: 4).lead(&state, order, next: first, batches: { _ in batch }, progress: { _, _ in }) } catch { found = error }
        first.close()
        middle.join()
        #expect(found?.stage == 2 && found?.reason.contains("nothing came for 8 s") == true, "\(found.map { "\($0)" } ?? "nothing")")
        silent.close()
    }

    @Test func `what went wrong further on is told to the leader as it was found there, and its state is as before`() throws {
        let shape = ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 3), parts = ModelPart.split(shape, stages: 3)
        let (first, second) = MemoryLink.pair(stages: 3), (third, last) = MemoryLink.pair(stages: 3)
        let middle = ComputeThread {
            let stage = PipelineStage(shape: shape, part: parts[1], rows: 4, microBatches: 2, rules: OptimizerRules(), kernels: Kernels(), timeout: 5)
            let batch = Batch(inputs: [UInt16](repeating: 1, count: 128), targets: [UInt16](repeating: 2, count: 128), rows: 4, context: 32)
            do throws(StageError) { try stage.follow(previous: second, next: third) { _ in { _ in batch } } } catch { try? second.send(error.message) }
            second.close()
        }
        let end = ComputeThread {
            // It takes an order and its state, and dies in the step.
            for _ in 0..<6 { _ = try? last.receive(seconds: 5) }
            last.close()
        }
        let leader = PipelineStage(shape: shape, part: parts[0], rows: 4, microBatches: 2, rules: OptimizerRules(), kernels: Kernels(), timeout: 5)
        var state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)), step: 9)
        let before = state.copy(), order = StageOrder(assignment: .zero, trainer: Address(number: 1), window: Window(0), steps: 0..<2, from: state)
        let batch = Batch(inputs: [UInt16](repeating: 1, count: 128), targets: [UInt16](repeating: 2, count: 128), rows: 4, context: 32)
        var found: StageError?
        do throws(StageError) { _ = try leader.lead(&state, order, next: first, batches: { _ in batch }, progress: { _, _ in }) } catch { found = error }
        first.close()
        middle.join()
        end.join()
        #expect(found?.stage == 2 && found?.stages == 3 && found?.step == 9, "\(found.map { "\($0)" } ?? "nothing")")
        #expect(state.digest == before.digest)
    }
}

extension StageLink {
    fileprivate func send(_ message: StageMessage) throws(StageLinkError) { try send(message, seconds: 60) }
}
