import AssayProtocol
import AssayTraining

/// What every validator checks of a payload before it is judged: its form, and that it is no copy.
public enum FastChecks {
    /// Payloads that share this much of their quantised values, in millionths, are one.
    static let copyLikeness = 950_000

    public enum Refusal: Error, Hashable, Sendable {
        case payload(PayloadError)
        case trajectory
        /// Of the earlier payload with this number.
        case copy(of: Int, likeness: Int)
    }

    /// - Parameters:
    ///   - context: of the payload's window.
    ///   - steps: that the trainer says it did.
    ///   - earlier: payloads that this one may be no copy of, as far as this validator holds them.
    public static func check(payload: [UInt8], _ context: CompressionContext? = nil, trajectory: [UInt8], steps: UInt32, earlier: [[UInt8]], rules: TrainingRules, compressor: any Compressor) throws(Refusal) {
        do { _ = try compressor.decompress(payload, context) } catch { throw .payload(error) }
        guard let digests = try? Trajectory(canonicalBytes: trajectory).digests, digests.count == Int(rules.segments(of: steps)) + 2 else { throw .trajectory }
        for (number, other) in earlier.enumerated() {
            let likeness = compressor.likeness(payload, other)
            if likeness >= copyLikeness { throw .copy(of: number, likeness: likeness) }
        }
    }
}
