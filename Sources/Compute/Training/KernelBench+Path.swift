import AssayPrimitives
import AssayTensor

/// The measured kernels of one path, in the sizes that training has.
struct PathBench {
    let path: KernelPath
    /// At least so long for each measurement.
    let seconds: Double

    private static let rows = 512, columns = 768
    private let kernels: Kernels
    private let a = numbers(rows * columns, from: 0), b = numbers(rows * columns, from: 1), c = FloatBuffer(count: rows * columns), d = FloatBuffer(count: rows * columns)
    private let weight = numbers(columns, from: 2), mean = FloatBuffer(count: rows), rstd = FloatBuffer(count: rows)

    init(path: KernelPath, seconds: Double) {
        (self.path, self.seconds) = (path, seconds)
        kernels = Kernels(path: path)
    }

    /// Kernel, shape, and thousand millions of operations a second: two for a fused multiply-add, one for any other.
    func rates() -> [(String, String, Double)] { products() + attention() + elements() + byRow() }

    private func products() -> [(String, String, Double)] {
        [("matmul.nn", Kernels.Orientation.nn, 512, 512, 384), ("matmul.nt", .nt, 512, 512, 384), ("matmul.tn", .tn, 512, 512, 384)].map { name, orientation, m, n, k in
            let lda = orientation == .tn ? m : k, ldb = orientation == .nt ? k : n
            return (name, "\(m)×\(n)×\(k)", rate(2 * m * n * k) { kernels.matmul(orientation, m: m, n: n, k: k, a.pointer, lda, b.pointer, ldb, into: c.pointer, n) })
        }
    }

    /// Four sequences of 64 tokens, four heads of 32; a query has 40 keys on average, counting those of its own tile.
    private func attention() -> [(String, String, Double)] {
        let largest = FloatBuffer(count: 1_024), inverse = FloatBuffer(count: 1_024), pairs = 4 * 4 * 64 * 40
        let forward = rate(2 * 2 * 32 * pairs) {
            kernels.attention(sequences: 4, context: 64, heads: 4, size: 32, qkv: a.pointer, largest: largest.pointer, inverse: inverse.pointer, into: c.pointer)
        }
        let backward = rate(5 * 2 * 32 * pairs) {
            kernels.attentionBackward(sequences: 4, context: 64, heads: 4, size: 32, qkv: a.pointer, largest: largest.pointer, inverse: inverse.pointer, dout: b.pointer, into: d.pointer)
        }
        return [("attention", "4×64, 4×32", forward), ("attentionBackward", "4×64, 4×32", backward)]
    }

    private func elements() -> [(String, String, Double)] {
        let count = 64 * 1_024, (x, y, out) = (a.pointer, b.pointer, c.pointer)
        let scalars = Kernels.AdamWScalars(
            gradientScale: 1, beta1: 0.9, oneMinusBeta1: 0.1, beta2: 0.99, oneMinusBeta2: 0.01, rootCorrection: 1, epsilon: 1e-8, stepSize: 1e-6, decay: 1e-7)
        let m = FloatBuffer(count: count), v = FloatBuffer(count: count), parameters = FloatBuffer(count: count)
        let kinds: [(String, Int, () -> Void)] = [
            ("exp", 1, { kernels.exp(count, x, into: out) }), ("log", 1, { kernels.log(count, x, into: out) }), ("tanh", 1, { kernels.tanh(count, x, into: out) }),
            ("gelu", 1, { kernels.gelu(count, x, into: out) }), ("geluBackward", 1, { kernels.geluBackward(count, x, y, into: out) }),
            ("add", 1, { kernels.add(count, x, y, into: out) }), ("subtract", 1, { kernels.subtract(count, x, y, into: out) }),
            ("addScaled", 2, { kernels.addScaled(count, 1e-6, x, into: out) }), ("scale", 1, { kernels.scale(count, 0.5, x, into: out) }),
            ("sum", 1, { _ = kernels.sum(count, x) }), ("sumSquares", 2, { _ = kernels.sumSquares(count, x) }),
            ("adamW", 12, { kernels.adamW(count, scalars, gradient: x, parameters: parameters.pointer, m: m.pointer, v: v.pointer) }),
        ]
        return kinds.map { name, operations, body in (name, "\(count)", rate(operations * count, body)) }
    }

    private func byRow() -> [(String, String, Double)] {
        let rows = Self.rows, columns = Self.columns, (x, out) = (a.pointer, c.pointer)
        let targets = [UInt16](repeating: 7, count: rows), dweight = FloatBuffer(count: columns), positions = numbers(64 * columns, from: 3), growing = FloatBuffer(count: 64 * columns)
        let tokens = (0..<rows).map { UInt16($0 * 7 % 256) }
        let kinds: [(String, Int, () -> Void)] = [
            ("addBias", 1, { kernels.addBias(rows: rows, columns: columns, weight.pointer, to: d.pointer) }),
            ("sumRows", 1, { kernels.sumRows(rows: rows, columns: columns, x, into: dweight.pointer) }),
            ("biasGelu", 1, { kernels.biasGelu(rows: rows, columns: columns, bias: nil, b.pointer, into: out) }),
            ("layerNorm", 7, { kernels.layerNorm(rows: rows, channels: columns, x, weight: weight.pointer, bias: nil, into: out, mean: mean.pointer, rstd: rstd.pointer) }),
            ("residualNorm", 8, {
                d.assign(a)
                kernels.residualNorm(rows: rows, channels: columns, x, yBias: nil, addedTo: d.pointer, weight: weight.pointer, bias: nil, into: out, mean: mean.pointer, rstd: rstd.pointer)
            }),
            ("layerNormBackward", 18, {
                kernels.layerNormBackward(rows: rows, channels: columns, dy: b.pointer, x: x, weight: weight.pointer, mean: mean.pointer, rstd: rstd.pointer,
                                          into: out, dweight: dweight.pointer, dbias: nil)
            }),
            ("crossEntropy", 5, {
                d.assign(a)
                kernels.crossEntropy(rows: rows, vocabulary: columns, logits: d.pointer, targets: targets, scale: 1e-3, gradient: true, into: mean.pointer)
            }),
            ("embed", 1, { kernels.embed(rows: rows, context: 64, width: columns, inputs: tokens, tokens: x, positions: positions.pointer, into: out) }),
            ("embedBackward", 2, { kernels.embedBackward(rows: rows, context: 64, width: columns, inputs: tokens, dx: x, into: out, dpositions: growing.pointer) }),
        ]
        return kinds.map { name, operations, body in (name, "\(rows)×\(columns)", rate(operations * rows * columns, body)) }
    }

    /// Doubles the number of repetitions until they last long enough.
    private func rate(_ operations: Int, _ body: () -> Void) -> Double {
        body()
        var repetitions = 1
        while true {
            let time = timed { for _ in 0..<repetitions { body() } }
            if time >= seconds { return Double(operations) * Double(repetitions) / time / 1e9 }
            repetitions *= 2
        }
    }
}

/// Between −2 and 2.
private func numbers(_ count: Int, from stream: UInt64) -> FloatBuffer {
    let buffer = FloatBuffer(count: count), philox = Philox(key: 7 + stream)
    for index in 0..<count { buffer.pointer[index] = Float(Int32(bitPattern: philox.block(UInt64(index)).0) >> 8) * 0x1p-22 }
    return buffer
}
