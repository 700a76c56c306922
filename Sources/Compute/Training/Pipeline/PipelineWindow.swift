import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// What the first stage begins a window with: where the whole model's tensors are to be read, a part at a time.
public struct PipelineOpening {
    public var stages: StageOpening
    /// θ(w), of these parameters.
    public var parameters: (Range<Int>) throws -> FloatBuffer
    /// Of the whole model.
    public var ownPayload: [UInt8]?
    public var residual: ((Range<Int>) throws -> FloatBuffer)?

    public init(_ stages: StageOpening, parameters: @escaping (Range<Int>) throws -> FloatBuffer, ownPayload: [UInt8]? = nil, residual: ((Range<Int>) throws -> FloatBuffer)? = nil) {
        (self.stages, self.parameters, self.ownPayload, self.residual) = (stages, parameters, ownPayload, residual)
        (self.stages.hasPayload, self.stages.hasResidual) = (ownPayload != nil, residual != nil)
    }
    /// Out of whole buffers.
    public init(_ opening: WindowOpening, steps: Int, rules: TrainingRules) {
        let stages = StageOpening(
            assignment: opening.assignment, trainer: opening.trainer, window: opening.window, steps: steps, firstStep: WindowArithmetic.firstStep(opening.window, opening.pace, rules), rank: opening.pace?.rank)
        self.init(stages, parameters: { opening.parameters.copy(of: $0) }, ownPayload: rules.delay == .continued ? opening.ownPayload : nil,
                  residual: opening.residual.map { residual in { residual.copy(of: $0) } })
    }
}

/// A window over all stages, as the first one leads it: begun by `init`, then steps, then either `close` or another window.
///
/// No stage ever holds more than its part of θ, m, v and the residual. What the ledger is told of the whole comes together out of the parts: the digests
/// of states out of outlines, the payload out of its tensors.
public final class PipelineWindow {
    private let stage: PipelineStage
    private let compressor: any Compressor
    private let tables: [ParameterTable]
    private let opening: StageOpening
    /// Where the stages' time went in the window.
    public private(set) var times: [StageTimes]
    /// Of the state as it is.
    public private(set) var digest = Digest.zero

    /// Begins a window. Stage 0's thread only; the stage keeps the link until it gets another.
    ///
    /// - Parameter compressor: of the whole model.
    /// - Throws: `StageError` for what other stages do, `PayloadError` for an own payload that is none, and what reading the opening throws.
    public init(_ stage: PipelineStage, _ opening: PipelineOpening, compressor: any Compressor, next: any StageLink) throws {
        precondition(stage.part.isFirst && stage.part.count > 1, "stage \(stage.part.number) of \(stage.part.count) was told to lead")
        (self.stage, self.compressor, self.opening) = (stage, compressor, opening.stages)
        tables = ModelPart.split(stage.model.shape, stages: stage.part.count).map { ParameterTable(stage.model.shape, $0) }
        times = tables.map { _ in StageTimes() }
        stage.next = PatientLink(next, before: nil)
        let order = opening.stages, step = order.firstStep, payloads = try opening.ownPayload.map { try compressor.cut($0, for: tables) }
        try tell(.open(order))
        for (number, table) in tables.enumerated().dropFirst() {
            let parameters = try opening.parameters(table.range), payload = payloads?[number], residual = try opening.residual?(table.range)
            try stage.toNext(step) { (link, wait) throws(StageLinkError) in
                try link.sendAll(.parameters, step: step, part: number, parameters, seconds: wait)
                if let payload { try link.send(StageMessage(.payload, step: step, part: number, payload), seconds: wait) }
                if let residual { try link.sendAll(.residual, step: step, part: number, residual, seconds: wait) }
            }
        }
        let own = tables[0]
        try stage.begin(order.window(parameters: try opening.parameters(own.range), payload: payloads?[0], residual: try opening.residual?(own.range)))
        try stage.shareTokens(step)
        try takeReport()
    }

    private func tell(_ order: StageOrder) throws(StageError) {
        try stage.toNext(opening.firstStep) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.order, order.canonicalBytes), seconds: wait) }
    }

    /// Does steps of the window, which follow those that were done.
    /// - Returns: the loss of the last.
    public func train(_ steps: Range<Int>, batches: (Int) -> Batch, progress: (Int, Float) -> Void = { _, _ in }) throws(StageError) -> Float {
        precondition(opening.firstStep + UInt64(steps.lowerBound) == stage.state.step, "steps \(steps) after step \(stage.state.step)")
        guard !steps.isEmpty else { return 0 }
        try tell(.train(first: UInt32(steps.lowerBound), count: UInt32(steps.count)))
        var loss: Float = 0
        for step in steps {
            loss = try stage.step(batches(step)).loss
            progress(step, loss)
        }
        try takeReport()
        return loss
    }

    /// Every stage's times and outlines, after an order that changed the state.
    private func takeReport() throws(StageError) {
        let step = stage.state.step
        times[0] = stage.times
        var outlines = stage.outlines.map { [(count: 4 * tables[0].count, outline: $0)] }
        try stage.fromNext(step) { (link, wait) throws(StageLinkError) in
            times = [stage.times] + readTimes(try link.receive(.times, step: step, part: 0, length: 16 * (tables.count - 1), seconds: wait))
            for (number, table) in tables.enumerated().dropFirst() {
                for buffer in 0..<3 {
                    let length = Blob.outlineBytes(from: 4 * table.start, count: 4 * table.count)
                    outlines[buffer].append((4 * table.count, try link.receive(.outline, step: step, part: 3 * number + buffer, length: length, seconds: wait)))
                }
            }
        }
        let roots = outlines.compactMap { Blob.root(outlines: $0) }
        precondition(roots.count == 3, "an outline of a length that was checked does not fit")
        digest = stage.state.digest(roots: roots)
    }

    /// The state as it is, in the form of `InnerState.blob`, in pieces.
    public func give(_ take: ([UInt8]) throws -> Void) throws {
        try take(stage.state.scalarBytes)
        for buffer in 0..<3 {
            try take(stage.buffers[buffer].littleEndianBytes())
            try tell(.give(buffer: UInt32(buffer)))
            for (number, table) in tables.enumerated().dropFirst() { try collect(.state, of: 3 * number + buffer, table, stage.state.step, take) }
        }
    }

    /// Ends the window.
    ///
    /// - Parameter residual: gets the new residual in pieces.
    /// - Returns: the payload of the whole model.
    public func close(residual take: ([UInt8]) throws -> Void) throws -> [UInt8] {
        let step = stage.state.step
        try tell(.close)
        let own = try stage.compress()
        var parts = [own.payload]
        try take(own.residual.littleEndianBytes())
        for (number, table) in tables.enumerated().dropFirst() {
            try stage.fromNext(step) { (link, wait) throws(StageLinkError) in parts.append(try link.receive(.payload, step: step, part: number, length: nil, seconds: wait)) }
            try collect(.residual, of: number, table, step, take)
        }
        return compressor.joined(parts)
    }

    private func collect(_ kind: StageMessage.Kind, of part: Int, _ table: ParameterTable, _ step: UInt64, _ take: ([UInt8]) throws -> Void) throws {
        var failure: (any Error)?
        try stage.fromNext(step) { (link, wait) throws(StageLinkError) in
            try link.receiveAll(kind, step: step, part: part, count: table.count, seconds: wait) { bytes in
                do { if failure == nil { try take(bytes) } } catch { failure = error }
            }
        }
        if let failure { throw failure }
    }

    /// A window from its opening to its payload.
    ///
    /// - Parameter residual: gets the new residual in pieces.
    public func run(steps: Int, segmentSteps: Int, batches: (Int) -> Batch, progress: (Int, Float) -> Void = { _, _ in }, residual: ([UInt8]) throws -> Void) throws -> (payload: [UInt8], states: [Digest], loss: Float) {
        var states = [digest], loss: Float = 0
        for first in stride(from: 0, to: steps, by: segmentSteps) {
            loss = try train(first..<min(first + segmentSteps, steps), batches: batches, progress: progress)
            states.append(digest)
        }
        return (try close(residual: residual), states, loss)
    }
}

/// What another says of its time is shown and used for nothing.
private func readTimes(_ bytes: [UInt8]) -> [StageTimes] {
    stride(from: 0, to: bytes.count, by: 16).map { at in
        func double(_ at: Int) -> Double { Double(bitPattern: number(Array(bytes[at..<at + 8]))) }
        return StageTimes(whole: double(at), waiting: double(at + 8))
    }
}

extension StageOpening {
    /// Of a part's tensors.
    func window(parameters: FloatBuffer, payload: [UInt8]?, residual: FloatBuffer?) -> WindowOpening {
        WindowOpening(window: window, trainer: trainer, assignment: assignment, parameters: parameters, ownPayload: payload, residual: residual,
                      pace: rank.map { WindowPace(firstStep: firstStep, innerSteps: steps, rank: $0, effectiveRanks: []) })
    }
}
