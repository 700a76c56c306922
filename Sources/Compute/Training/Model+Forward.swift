import AssayTensor

extension Model {
    /// Fills the activations and the logits.
    func forward(_ tensors: ModelTensors, _ batch: Batch) {
        let tokens = batch.tokens, width = shape.width
        kernels.embed(
            rows: tokens, context: shape.context, width: width, inputs: batch.inputs, tokens: tensors.tokens, positions: tensors.positions,
            into: embedded.pointer)
        var x = embedded
        for (layer, kept) in zip(tensors.layers, layers) {
            forward(layer, kept, x, sequences: batch.rows)
            x = kept.output
        }
        kernels.layerNorm(
            rows: tokens, channels: width, x.pointer, weight: tensors.finalNorm, bias: tensors.finalNormBias, into: finalNorm.pointer,
            mean: finalMean.pointer, rstd: finalRstd.pointer)
        kernels.matmul(.nt, m: tokens, n: shape.vocabulary, k: width, finalNorm.pointer, width, tensors.tokens, width, into: logits.pointer, shape.vocabulary)
    }

    /// output = middle + down(gelu(up(norm2(middle)))), middle = x + projection(attention(norm1(x))).
    private func forward(_ layer: LayerTensors, _ kept: LayerActivations, _ x: FloatBuffer, sequences: Int) {
        let tokens = sequences * shape.context, width = shape.width
        kernels.layerNorm(
            rows: tokens, channels: width, x.pointer, weight: layer.norm1, bias: layer.norm1Bias, into: kept.norm1.pointer, mean: kept.mean1.pointer,
            rstd: kept.rstd1.pointer)
        linear(tokens, width, 3 * width, kept.norm1, layer.attention, layer.attentionBias, into: kept.qkv)
        kernels.attention(
            sequences: sequences, context: shape.context, heads: shape.heads, size: shape.headSize, qkv: kept.qkv.pointer,
            probabilities: kept.probabilities.pointer, into: kept.attended.pointer)
        linear(tokens, width, width, kept.attended, layer.projection, layer.projectionBias, into: kept.middle)
        kernels.add(tokens * width, x.pointer, kept.middle.pointer, into: kept.middle.pointer)
        kernels.layerNorm(
            rows: tokens, channels: width, kept.middle.pointer, weight: layer.norm2, bias: layer.norm2Bias, into: kept.norm2.pointer,
            mean: kept.mean2.pointer, rstd: kept.rstd2.pointer)
        linear(tokens, width, 4 * width, kept.norm2, layer.up, layer.upBias, into: kept.up)
        kernels.gelu(tokens * 4 * width, kept.up.pointer, into: kept.gelu.pointer)
        linear(tokens, 4 * width, width, kept.gelu, layer.down, layer.downBias, into: kept.output)
        kernels.add(tokens * width, kept.middle.pointer, kept.output.pointer, into: kept.output.pointer)
    }

    private func linear(
        _ tokens: Int, _ inputs: Int, _ outputs: Int, _ x: FloatBuffer, _ weight: UnsafeMutablePointer<Float>, _ bias: UnsafeMutablePointer<Float>?,
        into y: FloatBuffer
    ) {
        product(.nn, m: tokens, n: outputs, k: inputs, x.pointer, inputs, weight, outputs, into: y.pointer, outputs)
        if let bias { kernels.addBias(rows: tokens, columns: outputs, bias, to: y.pointer) }
    }
}
