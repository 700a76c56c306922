import CAssayKernels

/// The kernels of one path over some threads. The bits depend on neither.
///
/// Shapes and pointers come from our own model, never from a peer. One job at a time for each instance.
public final class Kernels: @unchecked Sendable {
    public enum Orientation: UInt32, CaseIterable, Sendable { case nn = 0, nt = 1, tn = 2 }
    public typealias Floats = UnsafePointer<Float>
    public typealias MutableFloats = UnsafeMutablePointer<Float>
    public typealias AdamWScalars = assay_adamw

    public static let sumChunk = Int(ASSAY_SUM_CHUNK)

    public let path: KernelPath
    public let threads: Int
    let table: UnsafePointer<assay_kernels>
    let pool: OpaquePointer
    /// What multiplies integers, and where it puts them; both only in profile i8.
    public let integers: IntegerUnit
    let integerTable: OpaquePointer
    var integerWorkspace = FloatBuffer(count: 0)

    public init(path: KernelPath = .current, threads: Int = 1, integers: IntegerUnit? = nil) {
        let integers = integers ?? .current(on: path)
        guard let integerTable = integers.table(on: path) else { preconditionFailure("\(KernelPathError.notSupported("\(path.rawValue)-\(integers.rawValue)"))") }
        (self.integers, self.integerTable) = (integers, integerTable)
        guard let table = path.table else { preconditionFailure("\(KernelPathError.notSupported(path.rawValue))") }
        self.path = path
        self.table = table
        pool = assay_pool_create(Int32(clamping: threads))
        self.threads = Int(assay_pool_threads(pool))
    }
    deinit { assay_pool_destroy(pool) }

    /// Runs a job in the float environment that exactness needs, and checks that nothing changed it meanwhile.
    public func job<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        let before = assay_float_environment_enter()
        defer {
            let kept = assay_float_environment_leave(before)
            precondition(kept, "kernels.environment: the float environment changed during a job")
        }
        return try body()
    }

    /// C[m, n] (+)= A·B, A·Bᵀ or Aᵀ·B, row-major; each element is one chain acc = fma(a[k], b[k], acc) over k = 0, 1, …
    public func matmul(
        _ orientation: Orientation, m: Int, n: Int, k: Int, _ a: Floats, _ lda: Int, _ b: Floats, _ ldb: Int, into c: MutableFloats, _ ldc: Int,
        accumulate: Bool = false
    ) { assay_parallel_matmul(table, pool, assay_orientation(orientation.rawValue), m, n, k, a, lda, b, ldb, c, ldc, accumulate) }

    public func gelu(_ count: Int, _ x: Floats, into out: MutableFloats) { assay_parallel_gelu(table, pool, count, x, out) }
    public func geluBackward(_ count: Int, _ x: Floats, _ dy: Floats, into dx: MutableFloats) { assay_parallel_gelu_backward(table, pool, count, x, dy, dx) }
    public func add(_ count: Int, _ a: Floats, _ b: Floats, into out: MutableFloats) { assay_parallel_add(table, pool, count, a, b, out) }
    public func subtract(_ count: Int, _ a: Floats, _ b: Floats, into out: MutableFloats) { table.pointee.subtract(count, a, b, out) }
    /// out = fma(scale, x, out).
    public func addScaled(_ count: Int, _ scale: Float, _ x: Floats, into out: MutableFloats) { table.pointee.addScaled(count, scale, x, out) }
    public func scale(_ count: Int, _ scale: Float, _ x: Floats, into out: MutableFloats) { table.pointee.scale(count, scale, x, out) }

    public func layerNorm(
        rows: Int, channels: Int, _ x: Floats, weight: Floats, bias: Floats?, into out: MutableFloats, mean: MutableFloats, rstd: MutableFloats
    ) { assay_parallel_layer_norm(table, pool, rows, channels, x, weight, bias, out, mean, rstd) }
    /// y = x + (y + yBias), where there is one; then its norm into `out`.
    public func residualNorm(
        rows: Int, channels: Int, _ x: Floats, yBias: Floats?, addedTo y: MutableFloats, weight: Floats, bias: Floats?, into out: MutableFloats,
        mean: MutableFloats, rstd: MutableFloats
    ) { assay_parallel_residual_norm(table, pool, rows, channels, x, yBias, y, weight, bias, out, mean, rstd) }
    /// x += bias, where there is one; out = gelu(x).
    public func biasGelu(rows: Int, columns: Int, bias: Floats?, _ x: MutableFloats, into out: MutableFloats) {
        assay_parallel_bias_gelu(table, pool, rows, columns, bias, x, out)
    }
    /// dx += …, dweight += …, dbias += ….
    public func layerNormBackward(
        rows: Int, channels: Int, dy: Floats, x: Floats, weight: Floats, mean: Floats, rstd: Floats, into dx: MutableFloats, dweight: MutableFloats,
        dbias: MutableFloats?
    ) { assay_parallel_layer_norm_backward(table, pool, rows, channels, dy, x, weight, mean, rstd, dx, dweight, dbias) }

    public func addBias(rows: Int, columns: Int, _ bias: Floats, to x: MutableFloats) { assay_parallel_add_bias(table, pool, rows, columns, bias, x) }
    /// out[c] += Σ x[r, c], rows in order.
    public func sumRows(rows: Int, columns: Int, _ x: Floats, into out: MutableFloats) { assay_parallel_sum_rows(table, pool, rows, columns, x, out) }

    /// Causal attention. Scores exist a tile at a time; what is kept of each row is its maximum and 1 ÷ the sum of its exponentials.
    ///
    /// - Shapes: `qkv` [sequences·context, 3·heads·size], `out` [sequences·context, heads·size], `largest`, `inverse` [sequences·heads·context].
    /// - Source: Vaswani et al., "Attention Is All You Need" (2017), eq. 1; Dao et al., "FlashAttention" (2022), for keeping a row's statistics only.
    public func attention(
        sequences: Int, context: Int, heads: Int, size: Int, qkv: Floats, largest: MutableFloats, inverse: MutableFloats, into out: MutableFloats
    ) { assay_parallel_attention(table, pool, sequences, context, heads, size, qkv, largest, inverse, out) }
    /// Makes the probabilities again, bit for bit, from `qkv` and what attention kept of each row.
    public func attentionBackward(
        sequences: Int, context: Int, heads: Int, size: Int, qkv: Floats, largest: Floats, inverse: Floats, dout: Floats, into dqkv: MutableFloats
    ) { assay_parallel_attention_backward(table, pool, sequences, context, heads, size, qkv, largest, inverse, dout, dqkv) }

    /// Nats of each row; where `gradient`, logits become (softmax − one-hot) · scale.
    public func crossEntropy(
        rows: Int, vocabulary: Int, logits: MutableFloats, targets: UnsafePointer<UInt16>, scale: Float, gradient: Bool, into losses: MutableFloats
    ) { assay_parallel_cross_entropy(table, pool, rows, vocabulary, logits, targets, scale, gradient, losses) }

    public func embed(rows: Int, context: Int, width: Int, inputs: UnsafePointer<UInt16>, tokens: Floats, positions: Floats?, into out: MutableFloats) {
        assay_parallel_embed(table, pool, rows, context, width, inputs, tokens, positions, out)
    }
    public func embedBackward(
        rows: Int, context: Int, width: Int, inputs: UnsafePointer<UInt16>, dx: Floats, into dtokens: MutableFloats, dpositions: MutableFloats?
    ) { assay_parallel_embed_backward(table, pool, rows, context, width, inputs, dx, dtokens, dpositions) }

    public func adamW(
        _ count: Int, _ scalars: AdamWScalars, gradient: Floats, parameters: MutableFloats, m: MutableFloats, v: MutableFloats
    ) { withUnsafePointer(to: scalars) { assay_parallel_adamw(table, pool, count, $0, gradient, parameters, m, v) } }

    /// Chunks of 4,096 by the 16-lane rule, partials added in double in chunk order.
    public func sum(_ count: Int, _ x: Floats) -> Double { assay_parallel_sum(table, pool, count, x) }
    public func sumSquares(_ count: Int, _ x: Floats) -> Double { assay_parallel_sum_squares(table, pool, count, x) }

    public func exp(_ count: Int, _ x: Floats, into out: MutableFloats) { table.pointee.exp(count, x, out) }
    public func log(_ count: Int, _ x: Floats, into out: MutableFloats) { table.pointee.log(count, x, out) }
    public func tanh(_ count: Int, _ x: Floats, into out: MutableFloats) { table.pointee.tanh(count, x, out) }

    /// cos(π·x) for 0 ≤ x ≤ 1.
    public static func cosPi(_ x: Float) -> Float { assay_cospi(x) }

    /// Float operations done in `iterations` rounds of a loop of independent fused multiply-adds: the core's peak, for benches.
    public static func peakOperations(_ path: KernelPath, iterations: Int) -> Double { assay_peak_run(path.code, iterations) }
}
