import AssayPrimitives
import AssayTensor
import AssayTraining
import Foundation
import Testing

/// The kernels of Llama-style layers: each fast path beside the reference, and the reference beside plain arithmetic.
@Suite struct LlamaKernelTests {
    private static let shapes = [(1, 1), (2, 5), (3, 16), (5, 33), (4, 128), (7, 300), (2, 4_096), (90, 200)]
        + KernelPathTests.drawn(200, seed: 31) { (KernelPathTests.ragged(&$0, 20), KernelPathTests.ragged(&$0, 400)) }

    @Test(arguments: fastPaths, [1, 3])
    func `RMSNorm, SwiGLU and their gradients have the reference's bits`(path: KernelPath, threads: Int) {
        let fast = Kernels(path: path, threads: threads), reference = Kernels(path: .reference)
        var inputs = KernelInputs(seed: 32)
        for (rows, columns) in Self.shapes {
            for special in [nil, 50] as [UInt64?] {
                let count = rows * columns, x = inputs.floats(count, special: special), dy = inputs.floats(count, special: special), start = inputs.floats(count)
                let weight = inputs.floats(columns), sums = inputs.floats(columns)
                var found: [[UInt32]] = []
                for kernels in [reference, fast] {
                    let out = FloatBuffer(count: count), rstd = FloatBuffer(count: rows), stream = start.copy(), normed = FloatBuffer(count: count), second = FloatBuffer(count: rows)
                    kernels.rmsNorm(rows: rows, channels: columns, x.pointer, weight: weight.pointer, into: out.pointer, rstd: rstd.pointer)
                    kernels.residualRMSNorm(rows: rows, channels: columns, x.pointer, addedTo: stream.pointer, weight: weight.pointer, into: normed.pointer, rstd: second.pointer)
                    let dx = start.copy(), dweight = sums.copy()
                    kernels.rmsNormBackward(rows: rows, channels: columns, dy: dy.pointer, x: x.pointer, weight: weight.pointer, rstd: rstd.pointer, into: dx.pointer, dweight: dweight.pointer)
                    let active = FloatBuffer(count: count), dgate = dy.copy(), dup = FloatBuffer(count: count)
                    kernels.swiGLU(count, gate: x.pointer, up: start.pointer, into: active.pointer)
                    kernels.swiGLUBackward(count, gate: x.pointer, up: start.pointer, dout: dgate.pointer, into: dgate.pointer, dup: dup.pointer)
                    found.append([out, rstd, stream, normed, second, dx, dweight, active, dgate, dup].flatMap(\.comparableBits))
                }
                #expect(found[0] == found[1], "\(rows)×\(columns) on \(path)")
            }
        }
    }

    private static let heads = [(1, 1, 1, 1, 2), (2, 64, 4, 2, 32), (3, 5, 6, 3, 34), (1, 90, 8, 8, 64)]
        + KernelPathTests.drawn(200, seed: 33) { generator in
            let group = KernelPathTests.ragged(&generator, 4), shared = KernelPathTests.ragged(&generator, 4)
            return (KernelPathTests.ragged(&generator, 3), KernelPathTests.ragged(&generator, 20), group * shared, group, 2 * KernelPathTests.ragged(&generator, 40))
        }

    @Test(arguments: fastPaths, [1, 3])
    func `rotation, shared heads and their gradients have the reference's bits`(path: KernelPath, threads: Int) {
        let fast = Kernels(path: path, threads: threads), reference = Kernels(path: .reference)
        var inputs = KernelInputs(seed: 34)
        for (sequences, context, heads, group, size) in Self.heads {
            let rows = sequences * context, stride = heads * size + 3, table = RotaryTable(context: context, size: size)
            for special in [nil, 50] as [UInt64?] {
                let x = inputs.floats(rows * stride, special: special)
                var found: [[UInt32]] = []
                for kernels in [reference, fast] {
                    let there = x.copy(), back = x.copy(), shared = x.copy(), gathered = x.copy()
                    for (buffer, isBack) in [(there, false), (back, true)] {
                        kernels.rotate(rows: rows, context: context, heads: heads, size: size, cosines: table.cosines.pointer, sines: table.sines.pointer, back: isBack, buffer.pointer, stride: stride)
                    }
                    kernels.shareHeads(rows: rows, heads: heads, group: group, size: size, shared.pointer, stride: stride)
                    kernels.gatherHeads(rows: rows, heads: heads, group: group, size: size, gathered.pointer, stride: stride)
                    found.append([there, back, shared, gathered].flatMap(\.comparableBits))
                }
                #expect(found[0] == found[1], "\(sequences)×\(context), \(heads) heads by \(group) of \(size) on \(path)")
            }
        }
    }

    @Test func `a shared head stands for each of its group, and its gradient is their sum`() {
        let kernels = Kernels(path: .reference), row: [Float] = [1, 2, 3, 4, 0, 0, 0, 0]
        let x = FloatBuffer(row + row)
        kernels.shareHeads(rows: 2, heads: 4, group: 2, size: 2, x.pointer, stride: 8)
        #expect((0..<8).map { x[$0] } == [1, 2, 1, 2, 3, 4, 3, 4] && x[12] == 3)
        kernels.gatherHeads(rows: 2, heads: 4, group: 2, size: 2, x.pointer, stride: 8)
        #expect((0..<4).map { x[$0] } == [2, 4, 6, 8] && x[8] == 2)
    }

    @Test func `the kernels compute what their papers say`() {
        let kernels = Kernels(path: .reference), x = FloatBuffer([0.5, -2, 3, 1] as [Float]), up = FloatBuffer([1, 2, -1, 0.25] as [Float]), weight = FloatBuffer([1, 2, 3, 4] as [Float])
        let out = FloatBuffer(count: 4), rstd = FloatBuffer(count: 1)
        kernels.rmsNorm(rows: 1, channels: 4, x.pointer, weight: weight.pointer, into: out.pointer, rstd: rstd.pointer)
        let root = ((0.25 + 4 + 9 + 1) / 4 + 1e-5).squareRoot()
        for index in 0..<4 { #expect(abs(Double(out[index]) - Double(x[index]) / root * Double(weight[index])) < 1e-6) }
        kernels.swiGLU(4, gate: x.pointer, up: up.pointer, into: out.pointer)
        for index in 0..<4 { #expect(abs(Double(out[index]) - Double(x[index]) / (1 + exp(-Double(x[index]))) * Double(up[index])) < 1e-6) }
    }

    /// An angle is a product rounded once, so at the last position it may be off by half a unit in the last place of 4,095 in Double: 2.3e-13.
    @Test func `cosines and sines are libm's, rounded to Float, at all positions of the longest context`() {
        for size in [2, 64, 128] {
            let table = RotaryTable(context: 4_096, size: size), half = size / 2
            for position in stride(from: 0, to: 4_096, by: position(step: size)) {
                for index in 0..<half {
                    let angle = Double(position) * pow(10_000, -2 * Double(index) / Double(size)), at = position * half + index
                    #expect(abs(Double(table.cosines[at]) - cos(angle)) < 0x1p-25 + 2e-12 && abs(Double(table.sines[at]) - sin(angle)) < 0x1p-25 + 2e-12, "position \(position), pair \(index) of \(size)")
                }
            }
        }
        func position(step size: Int) -> Int { size == 2 ? 1 : 37 }
    }
}
