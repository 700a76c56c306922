import AssayTensor
import Foundation
import Testing

/// Our polynomials beside the exact values, which Double holds closely enough.
@Suite struct KernelAccuracyTests {
    /// The largest distance in units of the last place of the exact value.
    private func worst(_ range: ClosedRange<Float>, _ exact: (Double) -> Double, _ kernel: (Kernels, Int, FloatBuffer, FloatBuffer) -> Void) -> Double {
        let count = 1 << 20, x = FloatBuffer(count: count), y = FloatBuffer(count: count)
        let width = range.upperBound - range.lowerBound
        for index in 0..<count { x[index] = range.lowerBound + width * (Float(index) / Float(count - 1)) }
        kernel(Kernels(), count, x, y)
        return (0..<count).map { index in
            let value = exact(Double(x[index])), unit = Double(max(Float(abs(value)).ulp, Float.leastNormalMagnitude.ulp))
            return abs(Double(y[index]) - value) / unit
        }.max()!
    }

    @Test func `exp is within one unit of the last place`() {
        #expect(worst(-87...88.5, Foundation.exp) { $0.exp($1, $2.pointer, into: $3.pointer) } < 1)
        #expect(worst(-1...1, Foundation.exp) { $0.exp($1, $2.pointer, into: $3.pointer) } < 1)
    }
    @Test func `log is within 0.82 units of the last place`() {
        #expect(worst(0x1p-126...3e38, Foundation.log) { $0.log($1, $2.pointer, into: $3.pointer) } < 0.82)
        #expect(worst(0.5...2, Foundation.log) { $0.log($1, $2.pointer, into: $3.pointer) } < 0.82)
    }
    @Test func `tanh is within 1.33 units of the last place`() {
        #expect(worst(-10...10, Foundation.tanh) { $0.tanh($1, $2.pointer, into: $3.pointer) } < 1.33)
        #expect(worst(-0.7...0.7, Foundation.tanh) { $0.tanh($1, $2.pointer, into: $3.pointer) } < 1.33)
    }
    @Test func `the schedule's cosine is within one part in ten million`() {
        let errors = (0...100_000).map { abs(Double(Kernels.cosPi(Float($0) / 100_000)) - cos(Double.pi * Double(Float($0) / 100_000))) }
        #expect(errors.max()! < 1e-7)
    }
    @Test func `infinities, zeros and the ends of the range are what they should be`() {
        let x = FloatBuffer([Float.infinity, -.infinity, 0, -0.0, 89, -104, 200, -200, -1, .leastNonzeroMagnitude])
        let kernels = Kernels(path: .reference), y = FloatBuffer(count: x.count)
        kernels.exp(x.count, x.pointer, into: y.pointer)
        #expect(y[0] == .infinity && y[1] == 0 && y[2] == 1 && y[3] == 1 && y[4] == .infinity && y[5] == 0 && y[6] == .infinity && y[7] == 0)
        kernels.log(x.count, x.pointer, into: y.pointer)
        #expect(y[0] == .infinity && y[1].isNaN && y[2] == -.infinity && y[3] == -.infinity && y[8].isNaN && y[9] == Float(Foundation.log(0x1p-149)))
        kernels.tanh(x.count, x.pointer, into: y.pointer)
        #expect(y[0] == 1 && y[1] == -1 && y[2] == 0 && y[3] == 0 && y[4] == 1 && y[7] == -1)
    }
}
