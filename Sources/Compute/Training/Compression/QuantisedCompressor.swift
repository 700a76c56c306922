import AssayPrimitives
import AssayTensor

/// Every value in four or eight bits: each tensor is one `QuantisedRun`. Bytes: "A4v1" or "A8v1", count (u32), the runs.
public struct QuantisedCompressor: Compressor {
    private let magic: UInt32
    private let wholeCount: Int
    private let runs: [(offset: Int, run: QuantisedRun)]
    public let count: Int
    public let payloadBytes: Int

    public enum Bits: Sendable { case four, eight }

    public init(_ bits: Bits, table: ParameterTable) { self.init(bits, tensors: table.entries.map(\.count), wholeCount: table.wholeCount) }
    /// - Parameters:
    ///   - tensors: the parameters of each.
    ///   - wholeCount: of the whole model, if these are a part of it.
    public init(_ bits: Bits, tensors: [Int], wholeCount: Int? = nil) {
        magic = bits == .four ? 0x3176_3441 : 0x3176_3841
        var offset = 0, runs: [(offset: Int, run: QuantisedRun)] = []
        for tensor in tensors {
            runs.append((offset, QuantisedRun(count: tensor, bits: bits == .four ? .four : .eight)))
            offset += tensor
        }
        (self.runs, count, self.wholeCount) = (runs, offset, wholeCount ?? offset)
        payloadBytes = runs.reduce(PayloadBytes.headBytes) { $0 + $1.run.byteCount }
    }

    public var headBytes: Int { PayloadBytes.headBytes }
    public func ends(_ payload: [UInt8]) throws(PayloadError) -> [Int] {
        guard payload.count == payloadBytes else { throw .wrongSize(found: payload.count, expected: payloadBytes) }
        return runs.ends(from: headBytes) { $0.run.byteCount }
    }

    public func compress(_ delta: FloatBuffer) -> [UInt8] {
        precondition(delta.count == count, "compressing \(delta.count) values with a table of \(count)")
        var payload = [UInt8](repeating: 0, count: payloadBytes)
        payload.writing { bytes in
            PayloadBytes.storeHead(magic, wholeCount, bytes)
            var at = headBytes
            for (offset, run) in runs {
                run.write(delta.pointer + offset, bytes + at)
                at += run.byteCount
            }
        }
        return payload
    }
    public func compress(_ delta: FloatBuffer, _: CompressionContext) -> [UInt8] { compress(delta) }

    public func decompress(_ payload: [UInt8], _: CompressionContext?) throws(PayloadError) -> FloatBuffer {
        guard payload.count == payloadBytes else { throw .wrongSize(found: payload.count, expected: payloadBytes) }
        return try payload.reading { bytes throws(PayloadError) in
            try PayloadBytes.checkHead(magic, wholeCount, bytes)
            let values = FloatBuffer(count: count)
            var at = headBytes, group = 0
            for (offset, run) in runs {
                try run.read(bytes + at, into: values.pointer + offset, firstGroup: group, firstIndex: offset)
                at += run.byteCount
                group += run.groups
            }
            return values
        }
    }

    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count == payloadBytes, b.count == payloadBytes else { return 0 }
        var equal = 0, counted = 0, at = headBytes
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                for (_, run) in runs {
                    let found = run.compare(a.baseAddress! + at, b.baseAddress! + at)
                    (equal, counted) = (equal + found.equal, counted + found.counted)
                    at += run.byteCount
                }
            }
        }
        return likenessShare(equal: equal, counted: counted)
    }
}

extension Sequence {
    /// Where each of some things ends that lie one after the other.
    func ends(from start: Int, _ bytes: (Element) -> Int) -> [Int] {
        var at = start
        return map {
            at += bytes($0)
            return at
        }
    }
}
