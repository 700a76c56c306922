import AssayTensor

extension KernelBench {
    /// The rate of one integer unit's products, in thousand million operations a second, a product and its sum being two.
    public struct IntegerRate: Encodable, Hashable, Sendable {
        public let kernel: String
        /// Path and unit, as ASSAY_KERNELS names them.
        public let path: String
        public let shape: String
        public let gigaoperationsPerSecond: Double
        /// Of what the unit does on registers alone, on one core; 0 where that is not measured.
        public let shareOfPeak: Double
    }

    /// The three products of a linear layer on every unit that this machine has, quantising and packing included, with one thread.
    public static func integerRates(quick: Bool = false) -> [IntegerRate] {
        KernelPath.available.flatMap { path in
            IntegerUnit.available(on: path).filter { $0 != .tiles }.flatMap { unit in integerRates(path, unit, seconds: quick ? 0.01 : 0.1) }
        }
    }

    private static func integerRates(_ path: KernelPath, _ unit: IntegerUnit, seconds: Double) -> [IntegerRate] {
        let kernels = Kernels(path: path, integers: unit), tokens = 1_024, inputs = 384, outputs = 1_536
        let peak = bestRate(seconds: seconds) { kernels.integerPeakOperations(iterations: 10_000) }
        let x = FloatBuffer(count: tokens * inputs), y = FloatBuffer(count: tokens * outputs), weight = FloatBuffer(count: inputs * outputs)
        for buffer in [x, y, weight] { for index in 0..<buffer.count { buffer.pointer[index] = Float(index * 7_919 % 1_001 - 500) * 0x1p-8 } }
        let operations = Double(2 * tokens * inputs * outputs)
        func rate(_ name: String, _ m: Int, _ n: Int, _ k: Int, _ product: () -> Void) -> IntegerRate {
            let rate = bestRate(seconds: seconds) { product(); return operations }
            return IntegerRate(kernel: name, path: "\(path.rawValue)-\(unit.rawValue)", shape: "\(m)×\(n)×\(k)", gigaoperationsPerSecond: rate, shareOfPeak: peak > 0 ? rate / peak : 0)
        }
        return [
            rate("int8.nn", tokens, outputs, inputs) {
                kernels.int8Matmul(.nn, m: tokens, n: outputs, k: inputs, x.pointer, inputs, weight.pointer, outputs, into: y.pointer, outputs)
            },
            rate("int8.nt", tokens, inputs, outputs) {
                kernels.int8Matmul(.nt, m: tokens, n: inputs, k: outputs, y.pointer, outputs, weight.pointer, outputs, into: x.pointer, inputs)
            },
            rate("int8.tn", inputs, outputs, tokens) {
                kernels.int8Matmul(.tn, m: inputs, n: outputs, k: tokens, x.pointer, inputs, y.pointer, outputs, into: weight.pointer, outputs)
            },
        ]
    }

    /// The best of the runs that fit into the time, at least three.
    private static func bestRate(seconds: Double, _ operations: () -> Double) -> Double {
        let clock = ContinuousClock(), start = clock.now
        var best = 0.0, runs = 0
        while runs < 3 || start.duration(to: clock.now) < .seconds(seconds) {
            var done = 0.0
            let seconds = timed { done = operations() }
            best = max(best, done / seconds / 1e9)
            runs += 1
        }
        return best
    }
}
