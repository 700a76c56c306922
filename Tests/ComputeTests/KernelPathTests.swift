import AssayPrimitives
import AssayTensor
import Testing

/// Each fast path beside the reference: the same bits, whatever the size and whatever the numbers. Kernels do one job at a time, so each test has its own.
@Suite struct KernelPathTests {
    /// Every size about the vectors' and chunks' edges, then two hundred drawn ones.
    static let sizes: [Int] = Array(0...70) + [100, 1_000, 4_095, 4_096] + KernelPathTests.drawn(200, seed: 20) { Int($0.below(2_000)) }

    static func drawn<Shape>(_ count: Int, seed: UInt64, _ draw: (inout SeededGenerator) -> Shape) -> [Shape] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in draw(&generator) }
    }
    /// Between 1 and `most`, small ones more often.
    static func ragged(_ generator: inout SeededGenerator, _ most: UInt64) -> Int { 1 + Int(generator.below(1 + generator.below(most))) }

    @Test func `the reference is always there, and the path taken is one that this machine has`() {
        #expect(KernelPath.available.contains(.reference))
        #expect(KernelPath.available.contains(KernelPath.current))
    }

    @Test func `an unknown path is refused with the names there are`() {
        #expect(throws: KernelPathError.unknown("sse9")) { try KernelPath.select(named: "sse9") }
        #expect("\(KernelPathError.unknown("sse9"))".contains("reference"))
    }

    @Test(arguments: fastPaths)
    func `elementwise kernels have the reference's bits`(path: KernelPath) {
        let fast = Kernels(path: path), reference = Kernels(path: .reference)
        var inputs = KernelInputs(seed: 1)
        for count in Self.sizes {
            for special in [nil, 3] as [UInt64?] {
                let a = inputs.floats(count, special: special), b = inputs.floats(count, special: special)
                let start = inputs.floats(count, special: special)
                same(path, "exp", start) { $0.exp(count, a.pointer, into: $1) }
                same(path, "log", start) { $0.log(count, a.pointer, into: $1) }
                same(path, "tanh", start) { $0.tanh(count, a.pointer, into: $1) }
                same(path, "gelu", start) { $0.gelu(count, a.pointer, into: $1) }
                same(path, "geluBackward", start) { $0.geluBackward(count, a.pointer, b.pointer, into: $1) }
                same(path, "add", start) { $0.add(count, a.pointer, b.pointer, into: $1) }
                same(path, "subtract", start) { $0.subtract(count, a.pointer, b.pointer, into: $1) }
                same(path, "addScaled", start) { $0.addScaled(count, 0.3, a.pointer, into: $1) }
                same(path, "scale", start) { $0.scale(count, 0.3, a.pointer, into: $1) }
            }
        }

        func same(_ path: KernelPath, _ name: String, _ start: FloatBuffer, _ kernel: (Kernels, UnsafeMutablePointer<Float>) -> Void) {
            let expected = start.copy(), found = start.copy()
            kernel(reference, expected.pointer)
            kernel(fast, found.pointer)
            #expect(found.comparableBits == expected.comparableBits, "\(name) of \(start.count) on \(path)")
        }
    }

    @Test(arguments: fastPaths)
    func `elementary functions have the reference's bits over the whole range of floats`(path: KernelPath) {
        let fast = Kernels(path: path), reference = Kernels(path: .reference), count = 1 << 20
        let x = FloatBuffer(count: count), expected = FloatBuffer(count: count), found = FloatBuffer(count: count)
        for index in 0..<count { x[index] = Float(bitPattern: UInt32(index) << 12 | 0x5a5) }
        for kernel in [{ $0.exp(count, x.pointer, into: $1) }, { $0.log(count, x.pointer, into: $1) }, { $0.tanh(count, x.pointer, into: $1) }]
            as [(Kernels, UnsafeMutablePointer<Float>) -> Void] {
            kernel(reference, expected.pointer)
            kernel(fast, found.pointer)
            #expect(found.comparableBits == expected.comparableBits)
        }
    }

    @Test(arguments: fastPaths)
    func `matrix products have the reference's bits in every orientation, ragged or large`(path: KernelPath) {
        let fast = Kernels(path: path), reference = Kernels(path: .reference)
        var inputs = KernelInputs(seed: 2)
        let listed: [(Int, Int, Int)] = [
            (1, 1, 1), (1, 16, 3), (3, 5, 7), (4, 32, 16), (8, 33, 31), (12, 32, 64), (13, 17, 19), (16, 64, 32), (25, 48, 257), (97, 65, 100),
            (100, 1_030, 9), (6, 100, 600), (30, 31, 0), (400, 40, 50), (390, 1_600, 5), (13, 40, 800),
        ]
        let shapes = listed + Self.drawn(200, seed: 21) { (Self.ragged(&$0, 80), Self.ragged(&$0, 110), Self.ragged(&$0, 70)) }
        for (m, n, k) in shapes {
            for orientation in Kernels.Orientation.allCases {
                for special in [nil, 40] as [UInt64?] {
                    let lda = (orientation == .tn ? m : k) + 3, ldb = (orientation == .nt ? k : n) + 1, ldc = n + 2
                    let a = inputs.floats((orientation == .tn ? k : m) * lda + 1, special: special)
                    let b = inputs.floats((orientation == .nt ? n : k) * ldb + 1, special: special), c = inputs.floats(m * ldc, special: special)
                    for accumulate in [false, true] {
                        let expected = c.copy(), found = c.copy()
                        for (kernels, out) in [(reference, expected), (fast, found)] {
                            kernels.matmul(orientation, m: m, n: n, k: k, a.pointer, lda, b.pointer, ldb, into: out.pointer, ldc, accumulate: accumulate)
                        }
                        #expect(found.comparableBits == expected.comparableBits, "\(orientation) \(m)×\(n)×\(k) on \(path), accumulate \(accumulate)")
                    }
                }
            }
        }
    }

    @Test(arguments: fastPaths)
    func `sums have the reference's bits, by sixteen lanes and by chunk`(path: KernelPath) {
        let fast = Kernels(path: path), reference = Kernels(path: .reference)
        var inputs = KernelInputs(seed: 3)
        for count in Self.sizes + [4_097, 20_000, 1_100_000] {
            let x = inputs.floats(count, special: count % 2 == 0 ? nil : 1_000)
            #expect(bits(fast.sum(count, x.pointer)) == bits(reference.sum(count, x.pointer)))
            #expect(bits(fast.sumSquares(count, x.pointer)) == bits(reference.sumSquares(count, x.pointer)))
        }
    }

    private func bits(_ value: Double) -> UInt64 { value.isNaN ? 0 : value.bitPattern }

    @Test(arguments: fastPaths)
    func `rows have the reference's bits: norms, cross-entropy, bias and column sums`(path: KernelPath) {
        let fast = Kernels(path: path), reference = Kernels(path: .reference)
        var inputs = KernelInputs(seed: 4)
        let listed: [(Int, Int)] = [(1, 1), (2, 5), (3, 16), (5, 33), (4, 128), (7, 300), (2, 5_000)]
        let shapes = listed + Self.drawn(200, seed: 22) { (Self.ragged(&$0, 20), Self.ragged(&$0, 400)) }
        for (rows, columns) in shapes {
            for special in [nil, 50] as [UInt64?] {
                let x = inputs.floats(rows * columns, special: special), dy = inputs.floats(rows * columns, special: special)
                let weight = inputs.floats(columns), bias = inputs.floats(columns), start = inputs.floats(rows * columns), sums = inputs.floats(columns)
                let targets = (0..<rows).map { UInt16($0 * 7 % columns) }
                var found: [[UInt32]] = []
                for kernels in [reference, fast] {
                    let out = start.copy(), mean = FloatBuffer(count: rows), rstd = FloatBuffer(count: rows), dx = start.copy()
                    let dweight = sums.copy(), dbias = sums.copy(), biased = x.copy(), columnSums = sums.copy(), logits = x.copy(), losses = FloatBuffer(count: rows)
                    if columns <= Kernels.sumChunk {
                        kernels.layerNorm(rows: rows, channels: columns, x.pointer, weight: weight.pointer, bias: bias.pointer, into: out.pointer,
                                          mean: mean.pointer, rstd: rstd.pointer)
                        kernels.layerNormBackward(rows: rows, channels: columns, dy: dy.pointer, x: x.pointer, weight: weight.pointer, mean: mean.pointer,
                                                  rstd: rstd.pointer, into: dx.pointer, dweight: dweight.pointer, dbias: dbias.pointer)
                    }
                    let stream = start.copy(), normed = start.copy(), hidden = x.copy(), activated = start.copy(), plain = x.copy()
                    if columns <= Kernels.sumChunk {
                        kernels.residualNorm(rows: rows, channels: columns, x.pointer, yBias: rows % 2 == 0 ? bias.pointer : nil, addedTo: stream.pointer,
                                             weight: weight.pointer, bias: nil, into: normed.pointer, mean: mean.pointer, rstd: rstd.pointer)
                    }
                    kernels.biasGelu(rows: rows, columns: columns, bias: bias.pointer, hidden.pointer, into: activated.pointer)
                    kernels.biasGelu(rows: rows, columns: columns, bias: nil, plain.pointer, into: plain.pointer)
                    kernels.addBias(rows: rows, columns: columns, bias.pointer, to: biased.pointer)
                    kernels.sumRows(rows: rows, columns: columns, x.pointer, into: columnSums.pointer)
                    kernels.crossEntropy(rows: rows, vocabulary: columns, logits: logits.pointer, targets: targets, scale: 0.01, gradient: true, into: losses.pointer)
                    found.append([out, mean, rstd, dx, dweight, dbias, biased, columnSums, logits, losses, stream, normed, hidden, activated, plain]
                        .flatMap(\.comparableBits))
                }
                #expect(found[0] == found[1], "\(rows)×\(columns) on \(path)")
            }
        }
    }

    @Test(arguments: fastPaths)
    func `attention and its backward pass have the reference's bits`(path: KernelPath) {
        let fast = Kernels(path: path, threads: 2), reference = Kernels(path: .reference)
        var inputs = KernelInputs(seed: 5)
        let listed: [(Int, Int, Int, Int)] = [
            (1, 1, 1, 1), (2, 7, 3, 5), (1, 16, 2, 16), (2, 33, 2, 20), (1, 64, 4, 32), (1, 130, 1, 64), (1, 4_096, 1, 3), (1, 40, 1, 500), (1, 520, 1, 1_000),
        ]
        let shapes = listed + Self.drawn(200, seed: 23) { (Self.ragged(&$0, 2), Self.ragged(&$0, 70), Self.ragged(&$0, 3), Self.ragged(&$0, 70)) }
        for (sequences, context, heads, size) in shapes {
            for special in [nil, 500] as [UInt64?] {
                let tokens = sequences * context, width = heads * size
                let qkv = inputs.floats(tokens * 3 * width, special: special), dout = inputs.floats(tokens * width, special: special)
                var found: [[UInt32]] = []
                for kernels in [reference, fast] {
                    let largest = FloatBuffer(count: tokens * heads), inverse = FloatBuffer(count: tokens * heads)
                    let out = FloatBuffer(count: tokens * width), dqkv = FloatBuffer(count: tokens * 3 * width)
                    kernels.attention(sequences: sequences, context: context, heads: heads, size: size, qkv: qkv.pointer, largest: largest.pointer,
                                      inverse: inverse.pointer, into: out.pointer)
                    kernels.attentionBackward(sequences: sequences, context: context, heads: heads, size: size, qkv: qkv.pointer, largest: largest.pointer,
                                              inverse: inverse.pointer, dout: dout.pointer, into: dqkv.pointer)
                    found.append([largest, inverse, out, dqkv].flatMap(\.comparableBits))
                }
                #expect(found[0] == found[1], "\(sequences) × \(context), \(heads) × \(size) on \(path)")
            }
        }
    }

    @Test(arguments: fastPaths)
    func `AdamW has the reference's bits`(path: KernelPath) {
        let fast = Kernels(path: path), reference = Kernels(path: .reference)
        var inputs = KernelInputs(seed: 6)
        let scalars = Kernels.AdamWScalars(
            gradientScale: 0.7, beta1: 0.9, oneMinusBeta1: 0.1, beta2: 0.99, oneMinusBeta2: 0.01, rootCorrection: 3, epsilon: 1e-8, stepSize: 0.004, decay: 1e-4)
        for count in Self.sizes {
            for special in [nil, 5] as [UInt64?] {
                let buffers = (0..<4).map { _ in inputs.floats(count, special: special) }
                var found: [[UInt32]] = []
                for kernels in [reference, fast] {
                    let copies = buffers.map { $0.copy() }
                    kernels.adamW(count, scalars, gradient: copies[0].pointer, parameters: copies[1].pointer, m: copies[2].pointer, v: copies[3].pointer)
                    found.append(copies.flatMap(\.comparableBits))
                }
                #expect(found[0] == found[1], "\(count) on \(path)")
            }
        }
    }

    @Test(arguments: fastPaths)
    func `a product split over threads has the bits of one thread, by rows or by columns`(path: KernelPath) {
        let one = Kernels(path: path), three = Kernels(path: path, threads: 3)
        var inputs = KernelInputs(seed: 7)
        for (m, n, k) in [(301, 97, 40), (97, 301, 41), (700, 33, 5), (5, 3_000, 17)] {
            for orientation in Kernels.Orientation.allCases {
                let lda = orientation == .tn ? m : k, ldb = orientation == .nt ? k : n
                let a = inputs.floats(m * k), b = inputs.floats(n * k), c = inputs.floats(m * n), found = c.copy()
                for (kernels, out) in [(one, c), (three, found)] {
                    kernels.matmul(orientation, m: m, n: n, k: k, a.pointer, lda, b.pointer, ldb, into: out.pointer, n, accumulate: true)
                }
                #expect(found == c, "\(orientation) \(m)×\(n)×\(k) on \(path)")
            }
        }
    }

    @Test func `a pool that had nothing to do for a while still takes jobs, and one that never had any ends`() {
        let kernels = Kernels(threads: 3), count = 40_000
        let x = FloatBuffer(count: count), out = FloatBuffer(count: count)
        x.fill(2)
        for round in 1...200 {
            kernels.add(count, x.pointer, out.pointer, into: out.pointer)
            if round % 50 == 0 { _ = (0..<20_000).reduce(0.5) { $0 + 1 / Double($1 + round) } }
        }
        #expect((0..<count).allSatisfy { out[$0] == 400 })
        _ = Kernels(threads: 2)
    }

    @Test func `a job leaves the float environment as it found it`() {
        let value: Float = Kernels(path: .reference).job { Float.leastNormalMagnitude / 2 }
        #expect(value.isSubnormal)
    }
}
