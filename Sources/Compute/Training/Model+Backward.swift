import AssayTensor

extension Model {
    /// From the gradient in `logits`, or of what left the stage in `dx`, back to every parameter and to what entered, in `dx`.
    ///
    /// What products do not write is zero at the start of a step.
    /// - Parameter goesOn: products go on from the gradient that the micro-batch before left, instead of from +0.
    func backward(_ tensors: ModelTensors, _ gradients: ModelTensors, _ batch: Batch, _ kept: Activations, goesOn: Bool) {
        if part.isLast { headBackward(tensors, gradients, batch, kept, goesOn: goesOn) }
        for index in kept.layers.indices.reversed() {
            let input = index == 0 ? kept.entered : kept.layers[index - 1].output
            backward(tensors.layers[index], gradients.layers[index], kept.layers[index], input, sequences: batch.rows, goesOn: goesOn)
        }
    }

    private func headBackward(_ tensors: ModelTensors, _ gradients: ModelTensors, _ batch: Batch, _ kept: Activations, goesOn: Bool) {
        let tokens = batch.tokens, width = shape.width, vocabulary = shape.vocabulary, buffers = backwardBuffers, logits = kept.logits.pointer
        kernels.matmul(.tn, m: vocabulary, n: width, k: tokens, logits, vocabulary, kept.finalNorm.pointer, width, into: part.required(gradients.head), width, accumulate: goesOn)
        kernels.matmul(.nn, m: tokens, n: width, k: vocabulary, logits, vocabulary, part.required(tensors.head), width, into: buffers.dnarrow.pointer, width)
        buffers.dx.fill(0)
        normBackward(tokens, kept.left, part.required(tensors.finalNorm), mean: kept.finalMean, rstd: kept.finalRstd, dweight: part.required(gradients.finalNorm), dbias: gradients.finalNormBias)
    }

    /// `dx` is the gradient of the layer's output when this begins, and of its input when it ends.
    private func backward(_ layer: LayerTensors, _ gradient: LayerTensors, _ kept: LayerActivations, _ x: FloatBuffer, sequences: Int, goesOn: Bool) {
        let tokens = sequences * shape.context, width = shape.width, hidden = shape.hidden, buffers = backwardBuffers
        linearBackward(tokens, hidden, width, kept.active, buffers.dx, layer.down, gradient.down, gradient.downBias, into: buffers.dwide, goesOn)
        if let gate = layer.gate, let gateGradient = gradient.gate {
            swiGLUBackward(tokens, kept, gate: gate, up: layer.up, dgate: gateGradient, dup: gradient.up, goesOn)
        } else {
            kernels.geluBackward(tokens * hidden, kept.up.pointer, buffers.dwide.pointer, into: buffers.dwide.pointer)
            linearBackward(tokens, width, hidden, kept.norm2, buffers.dwide, layer.up, gradient.up, gradient.upBias, into: buffers.dnarrow, goesOn)
        }
        normBackward(tokens, kept.middle, layer.norm2, mean: kept.mean2, rstd: kept.rstd2, dweight: gradient.norm2, dbias: gradient.norm2Bias)
        linearBackward(tokens, width, width, kept.attended, buffers.dx, layer.projection, gradient.projection, gradient.projectionBias, into: buffers.dnarrow, goesOn)
        kernels.attentionBackward(
            sequences: sequences, context: shape.context, heads: shape.heads, size: shape.headSize, qkv: kept.qkv.pointer,
            largest: kept.largest.pointer, inverse: kept.inverse.pointer, dout: buffers.dnarrow.pointer, into: buffers.dqkv.pointer)
        if let keyValues = layer.keyValues, let keyValueGradients = gradient.keyValues {
            rotatedAttentionBackward(tokens, kept, layer, keyValues, gradient, keyValueGradients, goesOn)
        } else {
            linearBackward(tokens, width, 3 * width, kept.norm1, buffers.dqkv, layer.attention, gradient.attention, gradient.attentionBias, into: buffers.dnarrow, goesOn)
        }
        normBackward(tokens, x, layer.norm1, mean: kept.mean1, rstd: kept.rstd1, dweight: gradient.norm1, dbias: gradient.norm1Bias)
    }

    /// From `dnarrow`, added to `dx`.
    private func normBackward(
        _ tokens: Int, _ x: FloatBuffer, _ weight: UnsafeMutablePointer<Float>, mean: FloatBuffer, rstd: FloatBuffer, dweight: UnsafeMutablePointer<Float>,
        dbias: UnsafeMutablePointer<Float>?
    ) {
        let dy = backwardBuffers.dnarrow.pointer, dx = backwardBuffers.dx.pointer
        switch shape.style {
        case .gpt2:
            kernels.layerNormBackward(
                rows: tokens, channels: shape.width, dy: dy, x: x.pointer, weight: weight, mean: mean.pointer, rstd: rstd.pointer, into: dx, dweight: dweight, dbias: dbias)
        case .llama: kernels.rmsNormBackward(rows: tokens, channels: shape.width, dy: dy, x: x.pointer, weight: weight, rstd: rstd.pointer, into: dx, dweight: dweight)
        }
    }

    private func linearBackward(
        _ tokens: Int, _ inputs: Int, _ outputs: Int, _ x: FloatBuffer, _ dy: FloatBuffer, _ weight: UnsafeMutablePointer<Float>,
        _ dweight: UnsafeMutablePointer<Float>, _ dbias: UnsafeMutablePointer<Float>?, into dx: FloatBuffer, _ goesOn: Bool
    ) {
        product(.tn, m: inputs, n: outputs, k: tokens, x.pointer, inputs, dy.pointer, outputs, into: dweight, outputs, accumulate: goesOn)
        if let dbias { kernels.sumRows(rows: tokens, columns: outputs, dy.pointer, into: dbias) }
        product(.nt, m: tokens, n: inputs, k: outputs, dy.pointer, outputs, weight, outputs, into: dx.pointer, inputs)
    }
}
