import AssayCrypto
import AssayPrimitives
import AssayTensor

/// Matrices as P·Qᵀ of a small rank in four bits, vectors in eight.
///
/// A matrix of m × n with r·(m + n) < m·n, where r is the smaller of the rank, m and n, is factored by `SubspaceIteration` from the draw
/// H("assay/lowrank/1" ‖ R_w ‖ tensor number). Each column of P, then each of Q, is a run of four bits. Where a column's codes are all zero in one of the
/// two, both become zero; where the first code of P's that is not zero is below it, both columns are negated before they are coded; columns stand by
/// the largest scale in Q's, falling, the first made first among equals. Other matrices are one run of four bits, vectors one of eight.
///
/// Bytes: "ALR1", count (u32), rank (u32), then the tensors in table order. x̂ = Σ over columns in order, by fma from +0.
///
/// Source: Qi et al., "DiLoCoX" (arXiv 2506.21263), section 3: low rank and int4. Unlike PowerSGD each factors its own, so a payload stands alone.
public final class LowRankCompressor: Compressor {
    static let magic: UInt32 = 0x3152_4C41
    public static let largestRank: UInt32 = 1_024
    private static let start = PayloadBytes.headBytes + 4

    private let table: ParameterTable
    private let rank: UInt32
    private let allowed: ClosedRange<UInt32>
    private let kernels: Kernels

    /// - Parameters:
    ///   - rank: where a context names none.
    ///   - allowed: ranks of payloads whose window is not known.
    public init(table: ParameterTable, rank: UInt32, allowed: ClosedRange<UInt32>? = nil, kernels: Kernels = Kernels()) {
        (self.table, self.rank, self.allowed, self.kernels) = (table, rank, allowed ?? rank...rank, kernels)
    }

    /// How a tensor is written at a rank.
    private enum Form {
        case whole(QuantisedRun)
        case factors(rank: Int, p: QuantisedRun, q: QuantisedRun)
        var byteCount: Int {
            switch self {
            case .whole(let run): run.byteCount
            case .factors(let rank, let p, let q): rank * (p.byteCount + q.byteCount)
            }
        }
        var groups: Int {
            switch self {
            case .whole(let run): run.groups
            case .factors(let rank, let p, let q): rank * (p.groups + q.groups)
            }
        }
    }
    private static func form(_ entry: ParameterTable.Entry, _ rank: Int) -> Form {
        if entry.rows == 1 { return .whole(QuantisedRun(count: entry.count, bits: .eight)) }
        let rank = min(rank, entry.rows, entry.columns)
        guard rank * (entry.rows + entry.columns) < entry.count else { return .whole(QuantisedRun(count: entry.count, bits: .four)) }
        return .factors(rank: rank, p: QuantisedRun(count: entry.rows, bits: .four), q: QuantisedRun(count: entry.columns, bits: .four))
    }
    public var headBytes: Int { LowRankCompressor.start }
    public func ends(_ payload: [UInt8]) throws(PayloadError) -> [Int] {
        let rank = try rank(of: payload, nil)
        return table.entries.ends(from: headBytes) { LowRankCompressor.form($0, rank).byteCount }
    }
    public func payloadBytes(rank: Int) -> Int { LowRankCompressor.start + table.entries.reduce(0) { $0 + LowRankCompressor.form($1, rank).byteCount } }

    private func draw(_ assignment: Digest, _ tensor: Int) -> Philox {
        Philox(Digest.tagged("assay/lowrank/1") {
            $0.append(assignment)
            $0.append(UInt32(tensor))
        })
    }

    public func compress(_ delta: FloatBuffer, _ context: CompressionContext) -> [UInt8] {
        precondition(delta.count == table.count, "compressing \(delta.count) values with a table of \(table.count)")
        let rank = Int(context.rank ?? self.rank)
        var payload = [UInt8](repeating: 0, count: payloadBytes(rank: rank))
        kernels.job {
            payload.writing { bytes in
                PayloadBytes.storeHead(LowRankCompressor.magic, table.wholeCount, bytes)
                PayloadBytes.store(UInt32(rank), bytes + PayloadBytes.headBytes)
                var at = LowRankCompressor.start
                for (number, entry) in table.entries.enumerated() {
                    let form = LowRankCompressor.form(entry, rank), matrix = delta.pointer + entry.offset
                    switch form {
                    case .whole(let run): run.write(matrix, bytes + at)
                    case .factors(let rank, let p, let q):
                        let factors = SubspaceIteration(matrix, rows: entry.rows, columns: entry.columns, rank: rank, draw: draw(context.assignment, table.firstNumber + number), kernels)
                        withExtendedLifetime(factors) { LowRankCompressor.write(factors, rank, p, q, bytes + at) }
                    }
                    at += form.byteCount
                }
            }
        }
        return payload
    }

    /// Codes the columns, then puts them in order.
    private static func write(_ factors: SubspaceIteration, _ rank: Int, _ p: QuantisedRun, _ q: QuantisedRun, _ bytes: UnsafeMutablePointer<UInt8>) {
        let pairs: [(scale: UInt32, p: [UInt8], q: [UInt8])] = (0..<rank).map { column in
            let (x, y) = (factors.p.pointer + column * p.count, factors.q.pointer + column * q.count)
            var codedP = [UInt8](repeating: 0, count: p.byteCount), codedQ = [UInt8](repeating: 0, count: q.byteCount)
            func code() {
                codedP.writing { p.write(x, $0) }
                codedQ.writing { q.write(y, $0) }
            }
            code()
            if codedP.withUnsafeBufferPointer({ p.beginsNegative($0.baseAddress!) }) {
                for index in 0..<p.count { x[index] = -x[index] }
                for index in 0..<q.count { y[index] = -y[index] }
                code()
            }
            if codedP.withUnsafeBufferPointer({ p.largestScale($0.baseAddress!) }) == 0 || codedQ.withUnsafeBufferPointer({ q.largestScale($0.baseAddress!) }) == 0 {
                x.update(repeating: 0, count: p.count)
                y.update(repeating: 0, count: q.count)
                code()
            }
            return (codedQ.withUnsafeBufferPointer { q.largestScale($0.baseAddress!) }, codedP, codedQ)
        }
        let order = pairs.indices.sorted { (pairs[$1].scale, $0) < (pairs[$0].scale, $1) }
        var at = bytes
        for part in order.map({ pairs[$0].p }) + order.map({ pairs[$0].q }) {
            part.withUnsafeBufferPointer { at.update(from: $0.baseAddress!, count: part.count) }
            at += part.count
        }
    }

    public func decompress(_ payload: [UInt8], _ context: CompressionContext?) throws(PayloadError) -> FloatBuffer {
        let rank = try rank(of: payload, context)
        return try payload.reading { bytes throws(PayloadError) in try read(bytes + LowRankCompressor.start, rank) }
    }
    /// What the head says, which must be allowed and fit the payload's size.
    private func rank(of payload: [UInt8], _ context: CompressionContext?) throws(PayloadError) -> Int {
        guard payload.count >= LowRankCompressor.start else { throw .wrongSize(found: payload.count, expected: payloadBytes(rank: Int(allowed.lowerBound))) }
        return try payload.reading { bytes throws(PayloadError) in
            try PayloadBytes.checkHead(LowRankCompressor.magic, table.wholeCount, bytes)
            let found = PayloadBytes.word(bytes + PayloadBytes.headBytes)
            let ranks = ranks(context)
            guard ranks.contains(found) else { throw .wrongRank(found: found, allowed: ranks) }
            guard payload.count == payloadBytes(rank: Int(found)) else { throw .wrongSize(found: payload.count, expected: payloadBytes(rank: Int(found))) }
            return Int(found)
        }
    }

    private func ranks(_ context: CompressionContext?) -> ClosedRange<UInt32> {
        guard let context else { return allowed }
        let only = context.rank ?? rank
        return only...only
    }

    private func read(_ bytes: UnsafePointer<UInt8>, _ rank: Int) throws(PayloadError) -> FloatBuffer {
        let values = FloatBuffer(count: table.count)
        var at = bytes, group = 0
        for (number, entry) in table.entries.enumerated() {
            let form = LowRankCompressor.form(entry, rank)
            switch form {
            case .whole(let run): try run.read(at, into: values.pointer + entry.offset, firstGroup: group, firstIndex: entry.offset)
            case .factors(let rank, let p, let q):
                let x = FloatBuffer(count: rank * entry.rows), y = FloatBuffer(count: rank * entry.columns)
                let (firstP, firstQ) = (at, at + rank * p.byteCount)
                var before = UInt32.max
                for column in 0..<rank {
                    let (codesP, codesQ) = (firstP + column * p.byteCount, firstQ + column * q.byteCount)
                    try p.read(codesP, into: x.pointer + column * entry.rows, firstGroup: group + column * p.groups, firstIndex: entry.offset)
                    try q.read(codesQ, into: y.pointer + column * entry.columns, firstGroup: group + rank * p.groups + column * q.groups, firstIndex: entry.offset)
                    let scale = q.largestScale(codesQ)
                    guard !p.beginsNegative(codesP), (p.largestScale(codesP) == 0) == (scale == 0), scale <= before else { throw .columnNotNormal(tensor: number, column: column) }
                    before = scale
                }
                withExtendedLifetime((x, y)) {
                    kernels.job {
                        kernels.matmul(.tn, m: entry.rows, n: entry.columns, k: rank, x.pointer, entry.rows, y.pointer, entry.columns, into: values.pointer + entry.offset, entry.columns)
                    }
                }
            }
            at += form.byteCount
            group += form.groups
        }
        return values
    }

    /// Of the matrices, not of their factors: those of one matrix can be turned in many ways, and rounded anew. The cosine between both, tensor by tensor,
    /// weighted by their sizes, rounded to millionths; a negative one counts 0, as does a tensor that is zero in one of them alone.
    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard let x = try? decompress(a), let y = try? decompress(b) else { return 0 }
        var counted = 0, alike = 0
        for entry in table.entries {
            var products = 0.0, squaresX = 0.0, squaresY = 0.0
            for index in entry.range {
                let (x, y) = (Double(x.pointer[index]), Double(y.pointer[index]))
                products += x * y
                squaresX += x * x
                squaresY += y * y
            }
            if squaresX == 0, squaresY == 0 { continue }
            counted += entry.count
            if products > 0 { alike += entry.count * Int((min(1, products / (squaresX.squareRoot() * squaresY.squareRoot())) * 1_000_000).rounded(.toNearestOrEven)) }
        }
        return counted == 0 ? 1_000_000 : alike / counted
    }
}
