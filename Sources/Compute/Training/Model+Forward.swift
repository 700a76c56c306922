import AssayTensor

extension Model {
    /// Fills the activations and the logits.
    func forward(_ tensors: ModelTensors, _ batch: Batch) {
        let tokens = batch.tokens, width = shape.width
        kernels.embed(
            rows: tokens, context: shape.context, width: width, inputs: batch.inputs, tokens: tensors.tokens, positions: tensors.positions,
            into: embedded.pointer)
        let first = tensors.layers[0], entered = layers[0]
        kernels.layerNorm(
            rows: tokens, channels: width, embedded.pointer, weight: first.norm1, bias: first.norm1Bias, into: entered.norm1.pointer,
            mean: entered.mean1.pointer, rstd: entered.rstd1.pointer)
        for index in 0..<shape.layers {
            forward(tensors.layers[index], layers[index], index == 0 ? embedded : layers[index - 1].output, next: nextNorm(tensors, index), sequences: batch.rows)
        }
        kernels.matmul(.nt, m: tokens, n: shape.vocabulary, k: width, finalNorm.pointer, width, tensors.tokens, width, into: logits.pointer, shape.vocabulary)
    }

    /// The norm that follows a layer, with where it goes: the next layer's first, or the last.
    private struct NextNorm {
        let weight: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?
        let out, mean, rstd: FloatBuffer
    }
    private func nextNorm(_ tensors: ModelTensors, _ index: Int) -> NextNorm {
        if index + 1 == shape.layers {
            return NextNorm(weight: tensors.finalNorm, bias: tensors.finalNormBias, out: finalNorm, mean: finalMean, rstd: finalRstd)
        }
        let layer = tensors.layers[index + 1], kept = layers[index + 1]
        return NextNorm(weight: layer.norm1, bias: layer.norm1Bias, out: kept.norm1, mean: kept.mean1, rstd: kept.rstd1)
    }

    /// output = middle + down(gelu(up(norm2(middle)))), middle = x + projection(attention(norm1(x))); norm1 is there already, and the next norm is made.
    private func forward(_ layer: LayerTensors, _ kept: LayerActivations, _ x: FloatBuffer, next: NextNorm, sequences: Int) {
        let tokens = sequences * shape.context, width = shape.width
        linear(tokens, width, 3 * width, kept.norm1, layer.attention, layer.attentionBias, into: kept.qkv)
        kernels.attention(
            sequences: sequences, context: shape.context, heads: shape.heads, size: shape.headSize, qkv: kept.qkv.pointer,
            largest: kept.largest.pointer, inverse: kept.inverse.pointer, into: kept.attended.pointer)
        linear(tokens, width, width, kept.attended, layer.projection, nil, into: kept.middle)
        kernels.residualNorm(
            rows: tokens, channels: width, x.pointer, yBias: layer.projectionBias, addedTo: kept.middle.pointer, weight: layer.norm2, bias: layer.norm2Bias,
            into: kept.norm2.pointer, mean: kept.mean2.pointer, rstd: kept.rstd2.pointer)
        linear(tokens, width, 4 * width, kept.norm2, layer.up, nil, into: kept.up)
        kernels.biasGelu(rows: tokens, columns: 4 * width, bias: layer.upBias, kept.up.pointer, into: kept.gelu.pointer)
        linear(tokens, 4 * width, width, kept.gelu, layer.down, nil, into: kept.output)
        kernels.residualNorm(
            rows: tokens, channels: width, kept.middle.pointer, yBias: layer.downBias, addedTo: kept.output.pointer, weight: next.weight, bias: next.bias,
            into: next.out.pointer, mean: next.mean.pointer, rstd: next.rstd.pointer)
    }

    /// y = x·weight, plus the bias where the next kernel does not add it.
    private func linear(
        _ tokens: Int, _ inputs: Int, _ outputs: Int, _ x: FloatBuffer, _ weight: UnsafeMutablePointer<Float>, _ bias: UnsafeMutablePointer<Float>?,
        into y: FloatBuffer
    ) {
        product(.nn, m: tokens, n: outputs, k: inputs, x.pointer, inputs, weight, outputs, into: y.pointer, outputs)
        if let bias { kernels.addBias(rows: tokens, columns: outputs, bias, to: y.pointer) }
    }
}
