import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// What each compressor makes of one update: how fast, how small, how near.
public struct CompressBench: Encodable, Sendable {
    public struct Rate: Encodable, Sendable {
        public let compressor: String
        /// Millions of bytes of floats a second.
        public let compressMegabytesPerSecond, decompressMegabytesPerSecond: Double
        public let payloadBytes: Int
        /// Bytes of floats for one of payload.
        public let ratio: Double
        /// ‖δ − δ̂‖ ÷ ‖δ‖ of one payload; the residual brings the rest.
        public let relativeError: Double
    }
    public let parameters: Int
    public let path: String
    public let threads: Int
    public let rates: [Rate]
}

/// Measures every compressor on a made update of a model's shape: each matrix 32 outer products of falling weight and noise of half their norm, so
/// errors compare compressors with each other and are not those of a training.
///
/// - Parameter repetitions: of each measurement; the fastest counts.
public func benchCompression(shape: ModelShape, threads: Int = 1, repetitions: Int = 3, path: KernelPath = .current) throws -> CompressBench {
    let table = ParameterTable(shape), kernels = Kernels(path: path, threads: threads), update = madeUpdate(table, kernels)
    let context = CompressionContext(assignment: Digest.tagged("bench") { _ in })
    let size = (update.count * 4, kernels.sumSquares(update.count, update.pointer))
    let kinds: [(String, any Compressor)] = [
        ("none", UncompressedPayload(table: table)), ("int8", QuantisedCompressor(.eight, table: table)), ("int4", QuantisedCompressor(.four, table: table)),
    ] + [4, 16, 64].map { ("lowrank-int4 rank \($0)", LowRankCompressor(table: table, rank: $0, kernels: kernels)) }
        + [(TopKCompressor.ValueBits.eight, 32), (.two, 32), (.two, 64)].map { ("topk \($1) of 4096, \($0.rawValue) bits", TopKCompressor(table: table, kept: $1, bits: $0, transforms: false, kernels: kernels)) }
        + [(TopKCompressor.ValueBits.eight, 32), (.two, 64), (.one, 64)].map { ("dct-topk \($1) of 4096, \($0.rawValue) bits", TopKCompressor(table: table, kept: $1, bits: $0, transforms: true, kernels: kernels)) }
        + [("sparta one of 1000, f32", SpartaCompressor(table: table, oneOf: 1_000, quantised: false))]
    var rates: [CompressBench.Rate] = []
    for (name, compressor) in kinds {
        var payload: [UInt8] = [], decoded = FloatBuffer(count: 0), wrote = Double.infinity, read = Double.infinity
        for _ in 0..<max(1, repetitions) {
            wrote = min(wrote, timed { payload = compressor.compress(update, context) })
            read = min(read, try timed { decoded = try compressor.decompress(payload, context) })
        }
        kernels.subtract(update.count, update.pointer, decoded.pointer, into: decoded.pointer)
        let error = (kernels.sumSquares(update.count, decoded.pointer) / size.1).squareRoot(), megabytes = Double(size.0) / 1e6
        rates.append(.init(compressor: name, compressMegabytesPerSecond: megabytes / wrote, decompressMegabytesPerSecond: megabytes / read, payloadBytes: payload.count,
                           ratio: Double(size.0) / Double(payload.count), relativeError: error))
    }
    return CompressBench(parameters: table.count, path: path.rawValue, threads: kernels.threads, rates: rates)
}

private func madeUpdate(_ table: ParameterTable, _ kernels: Kernels) -> FloatBuffer {
    let update = FloatBuffer(count: table.count), terms = 32
    Orthonormal.uniform(update.count, Philox(key: 11), into: update.pointer)
    for (number, entry) in table.entries.enumerated() {
        let left = FloatBuffer(count: terms * entry.rows), right = FloatBuffer(count: terms * entry.columns)
        Orthonormal.uniform(left.count, Philox(key: 12, stream: UInt64(number)), into: left.pointer)
        Orthonormal.uniform(right.count, Philox(key: 13, stream: UInt64(number)), into: right.pointer)
        for term in 0..<terms { kernels.scale(entry.rows, 1 / Float(term + 1), left.pointer + term * entry.rows, into: left.pointer + term * entry.rows) }
        let values = update.pointer + entry.offset
        kernels.scale(entry.count, 0.25, values, into: values)
        kernels.matmul(.tn, m: entry.rows, n: entry.columns, k: terms, left.pointer, entry.rows, right.pointer, entry.columns, into: values, entry.columns, accumulate: true)
    }
    return update
}
