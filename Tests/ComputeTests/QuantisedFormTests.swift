import AssayPrimitives
import AssayTensor
import AssayTraining
import Testing

/// Eight bits a value; four have `CompressionTests`.
@Suite struct QuantisedFormTests {
    private let compressor = QuantisedCompressor(.eight, tensors: [130])
    private func changed(_ change: (inout [UInt8]) -> Void) -> PayloadError? {
        var payload = compressor.compress(randomFloats(130, seed: 5))
        change(&payload)
        return CompressorKit.refusal(payload, compressor)
    }

    @Test func `the written form is what the format says, with ties to the even value`() throws {
        let compressor = QuantisedCompressor(.eight, tensors: [4]), payload: [UInt8] = [0x41, 0x38, 0x76, 0x31, 4, 0, 0, 0, 0, 0, 0x80, 0x3F, 127, 0x81, 2, 0xFE]
        #expect(compressor.compress(FloatBuffer([127, -127, 2.5, -1.5])) == payload)
        #expect(try compressor.decompress(payload) == FloatBuffer([127, -127, 2, -2]))
    }

    @Test(arguments: [1, 63, 64, 65, 1_000])
    func `decoded values are within half a step, and encode to the same bytes again`(count: Int) throws {
        let compressor = QuantisedCompressor(.eight, tensors: [count]), values = randomFloats(count, seed: UInt64(count)), payload = compressor.compress(values)
        let decoded = try compressor.decompress(payload)
        for start in stride(from: 0, to: count, by: 64) {
            let group = start..<min(start + 64, count), half = group.map { abs(values[$0]) }.max()! / 254
            for index in group { #expect(abs(values[index] - decoded[index]) <= half * 1.001) }
        }
        #expect(compressor.compress(decoded) == payload)
    }

    @Test func `each malformed payload has an error of its own`() {
        #expect(changed { CompressorKit.store(Float.nan.bitPattern, &$0, at: 12) } == .scaleNotFinite(group: 1))
        #expect(changed { CompressorKit.store(Float(-1).bitPattern, &$0, at: 8) } == .scaleOutOfRange(group: 0, bits: Float(-1).bitPattern))
        #expect(changed { CompressorKit.store(Float(0x1p41).bitPattern, &$0, at: 8) } == .scaleOutOfRange(group: 0, bits: Float(0x1p41).bitPattern))
        #expect(changed { CompressorKit.store(0, &$0, at: 16) } == .groupNotNormal(group: 2))
        #expect(changed { $0[20 + 70] = 0x80 } == .valueOutOfRange(index: 70))
        #expect(changed { for index in 20..<84 { $0[index] = 1 } } == .groupNotNormal(group: 0))
    }
}
