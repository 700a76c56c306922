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
        let start = parameters.copy()
        if let ownPayload { kernels.job { kernels.subtract(start.count, parameters.pointer, ownPayload.pointer, into: start.pointer) } }
        return start
    }

    /// δ = (s − θ′) + e.
    public static func delta(start: FloatBuffer, end: FloatBuffer, residual: FloatBuffer?, _ kernels: Kernels) -> FloatBuffer {
        let delta = FloatBuffer(count: start.count)
        kernels.job {
            kernels.subtract(delta.count, start.pointer, end.pointer, into: delta.pointer)
            if let residual { kernels.add(delta.count, delta.pointer, residual.pointer, into: delta.pointer) }
        }
        return delta
    }

    /// e′ = β · (δ − ĉ): what the compression lost, fed back in the next window.
    public static func residual(delta: FloatBuffer, decoded: FloatBuffer, decay: Float, _ kernels: Kernels) -> FloatBuffer {
        let residual = FloatBuffer(count: delta.count)
        kernels.job {
            kernels.subtract(delta.count, delta.pointer, decoded.pointer, into: residual.pointer)
            if decay != 1 { kernels.scale(residual.count, decay, residual.pointer, into: residual.pointer) }
        }
        return residual
    }
}
