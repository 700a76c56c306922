import AssayPrimitives
import AssayTensor

/// The k largest values of each chunk, or of its cosine transform.
///
/// Chosen: largest magnitude first, the lower index among equals; none below 2^-100, no NaN. They are coded with one scale s for the chunk:
/// - 8 bits: q = clamp(round-half-even(x · (127 ÷ amax)), −127, 127), s = amax ÷ 127; values with q = 0 are left out.
/// - 2 bits: 3 if |x| · (3 ÷ amax) > 2, else 1, with the sign; s = Σ|x|·c ÷ Σc², summed by index, then s ← (s · 3) ÷ 3.
/// - 1 bit: the sign; s = Σ|x| ÷ count, summed by index.
///
/// Bytes: "TOPK" or "DCTK", count (u32); then for each chunk its count of values (u16) and, unless that is 0, s (f32) and the values: index | code · 2¹²
/// in 12 + bits each, indices rising, the least bit first, filled up to a byte with zeros. Codes: q as two's complement; bit 0 for 3 and bit 1 for
/// minus; 1 for minus. So a payload's size depends on its values, and is at most `largestPayload`.
///
/// Source: Wang et al., "CocktailSGD" (2023) and "SparseLoCo" (arXiv 2508.15706) for the chunks; "DeMo" (arXiv 2411.19870) for the transform.
public final class TopKCompressor: Compressor {
    public enum ValueBits: UInt32, CaseIterable, Sendable { case one = 1, two = 2, eight = 8 }

    private let magic: UInt32
    private let chunks: Chunks
    private let kept: Int
    private let bits: ValueBits
    private let transform: CosineTransform?
    private let kernels: Kernels
    private var entryBits: Int { 12 + Int(bits.rawValue) }

    /// - Parameter kept: k, of a chunk of 4,096.
    public init(table: ParameterTable, kept: Int, bits: ValueBits, transforms: Bool, kernels: Kernels = Kernels()) {
        magic = transforms ? 0x4B54_4344 : 0x4B50_4F54
        chunks = Chunks(table)
        (self.kept, self.bits, self.kernels) = (kept, bits, kernels)
        transform = transforms ? CosineTransform(chunks, kernels) : nil
    }

    public var largestPayload: Int {
        chunks.tensors.reduce(PayloadBytes.headBytes) { $0 + $1.chunks * (6 + ($1.kept(kept) * entryBits + 7) / 8) }
    }

    // MARK: Writing

    public func compress(_ delta: FloatBuffer, _ context: CompressionContext) -> [UInt8] {
        precondition(delta.count == chunks.count, "compressing \(delta.count) values with a table of \(chunks.count)")
        var payload = [UInt8](repeating: 0, count: largestPayload), used = PayloadBytes.headBytes
        kernels.job {
            var values = delta
            if let transform {
                let work = FloatBuffer(count: chunks.count)
                values = FloatBuffer(count: chunks.count)
                withExtendedLifetime(work) { transform.forward(delta.pointer, into: values.pointer, work: work.pointer) }
            }
            payload.writing { bytes in
                PayloadBytes.storeHead(magic, chunks.wholeCount, bytes)
                let chunk = ChunkSelection()
                withExtendedLifetime(values) {
                    for tensor in chunks.tensors {
                        for number in 0..<tensor.chunks {
                            chunk.gather(values.pointer + tensor.start(number), tensor)
                            chunk.select(tensor.kept(kept))
                            used += chunk.write(bits, bytes + used)
                        }
                    }
                }
            }
        }
        payload.removeLast(payload.count - used)
        return payload
    }

    // MARK: Reading

    public var headBytes: Int { PayloadBytes.headBytes }
    public func ends(_ payload: [UInt8]) throws(PayloadError) -> [Int] {
        var ends: [Int] = []
        try read(payload, ended: { ends.append($0) }) { _, _, _, _, _ in }
        return ends
    }

    public func decompress(_ payload: [UInt8], _: CompressionContext?) throws(PayloadError) -> FloatBuffer {
        let values = FloatBuffer(count: chunks.count)
        try read(payload) { tensor, start, scale, index, code in
            values.pointer[start + index / tensor.width * tensor.columns + index % tensor.width] = Float(code) * scale
        }
        guard let transform else { return values }
        let out = FloatBuffer(count: chunks.count), work = FloatBuffer(count: chunks.count)
        withExtendedLifetime((values, work)) { kernels.job { transform.inverse(values.pointer, into: out.pointer, work: work.pointer) } }
        return out
    }

    /// Every value of a payload in order, once what is before it has been found to be right.
    /// - Parameter ended: gets where each tensor's bytes end.
    private func read(_ payload: [UInt8], ended: (Int) -> Void = { _ in }, _ body: (_ tensor: Chunks.Tensor, _ start: Int, _ scale: Float, _ index: Int, _ code: Int) -> Void) throws(PayloadError) {
        guard payload.count >= PayloadBytes.headBytes, payload.count <= largestPayload else { throw .wrongSize(found: payload.count, expected: largestPayload) }
        try payload.reading { bytes throws(PayloadError) in
            try PayloadBytes.checkHead(magic, chunks.wholeCount, bytes)
            var at = PayloadBytes.headBytes
            for tensor in chunks.tensors {
                let limit = tensor.kept(kept)
                for number in 0..<tensor.chunks {
                    let chunk = tensor.firstChunk + number
                    guard payload.count - at >= 2 else { throw .truncated(chunk: chunk) }
                    let found = Int(bytes[at]) | Int(bytes[at + 1]) << 8
                    at += 2
                    guard found <= limit else { throw .tooManyValues(chunk: chunk, found: found, limit: limit) }
                    if found == 0 { continue }
                    let packed = (found * entryBits + 7) / 8
                    guard payload.count - at >= 4 + packed else { throw .truncated(chunk: chunk) }
                    let scale = PayloadBytes.float(bytes + at)
                    try checkScale(scale, chunk)
                    try entries(bytes + at + 4, found, tensor, chunk) { body(tensor, tensor.start(number), scale, $0, $1) }
                    at += 4 + packed
                }
                ended(at)
            }
            guard at == payload.count else { throw .trailingBytes(payload.count - at) }
        }
    }

    private func checkScale(_ scale: Float, _ chunk: Int) throws(PayloadError) {
        // What is chosen is at least 2^-100, and so is the mean of it; the least squares may be a third of that.
        let (top, least): (Float, Float) = switch bits { case .eight: (127, QuantisedRun.smallest / 127); case .two: (3, 0x1p-102); case .one: (1, 0x1p-101) }
        try QuantisedRun.checkScale(scale, top: top, least: least, group: chunk)
        guard scale > 0 else { throw .scaleOutOfRange(group: chunk, bits: 0) }
    }

    private func entries(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ tensor: Chunks.Tensor, _ chunk: Int, _ body: (Int, Int) -> Void) throws(PayloadError) {
        var reader = BitReader(bytes), before = -1, hasLargest = false
        for _ in 0..<count {
            let entry = reader.take(entryBits), index = entry & 4_095, code = TopKCompressor.value(entry >> 12, bits)
            guard index < tensor.size else { throw .indexOutOfRange(chunk: chunk, index: index) }
            guard index > before else { throw .indicesNotIncreasing(chunk: chunk) }
            guard code != 0, code != -128 else { throw .valueOutOfRange(index: index) }
            before = index
            hasLargest = hasLargest || abs(code) == TopKCompressor.top(bits)
            body(index, code)
        }
        guard hasLargest else { throw .groupNotNormal(group: chunk) }
        let rest = count * entryBits % 8
        if rest != 0, reader.take(8 - rest) != 0 { throw .paddingNotZero }
    }

    private static func top(_ bits: ValueBits) -> Int { switch bits { case .eight: 127; case .two: 3; case .one: 1 } }
    private static func value(_ code: Int, _ bits: ValueBits) -> Int {
        switch bits {
        case .eight: Int(Int8(truncatingIfNeeded: code))
        case .two: (code & 1 == 1 ? 3 : 1) * (code & 2 == 2 ? -1 : 1)
        case .one: code == 1 ? -1 : 1
        }
    }

    /// Of values at the same place with the same code.
    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var codes: [Int: Int] = [:], counted = 0, equal = 0
        guard (try? read(b, { _, start, _, index, code in codes[start << 12 | index] = code })) != nil,
              (try? read(a, { _, start, _, index, code in
                  counted += 1
                  if codes[start << 12 | index] == code { equal += 1 }
              })) != nil else { return 0 }
        return likenessShare(equal: equal, counted: counted)
    }
}
