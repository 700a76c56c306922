import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining

/// A compressor of each kind over a table of ragged shapes: sides of 65, 37, 42, 126, 168; vectors of 42.
enum CompressorKit {
    static let shape = ModelShape(vocabulary: 65, context: 37, width: 42, heads: 3, layers: 1, biases: true)
    static let table = ParameterTable(shape)
    static let context = CompressionContext(assignment: SmallRun.digest("assignment"))

    enum Kind: String, CaseIterable, CustomStringConvertible {
        case none, int4, int8, lowRank, topK8, topK2, topK1, dctTopK8, dctTopK2, dctTopK1, sparta8, sparta32
        var description: String { rawValue }

        func make(_ table: ParameterTable = CompressorKit.table, path: KernelPath = .current, threads: Int = 1) throws -> any Compressor {
            var rules = SmallRun.rules
            (rules.compressor, rules.rank, rules.keptValues, rules.oneOf) = (.none, 4, 256, 10)
            switch self {
            case .none: break
            case .int4: rules.compressor = .int4
            case .int8: rules.compressor = .int8
            case .lowRank: rules.compressor = .lowRankInt4
            case .topK8, .topK2, .topK1: rules.compressor = .topK
            case .dctTopK8, .dctTopK2, .dctTopK1: rules.compressor = .dctTopK
            case .sparta8, .sparta32: rules.compressor = .sparta
            }
            rules.valueBits = switch self { case .topK1, .dctTopK1: 1; case .topK2, .dctTopK2: 2; case .sparta32: 32; default: 8 }
            return try Compressors.make(rules, table: table, kernels: Kernels(path: path, threads: threads))
        }
    }

    /// Like a pseudo-gradient: each matrix a few outer products and a little noise, tensors of different sizes.
    static func update(_ seed: UInt64, table: ParameterTable = CompressorKit.table) -> FloatBuffer {
        var generator = SeededGenerator(seed: seed)
        func uniform() -> Float { Float(Int64(generator.below(2_000_001)) - 1_000_000) * 1e-6 }
        let update = FloatBuffer(count: table.count)
        for (number, entry) in table.entries.enumerated() {
            let size = Float(number % 3 + 1) * 1e-2
            let left = (0..<3 * entry.rows).map { _ in uniform() }, right = (0..<3 * entry.columns).map { _ in uniform() }
            for row in 0..<entry.rows {
                for column in 0..<entry.columns {
                    var value = uniform() * 0.1
                    for term in 0..<3 { value += left[term * entry.rows + row] * right[term * entry.columns + column] / Float(1 << term) }
                    update[entry.offset + row * entry.columns + column] = value * size
                }
            }
        }
        return update
    }

    /// ‖a − b‖ ÷ ‖a‖.
    static func relativeError(_ a: FloatBuffer, _ b: FloatBuffer) -> Double {
        var difference = 0.0, whole = 0.0
        for index in 0..<a.count {
            difference += (Double(a[index]) - Double(b[index])) * (Double(a[index]) - Double(b[index]))
            whole += Double(a[index]) * Double(a[index])
        }
        return (difference / whole).squareRoot()
    }

    static func refusal(_ payload: [UInt8], _ compressor: any Compressor, _ context: CompressionContext? = nil) -> PayloadError? {
        do { _ = try compressor.decompress(payload, context) } catch { return error }
        return nil
    }
    static func store(_ word: UInt32, _ payload: inout [UInt8], at: Int) {
        for byte in 0..<4 { payload[at + byte] = UInt8(truncatingIfNeeded: word >> UInt32(8 * byte)) }
    }
    static func word(_ payload: [UInt8], at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(payload[at + $1]) << UInt32(8 * $1) } }
}
