import CAssayKernels

extension Kernels {
    /// Each row of `x` divided by its root mean square, times `weight`: (x·rstd)·weight.
    ///
    /// - Shapes: `x`, `out` [rows, channels]; `weight` [channels]; `rstd` [rows], kept for backward.
    /// - Exactness: rstd = 1 ÷ √((16-lane fma sum of x·x) ÷ channels + 1e-5).
    /// - Source: Zhang, Sennrich, "Root Mean Square Layer Normalization" (2019), eq. 4.
    public func rmsNorm(rows: Int, channels: Int, _ x: Floats, weight: Floats, into out: MutableFloats, rstd: MutableFloats) {
        assay_parallel_rms_norm(table, pool, rows, channels, x, weight, out, rstd)
    }
    /// y = x + y; then its norm into `out`.
    public func residualRMSNorm(rows: Int, channels: Int, _ x: Floats, addedTo y: MutableFloats, weight: Floats, into out: MutableFloats, rstd: MutableFloats) {
        assay_parallel_residual_rms_norm(table, pool, rows, channels, x, y, weight, out, rstd)
    }
    /// dx += …, dweight += ….
    public func rmsNormBackward(
        rows: Int, channels: Int, dy: Floats, x: Floats, weight: Floats, rstd: Floats, into dx: MutableFloats, dweight: MutableFloats
    ) { assay_parallel_rms_norm_backward(table, pool, rows, channels, dy, x, weight, rstd, dx, dweight) }

    /// out = silu(gate) · up, elementwise.
    ///
    /// - Source: Shazeer, "GLU Variants Improve Transformer" (2020), eq. 5.
    public func swiGLU(_ count: Int, gate: Floats, up: Floats, into out: MutableFloats) { assay_parallel_swiglu(table, pool, count, gate, up, out) }
    /// The gradients of gate and up. `dgate` may be `dout`.
    public func swiGLUBackward(_ count: Int, gate: Floats, up: Floats, dout: Floats, into dgate: MutableFloats, dup: MutableFloats) {
        assay_parallel_swiglu_backward(table, pool, count, gate, up, dout, dgate, dup)
    }

    /// Turns columns i and i + size ÷ 2 of each head by the angle i of the row's position, in place; or back.
    ///
    /// - Shapes: row r is `heads` · `size` columns at x + r · `stride`, at position r mod context; `cosines`, `sines` [context, size ÷ 2].
    /// - Exactness: a′ = fma(a, cos, −(b·sin)), b′ = fma(b, cos, a·sin); back with −sin.
    /// - Source: Su et al., "RoFormer" (2021), eq. 34; the pairing is that of transformers' LlamaForCausalLM.
    public func rotate(
        rows: Int, context: Int, heads: Int, size: Int, cosines: Floats, sines: Floats, back: Bool = false, _ x: MutableFloats, stride: Int
    ) { assay_parallel_rotate(table, pool, rows, context, heads, size, cosines, sines, back, x, stride) }

    /// Keys or values of heads ÷ group heads become those of all heads, in place: each is copied for `group` heads in a row.
    public func shareHeads(rows: Int, heads: Int, group: Int, size: Int, _ x: MutableFloats, stride: Int) {
        assay_parallel_share_heads(pool, rows, heads, group, size, x, stride)
    }
    /// The gradient of that: each becomes the sum of its group, from the first to the last.
    public func gatherHeads(rows: Int, heads: Int, group: Int, size: Int, _ x: MutableFloats, stride: Int) {
        assay_parallel_gather_heads(table, pool, rows, heads, group, size, x, stride)
    }
}
