import AssayTensor

/// What a Llama-style layer does differently: queries, keys and values by matrices of their own, rotated; two matrices before SwiGLU.
extension Model {
    typealias KeyValues = (keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>)

    /// Fills `qkv`: queries, then keys, then values of all heads, whoever shares them, as attention reads them.
    func rotatedAttention(_ tokens: Int, _ layer: LayerTensors, _ keyValues: KeyValues, _ kept: LayerActivations) {
        let width = shape.width, keyWidth = shape.keyWidth, stride = 3 * width, queries = kept.qkv.pointer, keys = queries + width, values = keys + width
        for (weight, columns, out) in [(layer.attention, width, queries), (keyValues.keys, keyWidth, keys), (keyValues.values, keyWidth, values)] {
            product(.nn, m: tokens, n: columns, k: width, kept.norm1.pointer, width, weight, columns, into: out, stride)
        }
        rotate(tokens, queries, heads: shape.heads)
        rotate(tokens, keys, heads: shape.keyValueHeads)
        for shared in [keys, values] {
            kernels.shareHeads(rows: tokens, heads: shape.heads, group: shape.headsPerKey, size: shape.headSize, shared, stride: stride)
        }
    }

    /// From `dqkv` to the three matrices, and into `dnarrow`.
    func rotatedAttentionBackward(_ tokens: Int, _ kept: LayerActivations, _ layer: LayerTensors, _ keyValues: KeyValues, _ gradient: LayerTensors, _ gradients: KeyValues, _ goesOn: Bool) {
        let width = shape.width, keyWidth = shape.keyWidth, stride = 3 * width, buffers = backwardBuffers
        let queries = buffers.dqkv.pointer, keys = queries + width, values = keys + width
        for shared in [keys, values] {
            kernels.gatherHeads(rows: tokens, heads: shape.heads, group: shape.headsPerKey, size: shape.headSize, shared, stride: stride)
        }
        rotate(tokens, queries, heads: shape.heads, back: true)
        rotate(tokens, keys, heads: shape.keyValueHeads, back: true)
        let parts = [(layer.attention, gradient.attention, width, queries), (keyValues.keys, gradients.keys, keyWidth, keys), (keyValues.values, gradients.values, keyWidth, values)]
        for (index, (weight, dweight, columns, dy)) in parts.enumerated() {
            product(.tn, m: width, n: columns, k: tokens, kept.norm1.pointer, width, dy, stride, into: dweight, columns, accumulate: goesOn)
            product(.nt, m: tokens, n: width, k: columns, dy, stride, weight, columns, into: buffers.dnarrow.pointer, width, accumulate: index > 0)
        }
    }

    private func rotate(_ tokens: Int, _ x: UnsafeMutablePointer<Float>, heads: Int, back: Bool = false) {
        guard let rotation else { preconditionFailure("a model of style \(shape.style.name) has no rotation") }
        kernels.rotate(
            rows: tokens, context: shape.context, heads: heads, size: shape.headSize, cosines: rotation.cosines.pointer, sines: rotation.sines.pointer, back: back, x,
            stride: 3 * shape.width)
    }

    /// From `dwide`, the gradient of what SwiGLU gave, to both matrices, and into `dnarrow`: the gate's part first, then the other's added.
    func swiGLUBackward(
        _ tokens: Int, _ kept: LayerActivations, gate: UnsafeMutablePointer<Float>, up: UnsafeMutablePointer<Float>, dgate: UnsafeMutablePointer<Float>,
        dup: UnsafeMutablePointer<Float>, _ goesOn: Bool
    ) {
        let width = shape.width, hidden = shape.hidden, buffers = backwardBuffers
        kernels.swiGLUBackward(
            tokens * hidden, gate: kept.gate.pointer, up: kept.up.pointer, dout: buffers.dwide.pointer, into: buffers.dwide.pointer, dup: buffers.dup.pointer)
        for (dy, weight, dweight, isSecond) in [(buffers.dwide.pointer, gate, dgate, false), (buffers.dup.pointer, up, dup, true)] {
            product(.tn, m: width, n: hidden, k: tokens, kept.norm2.pointer, width, dy, hidden, into: dweight, hidden, accumulate: goesOn)
            product(.nt, m: tokens, n: width, k: hidden, dy, hidden, weight, hidden, into: buffers.dnarrow.pointer, width, accumulate: isSecond)
        }
    }
}
