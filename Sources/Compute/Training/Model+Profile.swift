import AssayTensor

extension Model {
    /// One of the three products of a linear layer, in the numbers that the run's rules say. Everything else of a model is in floats.
    func product(
        _ orientation: Kernels.Orientation, m: Int, n: Int, k: Int, _ a: Kernels.Floats, _ lda: Int, _ b: Kernels.Floats, _ ldb: Int,
        into c: Kernels.MutableFloats, _ ldc: Int, accumulate: Bool = false
    ) {
        switch shape.profile {
        case .f32: kernels.matmul(orientation, m: m, n: n, k: k, a, lda, b, ldb, into: c, ldc, accumulate: accumulate)
        case .i8: kernels.int8Matmul(orientation, m: m, n: n, k: k, a, lda, b, ldb, into: c, ldc, accumulate: accumulate)
        }
    }
}
