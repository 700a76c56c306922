import AssayPrimitives
import AssayTensor

/// Every value in four bits, by the rule of `QuantisedRun`. Bytes: "A4v1", count (u32), one run.
public struct Int4Compressor: Compressor {
    private let whole: QuantisedPayload
    public var count: Int { whole.run.count }
    public var payloadBytes: Int { whole.payloadBytes }
    public init(count: Int) { whole = QuantisedPayload(magic: 0x3176_3441, run: QuantisedRun(count: count, bits: .four)) }

    public func compress(_ delta: FloatBuffer) -> [UInt8] { whole.compress(delta) }
    public func compress(_ delta: FloatBuffer, _: CompressionContext) -> [UInt8] { whole.compress(delta) }
    public func decompress(_ payload: [UInt8], _: CompressionContext?) throws(PayloadError) -> FloatBuffer { try whole.decompress(payload) }
    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int { whole.likeness(a, b) }
}

/// Every value in eight bits, by the rule of `QuantisedRun`. Bytes: "A8v1", count (u32), one run.
public struct Int8Compressor: Compressor {
    private let whole: QuantisedPayload
    public var count: Int { whole.run.count }
    public var payloadBytes: Int { whole.payloadBytes }
    public init(count: Int) { whole = QuantisedPayload(magic: 0x3176_3841, run: QuantisedRun(count: count, bits: .eight)) }

    public func compress(_ delta: FloatBuffer) -> [UInt8] { whole.compress(delta) }
    public func compress(_ delta: FloatBuffer, _: CompressionContext) -> [UInt8] { whole.compress(delta) }
    public func decompress(_ payload: [UInt8], _: CompressionContext?) throws(PayloadError) -> FloatBuffer { try whole.decompress(payload) }
    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int { whole.likeness(a, b) }
}

/// All parameters as one run after a head.
struct QuantisedPayload {
    let magic: UInt32
    let run: QuantisedRun
    var payloadBytes: Int { PayloadBytes.headBytes + run.byteCount }

    func compress(_ delta: FloatBuffer) -> [UInt8] {
        precondition(delta.count == run.count, "compressing \(delta.count) values with a table of \(run.count)")
        var payload = [UInt8](repeating: 0, count: payloadBytes)
        payload.writing { bytes in
            PayloadBytes.storeHead(magic, run.count, bytes)
            run.write(delta.pointer, bytes + PayloadBytes.headBytes)
        }
        return payload
    }
    func decompress(_ payload: [UInt8]) throws(PayloadError) -> FloatBuffer {
        guard payload.count == payloadBytes else { throw .wrongSize(found: payload.count, expected: payloadBytes) }
        return try payload.reading { bytes throws(PayloadError) in
            try PayloadBytes.checkHead(magic, run.count, bytes)
            let values = FloatBuffer(count: run.count)
            try run.read(bytes + PayloadBytes.headBytes, into: values.pointer)
            return values
        }
    }
    func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count == payloadBytes, b.count == payloadBytes else { return 0 }
        let (equal, counted) = a.withUnsafeBufferPointer { a in b.withUnsafeBufferPointer { b in run.compare(a.baseAddress! + PayloadBytes.headBytes, b.baseAddress! + PayloadBytes.headBytes) } }
        return likenessShare(equal: equal, counted: counted)
    }
}
