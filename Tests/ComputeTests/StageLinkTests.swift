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

    private static let rules: TrainingRules = {
        var rules = SmallRun.rules
        (rules.rows, rules.microBatches) = (4, 2)
        return rules
    }()
    /// Window 1 begins with step 10.
    private static let order = StageOpening(assignment: .zero, trainer: Address(number: 1), window: Window(1), steps: 10, firstStep: 10)
    private static let table = ParameterTable(shape, ModelPart.split(shape, stages: 2)[1])

    /// Stage 1 of 2 is told something else than it must be.
    private func refusal(_ tells: @Sendable @escaping (any StageLink) throws -> Void) throws -> StageError? {
        let (leader, follower) = MemoryLink.pair(stages: 2, capacity: 20), stage = try PipelineStage(shape: Self.shape, part: ModelPart.split(Self.shape, stages: 2)[1], rules: Self.rules, kernels: Kernels(), timeout: 0.2)
        let batch = Batch(inputs: [UInt16](repeating: 1, count: 128), targets: [UInt16](repeating: 2, count: 128), rows: 4, context: 32)
        let found = Gate<StageError?>(nil)
        let thread = ComputeThread {
            do throws(StageError) { try stage.follow(previous: follower, next: nil) { _ in { _ in batch } } } catch { found.change { $0 = error } }
            follower.close()
        }
        try tells(leader)
        // Without a word more: whoever waits for one runs out of time.
        thread.join()
        return found.change { $0 }
    }
    /// Everything up to the first activation.
    private static func begin(_ link: any StageLink) throws {
        try link.send(StageMessage(.order, StageOrder.open(order).canonicalBytes))
        try link.send(StageMessage(.parameters, step: 10, part: 1, [UInt8](repeating: 0, count: 4 * table.count)))
        try link.send(StageMessage(.tokenParameters, step: 10, [UInt8](repeating: 0, count: 4 * 256 * 32)))
        try link.send(StageMessage(.order, StageOrder.train(first: 0, count: 1).canonicalBytes))
    }

    @Test func `an activation of another step, another micro-batch, another kind, another length or another digest is refused by name`() throws {
        let right = [UInt8](repeating: 0, count: Self.activation)
        let cases: [(String, StageMessage)] = [
            ("“activation” of step 9 came where that of step 10 was expected", StageMessage(.activation, step: 9, part: 0, right)),
            ("“activation” number 1 came where number 0 was expected", StageMessage(.activation, step: 10, part: 1, right)),
            ("“activationGradient” came where “activation” was expected", StageMessage(.activationGradient, step: 10, part: 0, right)),
            ("“activation” has 8188 bytes, expected are 8192", StageMessage(.activation, step: 10, part: 0, Array(right.dropLast(4)))),
        ]
        for (words, message) in cases {
            let found = try refusal { link in
                try Self.begin(link)
                try link.send(message)
            }
            let error = try #require(found)
            #expect(error.reason == words && error.stage == 0 && error.stages == 2 && error.step == 10 && error.microBatch == 0, "\(error)")
            #expect(error.description.contains("stage 0/2 at this process, step 10, micro-batch 0") && error.description.contains("start its stage again"))
        }
        var changed = StageMessage(.activation, step: 10, part: 0, right)
        changed.bytes[9] = 1
        let found = try refusal { [changed] link in
            try Self.begin(link)
            try link.send(changed)
        }
        let error = try #require(found)
        #expect(error.reason.contains("has the digest"))
    }

    @Test func `every other kind of message is held to step, part and length too, and an order must be one`() throws {
        let whole = [UInt8](repeating: 0, count: 4 * Self.table.count)
        @Sendable func told(_ orders: StageOrder...) -> @Sendable (any StageLink) throws -> Void {
            { link in for order in orders { try link.send(StageMessage(.order, order.canonicalBytes)) } }
        }
        /// An opening, and what is sent with it.
        @Sendable func opened(_ order: StageOpening, _ messages: StageMessage...) -> @Sendable (any StageLink) throws -> Void {
            { link in
                try told(.open(order))(link)
                for message in messages { try link.send(message) }
            }
        }
        var other = Self.order, withPayload = Self.order, withResidual = Self.order
        (other.firstStep, withPayload.hasPayload, withResidual.hasResidual) = (11, true, true)
        let cases: [(String, @Sendable (any StageLink) throws -> Void)] = [
            ("“norm” came where “order” was expected", { try $0.send(StageMessage(.norm, [UInt8](repeating: 0, count: 8))) }),
            ("“order” cannot be read", { try $0.send(StageMessage(.order, [1, 2, 3])) }),
            ("it was told to go on at step 0 of a window, and had not come there", told(.train(first: 0, count: 1))),
            ("it was asked for the state of a window that it had not begun", told(.give(buffer: 0))),
            ("it was asked for the payload of a window that it had not begun", told(.close)),
            ("“parameters” number 2 came where number 1 was expected", opened(Self.order, StageMessage(.parameters, step: 10, part: 2, whole))),
            ("“parameters” of step 11 came where that of step 10 was expected", opened(Self.order, StageMessage(.parameters, step: 11, part: 1, whole))),
            ("“parameters” has 4 bytes, expected are \(whole.count)", opened(Self.order, StageMessage(.parameters, step: 10, part: 1, [0, 0, 0, 0]))),
            ("“residual” has 4 bytes, expected are \(whole.count)", opened(withResidual, StageMessage(.parameters, step: 10, part: 1, whole), StageMessage(.residual, step: 10, part: 1, [0, 0, 0, 0]))),
            ("its rules have step 10 first in window 1, not 11", opened(other, StageMessage(.parameters, step: 11, part: 1, whole))),
            ("it was given a payload that is none: wrongSize(found: 3, expected: \(try Compressors.make(Self.rules, table: Self.table).compress(FloatBuffer(count: Self.table.count), CompressionContext(assignment: .zero)).count))",
             opened(withPayload, StageMessage(.parameters, step: 10, part: 1, whole), StageMessage(.payload, step: 10, part: 1, [1, 2, 3]))),
            ("it was told to go on at step 2 of a window, and had not come there", { link in
                try opened(Self.order, StageMessage(.parameters, step: 10, part: 1, whole), StageMessage(.tokenParameters, step: 10, [UInt8](repeating: 0, count: 4 * 256 * 32)))(link)
                try told(.train(first: 2, count: 1))(link)
            }),
        ]
        for (words, tells) in cases {
            let found = try refusal(tells), error = try #require(found)
            #expect(error.reason == words, "\(error)")
        }
    }

    @Test func `a neighbour that says nothing runs out of time, one that closes is gone, and both are named`() throws {
        let quiet = try refusal { try Self.begin($0) }
        let silent = try #require(quiet)
        #expect(silent.reason.contains("does not answer") && silent.step == 10)
        let ended = try refusal { link in
            try Self.begin(link)
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
        func stage(_ number: Int, timeout: Double) throws -> PipelineStage { try PipelineStage(shape: shape, part: parts[number], rules: Self.rules, kernels: Kernels(), timeout: timeout) }
        let middle = ComputeThread { [middle = try stage(1, timeout: 8)] in
            do throws(StageError) { try middle.follow(previous: second, next: third) { _ in { _ in batch } } } catch { try? second.send(error.message) }
            second.close()
        }
        let start = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)), compressor = try Compressors.make(Self.rules, table: ParameterTable(shape))
        var found: StageError?
        do { _ = try PipelineWindow(try stage(0, timeout: 4), PipelineOpening(Self.order, parameters: { start.copy(of: $0) }), compressor: compressor, next: first).train(0..<2, batches: { _ in batch }) } catch { found = error as? StageError }
        first.close()
        middle.join()
        #expect(found?.stage == 2 && found?.reason.contains("nothing came for 8 s") == true, "\(found.map { "\($0)" } ?? "nothing")")
        silent.close()
    }

    @Test func `what went wrong further on is told to the leader as it was found there`() throws {
        let shape = ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 3), parts = ModelPart.split(shape, stages: 3)
        let (first, second) = MemoryLink.pair(stages: 3), (third, last) = MemoryLink.pair(stages: 3)
        let batch = Batch(inputs: [UInt16](repeating: 1, count: 128), targets: [UInt16](repeating: 2, count: 128), rows: 4, context: 32)
        func stage(_ number: Int) throws -> PipelineStage { try PipelineStage(shape: shape, part: parts[number], rules: Self.rules, kernels: Kernels(), timeout: 5) }
        let middle = ComputeThread { [middle = try stage(1)] in
            do throws(StageError) { try middle.follow(previous: second, next: third) { _ in { _ in batch } } } catch { try? second.send(error.message) }
            second.close()
        }
        let end = ComputeThread {
            // It takes an order and its part, and dies before it says what it has.
            for _ in 0..<3 { _ = try? last.receive(seconds: 5) }
            last.close()
        }
        let start = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)), compressor = try Compressors.make(Self.rules, table: ParameterTable(shape))
        var found: StageError?
        do { _ = try PipelineWindow(try stage(0), PipelineOpening(Self.order, parameters: { start.copy(of: $0) }), compressor: compressor, next: first).train(0..<2, batches: { _ in batch }) } catch { found = error as? StageError }
        first.close()
        middle.join()
        end.join()
        #expect(found?.stage == 2 && found?.stages == 3 && found?.step == 10, "\(found.map { "\($0)" } ?? "nothing")")
    }
}

extension StageLink {
    fileprivate func send(_ message: StageMessage) throws(StageLinkError) { try send(message, seconds: 60) }
}
