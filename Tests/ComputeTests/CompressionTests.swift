import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

@Suite struct CompressionTests {
    /// 130 values: two whole groups and one of two.
    private let compressor = QuantisedCompressor(.four, tensors: [130])
    private var payload: [UInt8] { compressor.compress(randomFloats(130, seed: 5)) }

    private func refusal(_ payload: [UInt8], _ compressor: any Compressor) -> PayloadError? {
        do { _ = try compressor.decompress(payload) } catch { return error }
        return nil
    }
    private func changed(_ change: (inout [UInt8]) -> Void) -> PayloadError? {
        var payload = payload
        change(&payload)
        return refusal(payload, compressor)
    }
    private func setScale(_ payload: inout [UInt8], group: Int, _ scale: Float) {
        for byte in 0..<4 { payload[8 + 4 * group + byte] = UInt8(truncatingIfNeeded: scale.bitPattern >> UInt32(8 * byte)) }
    }

    @Test(arguments: [1, 2, 63, 64, 65, 127, 129, 1_000])
    func `decoded values are within half a step, and encode to the same values again`(count: Int) throws {
        let compressor = QuantisedCompressor(.four, tensors: [count]), values = randomFloats(count, seed: UInt64(count))
        let payload = compressor.compress(values)
        #expect(payload.count == compressor.payloadBytes && payload == compressor.compress(values))
        let decoded = try compressor.decompress(payload)
        for start in stride(from: 0, to: count, by: 64) {
            let group = start..<min(start + 64, count)
            let half = group.map { abs(values[$0]) }.max()! / 14
            for index in group { #expect(abs(values[index] - decoded[index]) <= half * 1.0001) }
        }
        #expect(compressor.likeness(payload, compressor.compress(decoded)) == 1_000_000)
    }

    @Test func `the written form is what the format says`() throws {
        let compressor = QuantisedCompressor(.four, tensors: [3])
        #expect(compressor.compress(FloatBuffer([7, -7, 2.5])) == [0x41, 0x34, 0x76, 0x31, 3, 0, 0, 0, 0, 0, 0x80, 0x3F, 0x1F, 0x8A])
        #expect(try compressor.decompress([0x41, 0x34, 0x76, 0x31, 3, 0, 0, 0, 0, 0, 0x80, 0x3F, 0x1F, 0x8A]) == FloatBuffer([7, -7, 2]))
    }

    @Test func `ties go to the even value`() throws {
        let compressor = QuantisedCompressor(.four, tensors: [7])
        #expect(try compressor.decompress(compressor.compress(FloatBuffer([7, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5]))) == FloatBuffer([7, 0, 2, 2, 0, -2, -2]))
    }

    @Test func `nothing, and what is nearly nothing, is nothing`() throws {
        let nothing = compressor.compress(FloatBuffer(count: 130))
        #expect(try compressor.decompress(nothing) == FloatBuffer(count: 130))
        #expect(compressor.compress(FloatBuffer([Float](repeating: 0x1p-101, count: 130))) == nothing)
        #expect(compressor.compress(FloatBuffer([Float](repeating: 0x1p-149, count: 130))) == nothing)
        #expect(try compressor.decompress(compressor.compress(FloatBuffer([Float](repeating: 0x1p-100, count: 130))))[129] > 0)
    }

    @Test func `a gradient that is not finite compresses to what everybody refuses, and traps nowhere`() {
        for wrong in [Float.infinity, -.infinity, .nan, 0x1p100] {
            let values = randomFloats(130, seed: 6)
            values[70] = wrong
            let refused = refusal(compressor.compress(values), compressor)
            if wrong.isNaN { #expect(refused == nil) } else if wrong.isInfinite { #expect(refused == .scaleNotFinite(group: 1)) } else {
                #expect(refused == .scaleOutOfRange(group: 1, bits: (wrong / 7).bitPattern))
            }
        }
    }

    @Test func `each malformed payload has an error of its own`() {
        #expect(refusal([], compressor) == .wrongSize(found: 0, expected: 85))
        #expect(changed { $0.removeLast() } == .wrongSize(found: 84, expected: 85))
        #expect(changed { $0.append(0x88) } == .wrongSize(found: 86, expected: 85))
        #expect(changed { $0[0] = 0 } == .wrongMagic(0x3176_3400))
        #expect(changed { $0[4] = 131 } == .wrongCount(found: 131, expected: 130))
        #expect(changed { $0[7] = 0xFF } == .wrongCount(found: 0xFF00_0082, expected: 130))
        #expect(changed { setScale(&$0, group: 1, .nan) } == .scaleNotFinite(group: 1))
        #expect(changed { setScale(&$0, group: 2, -.infinity) } == .scaleNotFinite(group: 2))
        #expect(changed { setScale(&$0, group: 0, -1) } == .scaleOutOfRange(group: 0, bits: Float(-1).bitPattern))
        #expect(changed { setScale(&$0, group: 0, -0.0) } == .scaleOutOfRange(group: 0, bits: 0x8000_0000))
        #expect(changed { setScale(&$0, group: 0, 0x1p41) } == .scaleOutOfRange(group: 0, bits: Float(0x1p41).bitPattern))
        #expect(changed { $0[20] &= 0x0F } == .valueOutOfRange(index: 1))
        #expect(changed { $0[84] &= 0xF0 } == .valueOutOfRange(index: 128))
        #expect(changed { setScale(&$0, group: 1, 0) } == .groupNotNormal(group: 1))
        #expect(changed { for byte in 20..<52 { $0[byte] = 0x99 } } == .groupNotNormal(group: 0))
        let odd = QuantisedCompressor(.four, tensors: [1])
        #expect(refusal([0x41, 0x34, 0x76, 0x31, 1, 0, 0, 0, 0, 0, 0x80, 0x3F, 0x9F], odd) == .paddingNotZero)
        #expect(refusal([0x41, 0x34, 0x76, 0x31, 1, 0, 0, 0, 0, 0, 0x80, 0x3F, 0x8F], odd) == nil)
        let floats = UncompressedPayload(tensors: [2])
        #expect(refusal([1, 2, 3], floats) == .wrongSize(found: 3, expected: 8))
        #expect(refusal(FloatBuffer([1, .nan]).littleEndianBytes(), floats) == .valueNotFinite(index: 1))
        #expect(refusal(FloatBuffer([-.infinity, 1]).littleEndianBytes(), floats) == .valueNotFinite(index: 0))
    }

    @Test func `thirty thousand mutated payloads are decoded or refused, and what is decoded is finite`() throws {
        var generator = SeededGenerator(seed: 11)
        let seed = payload
        var decoded = 0
        for _ in 0..<30_000 {
            var mutated = seed
            for _ in 0...generator.below(4) {
                switch generator.below(6) {
                case 0: mutated.removeLast(Int(generator.below(UInt64(mutated.count) + 1)))
                case 1: mutated.append(UInt8(generator.below(256)))
                default: if !mutated.isEmpty { mutated[Int(generator.below(UInt64(mutated.count)))] = UInt8(generator.below(256)) }
                }
            }
            guard let values = try? compressor.decompress(mutated) else { continue }
            decoded += 1
            #expect(values.count == 130 && values.allFinite)
        }
        #expect(decoded > 100 && decoded < 30_000)
    }

    @Test func `what one window loses the next one brings: decoded payloads and the last residual add up to what was trained`() throws {
        let kernels = Kernels(path: .current, threads: 1), table = QuantisedCompressor(.four, tensors: [300])
        var residual: FloatBuffer?, trained = [Double](repeating: 0, count: 300), sent = trained
        for window in UInt64(0)..<6 {
            let progress = randomFloats(300, seed: 40 + window)
            let delta = PseudoGradient.delta(overwriting: progress.copy(), end: FloatBuffer(count: 300), residual: residual, kernels)
            let decoded = try table.decompress(table.compress(delta))
            let next = PseudoGradient.residual(overwriting: delta.copy(), decoded: decoded, decay: 1, kernels)
            for index in 0..<300 {
                #expect(next[index] == delta[index] - decoded[index])
                trained[index] += Double(progress[index])
                sent[index] += Double(decoded[index])
            }
            residual = next
        }
        for index in 0..<300 { #expect(abs(trained[index] - sent[index] - Double(residual![index])) < 1e-5) }
    }

    @Test func `the residual decays by the rule`() throws {
        let kernels = Kernels(path: .current, threads: 1)
        let residual = PseudoGradient.residual(overwriting: FloatBuffer([4, 1]), decoded: FloatBuffer([2, 2]), decay: 0.5, kernels)
        #expect(residual == FloatBuffer([1, -0.5]))
    }

    @Test func `likeness counts values, not bytes`() {
        let a = payload
        #expect(compressor.likeness(a, a) == 1_000_000)
        #expect(compressor.likeness(a, Array(a.dropLast())) == 0 && compressor.likeness([], []) == 0)
        #expect(compressor.likeness(a, compressor.compress(randomFloats(130, seed: 6))) < 300_000)
        // One value of every eighth byte differs: a sixteenth of the values, an eighth of the bytes.
        var b = a
        for index in stride(from: 20, to: 84, by: 8) { b[index] = b[index] & 0xF0 | (b[index] & 15 == 1 ? 2 : 1) }
        #expect(compressor.likeness(a, b) > 920_000)
        #expect(UncompressedPayload(tensors: [4]).likeness(FloatBuffer([1, 2, 0, 3]).littleEndianBytes(), FloatBuffer([1, 2, 9, 4]).littleEndianBytes()) == 666_666)
    }
}
