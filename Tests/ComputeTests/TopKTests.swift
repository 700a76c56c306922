import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation
import TestKit
import Testing

@Suite struct TopKTests {
    private typealias Kit = CompressorKit
    /// One tensor of 65 × 42 stands first: tiles of 13 × 42, five of them, 546 values each.
    private static let tile = 13 * 42

    private func compressor(_ bits: TopKCompressor.ValueBits, kept: Int = 64, transforms: Bool = false) -> TopKCompressor {
        TopKCompressor(table: Kit.table, kept: kept, bits: bits, transforms: transforms)
    }
    private func changed(_ bits: TopKCompressor.ValueBits = .eight, _ change: (inout [UInt8]) -> Void) -> PayloadError? {
        let compressor = compressor(bits)
        var payload = compressor.compress(Kit.update(1), Kit.context)
        change(&payload)
        return Kit.refusal(payload, compressor)
    }

    @Test func `sides are cut by their largest divisor up to 64, and every value lies in one chunk`() {
        #expect([1, 2, 63, 64, 65, 67, 96, 384, 1_536, 50_257].map(Chunks.part) == [1, 2, 63, 64, 13, 1, 48, 64, 64, 29])
        let chunks = Chunks(Kit.table)
        var seen = [Int](repeating: 0, count: Kit.table.count), number = 0
        for tensor in chunks.tensors {
            #expect(tensor.firstChunk == number && tensor.size <= 4_096)
            for chunk in 0..<tensor.chunks {
                for row in 0..<tensor.height { for column in 0..<tensor.width { seen[tensor.start(chunk) + row * tensor.columns + column] += 1 } }
            }
            number += tensor.chunks
        }
        #expect(number == chunks.chunks && seen.allSatisfy { $0 == 1 })
        #expect(chunks.tensors[0].kept(32) == 4 && chunks.tensors[0].kept(1) == 1 && chunks.tensors[0].kept(4_096) == Self.tile)
    }

    @Test(arguments: TopKCompressor.ValueBits.allCases)
    func `the largest of each chunk are kept, the lower index among equals, and nothing else`(bits: TopKCompressor.ValueBits) throws {
        let compressor = compressor(bits), update = Kit.update(4)
        for index in stride(from: 0, to: update.count, by: 3) { update[index] = 0.03125 }       // many equals
        let decoded = try compressor.decompress(compressor.compress(update, Kit.context))
        for tensor in Chunks(Kit.table).tensors {
            for chunk in 0..<tensor.chunks {
                let places = (0..<tensor.size).map { tensor.start(chunk) + $0 / tensor.width * tensor.columns + $0 % tensor.width }
                let wanted = places.sorted { (-abs(update[$0]), $0) < (-abs(update[$1]), $1) }.prefix(tensor.kept(64))
                #expect(Set(places.filter { decoded[$0] != 0 }).isSubset(of: wanted))
                // Only in eight bits may a kept value be too small for its scale.
                let largest = abs(update[wanted.first!])
                for place in wanted where bits != .eight || abs(update[place]) > largest / 250 {
                    #expect(decoded[place] != 0 && (decoded[place] < 0) == (update[place] < 0))
                    if bits == .eight { #expect(abs(decoded[place] - update[place]) <= largest / 253) }
                }
            }
        }
    }

    @Test func `two bits take the scale of least squares, one bit the mean`() throws {
        let update = FloatBuffer(count: Kit.table.count)
        (update[0], update[5], update[9], update[44]) = (9, -3, 8, -4)
        // 9 and 8 count three, 3 and 4 one: (3·17 + 7) ÷ (9 + 9 + 1 + 1).
        let two = try compressor(.two).decompress(compressor(.two).compress(update, Kit.context)), s: Float = 58.0 / 20 * 3 / 3
        #expect([two[0], two[5], two[9], two[44]] == [3 * s, -s, 3 * s, -s])
        let one = try compressor(.one).decompress(compressor(.one).compress(update, Kit.context))
        #expect([one[0], one[5], one[9], one[44]] == [6, -6, 6, -6])
    }

    @Test func `the written form is what the format says`() throws {
        let table = ParameterTable(ModelShape(vocabulary: 2, context: 1, width: 1, heads: 1, layers: 1))
        let compressor = TopKCompressor(table: table, kept: 4_096, bits: .eight, transforms: false), update = FloatBuffer(count: table.count)
        (update[0], update[1]) = (-127, 2)
        // Two values of 20 bits: 0 | 0x81 << 12, then 1 | 2 << 12; and chunks with nothing for the other tensors.
        let head: [UInt8] = [0x54, 0x4F, 0x50, 0x4B, UInt8(table.count), 0, 0, 0], first: [UInt8] = [2, 0, 0, 0, 0x80, 0x3F, 0x00, 0x10, 0x18, 0x00, 0x02]
        #expect(compressor.compress(update, Kit.context) == head + first + [UInt8](repeating: 0, count: 2 * (Chunks(table).chunks - 1)))
    }

    /// The first chunk: 8 and 9 are its count (nine of 546 for k = 64), 10 to 13 its scale, from 14 on its values.
    @Test func `each malformed payload has an error of its own`() {
        let full = compressor(.eight).compress(Kit.update(1), Kit.context).count
        #expect(changed { $0[9] = 1 } == .tooManyValues(chunk: 0, found: 265, limit: 9))
        #expect(changed { $0[8] = 10 } == .tooManyValues(chunk: 0, found: 10, limit: 9))
        #expect(changed { Kit.store(Float.nan.bitPattern, &$0, at: 10) } == .scaleNotFinite(group: 0))
        #expect(changed { Kit.store(0, &$0, at: 10) } == .scaleOutOfRange(group: 0, bits: 0))
        #expect(changed { Kit.store(0x8000_0000, &$0, at: 10) } == .scaleOutOfRange(group: 0, bits: 0x8000_0000))
        #expect(changed { Kit.store(Float(0x1p41).bitPattern, &$0, at: 10) } == .scaleOutOfRange(group: 0, bits: Float(0x1p41).bitPattern))
        #expect(changed { $0[14] = 0xFF; $0[15] |= 0x0F } == .indexOutOfRange(chunk: 0, index: 4_095))
        #expect(changed { bytes in for place in 0..<5 { bytes[14 + 5 + place] = bytes[14 + place] } } == .indicesNotIncreasing(chunk: 0))
        #expect(changed { bytes in bytes[14 + 2] = bytes[14 + 2] & 0x0F | bytes[14] << 4; bytes[14 + 3] = bytes[14] >> 4 | bytes[15] << 4 } == .indicesNotIncreasing(chunk: 0))
        // The code of the first value: the upper half of one byte and the lower half of the next.
        #expect(changed { $0[15] &= 0x0F; $0[16] &= 0xF0 } == .valueOutOfRange(index: firstIndex))
        #expect(changed { $0[15] &= 0x0F; $0[16] = $0[16] & 0xF0 | 8 } == .valueOutOfRange(index: firstIndex))
        // Nine entries of 20 bits end in the middle of a byte.
        #expect(changed { $0[14 + 22] |= 0x10 } == .paddingNotZero)
        #expect(changed(.two) { Self.clearLargest(&$0) } == .groupNotNormal(group: 0))
        #expect(changed { $0.removeLast() } != nil)
        #expect(changed { bytes in bytes.append(0) } == .wrongSize(found: full + 1, expected: full), "more than any payload has")
        #expect(throws: PayloadError.trailingBytes(1)) { try self.compressor(.eight).decompress(self.compressor(.eight).compress(FloatBuffer(count: Kit.table.count), Kit.context) + [0]) }
        #expect(changed { $0.removeLast($0.count - 9) } == .truncated(chunk: 0))
        #expect(changed { $0.removeLast($0.count - 20) } == .truncated(chunk: 0))
    }
    private var firstIndex: Int {
        let payload = compressor(.eight).compress(Kit.update(1), Kit.context)
        return Int(payload[14]) | Int(payload[15] & 15) << 8
    }
    /// Nine entries of 14 bits: makes each code a small one.
    private static func clearLargest(_ payload: inout [UInt8]) {
        for entry in 0..<9 {
            let bit = entry * 14 + 12
            payload[14 + bit / 8] &= ~(1 << UInt8(bit % 8))
        }
    }

    // MARK: The transform

    @Test(arguments: 1...64)
    func `the cosine table is that of the formula to the last bit but one, and orthonormal`(n: Int) {
        let table = CosineTransform.table(n)
        for k in 0..<n {
            for i in 0..<n {
                let exact = (Double(k == 0 ? 1 : 2) / Double(n)).squareRoot() * cos(Double.pi * Double((2 * i + 1) * k) / Double(2 * n))
                #expect(abs(Double(table[k * n + i]) - exact) <= 0x1p-24 * max(abs(exact), 0x1p-20) * 1.01, "\(k), \(i)")
            }
        }
        for a in 0..<n {
            for b in 0...a {
                let product = (0..<n).reduce(0.0) { $0 + Double(table[a * n + $1]) * Double(table[b * n + $1]) }
                #expect(abs(product - (a == b ? 1 : 0)) < 1e-6)
            }
        }
    }

    @Test func `there and back is where it was`() {
        let chunks = Chunks(Kit.table), transform = CosineTransform(chunks, Kernels()), update = Kit.update(3), count = update.count
        let there = FloatBuffer(count: count), back = FloatBuffer(count: count), work = FloatBuffer(count: count)
        transform.forward(update.pointer, into: there.pointer, work: work.pointer)
        transform.inverse(there.pointer, into: back.pointer, work: work.pointer)
        #expect(Kit.relativeError(update, back) < 2e-6)
        #expect(Kit.relativeError(update, there) > 0.1)
    }

    @Test(.enabled(if: Python.isThere, Comment(rawValue: Python.absent)))
    func `every chunk's transform is what the formula gives in float64`() throws {
        let chunks = Chunks(Kit.table), update = Kit.update(5), there = FloatBuffer(count: update.count), work = FloatBuffer(count: update.count)
        withExtendedLifetime(work) { CosineTransform(chunks, Kernels()).forward(update.pointer, into: there.pointer, work: work.pointer) }
        let cases = chunks.tensors.map { tensor -> [String: Any] in
            ["rows": tensor.rows, "columns": tensor.columns, "height": tensor.height, "width": tensor.width,
             "values": (0..<tensor.rows * tensor.columns).map { Double(update[tensor.offset + $0]) }]
        }
        let answer = try #require(try Python.json("compressor_vectors.py", ["transform": cases]) as? [String: [[Double]]])
        for (tensor, numpy) in zip(chunks.tensors, answer["transform"]!) {
            for (place, value) in numpy.enumerated() { #expect(abs(Double(there[tensor.offset + place]) - value) < 2e-6) }
        }
    }

    // MARK: SPARTA

    @Test func `sparta sends one parameter of each row, the same for all trainers of a window and others in the next`() throws {
        let compressor = SpartaCompressor(tensors: [1_005], oneOf: 10, quantised: false)
        func sent(_ seed: UInt64, _ window: String) throws -> [Int] {
            let values = randomFloats(1_005, seed: seed), context = CompressionContext(assignment: SmallRun.digest(window))
            let decoded = try compressor.decompress(compressor.compress(values, context), context)
            for index in 0..<1_005 where decoded[index] != 0 { #expect(decoded[index] == values[index]) }
            return (0..<1_005).filter { decoded[$0] != 0 }
        }
        let first = try sent(1, "one")
        #expect(first.map { $0 / 10 } == Array(0...100))
        #expect(try sent(2, "one") == first)
        #expect(try sent(1, "two") != first)
    }

    @Test func `sparta's payloads of another draw, width or form are refused`() throws {
        let compressor = SpartaCompressor(tensors: [1_005], oneOf: 10, quantised: false), values = randomFloats(1_005, seed: 3)
        let payload = compressor.compress(values, Kit.context)
        #expect(Kit.refusal(payload, compressor, CompressionContext(assignment: SmallRun.digest("another"))) == .wrongDraw)
        var wrong = payload
        Kit.store(11, &wrong, at: 8)
        #expect(Kit.refusal(wrong, compressor) == .wrongCount(found: 11, expected: 10))
        wrong = payload
        Kit.store(Float.nan.bitPattern, &wrong, at: 28 + 4 * 7)
        #expect(Kit.refusal(wrong, compressor) == .valueNotFinite(index: 7))
        let quantised = SpartaCompressor(tensors: [1_005], oneOf: 10, quantised: true)
        wrong = quantised.compress(values, Kit.context)
        wrong[28 + 8 + 3] = 0x80
        #expect(Kit.refusal(wrong, quantised) == .valueOutOfRange(index: 3))
        #expect(Kit.refusal(payload, quantised) == .wrongSize(found: payload.count, expected: quantised.payloadBytes))
    }
}
