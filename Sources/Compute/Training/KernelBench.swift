import AssayCrypto
import AssayPrimitives
import AssayTensor

/// What the kernels do on this machine: rates by path, beside the core's measured peak, and the root that proves their bits.
public struct KernelBench: Encodable, Sendable {
    public struct Rate: Encodable, Hashable, Sendable {
        public let kernel: String
        public let path: String
        public let shape: String
        /// Float operations a second, in thousand millions; a fused multiply-add counts two, an elementary function one an element.
        public let gigaflopsPerSecond: Double
        /// Of the fused multiply-adds that the fastest path's registers can do on one core.
        public let shareOfPeak: Double
    }
    public let rates: [Rate]
    public struct Peak: Encodable, Hashable, Sendable {
        public let path: String
        public let gigaflopsPerSecond: Double
    }
    /// Measured, one core, by path.
    public let peaks: [Peak]
    /// Profile i8's products, by path and unit.
    public let integers: [IntegerRate]
    /// θ_root after 50 steps of the tiny model, seed 1, on the current path.
    public let trainedRoot: Digest
    public let trainedPath: String
}

/// Measures each kernel on each path that this machine has, with one thread. Takes a few seconds; less with `quick`.
public func benchKernels(quick: Bool = false) -> KernelBench {
    let peaks = KernelPath.available.map { KernelBench.Peak(path: $0.rawValue, gigaflopsPerSecond: measuredPeak($0)) }
    let peak = peaks.map(\.gigaflopsPerSecond).max() ?? 1
    var rates: [KernelBench.Rate] = []
    for path in KernelPath.available {
        let bench = PathBench(path: path, seconds: quick ? 0.01 : 0.1)
        for (kernel, shape, rate) in bench.rates() {
            rates.append(.init(kernel: kernel, path: path.rawValue, shape: shape, gigaflopsPerSecond: rate, shareOfPeak: rate / peak))
        }
    }
    var run = GoldenRun()
    return KernelBench(rates: rates, peaks: peaks, integers: KernelBench.integerRates(quick: quick), trainedRoot: run.root(after: 50), trainedPath: run.model.kernels.path.rawValue)
}

/// Tokens a second of whole training steps on tokens without meaning, the median of `steps` after three to warm up.
public func benchTraining(shape: ModelShape, rows: Int, threads: Int = 1, steps: Int = 12, path: KernelPath = .current) -> Double {
    let model = Model(shape: shape, rows: rows, threads: threads, path: path)
    let loop = InnerLoop(shape: shape, rules: OptimizerRules())
    var state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1)))
    var generator = SeededGenerator(seed: 1, stream: 1)
    let batch = GoldenRun.batch(shape: shape, rows: rows, &generator)
    let seconds = (0..<(max(1, steps) + 3)).map { _ in timed { _ = loop.step(&state, batch: batch, model: model) } }
    return Double(batch.tokens) / seconds.dropFirst(3).sorted()[max(1, steps) / 2]
}

/// The shapes that PyTorch is measured on too (`Benchmarks/`).
public func benchShape(named name: String) -> (shape: ModelShape, rows: Int)? {
    switch name {
    case "nano": (ModelShape(vocabulary: 65, context: 64, width: 128, heads: 4, layers: 4), 12)
    case "char": (ModelShape(vocabulary: 65, context: 256, width: 384, heads: 6, layers: 6), 16)
    case "gpt2": (ModelShape(vocabulary: 50_257, context: 64, width: 768, heads: 12, layers: 12, biases: true), 4)
    default: nil
    }
}

private func timed(_ body: () -> Void) -> Double {
    let (whole, parts) = ContinuousClock().measure(body).components
    return Double(whole) + Double(parts) * 1e-18
}

private func measuredPeak(_ path: KernelPath) -> Double {
    var best = 0.0, operations = 0.0
    for _ in 0..<5 {
        let time = timed { operations = Kernels.peakOperations(path, iterations: 200_000) }
        best = max(best, operations / time / 1e9)
    }
    return best
}

/// The measured kernels of one path.
private struct PathBench {
    let path: KernelPath
    /// At least so long for each measurement.
    let seconds: Double

    func rates() -> [(String, String, Double)] {
        let kernels = Kernels(path: path)
        var rates: [(String, String, Double)] = []
        let a = numbers(768 * 512), b = numbers(768 * 512), c = FloatBuffer(count: 768 * 512)
        for (name, orientation, m, n, k) in [("matmul.nn", Kernels.Orientation.nn, 768, 512, 128), ("matmul.nt", .nt, 768, 128, 512), ("matmul.tn", .tn, 128, 512, 768)] {
            let lda = orientation == .tn ? m : k, ldb = orientation == .nt ? k : n
            rates.append((name, "\(m)×\(n)×\(k)", rate(2 * m * n * k) {
                kernels.matmul(orientation, m: m, n: n, k: k, a.pointer, lda, b.pointer, ldb, into: c.pointer, n)
            }))
        }
        let count = 64 * 1_024
        rates.append(("exp", "\(count)", rate(count) { kernels.exp(count, a.pointer, into: c.pointer) }))
        rates.append(("gelu", "\(count)", rate(count) { kernels.gelu(count, a.pointer, into: c.pointer) }))
        let qkv = numbers(4 * 64 * 384), p = FloatBuffer(count: 4 * 4 * 64 * 64)
        rates.append(("attention", "4×64, 4×32", rate(4 * 4 * 4 * 40 * 64 * 32) {
            kernels.attention(sequences: 4, context: 64, heads: 4, size: 32, qkv: qkv.pointer, probabilities: p.pointer, into: c.pointer)
        }))
        let weight = numbers(128), mean = FloatBuffer(count: 512), rstd = FloatBuffer(count: 512)
        rates.append(("layerNorm", "512×128", rate(8 * 512 * 128) {
            kernels.layerNorm(rows: 512, channels: 128, a.pointer, weight: weight.pointer, bias: nil, into: c.pointer, mean: mean.pointer, rstd: rstd.pointer)
        }))
        return rates
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

    private func numbers(_ count: Int) -> FloatBuffer {
        let buffer = FloatBuffer(count: count)
        let philox = Philox(key: 7)
        for index in 0..<count { buffer.pointer[index] = Float(Int32(bitPattern: philox.block(UInt64(index)).0) >> 8) * 0x1p-22 }
        return buffer
    }
}
