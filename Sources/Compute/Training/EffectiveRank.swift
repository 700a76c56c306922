import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// How many directions an update really has.
///
/// Of each matrix: a sketch of L = min(maximum rank + 8, rows, columns) directions by `SubspaceIteration` from the draw
/// H("assay/effective-rank/1" ‖ tensor number); the eigenvalues of Q's Gram matrix (each element the 16-lane sum of products, in Double from there on),
/// largest first; the effective rank is the smallest k whose k largest hold the rules' share of the matrix's squared norm, L if none does, 0 of a
/// matrix that is zero. Over matrices: the mean weighted by their number of elements, in 256ths, rounded down. Vectors do not count.
package struct EffectiveRank {
    let table: ParameterTable
    let kernels: Kernels
    package init(table: ParameterTable, kernels: Kernels) { (self.table, self.kernels) = (table, kernels) }

    package func measure(_ update: FloatBuffer, _ adaptation: TrainingRules.Adaptation) -> UInt32 {
        kernels.job {
            var weighted: UInt64 = 0, elements: UInt64 = 0
            for (number, entry) in table.entries.enumerated() where entry.rows > 1 {
                weighted += UInt64(rank(update, number, entry, adaptation)) * UInt64(entry.count)
                elements += UInt64(entry.count)
            }
            return elements == 0 ? 0 : UInt32(clamping: weighted * 256 / elements)
        }
    }

    private func rank(_ update: FloatBuffer, _ number: Int, _ entry: ParameterTable.Entry, _ adaptation: TrainingRules.Adaptation) -> Int {
        let matrix = update.pointer + entry.offset, total = kernels.sumSquares(entry.count, matrix)
        guard total > 0 else { return 0 }
        let width = min(Int(adaptation.maximumRank) + 8, entry.rows, entry.columns)
        let draw = Philox(Digest.tagged("assay/effective-rank/1") { $0.append(UInt32(number)) })
        let sketch = SubspaceIteration(matrix, rows: entry.rows, columns: entry.columns, rank: width, draw: draw, kernels)
        var gram = SymmetricMatrix(width)
        for row in 0..<width {
            for column in 0...row {
                gram[row, column] = Double(Orthonormal.dot(entry.columns, sketch.q.pointer + row * entry.columns, sketch.q.pointer + column * entry.columns))
            }
        }
        let wanted = total * Double(adaptation.energy) / 1_000_000
        var held = 0.0
        for (place, value) in gram.eigenvalues().enumerated() {
            held += value
            if held >= wanted { return place + 1 }
        }
        return width
    }
}

/// A small symmetric matrix in Double, and its eigenvalues in one fixed order of operations.
package struct SymmetricMatrix: Sendable {
    private var values: [Double]
    package let size: Int
    package init(_ size: Int) {
        self.size = size
        values = Array(repeating: 0, count: size * size)
    }
    package subscript(row: Int, column: Int) -> Double {
        get { values[row * size + column] }
        set {
            values[row * size + column] = newValue
            values[column * size + row] = newValue
        }
    }

    /// Largest first, by cyclic Jacobi: at most 30 sweeps over the pairs (p, q), p < q, row after row, until a sweep finds no |a_pq| above
    /// 2^-52 · √|a_pp · a_qq| (and above 2^-1000).
    ///
    /// Source: Golub and Van Loan, "Matrix Computations", algorithm 8.5.3.
    package func eigenvalues() -> [Double] {
        var a = values
        let n = size
        for _ in 0..<30 {
            var rotated = false
            for p in 0..<max(0, n - 1) {
                for q in (p + 1)..<n {
                    let off = a[p * n + q], first = a[p * n + p], second = a[q * n + q]
                    guard abs(off) > 0x1p-1000, abs(off) > 0x1p-52 * (abs(first) * abs(second)).squareRoot() else { continue }
                    rotated = true
                    let slope = (second - first) / (2 * off)
                    let t = (slope < 0 ? -1 : 1) / (abs(slope) + (slope * slope + 1).squareRoot())
                    let c = 1 / (t * t + 1).squareRoot(), s = t * c
                    a.withUnsafeMutableBufferPointer { a in
                        for k in 0..<n {
                            let x = a[k * n + p], y = a[k * n + q]
                            a[k * n + p] = c * x - s * y
                            a[k * n + q] = s * x + c * y
                        }
                        for k in 0..<n {
                            let x = a[p * n + k], y = a[q * n + k]
                            a[p * n + k] = c * x - s * y
                            a[q * n + k] = s * x + c * y
                        }
                    }
                }
            }
            if !rotated { break }
        }
        return (0..<n).map { a[$0 * n + $0] }.sorted(by: >)
    }
}
