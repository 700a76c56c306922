import AssayCrypto
import AssayPrimitives
import AssayTensor

/// One parameter of every `oneOf` in a row, drawn by R_w and so the same for all trainers of a window; the others are sent as zero.
///
/// Parameters are cut into rows of `oneOf`, the last may be shorter; of each the generator keyed by H("assay/sparta/1" ‖ R_w) draws one. Their values
/// follow in order, as f32 or as one run of eight bits.
///
/// Bytes: "ASP1", count (u32), oneOf (u32), the first 16 bytes of that key, values. So it can be read without R_w; where R_w is known, the key must be its.
///
/// Source: Exo's SPARTA ("sparse parameter averaging"), here of pseudo-gradients, with what is not sent kept in the residual.
public struct SpartaCompressor: Compressor {
    static let magic: UInt32 = 0x3150_5341
    private static let keyBytes = 16
    private static let start = PayloadBytes.headBytes + 4 + keyBytes

    public let count: Int
    public let oneOf: Int
    private let run: QuantisedRun?
    private var sent: Int { (count + oneOf - 1) / oneOf }
    public var payloadBytes: Int { SpartaCompressor.start + (run?.byteCount ?? 4 * sent) }

    public init(count: Int, oneOf: Int, quantised: Bool) {
        (self.count, self.oneOf) = (count, oneOf)
        run = quantised ? QuantisedRun(count: (count + oneOf - 1) / oneOf, bits: .eight) : nil
    }

    private static func key(_ context: CompressionContext) -> [UInt8] {
        Array(Digest.tagged("assay/sparta/1") { $0.append(context.assignment) }.bytes.prefix(keyBytes))
    }
    private func chosen(_ key: [UInt8], _ body: (_ number: Int, _ index: Int) -> Void) {
        var generator = SeededGenerator(Philox(seed: key))
        for number in 0..<sent { body(number, number * oneOf + Int(generator.below(UInt64(min(oneOf, count - number * oneOf))))) }
    }

    public func compress(_ delta: FloatBuffer, _ context: CompressionContext) -> [UInt8] {
        precondition(delta.count == count, "compressing \(delta.count) values with a table of \(count)")
        let values = FloatBuffer(count: sent), key = SpartaCompressor.key(context)
        chosen(key) { values.pointer[$0] = delta.pointer[$1] }
        var payload = [UInt8](repeating: 0, count: payloadBytes)
        payload.writing { bytes in
            PayloadBytes.storeHead(SpartaCompressor.magic, count, bytes)
            PayloadBytes.store(UInt32(oneOf), bytes + PayloadBytes.headBytes)
            for (place, byte) in key.enumerated() { bytes[PayloadBytes.headBytes + 4 + place] = byte }
            let out = bytes + SpartaCompressor.start
            if let run { run.write(values.pointer, out) } else { for number in 0..<sent { PayloadBytes.store(values.pointer[number].bitPattern, out + 4 * number) } }
        }
        return payload
    }

    public func decompress(_ payload: [UInt8], _ context: CompressionContext?) throws(PayloadError) -> FloatBuffer {
        guard payload.count == payloadBytes else { throw .wrongSize(found: payload.count, expected: payloadBytes) }
        let key = Array(payload[(PayloadBytes.headBytes + 4)..<SpartaCompressor.start])
        return try payload.reading { bytes throws(PayloadError) in
            try PayloadBytes.checkHead(SpartaCompressor.magic, count, bytes)
            guard PayloadBytes.word(bytes + PayloadBytes.headBytes) == UInt32(oneOf) else { throw .wrongCount(found: PayloadBytes.word(bytes + PayloadBytes.headBytes), expected: oneOf) }
            if let context, key != SpartaCompressor.key(context) { throw .wrongDraw }
            let values = FloatBuffer(count: sent), from = bytes + SpartaCompressor.start
            if let run { try run.read(from, into: values.pointer) } else {
                for number in 0..<sent {
                    values.pointer[number] = PayloadBytes.float(from + 4 * number)
                    guard values.pointer[number].isFinite else { throw .valueNotFinite(index: number) }
                }
            }
            let whole = FloatBuffer(count: count)
            chosen(key) { whole.pointer[$1] = values.pointer[$0] }
            return whole
        }
    }

    /// 0 for payloads of different draws: they say nothing of the same parameters.
    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count == payloadBytes, b.count == payloadBytes, a.prefix(SpartaCompressor.start) == b.prefix(SpartaCompressor.start) else { return 0 }
        let (equal, counted): (Int, Int) = a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                let (x, y) = (a.baseAddress! + SpartaCompressor.start, b.baseAddress! + SpartaCompressor.start)
                if let run { return run.compare(x, y) }
                var counted = 0, equal = 0
                for number in 0..<sent where PayloadBytes.float(x + 4 * number) != 0 {
                    counted += 1
                    if PayloadBytes.word(x + 4 * number) == PayloadBytes.word(y + 4 * number) { equal += 1 }
                }
                return (equal, counted)
            }
        }
        return likenessShare(equal: equal, counted: counted)
    }
}
