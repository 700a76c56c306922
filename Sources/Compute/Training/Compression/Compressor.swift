import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// What a compressor may draw on besides the values: facts of the window that everybody knows.
public struct CompressionContext: Hashable, Sendable {
    /// R_w: the key of a compressor's own draws.
    public var assignment: Digest
    /// The window's rank where that adapts; nil: the rules'.
    public var rank: UInt32?
    public init(assignment: Digest, rank: UInt32? = nil) { (self.assignment, self.rank) = (assignment, rank) }
}

/// Station 4: from a pseudo-gradient to payload bytes that stand for themselves, and back.
///
/// A payload is canonical: one value, one encoding, no library's version in it. So its root can be committed to, and one trainer's worth judged alone.
/// The bits depend on neither path nor threads. One call at a time for each instance.
public protocol Compressor: Sendable {
    /// - Parameter delta: one float a parameter, in the table's order.
    func compress(_ delta: FloatBuffer, _ context: CompressionContext) -> [UInt8]
    /// Refuses what is not whole and canonical; never allocates more than the table asks for.
    ///
    /// - Parameter context: of the payload's window, to refuse what was drawn otherwise; nil where that window is not at hand.
    func decompress(_ payload: [UInt8], _ context: CompressionContext?) throws(PayloadError) -> FloatBuffer
    /// Of what a payload begins with, before its tensors.
    var headBytes: Int { get }
    /// Where each tensor's bytes end in a payload: tensors lie in it one after the other, in table order.
    ///
    /// So the payload of a whole model is the head and the tensors of its parts' payloads, and a part of it is a payload to a compressor of that part's table.
    func ends(_ payload: [UInt8]) throws(PayloadError) -> [Int]
    /// Share of equal quantised values among those that are not zero in the first, in millionths. 0 for payloads of different form.
    func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int
}
extension Compressor {
    public func decompress(_ payload: [UInt8]) throws(PayloadError) -> FloatBuffer { try decompress(payload, nil) }

    /// Parts' payloads, in order, as that of the whole.
    func joined(_ parts: [[UInt8]]) -> [UInt8] { (parts.first.map { Array($0.prefix(headBytes)) } ?? []) + parts.flatMap { $0.dropFirst(headBytes) } }
    /// The payloads that the parts' compressors would have made.
    func cut(_ payload: [UInt8], for parts: [ParameterTable]) throws(PayloadError) -> [[UInt8]] {
        let ends = [headBytes] + (try ends(payload))
        return parts.map { Array(payload.prefix(headBytes) + payload[ends[$0.firstNumber]..<ends[$0.firstNumber + $0.entries.count]]) }
    }
}

public enum Compressors {
    /// Rules that no compressor can be made of.
    public struct Unknown: Error, CustomStringConvertible { public let description: String }

    public static func make(_ rules: TrainingRules, table: ParameterTable, kernels: Kernels = Kernels()) throws -> any Compressor {
        switch rules.compressor {
        case .none: return UncompressedPayload(table: table)
        case .int4: return QuantisedCompressor(.four, table: table)
        case .int8: return QuantisedCompressor(.eight, table: table)
        case .lowRankInt4:
            let least = rules.adaptation?.minimumRank ?? rules.rank, most = rules.adaptation?.maximumRank ?? rules.rank
            guard (1...LowRankCompressor.largestRank).contains(rules.rank), least >= 1, least <= rules.rank, rules.rank <= most, most <= LowRankCompressor.largestRank else {
                throw Unknown(description: "a low-rank compressor of rank \(rules.rank) within \(least) and \(most): allowed is 1…\(LowRankCompressor.largestRank)")
            }
            return LowRankCompressor(table: table, rank: rules.rank, allowed: least...most, kernels: kernels)
        case .topK, .dctTopK:
            guard let bits = TopKCompressor.ValueBits(rawValue: rules.valueBits), (1...4_096).contains(rules.keptValues) else {
                throw Unknown(description: "a top-k compressor that keeps \(rules.keptValues) values of \(rules.valueBits) bits: allowed are 1…4096 values of 1, 2 or 8 bits")
            }
            return TopKCompressor(table: table, kept: Int(rules.keptValues), bits: bits, transforms: rules.compressor == .dctTopK, kernels: kernels)
        case .sparta:
            guard rules.valueBits == 8 || rules.valueBits == 32, (1...1_000_000).contains(rules.oneOf) else {
                throw Unknown(description: "sparta with one parameter of \(rules.oneOf) in \(rules.valueBits) bits: allowed is one of 1…1000000 in 8 or 32 bits")
            }
            return SpartaCompressor(table: table, oneOf: Int(rules.oneOf), quantised: rules.valueBits == 8)
        }
    }
}

/// Equal ones among those counted, in millionths; nothing to count is all alike.
func likenessShare(equal: Int, counted: Int) -> Int { counted == 0 ? 1_000_000 : equal * 1_000_000 / counted }

/// Floats as they are: the baseline.
public struct UncompressedPayload: Compressor {
    private let tensors: [Int]
    let count: Int
    public init(table: ParameterTable) { self.init(tensors: table.entries.map(\.count)) }
    public init(tensors: [Int]) { (self.tensors, count) = (tensors, tensors.reduce(0, +)) }

    public var headBytes: Int { 0 }
    public func ends(_ payload: [UInt8]) throws(PayloadError) -> [Int] {
        guard payload.count == count * 4 else { throw .wrongSize(found: payload.count, expected: count * 4) }
        return tensors.ends(from: 0) { 4 * $0 }
    }
    public func compress(_ delta: FloatBuffer) -> [UInt8] { delta.littleEndianBytes() }
    public func compress(_ delta: FloatBuffer, _: CompressionContext) -> [UInt8] { compress(delta) }
    public func decompress(_ payload: [UInt8], _: CompressionContext?) throws(PayloadError) -> FloatBuffer {
        guard payload.count == count * 4, let values = try? FloatBuffer(littleEndianBytes: payload) else { throw .wrongSize(found: payload.count, expected: count * 4) }
        for index in 0..<count where !values.pointer[index].isFinite { throw .valueNotFinite(index: index) }
        return values
    }
    public func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count == b.count, a.count == count * 4 else { return 0 }
        var counted = 0, equal = 0
        for start in stride(from: 0, to: a.count, by: 4) {
            let value = a[start..<start + 4]
            guard value.contains(where: { $0 != 0 }) else { continue }
            counted += 1
            if value == b[start..<start + 4] { equal += 1 }
        }
        return likenessShare(equal: equal, counted: counted)
    }
}
