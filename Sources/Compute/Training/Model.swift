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
}

/// The transformer's forward and backward pass over one batch, with the memory they need. One job at a time for each instance.
///
/// - Exactness: the loss and every gradient have the same bits for every kernel path and number of threads.
/// - Traps on a batch that does not fit the shape: batches are cut by us, from data whose tokens were checked when it was read.
public final class Model: @unchecked Sendable {
    public let shape: ModelShape
    public let table: ParameterTable
    /// The most sequences of a batch.
    public let rows: Int
    public let kernels: Kernels

    let layers: [LayerActivations]
    let embedded, finalNorm, finalMean, finalRstd, logits, losses: FloatBuffer
    /// Llama style alone.
    let rotation: RotaryTable?
    /// What only training needs; a model that judges never makes them.
    lazy var backwardBuffers = BackwardBuffers(shape, rows: rows)
    lazy var gradient = FloatBuffer(count: table.count)

    public init(shape: ModelShape, rows: Int, threads: Int = 1, path: KernelPath = .current, integers: IntegerUnit? = nil) {
        precondition(rows > 0, "a model for \(rows) sequences")
        self.shape = shape
        self.rows = rows
        table = ParameterTable(shape)
        kernels = Kernels(path: path, threads: threads, integers: integers)
        let tokens = rows * shape.context
        func floats(_ columns: Int) -> FloatBuffer { FloatBuffer(count: tokens * columns) }
        layers = (0..<shape.layers).map { _ in LayerActivations(shape, rows: rows) }
        (embedded, finalNorm, finalMean, finalRstd) = (floats(shape.width), floats(shape.width), floats(shape.style == .llama ? 0 : 1), floats(1))
        (logits, losses) = (floats(shape.vocabulary), floats(1))
        rotation = shape.style == .llama ? RotaryTable(context: shape.context, size: shape.headSize) : nil
    }

    /// The mean cross-entropy in nats per token, and its gradient by every parameter.
    public func lossAndGradient(_ parameters: FloatBuffer, _ batch: Batch, into gradient: FloatBuffer) -> Float {
        check(batch)
        return kernels.job {
            let tensors = ModelTensors(parameters, shape, table)
            forward(tensors, batch)
            entropy(batch, gradient: true)
            zeroWhatGrows(gradient)
            backward(tensors, ModelTensors(gradient, shape, table), batch)
            return meanLoss(batch)
        }
    }

    /// The mean cross-entropy in nats per token: the same bits as `lossAndGradient` gives.
    public func loss(_ parameters: FloatBuffer, _ batch: Batch) -> Float {
        check(batch)
        return kernels.job {
            forward(ModelTensors(parameters, shape, table), batch)
            entropy(batch, gradient: false)
            return meanLoss(batch)
        }
    }

    /// The nats of each target token, in the batch's order.
    public func tokenLosses(_ parameters: FloatBuffer, _ batch: Batch) -> [Float] {
        check(batch)
        return kernels.job {
            forward(ModelTensors(parameters, shape, table), batch)
            entropy(batch, gradient: false)
            return Array(UnsafeBufferPointer(start: losses.pointer, count: batch.tokens))
        }
    }

    private func check(_ batch: Batch) {
        precondition(batch.context == shape.context && batch.rows > 0 && batch.rows <= rows,
                     "a batch of \(batch.rows)×\(batch.context) for a model of \(rows)×\(shape.context)")
        let limit = shape.vocabulary
        precondition(batch.inputs.allSatisfy { Int($0) < limit } && batch.targets.allSatisfy { Int($0) < limit },
                     "a token outside the vocabulary of \(limit)")
    }

    private func entropy(_ batch: Batch, gradient: Bool) {
        kernels.crossEntropy(
            rows: batch.tokens, vocabulary: shape.vocabulary, logits: logits.pointer, targets: batch.targets, scale: 1 / Float(batch.tokens),
            gradient: gradient, into: losses.pointer)
    }

    /// Products write their weights' gradients whole. Sums over rows are added to what is there: norms, biases, positions, and tokens where the head has a matrix of its own.
    private func zeroWhatGrows(_ gradient: FloatBuffer) {
        for entry in table.entries where !entry.decays || entry.name == "wpe.weight" || (entry.offset == 0 && !shape.tied) { (gradient.pointer + entry.offset).update(repeating: 0, count: entry.count) }
    }

    private func meanLoss(_ batch: Batch) -> Float { Float(kernels.sum(batch.tokens, losses.pointer) / Double(batch.tokens)) }
}
