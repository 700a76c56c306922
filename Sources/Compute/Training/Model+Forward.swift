import AssayTensor

extension Model {
    /// Fills the activations, and in the last stage the logits. What enters a stage that is not the first is there already.
    func forward(_ tensors: ModelTensors, _ batch: Batch, _ kept: Activations) {
        let tokens = batch.tokens, width = shape.width, layers = kept.layers
        if part.isFirst {
            kernels.embed(
                rows: tokens, context: shape.context, width: width, inputs: batch.inputs, tokens: part.required(tensors.tokens), positions: tensors.positions,
                into: kept.entered.pointer)
        }
        let first = tensors.layers[0]
        norm(tokens, kept.entered, NextNorm(weight: first.norm1, bias: first.norm1Bias, out: layers[0].norm1, mean: layers[0].mean1, rstd: layers[0].rstd1))
        for index in layers.indices {
            forward(tensors.layers[index], layers[index], index == 0 ? kept.entered : layers[index - 1].output, next: nextNorm(tensors, kept, index), sequences: batch.rows)
        }
        guard part.isLast else { return }
        kernels.matmul(.nt, m: tokens, n: shape.vocabulary, k: width, kept.finalNorm.pointer, width, part.required(tensors.head), width, into: kept.logits.pointer, shape.vocabulary)
    }

    /// A norm that is about to be made, and where it goes.
    private struct NextNorm {
        let weight: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?
        let out, mean, rstd: FloatBuffer
    }
    /// The norm that follows a layer: the next layer's first, or the last; nil where the next layer is another stage's.
    private func nextNorm(_ tensors: ModelTensors, _ all: Activations, _ index: Int) -> NextNorm? {
        if index + 1 == part.layers.count {
            guard part.isLast else { return nil }
            return NextNorm(weight: part.required(tensors.finalNorm), bias: tensors.finalNormBias, out: all.finalNorm, mean: all.finalMean, rstd: all.finalRstd)
        }
        let layer = tensors.layers[index + 1], kept = all.layers[index + 1]
        return NextNorm(weight: layer.norm1, bias: layer.norm1Bias, out: kept.norm1, mean: kept.mean1, rstd: kept.rstd1)
    }

    private func norm(_ tokens: Int, _ x: FloatBuffer, _ norm: NextNorm) {
        switch shape.style {
        case .gpt2:
            kernels.layerNorm(
                rows: tokens, channels: shape.width, x.pointer, weight: norm.weight, bias: norm.bias, into: norm.out.pointer, mean: norm.mean.pointer, rstd: norm.rstd.pointer)
        case .llama: kernels.rmsNorm(rows: tokens, channels: shape.width, x.pointer, weight: norm.weight, into: norm.out.pointer, rstd: norm.rstd.pointer)
        }
    }
    /// y = x + (y + yBias), where there is one, and the norm of that, where it is ours.
    private func residualNorm(_ tokens: Int, _ x: FloatBuffer, yBias: UnsafeMutablePointer<Float>?, addedTo y: FloatBuffer, _ norm: NextNorm?) {
        guard let norm else {
            if let yBias { kernels.addBias(rows: tokens, columns: shape.width, yBias, to: y.pointer) }
            return kernels.add(tokens * shape.width, x.pointer, y.pointer, into: y.pointer)
        }
        switch shape.style {
        case .gpt2:
            kernels.residualNorm(
                rows: tokens, channels: shape.width, x.pointer, yBias: yBias, addedTo: y.pointer, weight: norm.weight, bias: norm.bias, into: norm.out.pointer,
                mean: norm.mean.pointer, rstd: norm.rstd.pointer)
        case .llama:
            kernels.residualRMSNorm(
                rows: tokens, channels: shape.width, x.pointer, addedTo: y.pointer, weight: norm.weight, into: norm.out.pointer, rstd: norm.rstd.pointer)
        }
    }

    /// output = middle + down(active(norm2(middle))), middle = x + projection(attention(norm1(x))); norm1 is there already, and the next norm is made.
    private func forward(_ layer: LayerTensors, _ kept: LayerActivations, _ x: FloatBuffer, next: NextNorm?, sequences: Int) {
        let tokens = sequences * shape.context, width = shape.width
        if let keyValues = layer.keyValues {
            rotatedAttention(tokens, layer, keyValues, kept)
        } else {
            linear(tokens, width, 3 * width, kept.norm1, layer.attention, layer.attentionBias, into: kept.qkv)
        }
        kernels.attention(
            sequences: sequences, context: shape.context, heads: shape.heads, size: shape.headSize, qkv: kept.qkv.pointer,
            largest: kept.largest.pointer, inverse: kept.inverse.pointer, into: kept.attended.pointer)
        linear(tokens, width, width, kept.attended, layer.projection, nil, into: kept.middle)
        residualNorm(tokens, x, yBias: layer.projectionBias, addedTo: kept.middle,
                     NextNorm(weight: layer.norm2, bias: layer.norm2Bias, out: kept.norm2, mean: kept.mean2, rstd: kept.rstd2))
        linear(tokens, width, shape.hidden, kept.norm2, layer.up, nil, into: kept.up)
        if let gate = layer.gate {
            linear(tokens, width, shape.hidden, kept.norm2, gate, nil, into: kept.gate)
            kernels.swiGLU(tokens * shape.hidden, gate: kept.gate.pointer, up: kept.up.pointer, into: kept.active.pointer)
        } else {
            kernels.biasGelu(rows: tokens, columns: shape.hidden, bias: layer.upBias, kept.up.pointer, into: kept.active.pointer)
        }
        linear(tokens, shape.hidden, width, kept.active, layer.down, nil, into: kept.output)
        residualNorm(tokens, kept.middle, yBias: layer.downBias, addedTo: kept.output, next)
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
