import AssayTensor

extension Model {
    /// From the gradient in `logits` back to every parameter. What products do not write is zero at the start; the head's part comes before the embedding's.
    func backward(_ tensors: ModelTensors, _ gradients: ModelTensors, _ batch: Batch) {
        let tokens = batch.tokens, width = shape.width, vocabulary = shape.vocabulary, buffers = backwardBuffers
        kernels.matmul(.tn, m: vocabulary, n: width, k: tokens, logits.pointer, vocabulary, finalNorm.pointer, width, into: gradients.tokens, width)
        kernels.matmul(.nn, m: tokens, n: width, k: vocabulary, logits.pointer, vocabulary, tensors.tokens, width, into: buffers.dnarrow.pointer, width)
        buffers.dx.fill(0)
        kernels.layerNormBackward(
            rows: tokens, channels: width, dy: buffers.dnarrow.pointer, x: layers[shape.layers - 1].output.pointer, weight: tensors.finalNorm,
            mean: finalMean.pointer, rstd: finalRstd.pointer, into: buffers.dx.pointer, dweight: gradients.finalNorm, dbias: gradients.finalNormBias)
        for index in (0..<shape.layers).reversed() {
            let input = index == 0 ? embedded : layers[index - 1].output
            backward(tensors.layers[index], gradients.layers[index], layers[index], input, sequences: batch.rows)
        }
        kernels.embedBackward(
            rows: tokens, context: shape.context, width: width, inputs: batch.inputs, dx: buffers.dx.pointer, into: gradients.tokens, dpositions: gradients.positions)
    }

    /// `dx` is the gradient of the layer's output when this begins, and of its input when it ends.
    private func backward(_ layer: LayerTensors, _ gradient: LayerTensors, _ kept: LayerActivations, _ x: FloatBuffer, sequences: Int) {
        let tokens = sequences * shape.context, width = shape.width, buffers = backwardBuffers
        linearBackward(tokens, 4 * width, width, kept.gelu, buffers.dx, layer.down, gradient.down, gradient.downBias, into: buffers.dwide)
        kernels.geluBackward(tokens * 4 * width, kept.up.pointer, buffers.dwide.pointer, into: buffers.dwide.pointer)
        linearBackward(tokens, width, 4 * width, kept.norm2, buffers.dwide, layer.up, gradient.up, gradient.upBias, into: buffers.dnarrow)
        kernels.layerNormBackward(
            rows: tokens, channels: width, dy: buffers.dnarrow.pointer, x: kept.middle.pointer, weight: layer.norm2, mean: kept.mean2.pointer,
            rstd: kept.rstd2.pointer, into: buffers.dx.pointer, dweight: gradient.norm2, dbias: gradient.norm2Bias)
        linearBackward(tokens, width, width, kept.attended, buffers.dx, layer.projection, gradient.projection, gradient.projectionBias, into: buffers.dnarrow)
        kernels.attentionBackward(
            sequences: sequences, context: shape.context, heads: shape.heads, size: shape.headSize, qkv: kept.qkv.pointer,
            largest: kept.largest.pointer, inverse: kept.inverse.pointer, dout: buffers.dnarrow.pointer, into: buffers.dqkv.pointer)
        linearBackward(tokens, width, 3 * width, kept.norm1, buffers.dqkv, layer.attention, gradient.attention, gradient.attentionBias, into: buffers.dnarrow)
        kernels.layerNormBackward(
            rows: tokens, channels: width, dy: buffers.dnarrow.pointer, x: x.pointer, weight: layer.norm1, mean: kept.mean1.pointer, rstd: kept.rstd1.pointer,
            into: buffers.dx.pointer, dweight: gradient.norm1, dbias: gradient.norm1Bias)
    }

    private func linearBackward(
        _ tokens: Int, _ inputs: Int, _ outputs: Int, _ x: FloatBuffer, _ dy: FloatBuffer, _ weight: UnsafeMutablePointer<Float>,
        _ dweight: UnsafeMutablePointer<Float>, _ dbias: UnsafeMutablePointer<Float>?, into dx: FloatBuffer
    ) {
        product(.tn, m: inputs, n: outputs, k: tokens, x.pointer, inputs, dy.pointer, outputs, into: dweight, outputs)
        if let dbias { kernels.sumRows(rows: tokens, columns: outputs, dy.pointer, into: dbias) }
        product(.nt, m: tokens, n: inputs, k: outputs, dy.pointer, outputs, weight, outputs, into: dx.pointer, inputs)
    }
}
