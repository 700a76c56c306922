import AssayPrimitives
import AssayProtocol
import AssayTensor

/// Where a stage's time went over some steps, in seconds.
public struct StageTimes: Hashable, Sendable {
    public var whole = 0.0
    /// Waiting for a neighbour, or for a link to take more.
    public var waiting = 0.0
    public init(whole: Double = 0, waiting: Double = 0) { (self.whole, self.waiting) = (whole, waiting) }

    /// Part of all stages' time in which they had nothing to do.
    public static func bubbleShare(_ stages: [StageTimes]) -> Double {
        let whole = stages.reduce(0) { $0 + $1.whole }
        return whole > 0 ? stages.reduce(0) { $0 + $1.waiting } / whole : 0
    }
}

/// One stage of a pipeline: its part of the parameters, moments, gradients and residual, and what it does in a step. One thread at a time.
///
/// - Exactness: the tensors of all stages together have the bits that one stage with all of them gets (`Docs/Training.md`, "Stages").
public final class PipelineStage: @unchecked Sendable {
    public let model: Model
    let loop: InnerLoop
    let arithmetic: WindowArithmetic
    var part: ModelPart { model.part }
    var table: ParameterTable { model.table }
    public var rules: TrainingRules { arithmetic.rules }
    /// The window at work, by what the part's own tensors started from; nil before the first.
    private(set) var opening: WindowOpening?
    /// Of the part's own tensors.
    private(set) var state: InnerState
    /// What the last stage has of a token matrix that is the first one's: a copy, and its part of the gradient.
    private let head, headGradient: FloatBuffer?
    private(set) var times = StageTimes()
    private var isStepping = false

    var previous, next: (any StageLink)?
    /// Seconds without a byte after which a neighbour counts as lost.
    let timeout: Double

    public init(shape: ModelShape, part: ModelPart, rules: TrainingRules, kernels: Kernels, timeout: Double) throws {
        model = Model(shape: shape, part: part, rows: Int(rules.rows), microBatches: Int(rules.microBatches), kernels: kernels)
        loop = InnerLoop(shape: shape, part: part, rules: OptimizerRules(rules))
        arithmetic = try WindowArithmetic(rules: rules, table: model.table, kernels: kernels)
        state = InnerState(parameters: FloatBuffer(count: 0))
        let hasCopy = shape.tied && part.isLast && !part.isFirst
        head = hasCopy ? FloatBuffer(count: shape.vocabulary * shape.width) : nil
        headGradient = hasCopy ? FloatBuffer(count: shape.vocabulary * shape.width) : nil
        self.timeout = timeout
    }

    // MARK: A window

    /// - Parameter opening: of the part's own tensors.
    /// - Throws: `PayloadError` if its payload is none.
    func begin(_ opening: WindowOpening) throws(PayloadError) {
        var opening = opening
        let start = try arithmetic.start(opening)
        state = arithmetic.openingState(start, opening)
        (opening.parameters, opening.ownPayload) = (start, nil)
        self.opening = opening
        times = StageTimes()
    }
    /// Ends the window: the part's payload and residual.
    func compress() throws(PayloadError) -> (payload: [UInt8], residual: FloatBuffer) {
        guard let opening else { preconditionFailure("stage \(part.number) was asked for what it has not trained") }
        let delta = PseudoGradient.delta(overwriting: opening.parameters, end: state.parameters, residual: opening.residual, arithmetic.kernels)
        forget()
        return try arithmetic.compress(delta, opening)
    }
    func forget() {
        opening = nil
        state = InnerState(parameters: FloatBuffer(count: 0))
    }
    var buffers: [FloatBuffer] { [state.parameters, state.m, state.v] }

    // MARK: A step

    /// One step on the whole batch, of which the first stage reads the inputs and the last one the targets.
    func step(_ batch: Batch) throws(StageError) -> StepResult {
        let began = ContinuousClock.now
        isStepping = true
        defer {
            isStepping = false
            times.whole += (ContinuousClock.now - began).inSeconds
        }
        let gradient = model.gradient, step = state.step
        let tensors = ModelTensors(state.parameters, model.shape, model.table, part, head: head)
        let gradients = ModelTensors(gradient, model.shape, model.table, part, head: headGradient)
        try model.pass(tensors, gradients, gradient, batch) { (point: Model.PassPoint) throws(StageError) in try exchange(point, step, batch) }

        var total = 0.0, loss: Float = 0, norm = 0.0
        try fromPrevious(step) { (link, wait) throws(StageLinkError) in total = Double(bitPattern: number(try link.receive(.norm, step: step, part: 0, length: 8, seconds: wait))) }
        total = model.table.sumSquares(gradient, addedTo: total, model.kernels)
        if part.isLast { (loss, norm) = (model.meanLoss(batch), total.squareRoot()) }
        try toNext(step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.norm, step: step, littleEndian(total.bitPattern)), seconds: wait) }
        try fromNext(step) { (link, wait) throws(StageLinkError) in
            let bytes = try link.receive(.result, step: step, part: 0, length: 12, seconds: wait)
            (loss, norm) = (Float(bitPattern: UInt32(truncatingIfNeeded: number(Array(bytes[..<4])))), Double(bitPattern: number(Array(bytes[4...]))))
        }
        try toPrevious(step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.result, step: step, Array(littleEndian(UInt64(loss.bitPattern))[..<4]) + littleEndian(norm.bitPattern)), seconds: wait) }
        let result = loop.update(&state, gradient: gradient, loss: loss, norm: norm, kernels: model.kernels)
        if !result.skipped { try shareTokens(step) }
        return result
    }

    private func exchange(_ point: Model.PassPoint, _ step: UInt64, _ batch: Batch) throws(StageError) {
        let count = batch.tokens / model.microBatches * model.shape.width
        switch point {
        case .entersForward(let number):
            let entered = model.activations(number).entered
            try fromPrevious(step, number) { (link, wait) throws(StageLinkError) in try link.receive(.activation, step: step, part: number, into: entered, count: count, seconds: wait) }
        case .leftForward(let number):
            let left = model.activations(number).left
            try toNext(step, number) { (link, wait) throws(StageLinkError) in try link.send(.activation, step: step, part: number, left, 0..<count, seconds: wait) }
        case .entersBackward(let number):
            let dx = model.backwardBuffers.dx
            try fromNext(step, number) { (link, wait) throws(StageLinkError) in try link.receive(.activationGradient, step: step, part: number, into: dx, count: count, seconds: wait) }
        case .leftBackward(let number):
            let dx = model.backwardBuffers.dx
            try toPrevious(step, number) { (link, wait) throws(StageLinkError) in try link.send(.activationGradient, step: step, part: number, dx, 0..<count, seconds: wait) }
        case .ended: try collectTokenGradient(step)
        }
    }

    /// The head's part of a tied token matrix's gradient goes down the line to the first stage, which adds the embedding's rows to it.
    private func collectTokenGradient(_ step: UInt64) throws(StageError) {
        guard model.shape.tied, part.count > 1 else { return }
        let length = 4 * model.shape.vocabulary * model.shape.width
        var bytes: [UInt8] = headGradient?.littleEndianBytes() ?? []
        try fromNext(step) { (link, wait) throws(StageLinkError) in bytes = try link.receive(.tokenGradient, step: step, part: 0, length: length, seconds: wait) }
        try toPrevious(step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.tokenGradient, step: step, bytes), seconds: wait) }
        if part.isFirst { model.gradient.withUnsafeMutableBufferPointer { UnsafeMutableRawBufferPointer($0).copyBytes(from: bytes) } }
    }

    /// A tied token matrix goes up the line from the first stage to the last.
    func shareTokens(_ step: UInt64) throws(StageError) {
        guard model.shape.tied, part.count > 1 else { return }
        let count = model.shape.vocabulary * model.shape.width
        var bytes: [UInt8] = []
        if part.isFirst { bytes = state.parameters.withUnsafeBytes { Array($0[..<(4 * count)]) } }
        try fromPrevious(step) { (link, wait) throws(StageLinkError) in bytes = try link.receive(.tokenParameters, step: step, part: 0, length: 4 * count, seconds: wait) }
        try toNext(step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.tokenParameters, step: step, bytes), seconds: wait) }
        if part.isLast { head?.withUnsafeMutableBufferPointer { UnsafeMutableRawBufferPointer($0).copyBytes(from: bytes) } }
    }

    // MARK: Neighbours. Where there is none, nothing happens.

    func fromNext(_ step: UInt64?, _ microBatch: Int? = nil, _ body: (any StageLink, Double) throws(StageLinkError) -> Void) throws(StageError) {
        guard let next else { return }
        try with(next, part.number + 1, step, microBatch) { (link) throws(StageLinkError) in try body(link, timeout) }
    }
    func toNext(_ step: UInt64?, _ microBatch: Int? = nil, _ body: (any StageLink, Double) throws(StageLinkError) -> Void) throws(StageError) {
        try fromNext(step, microBatch, body)
    }
    /// Whoever stands before waits for others too, so it has more time.
    func fromPrevious(_ step: UInt64?, _ microBatch: Int? = nil, _ body: (any StageLink, Double) throws(StageLinkError) -> Void) throws(StageError) {
        guard let previous else { return }
        try with(previous, part.number - 1, step, microBatch) { (link) throws(StageLinkError) in try body(link, 2 * timeout + 10) }
    }
    func toPrevious(_ step: UInt64?, _ microBatch: Int? = nil, _ body: (any StageLink, Double) throws(StageLinkError) -> Void) throws(StageError) {
        try fromPrevious(step, microBatch, body)
    }

    private func with(_ link: any StageLink, _ stage: Int, _ step: UInt64?, _ microBatch: Int?, _ body: (any StageLink) throws(StageLinkError) -> Void) throws(StageError) {
        let began = ContinuousClock.now
        defer { if isStepping { times.waiting += (ContinuousClock.now - began).inSeconds } }
        do { try body(link) } catch {
            if case .told(let told) = error { throw told }
            if case .closed = error, let told = lastWord(link) { throw told }
            throw StageError(stage: stage, stages: part.count, place: link.place, step: step, microBatch: microBatch, reason: error.description)
        }
    }
}

/// Whoever ended a link may have said why.
private func lastWord(_ link: any StageLink) -> StageError? {
    while let message = try? link.receive(seconds: 0) {
        if message.header.kind == .failure { return try? StageError(message) }
    }
    return nil
}

func littleEndian(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }
/// Of at most eight bytes.
func number(_ bytes: [UInt8]) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
