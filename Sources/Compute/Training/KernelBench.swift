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
public enum BenchShape: String, CaseIterable, Sendable {
    case nano, char, gpt2

    public var shape: ModelShape {
        switch self {
        case .nano: ModelShape(vocabulary: 65, context: 64, width: 128, heads: 4, layers: 4)
        case .char: ModelShape(vocabulary: 65, context: 256, width: 384, heads: 6, layers: 6)
        case .gpt2: ModelShape(vocabulary: 50_257, context: 64, width: 768, heads: 12, layers: 12, biases: true)
        }
    }
    /// Sequences of a batch.
    public var rows: Int { switch self { case .nano: 12; case .char: 16; case .gpt2: 4 } }
}

private func measuredPeak(_ path: KernelPath) -> Double {
    var best = 0.0, operations = 0.0
    for _ in 0..<5 {
        let time = timed { operations = Kernels.peakOperations(path, iterations: 200_000) }
        best = max(best, operations / time / 1e9)
    }
    return best
}
