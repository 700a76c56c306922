import AssayPrimitives
import AssayProtocol
import AssayTensor

/// Station 3: what a window's training changed.
///
/// Source: Douillard et al., "DiLoCo" (arXiv 2311.08105), algorithm 1; the one-step delay after DiLoCoX (arXiv 2506.21263), started from the
/// trainer's own progress as in "Eager Updates" (arXiv 2502.12996).
public enum PseudoGradient {
    /// Where a trainer starts a window: θ(w), less its own decoded payload of the window before, which is not in θ(w) yet.
    public static func start(_ parameters: FloatBuffer, ownPayload: FloatBuffer?, _ kernels: Kernels) -> FloatBuffer {
        guard let ownPayload else { return parameters.copy() }
        let start = FloatBuffer(count: parameters.count)
        kernels.job { kernels.subtract(start.count, parameters.pointer, ownPayload.pointer, into: start.pointer) }
        return start
    }

    /// δ = (s − θ′) + e, written over s, which nobody needs any more.
    public static func delta(overwriting start: FloatBuffer, end: FloatBuffer, residual: FloatBuffer?, _ kernels: Kernels) -> FloatBuffer {
        kernels.job {
            kernels.subtract(start.count, start.pointer, end.pointer, into: start.pointer)
            if let residual { kernels.add(start.count, start.pointer, residual.pointer, into: start.pointer) }
        }
        return start
    }

    /// e′ = β · (δ − ĉ), written over δ: what the compression lost, fed back in the next window.
    public static func residual(overwriting delta: FloatBuffer, decoded: FloatBuffer, decay: Float, _ kernels: Kernels) -> FloatBuffer {
        kernels.job {
            kernels.subtract(delta.count, delta.pointer, decoded.pointer, into: delta.pointer)
            if decay != 1 { kernels.scale(delta.count, decay, delta.pointer, into: delta.pointer) }
        }
        return delta
    }
}
