import AssayCrypto
import AssayPrimitives
import AssayTensor

/// Rows made orthonormal in a fixed order, and the uniform matrices that subspace iterations begin from.
///
/// Source: Gram-Schmidt in its modified form, each row cleaned twice ("twice is enough": Giraud, Langou, Rozložník, 2005).
enum Orthonormal {
    /// A row of this norm or less is nothing; so is one of which no more than this share is left by those before it: that is rounding, in a space
    /// that may already be full, and would count what others have once more.
    static let nothing: Float = 0x1p-60
    static let leastShare: Float = 0x1p-16

    /// Σ x·y in 16 lanes: element i is multiplied, then added onto lane i mod 16; then lane i += lane i + 8, i + 4, i + 2, i + 1. Nothing is fused.
    static func dot(_ count: Int, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>) -> Float {
        var lanes = SIMD16<Float>.zero
        let whole = count / 16 * 16
        var index = 0
        while index < whole {
            lanes += UnsafeRawPointer(x + index).loadUnaligned(as: SIMD16<Float>.self) * UnsafeRawPointer(y + index).loadUnaligned(as: SIMD16<Float>.self)
            index += 16
        }
        for rest in whole..<count { lanes[rest - whole] += x[rest] * y[rest] }
        let eight = lanes.lowHalf + lanes.highHalf, four = eight.lowHalf + eight.highHalf, two = four.lowHalf + four.highHalf
        return two[0] + two[1]
    }

    /// Row after row: twice over, what it has of each row before is taken off it (row −= (row · before) · before, nothing fused); then it is scaled by
    /// 1 ÷ √(row · row), or becomes zero if that root is not above 2^-60 and above 2^-16 of what it was at first.
    static func rows(_ rows: Int, _ columns: Int, _ matrix: UnsafeMutablePointer<Float>) {
        for row in 0..<rows {
            let this = matrix + row * columns, before = dot(columns, this, this).squareRoot()
            for _ in 0..<2 {
                for earlier in 0..<row {
                    let other = matrix + earlier * columns, share = dot(columns, this, other)
                    for index in 0..<columns { this[index] -= share * other[index] }
                }
            }
            let norm = dot(columns, this, this).squareRoot()
            // Also false for NaN, so nothing that is no number spreads.
            if norm > nothing, norm > leastShare * before, norm.isFinite {
                let inverse = 1 / norm
                for index in 0..<columns { this[index] *= inverse }
            } else { this.update(repeating: 0, count: columns) }
        }
    }

    /// Element i takes word i mod 4 of block ⌊i ÷ 4⌋: its upper 24 bits w give (2w + 1 − 2²⁴) · 2^-24.
    static func uniform(_ count: Int, _ philox: Philox, into out: UnsafeMutablePointer<Float>) {
        var block = philox.block(0)
        for index in 0..<count {
            if index % 4 == 0 { block = philox.block(UInt64(index / 4)) }
            let word = switch index % 4 { case 0: block.0; case 1: block.1; case 2: block.2; default: block.3 }
            out[index] = Float(Int32(word >> 8) * 2 + 1 - 0x100_0000) * 0x1p-24
        }
    }
}

/// The range of a matrix by two subspace iterations: P with orthonormal columns, Q = Aᵀ·P, so that A ≈ P·Qᵀ.
///
/// Source: Vogels, Karimireddy, Jaggi, "PowerSGD" (arXiv 1905.13727), algorithm 1, with two iterations and nothing carried from before.
package struct SubspaceIteration {
    /// Pᵀ [rank, rows] and Qᵀ [rank, columns].
    package let p: FloatBuffer, q: FloatBuffer

    package init(_ matrix: UnsafePointer<Float>, rows: Int, columns: Int, rank: Int, draw: Philox, _ kernels: Kernels) {
        p = FloatBuffer(count: rank * rows)
        q = FloatBuffer(count: rank * columns)
        Orthonormal.uniform(q.count, draw, into: q.pointer)
        for _ in 0..<2 {
            kernels.matmul(.nt, m: rank, n: rows, k: columns, q.pointer, columns, matrix, columns, into: p.pointer, rows)
            Orthonormal.rows(rank, rows, p.pointer)
            kernels.matmul(.nn, m: rank, n: columns, k: rows, p.pointer, rows, matrix, columns, into: q.pointer, columns)
        }
    }
}
