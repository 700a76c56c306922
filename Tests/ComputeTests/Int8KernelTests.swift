import AssayPrimitives
import AssayTensor
import Testing

/// An integer unit of a path, as ASSAY_KERNELS names it.
struct IntegerPath: Hashable, Sendable, CustomTestStringConvertible {
    let path: KernelPath
    let unit: IntegerUnit
    var testDescription: String { "\(path.rawValue)-\(unit.rawValue)" }
    func kernels(threads: Int = 1) -> Kernels { Kernels(path: path, threads: threads, integers: unit) }

    /// All that this CPU has, the reference first.
    static let all = KernelPath.available.flatMap { path in IntegerUnit.available(on: path).map { IntegerPath(path: path, unit: $0) } }
    static let fast = all.filter { $0.path != .reference }
}

/// Profile i8's products: the rule itself, and every unit beside the reference.
@Suite struct Int8KernelTests {
    static let reference = Kernels(path: .reference)

    @Test func `a line's largest magnitude becomes 127, the rest round half to even, and the scale leads back`() {
        let (integers, scale) = Kernels.quantized([127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 63.4, -0.0, -127])
        #expect(integers == [127, 0, 2, 2, 0, -2, -2, 63, 0, -127])
        #expect(scale == 1)
        let third = Kernels.quantized([-3, 1, 2])
        #expect(third.integers == [-127, 42, 85])
        #expect(third.scale == Float(3) / 127)
    }

    @Test func `below 2⁻¹⁰⁰ a line is zero, from there on it is not`() {
        let tiny = Kernels.quantized([Float(0x1p-100).nextDown, -0.0, .leastNonzeroMagnitude])
        #expect(tiny.integers == [0, 0, 0] && tiny.scale.bitPattern == 0)
        let least = Kernels.quantized([-0x1p-100, 0x1p-101, .leastNonzeroMagnitude])
        #expect(least.integers == [-127, 64, 0] && least.scale == 0x1p-100 / 127)
        let nothing = Kernels.quantized([])
        #expect(nothing.integers.isEmpty && nothing.scale.bitPattern == 0)
    }

    @Test func `the largest floats have a scale, and what is not finite has none`() {
        let huge = Kernels.quantized([.greatestFiniteMagnitude, -.greatestFiniteMagnitude, 1])
        #expect(huge.integers == [127, -127, 0] && huge.scale == .greatestFiniteMagnitude / 127)
        for poison in [Float.infinity, -.infinity, .nan] {
            let line = Kernels.quantized([1, poison, 2])
            #expect(line.integers == [0, 0, 0] && line.scale.isNaN)
        }
    }

    @Test func `a product is float(sum) times the left scale times the right scale, in that order`() {
        let a = FloatBuffer([0.3, -0.7, 1.1, 0.02, 5, -6]), b = FloatBuffer([2, 0.5, -1, 0.25, 3, -0.125]), c = FloatBuffer(count: 4)
        Self.reference.int8Matmul(.nn, m: 2, n: 2, k: 3, a.pointer, 3, b.pointer, 2, into: c.pointer, 2)
        for i in 0..<2 {
            for j in 0..<2 {
                let left = Kernels.quantized((0..<3).map { a[i * 3 + $0] }), right = Kernels.quantized((0..<3).map { b[$0 * 2 + j] })
                let sum = zip(left.integers, right.integers).reduce(Int32(0)) { $0 + Int32($1.0) * Int32($1.1) }
                #expect(c[i * 2 + j] == Float(sum) * left.scale * right.scale)
            }
        }
    }

    @Test(arguments: IntegerPath.fast)
    func `every integer unit has the reference's bits over ragged shapes and odd numbers`(path: IntegerPath) {
        let kernels = [path.kernels(), path.kernels(threads: 2)]
        var inputs = KernelInputs(seed: 11), generator = SeededGenerator(seed: 11)
        var shapes = (0..<220).map { _ in (1 + Int(generator.below(70)), 1 + Int(generator.below(70)), Int(generator.below(300))) }
        shapes += [(97, 130, 512), (13, 33, 4_096), (5, 7, 4_097), (24, 64, 9_000)]
        var wrong: [String] = []
        for (index, (m, n, k)) in shapes.enumerated() {
            for orientation in Kernels.Orientation.allCases {
                let lda = (orientation == .tn ? m : k) + 3, ldb = (orientation == .nt ? k : n) + 1, ldc = n + 2
                let special: UInt64? = [nil, UInt64(3 * k + 1), 40][index % 3]
                let a = inputs.floats((orientation == .tn ? k : m) * lda + 1, special: special)
                let b = inputs.floats((orientation == .nt ? n : k) * ldb + 1, special: special), c = inputs.floats(m * ldc, special: special)
                if index % 5 == 0 { Int8KernelTests.flatten(a, line: 0, k, lda, orientation == .tn, index % 2 == 0 ? -0.0 : Float(0x1p-100).nextDown) }
                if index % 5 == 1 { Int8KernelTests.flatten(b, line: n - 1, k, ldb, orientation != .nt, index % 2 == 0 ? 0x1p-100 : .greatestFiniteMagnitude) }
                let accumulate = index % 2 == 0, expected = c.copy(), found = c.copy()
                for (kernels, out) in [(Self.reference, expected), (kernels[index % 2], found)] {
                    kernels.int8Matmul(orientation, m: m, n: n, k: k, a.pointer, lda, b.pointer, ldb, into: out.pointer, ldc, accumulate: accumulate)
                }
                if found.comparableBits != expected.comparableBits { wrong.append("\(orientation) \(m)×\(n)×\(k), accumulate \(accumulate)") }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test(arguments: IntegerPath.all)
    func `k beyond a block goes on with scales of its own, in order`(path: IntegerPath) {
        var inputs = KernelInputs(seed: 12)
        let kernels = path.kernels()
        for (orientation, block) in [(Kernels.Orientation.nn, 65_536), (.nt, 65_536), (.tn, 4_096)] {
            let (m, n, k) = (3, 17, block + 333), left = orientation == .tn, right = orientation == .nt
            let a = inputs.floats(m * k), b = inputs.floats(n * k), whole = FloatBuffer(count: m * n), parts = FloatBuffer(count: m * n)
            a[left ? (block + 1) * m : block + 1] = 1_000           // the second block's scale differs
            let lda = left ? m : k, ldb = right ? k : n
            kernels.int8Matmul(orientation, m: m, n: n, k: k, a.pointer, lda, b.pointer, ldb, into: whole.pointer, n)
            for (start, count) in [(0, block), (block, 333)] {
                kernels.int8Matmul(orientation, m: m, n: n, k: count, a.pointer + start * (left ? m : 1), lda, b.pointer + start * (right ? 1 : n), ldb,
                                   into: parts.pointer, n, accumulate: true)
            }
            #expect(whole == parts, "\(orientation)")
            let expected = FloatBuffer(count: m * n)
            Self.reference.int8Matmul(orientation, m: m, n: n, k: k, a.pointer, lda, b.pointer, ldb, into: expected.pointer, n)
            #expect(whole == expected, "\(orientation)")
        }
    }

    @Test(arguments: IntegerPath.all)
    func `the largest sums of a block stay whole`(path: IntegerPath) {
        let k = 65_536, ones = FloatBuffer(count: 17 * k), c = FloatBuffer(count: 17)
        ones.fill(1)
        path.kernels().int8Matmul(.nt, m: 1, n: 17, k: k, ones.pointer, k, ones.pointer, k, into: c.pointer, 17)
        let scale: Float = 1 / 127
        #expect((0..<17).allSatisfy { c[$0] == Float(Int32(127 * 127 * k)) * scale * scale })
    }

    @Test func `a unit is selected by its name, and one that is not here is refused`() throws {
        #expect(throws: KernelPathError.unknown("avx512-sse9")) { try KernelPath.select(named: "avx512-sse9") }
        #expect(throws: KernelPathError.notSupported("reference-amx")) { try KernelPath.select(named: "reference-amx") }
        for path in IntegerPath.all { #expect(path.kernels().integers == path.unit) }
    }

    private static func flatten(_ x: FloatBuffer, line: Int, _ k: Int, _ stride: Int, _ isColumn: Bool, _ value: Float) {
        for p in 0..<k { x[isColumn ? p * stride + line : line * stride + p] = value }
    }
}
