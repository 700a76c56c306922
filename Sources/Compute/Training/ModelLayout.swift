import AssayTensor

/// The parameters (or gradients) of one layer, as pointers into the flat allocation.
struct LayerTensors {
    var norm1: UnsafeMutablePointer<Float>, norm1Bias: UnsafeMutablePointer<Float>?
    /// Queries, keys and values in one; in Llama style the queries alone.
    var attention: UnsafeMutablePointer<Float>, attentionBias: UnsafeMutablePointer<Float>?
    var keyValues: (keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>)?
    var projection: UnsafeMutablePointer<Float>, projectionBias: UnsafeMutablePointer<Float>?
    var norm2: UnsafeMutablePointer<Float>, norm2Bias: UnsafeMutablePointer<Float>?
    var gate: UnsafeMutablePointer<Float>?
    var up: UnsafeMutablePointer<Float>, upBias: UnsafeMutablePointer<Float>?
    var down: UnsafeMutablePointer<Float>, downBias: UnsafeMutablePointer<Float>?
}

/// The tensors of a model or of a stage's part, found once in the order of `ParameterTable`. What a part does not have is nil.
struct ModelTensors {
    let tokens: UnsafeMutablePointer<Float>?
    let positions: UnsafeMutablePointer<Float>?
    let layers: [LayerTensors]
    let finalNorm: UnsafeMutablePointer<Float>?, finalNormBias: UnsafeMutablePointer<Float>?
    /// The tokens' where it is tied.
    let head: UnsafeMutablePointer<Float>?

    /// - Parameter head: the tied token matrix, or its gradient, of a last stage that is not the first; it is no part of the stage's table.
    init(_ buffer: FloatBuffer, _ shape: ModelShape, _ table: ParameterTable, _ part: ModelPart, head tiedHead: FloatBuffer? = nil) {
        precondition(buffer.count == table.count, "a model of \(table.count) parameters was given \(buffer.count)")
        var next = 0
        func tensor() -> UnsafeMutablePointer<Float> {
            defer { next += 1 }
            return buffer.pointer + table.entries[next].offset
        }
        func pair() -> (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>?) {
            let weight = tensor()
            return (weight, shape.biases ? tensor() : nil)
        }
        let tokens = part.isFirst ? tensor() : nil
        self.tokens = tokens
        let isLlama = shape.style == .llama
        positions = isLlama || !part.isFirst ? nil : tensor()
        layers = part.layers.map { _ in
            let norm1 = pair(), attention = pair(), keyValues = isLlama ? (keys: tensor(), values: tensor()) : nil, projection = pair()
            let norm2 = pair(), gate = isLlama ? tensor() : nil, up = pair(), down = pair()
            return LayerTensors(
                norm1: norm1.0, norm1Bias: norm1.1, attention: attention.0, attentionBias: attention.1, keyValues: keyValues, projection: projection.0,
                projectionBias: projection.1, norm2: norm2.0, norm2Bias: norm2.1, gate: gate, up: up.0, upBias: up.1, down: down.0, downBias: down.1)
        }
        if part.isLast {
            (finalNorm, finalNormBias) = pair()
            head = shape.tied ? tokens ?? tiedHead?.pointer : tensor()
        } else { (finalNorm, finalNormBias, head) = (nil, nil, nil) }
        precondition(next == table.entries.count, "\(next) of \(table.entries.count) tensors were found")
    }
}

/// What the forward pass keeps of one layer for the backward pass.
struct LayerActivations {
    let norm1, qkv, largest, inverse, attended, middle, norm2, up, active: FloatBuffer
    /// Empty in GPT-2 style.
    let gate: FloatBuffer
    let mean1, rstd1, mean2, rstd2, output: FloatBuffer

    init(_ shape: ModelShape, rows: Int) {
        let tokens = rows * shape.context, width = shape.width
        func floats(_ columns: Int) -> FloatBuffer { FloatBuffer(count: tokens * columns) }
        let isLlama = shape.style == .llama
        (norm1, qkv, attended, middle, norm2) = (floats(width), floats(3 * width), floats(width), floats(width), floats(width))
        (gate, up, active) = (floats(isLlama ? shape.hidden : 0), floats(shape.hidden), floats(shape.hidden))
        (largest, inverse) = (floats(shape.heads), floats(shape.heads))
        (mean1, mean2) = (floats(isLlama ? 0 : 1), floats(isLlama ? 0 : 1))
        (rstd1, rstd2, output) = (floats(1), floats(1), floats(width))
    }
}

/// What the forward pass of one micro-batch keeps: the residual stream as it enters, the layers, and at the end of the model what is made of it there.
final class Activations {
    let entered: FloatBuffer
    let layers: [LayerActivations]
    /// Empty but in the last stage.
    let finalNorm, finalMean, finalRstd, logits: FloatBuffer
    /// The residual stream as it leaves.
    var left: FloatBuffer { layers[layers.count - 1].output }

    init(_ shape: ModelShape, _ part: ModelPart, rows: Int) {
        let tokens = rows * shape.context
        func floats(_ columns: Int) -> FloatBuffer { FloatBuffer(count: part.isLast ? tokens * columns : 0) }
        entered = FloatBuffer(count: tokens * shape.width)
        layers = part.layers.map { _ in LayerActivations(shape, rows: rows) }
        (finalNorm, finalMean, finalRstd, logits) = (floats(shape.width), floats(shape.style == .llama ? 0 : 1), floats(1), floats(shape.vocabulary))
    }
}

/// Gradients of activations on their way back: one set serves all layers.
struct BackwardBuffers {
    /// Of the residual stream; of what a norm or attention gave; of queries, keys and values; after GELU or SwiGLU, then before it (the gate).
    let dx, dnarrow, dqkv, dwide: FloatBuffer
    /// What SwiGLU multiplies the gate with; empty in GPT-2 style.
    let dup: FloatBuffer

    init(_ shape: ModelShape, rows: Int) {
        let tokens = rows * shape.context, width = shape.width
        func floats(_ columns: Int) -> FloatBuffer { FloatBuffer(count: tokens * columns) }
        (dx, dnarrow, dqkv, dwide) = (floats(width), floats(width), floats(3 * width), floats(shape.hidden))
        dup = floats(shape.style == .llama ? shape.hidden : 0)
    }
}
