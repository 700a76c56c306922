import AssayCrypto
import AssayPrimitives
import AssayTensor

/// One parameter of every `oneOf` in a row, drawn by R_w and so the same for all trainers of a window; the others are sent as zero.
///
/// Each tensor is cut into rows of `oneOf`, the last may be shorter; of each the generator keyed by H("assay/sparta/2" ‖ key ‖ tensor number) draws one,
/// where the key is the first 16 bytes of H("assay/sparta/1" ‖ R_w). The values of a tensor follow in order, as f32 or as one run of eight bits.
///
/// Bytes: "ASP1", count (u32), oneOf (u32), the key, values by tensor. So it can be read without R_w; where R_w is known, the key must be its.
///
/// Source: Exo's SPARTA ("sparse parameter averaging"), here of pseudo-gradients, with what is not sent kept in the residual.
public struct SpartaCompressor: Compressor {
    static let magic: UInt32 = 0x3150_5341
    private static let keyBytes = 16
    private static let start = PayloadBytes.headBytes + 4 + keyBytes

    private struct Tensor {
        let number: Int, offset: Int, count: Int, sent: Int
        /// Nil where values are sent as they are.
        let run: QuantisedRun?
        var byteCount: Int { run?.byteCount ?? 4 * sent }
    }
    public let count: Int
    public let oneOf: Int
    public let payloadBytes: Int
    private let wholeCount: Int
    private let tensors: [Tensor]

    public init(table: ParameterTable, oneOf: Int, quantised: Bool) {
        self.init(tensors: table.entries.map(\.count), oneOf: oneOf, quantised: quantised, firstNumber: table.firstNumber, wholeCount: table.wholeCount)
    }
    /// - Parameters:
    ///   - sizes: the parameters of each tensor.
    ///   - firstNumber: of the first in the whole model, which has `wholeCount` parameters.
    public init(tensors sizes: [Int], oneOf: Int, quantised: Bool, firstNumber: Int = 0, wholeCount: Int? = nil) {
        var offset = 0, tensors: [Tensor] = []
        for (place, size) in sizes.enumerated() {
            let sent = (size + oneOf - 1) / oneOf
            tensors.append(Tensor(number: firstNumber + place, offset: offset, count: size, sent: sent, run: quantised ? QuantisedRun(count: sent, bits: .eight) : nil))
            offset += size
        }
        (self.tensors, count, self.oneOf, self.wholeCount) = (tensors, offset, oneOf, wholeCount ?? offset)
        payloadBytes = tensors.reduce(SpartaCompressor.start) { $0 + $1.byteCount }
    }

    public var headBytes: Int { SpartaCompressor.start }
    public func ends(_ payload: [UInt8]) throws(PayloadError) -> [Int] {
        guard payload.count == payloadBytes else { throw .wrongSize(found: payload.count, expected: payloadBytes) }
        return tensors.ends(from: headBytes) { $0.byteCount }
    }

    private static func key(_ context: CompressionContext) -> [UInt8] {
        Array(Digest.tagged("assay/sparta/1") { $0.append(context.assignment) }.bytes.prefix(keyBytes))
    }
    private func chosen(_ key: [UInt8], _ tensor: Tensor, _ body: (_ place: Int, _ index: Int) -> Void) {
        var generator = SeededGenerator(Digest.tagged("assay/sparta/2") {
            $0.append(fixed: key)
            $0.append(UInt32(tensor.number))
        })
        for place in 0..<tensor.sent { body(place, tensor.offset + place * oneOf + Int(generator.below(UInt64(min(oneOf, tensor.count - place * oneOf))))) }
    }

    public func compress(_ delta: FloatBuffer, _ context: CompressionContext) -> [UInt8] {
        precondition(delta.count == count, "compressing \(delta.count) values with a table of \(count)")
        let key = SpartaCompressor.key(context)
        var payload = [UInt8](repeating: 0, count: payloadBytes)
        payload.writing { bytes in
            PayloadBytes.storeHead(SpartaCompressor.magic, wholeCount, bytes)
            PayloadBytes.store(UInt32(oneOf), bytes + PayloadBytes.headBytes)
            for (place, byte) in key.enumerated() { bytes[PayloadBytes.headBytes + 4 + place] = byte }
            var out = bytes + SpartaCompressor.start
            for tensor in tensors {
                let values = FloatBuffer(count: tensor.sent)
                chosen(key, tensor) { values.pointer[$0] = delta.pointer[$1] }
                if let run = tensor.run { run.write(values.pointer, out) } else { for place in 0..<tensor.sent { PayloadBytes.store(values.pointer[place].bitPattern, out + 4 * place) } }
                withExtendedLifetime(values) {}
                out += tensor.byteCount
            }
        }
        return payload
    }

    public func decompress(_ payload: [UInt8], _ context: CompressionContext?) throws(PayloadError) -> FloatBuffer {
        guard payload.count == payloadBytes else { throw .wrongSize(found: payload.count, expected: payloadBytes) }
        let key = Array(payload[(PayloadBytes.headBytes + 4)..<SpartaCompressor.start])
        return try payload.reading { bytes throws(PayloadError) in
            try PayloadBytes.checkHead(SpartaCompressor.magic, wholeCount, bytes)
            guard PayloadBytes.word(bytes + PayloadBytes.headBytes) == UInt32(oneOf) else { throw .wrongCount(found: PayloadBytes.word(bytes + PayloadBytes.headBytes), expected: oneOf) }
            if let context, key != SpartaCompressor.key(context) { throw .wrongDraw }
            let whole = FloatBuffer(count: count)
            var from = bytes + SpartaCompressor.start, group = 0, first = 0
            for tensor in tensors {
                let values = FloatBuffer(count: tensor.sent)
                if let run = tensor.run { try run.read(from, into: values.pointer, firstGroup: group, firstIndex: first) } else {
                    for place in 0..<tensor.sent {
                        values.pointer[place] = PayloadBytes.float(from + 4 * place)
                        guard values.pointer[place].isFinite else { throw .valueNotFinite(index: first + place) }
                    }
                }
                chosen(key, tensor) { whole.pointer[$1] = values.pointer[$0] }
                withExtendedLifetime(values) {}
                from += tensor.byteCount
                (group, first) = (group + (tensor.run?.groups ?? 0), first + tensor.sent)
            }
            return whole
        }
    }

    /// 0 for payloads of different draws: they say nothing of the same parameters.
    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count == payloadBytes, b.count == payloadBytes, a.prefix(SpartaCompressor.start) == b.prefix(SpartaCompressor.start) else { return 0 }
        var equal = 0, counted = 0
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                var (x, y) = (a.baseAddress! + SpartaCompressor.start, b.baseAddress! + SpartaCompressor.start)
                for tensor in tensors {
                    if let run = tensor.run {
                        let found = run.compare(x, y)
                        (equal, counted) = (equal + found.equal, counted + found.counted)
                    } else {
                        for place in 0..<tensor.sent where PayloadBytes.float(x + 4 * place) != 0 {
                            counted += 1
                            if PayloadBytes.word(x + 4 * place) == PayloadBytes.word(y + 4 * place) { equal += 1 }
                        }
                    }
                    (x, y) = (x + tensor.byteCount, y + tensor.byteCount)
                }
            }
        }
        return likenessShare(equal: equal, counted: counted)
    }
}
