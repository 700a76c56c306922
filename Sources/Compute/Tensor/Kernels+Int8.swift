import CAssayKernels

extension Kernels {
    /// C (+)= A·B, A·Bᵀ or Aᵀ·B of a linear layer, with both operands rounded to eight bits along k.
    ///
    /// - Shapes: C [m, n]; by orientation A [m, k] or [k, m], B [k, n] or [n, k]; row-major, rows `lda`, `ldb`, `ldc` floats apart.
    /// - Exactness: each line of A and of B along k has one scale, amax ÷ 127, and integers round-half-even(x · (127 ÷ amax)); the sum of products is
    ///   an integer; the result is (float(sum) · scale of A's line) · scale of B's line, added to +0, or to what C holds. k is cut into blocks of
    ///   65,536, or of 4,096 where it counts tokens (`.tn`), each with scales of its own, added in order. So threads, paths and units cannot differ.
    /// - A line that holds an infinity or NaN has the scale NaN, so that its results are NaN and the step is skipped. One whose amax is below 2⁻¹⁰⁰ is zero.
    /// - Traps on no values; shapes come from our own model, never from a peer.
    /// - Source: Dettmers et al., "LLM.int8()" (2208.07339), section 2.1, vector-wise scales; Wortsman et al., "SwitchBack" (2304.13013), for training,
    ///   whose weight gradient is left in sixteen bits: here it is in eight too, in blocks of tokens.
    public func int8Matmul(
        _ orientation: Orientation, m: Int, n: Int, k: Int, _ a: Floats, _ lda: Int, _ b: Floats, _ ldb: Int, into c: MutableFloats, _ ldc: Int,
        accumulate: Bool = false
    ) {
        let orientation = assay_orientation(orientation.rawValue), bytes = assay_int8_workspace(integerTable, orientation, m, n, k)
        if integerWorkspace.count * 4 < bytes { integerWorkspace = FloatBuffer(count: (bytes + 3) / 4) }
        assay_parallel_int8_matmul(integerTable, pool, orientation, m, n, k, a, lda, b, ldb, c, ldc, accumulate, integerWorkspace.pointer)
    }

    /// One line's integers and its scale, by the rule alone.
    public static func quantized(_ line: [Float]) -> (integers: [Int8], scale: Float) {
        var integers = [Int8](repeating: 0, count: line.count)
        let scale = assay_int8_quantize(line.count, line, 1, &integers)
        return (integers, scale)
    }
}

extension Kernels {
    /// Integer operations done in `iterations` rounds on registers alone: the unit's peak, for benches. 0 in the reference.
    public func integerPeakOperations(iterations: Int) -> Double { assay_int8_peak_run(integerTable, iterations) }
}
