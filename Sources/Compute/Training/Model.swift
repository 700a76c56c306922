import AssayTensor

/// Some sequences of tokens, and for each position the token that follows.
public struct Batch: Hashable, Sendable {
    public let inputs: [UInt16]
    public let targets: [UInt16]
    /// Sequences.
    public let rows: Int
    public let context: Int

    public init(inputs: [UInt16], targets: [UInt16], rows: Int, context: Int) {
        precondition(inputs.count == rows * context && targets.count == rows * context,
                     "a batch of \(rows)×\(context) with \(inputs.count) inputs and \(targets.count) targets")
        (self.inputs, self.targets, self.rows, self.context) = (inputs, targets, rows, context)
    }
    public var tokens: Int { rows * context }

    /// Sequences of it, as a batch of their own.
    func sequences(_ range: Range<Int>) -> Batch {
        let tokens = range.lowerBound * context..<range.upperBound * context
        return Batch(inputs: Array(inputs[tokens]), targets: Array(targets[tokens]), rows: range.count, context: context)
    }
}

/// The transformer's forward and backward pass over one batch, or a stage's part of them, with the memory they need. One job at a time for each instance.
///
/// - Exactness: the loss and every gradient have the same bits for every kernel path and number of threads, and for every number of stages.
/// - Traps on a batch that does not fit the shape: batches are cut by us, from data whose tokens were checked when it was read.
public final class Model: @unchecked Sendable {
    public let shape: ModelShape
    public let part: ModelPart
    /// Of the part's own tensors.
    public let table: ParameterTable
    /// The most sequences of a batch.
    public let rows: Int
    /// M: parts that a training batch is computed in, one after the other.
    public let microBatches: Int
    public let kernels: Kernels
    /// Sequences whose activations are there at a time.
    var microRows: Int { rows / microBatches }

    /// Of the micro-batches that are alive: micro-batch j has number j mod `slots`.
    private var kept: [Activations] = []
    private let slots: Int
    /// Of every token of the batch; the last stage alone has them.
    private let losses: FloatBuffer
    /// Llama style alone.
    let rotation: RotaryTable?
    /// What only training needs; a model that judges never makes them.
    lazy var backwardBuffers = BackwardBuffers(shape, rows: microRows)
    lazy var gradient = FloatBuffer(count: table.count)
    /// Gradients of what the first layer is given, of every micro-batch, where the embedding's rows must wait for the head's part.
    private lazy var keptGradients = (0..<microBatches).map { _ in FloatBuffer(count: microRows * shape.context * shape.width) }
    private var keepsGradients: Bool { part.isFirst && shape.tied && (part.count > 1 || microBatches > 1) }

    public convenience init(shape: ModelShape, rows: Int, microBatches: Int = 1, threads: Int = 1, path: KernelPath = .current, integers: IntegerUnit? = nil) {
        self.init(shape: shape, rows: rows, microBatches: microBatches, kernels: Kernels(path: path, threads: threads, integers: integers))
    }
    /// - Parameter part: nil for the whole model, which is the one stage of a pipeline of one.
    public init(shape: ModelShape, part: ModelPart? = nil, rows: Int, microBatches: Int = 1, kernels: Kernels) {
        precondition(rows > 0 && microBatches > 0 && rows.isMultiple(of: microBatches), "a model for \(rows) sequences in \(microBatches) micro-batches")
        let part = part ?? ModelPart(whole: shape)
        (self.shape, self.part, self.rows, self.microBatches, self.kernels) = (shape, part, rows, microBatches, kernels)
        table = ParameterTable(shape, part)
        slots = PipelineSchedule.inFlight(stage: part.number, stages: part.count, microBatches: microBatches)
        losses = FloatBuffer(count: part.isLast ? rows * shape.context : 0)
        rotation = shape.style == .llama ? RotaryTable(context: shape.context, size: shape.headSize) : nil
    }

    /// Where the activations of a micro-batch are. They are made when they are first needed.
    func activations(_ microBatch: Int) -> Activations {
        let slot = microBatch % slots
        while kept.count <= slot { kept.append(Activations(shape, part, rows: microRows)) }
        return kept[slot]
    }

    // MARK: Training

    /// The mean cross-entropy in nats per token, and its gradient by every parameter.
    public func lossAndGradient(_ parameters: FloatBuffer, _ batch: Batch, into gradient: FloatBuffer) -> Float {
        pass(ModelTensors(parameters, shape, table, part), ModelTensors(gradient, shape, table, part), gradient, batch) { (_: PassPoint) throws(Never) in }
        return meanLoss(batch)
    }

    /// Where a pass meets the stages before and behind.
    enum PassPoint {
        /// A micro-batch's activations are wanted in `entered`; are there as the last layer's output.
        case entersForward(Int), leftForward(Int)
        /// Its gradient is wanted in `backwardBuffers.dx`, of what left forward; is there, of what entered.
        case entersBackward(Int), leftBackward(Int)
        /// All micro-batches are through. A tied token matrix's gradient must become whole now: the head's part first.
        case ended
    }

    /// All micro-batches forward and backward in the order of the schedule. A gradient goes on from what the micro-batch before left.
    ///
    /// - Parameter exchange: with the neighbours; does nothing where there are none.
    func pass<Failure: Error>(
        _ tensors: ModelTensors, _ gradients: ModelTensors, _ gradient: FloatBuffer, _ batch: Batch, exchange: (PassPoint) throws(Failure) -> Void
    ) throws(Failure) {
        check(batch)
        precondition(batch.rows.isMultiple(of: microBatches), "a batch of \(batch.rows) sequences in \(microBatches) micro-batches")
        let each = batch.rows / microBatches, parts = (0..<microBatches).map { batch.sequences($0 * each..<($0 + 1) * each) }
        zeroWhatGrows(gradient)
        for operation in PipelineSchedule.operations(stage: part.number, stages: part.count, microBatches: microBatches) {
            switch operation {
            case .forward(let number):
                if !part.isFirst { try exchange(.entersForward(number)) }
                kernels.job { forward(tensors, parts[number], activations(number)) }
                if !part.isLast { try exchange(.leftForward(number)) }
            case .backward(let number):
                if !part.isLast { try exchange(.entersBackward(number)) }
                kernels.job {
                    if part.isLast { entropy(parts[number], activations(number), from: number * each, scale: 1 / Float(batch.tokens)) }
                    backward(tensors, gradients, parts[number], activations(number), goesOn: number > 0)
                    if part.isFirst { embedding(gradients, parts[number], number) }
                }
                if !part.isFirst { try exchange(.leftBackward(number)) }
            }
        }
        try exchange(.ended)
        guard keepsGradients else { return }
        kernels.job { for (number, batch) in parts.enumerated() { addRows(gradients, batch, keptGradients[number]) } }
    }

    /// The embedding's rows come after the head's part: with a head of its own at once, with a tied one when all micro-batches are through.
    private func embedding(_ gradients: ModelTensors, _ batch: Batch, _ number: Int) {
        let dx = backwardBuffers.dx
        if keepsGradients { keptGradients[number].pointer.update(from: dx.pointer, count: batch.tokens * shape.width) } else { addRows(gradients, batch, dx) }
    }
    private func addRows(_ gradients: ModelTensors, _ batch: Batch, _ dx: FloatBuffer) {
        kernels.embedBackward(
            rows: batch.tokens, context: shape.context, width: shape.width, inputs: batch.inputs, dx: dx.pointer, into: part.required(gradients.tokens), dpositions: gradients.positions)
    }

    /// Products write their weights' gradients whole. Sums over rows are added to what is there: norms, biases, positions, and tokens where the head has a matrix of its own.
    private func zeroWhatGrows(_ gradient: FloatBuffer) {
        for entry in table.entries where !entry.decays || entry.name == "wpe.weight" || (part.isFirst && entry.offset == 0 && !shape.tied) { (gradient.pointer + entry.offset).update(repeating: 0, count: entry.count) }
    }

    /// Of the whole batch, in the order of its tokens: it does not depend on the micro-batches.
    func meanLoss(_ batch: Batch) -> Float { kernels.job { Float(kernels.sum(batch.tokens, losses.pointer) / Double(batch.tokens)) } }

    // MARK: Judging

    /// The mean cross-entropy in nats per token: the same bits as `lossAndGradient` gives.
    public func loss(_ parameters: FloatBuffer, _ batch: Batch) -> Float {
        judge(parameters, batch)
        return meanLoss(batch)
    }

    /// The nats of each target token, in the batch's order.
    public func tokenLosses(_ parameters: FloatBuffer, _ batch: Batch) -> [Float] {
        judge(parameters, batch)
        return Array(losses.withUnsafeBufferPointer { $0.prefix(batch.tokens) })
    }

    /// A sequence's losses do not depend on the company it is in, so a batch goes through in parts of any size.
    private func judge(_ parameters: FloatBuffer, _ batch: Batch) {
        check(batch)
        precondition(part.count == 1, "a stage was asked to judge")
        let tensors = ModelTensors(parameters, shape, table, part)
        for first in stride(from: 0, to: batch.rows, by: microRows) {
            let some = batch.sequences(first..<min(first + microRows, batch.rows))
            kernels.job {
                forward(tensors, some, activations(0))
                entropy(some, activations(0), from: first, scale: nil)
            }
        }
    }

    private func check(_ batch: Batch) {
        precondition(batch.context == shape.context && batch.rows > 0 && batch.rows <= rows,
                     "a batch of \(batch.rows)×\(batch.context) for a model of \(rows)×\(shape.context)")
        let limit = shape.vocabulary
        precondition(batch.inputs.allSatisfy { Int($0) < limit } && batch.targets.allSatisfy { Int($0) < limit },
                     "a token outside the vocabulary of \(limit)")
    }

    /// - Parameters:
    ///   - row: of the batch at which these sequences begin.
    ///   - scale: of the gradient, 1 ÷ all tokens of the batch; nil for none.
    private func entropy(_ batch: Batch, _ kept: Activations, from row: Int, scale: Float?) {
        kernels.crossEntropy(
            rows: batch.tokens, vocabulary: shape.vocabulary, logits: kept.logits.pointer, targets: batch.targets, scale: scale ?? 1,
            gradient: scale != nil, into: losses.pointer + row * shape.context)
    }
}
