import AssayTensor

/// The orthonormal DCT-II of every chunk, down and across, and its inverse.
///
/// D_N[k, i] = c_k · cos(π(2i + 1)k ÷ 2N), c_0 = √(1/N), else √(2/N). Across: each row of a chunk by the matrix product with D_widthᵀ; then down:
/// D_height by the chunk. A side of 1 is left out. The inverse goes down with D_heightᵀ first, then across with D_width.
///
/// Source: Peng, Quesnelle, Kingma, "DeMo" (arXiv 2411.19870), section 3.
package struct CosineTransform: Sendable {
    private let tensors: [Chunks.Tensor]
    /// By N; nil where no chunk has that side.
    private let tables: [FloatBuffer?]
    private let kernels: Kernels

    package init(_ chunks: Chunks, _ kernels: Kernels) {
        var tables: [FloatBuffer?] = Array(repeating: nil, count: Chunks.side + 1)
        for tensor in chunks.tensors {
            for side in [tensor.height, tensor.width] where side > 1 && tables[side] == nil { tables[side] = CosineTransform.table(side) }
        }
        (tensors, self.tables, self.kernels) = (chunks.tensors, tables, kernels)
    }

    /// cos(π·j ÷ 2N) for any j ≥ 0, in Double: brought to j ≤ N by symmetry, then x = (π · j) ÷ 2N by the cosine's series if 2j ≤ N, else
    /// x = (π · (N − j)) ÷ 2N by the sine's; terms up to x¹⁹ by Horner, each coefficient the one before divided, nothing fused.
    package static func cosine(_ j: Int, _ n: Int) -> Double {
        var turn = j % (4 * n)
        if turn > 2 * n { turn = 4 * n - turn }
        if turn > n { return -cosine(2 * n - turn, n) }
        let usesSine = 2 * turn > n
        let x = (Double.pi * Double(usesSine ? n - turn : turn)) / Double(2 * n), square = x * x
        // 1 − x²/((d)(d+1)) · (1 − x²/((d+2)(d+3)) · …), innermost first; d = 1 for the cosine, 2 for the sine.
        var sum = 1.0
        for term in stride(from: usesSine ? 18 : 17, through: usesSine ? 2 : 1, by: -2) { sum = 1 - square / Double(term * (term + 1)) * sum }
        return usesSine ? x * sum : sum
    }

    /// D_N, rounded to Float once.
    package static func table(_ n: Int) -> FloatBuffer {
        let table = FloatBuffer(count: n * n)
        for k in 0..<n {
            let scale = (Double(k == 0 ? 1 : 2) / Double(n)).squareRoot()
            for i in 0..<n { table.pointer[k * n + i] = Float(scale * cosine((2 * i + 1) * k, n)) }
        }
        return table
    }

    /// - Parameter work: as large as the others; what is in it afterwards means nothing.
    package func forward(_ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, work: UnsafeMutablePointer<Float>) {
        for tensor in tensors {
            let (from, to) = (x + tensor.offset, (tensor.height > 1 ? work : out) + tensor.offset), count = tensor.rows * tensor.columns
            if let across = tables[tensor.width] {
                kernels.matmul(.nt, m: count / tensor.width, n: tensor.width, k: tensor.width, from, tensor.width, across.pointer, tensor.width, into: to, tensor.width)
            } else { to.update(from: from, count: count) }
            down(tensor, .nn, work + tensor.offset, into: out + tensor.offset)
        }
    }

    package func inverse(_ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, work: UnsafeMutablePointer<Float>) {
        for tensor in tensors {
            let count = tensor.rows * tensor.columns
            down(tensor, .tn, x + tensor.offset, into: work + tensor.offset)
            let from = tensor.height > 1 ? UnsafePointer(work + tensor.offset) : x + tensor.offset
            if let across = tables[tensor.width] {
                kernels.matmul(.nn, m: count / tensor.width, n: tensor.width, k: tensor.width, from, tensor.width, across.pointer, tensor.width, into: out + tensor.offset, tensor.width)
            } else { (out + tensor.offset).update(from: from, count: count) }
        }
    }

    /// A strip of a tensor's chunks at once: they stand side by side.
    private func down(_ tensor: Chunks.Tensor, _ orientation: Kernels.Orientation, _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>) {
        guard let table = tables[tensor.height] else { return }
        let strip = tensor.height * tensor.columns
        for at in stride(from: 0, to: tensor.rows * tensor.columns, by: strip) {
            kernels.matmul(orientation, m: tensor.height, n: tensor.columns, k: tensor.height, table.pointer, tensor.height, x + at, tensor.columns, into: out + at, tensor.columns)
        }
    }
}
