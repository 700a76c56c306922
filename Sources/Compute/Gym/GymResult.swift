import AssayCrypto
import AssayPrimitives

/// One point of a curve.
public struct GymPoint: Hashable, Sendable {
    /// Steps that every worker has made.
    public let step: Int
    /// Tokens that all workers have trained on.
    public let tokens: Int
    /// Mean over the steps since the point before; nil at step 0.
    public let trainingLoss: Double?
    public let validationLoss: Double
    /// Bytes that one worker has sent so far.
    public let sent: Int
}

/// What came of an arm with a seed, so far or at the end.
public struct GymResult: Sendable {
    public let arm: GymArm
    public let seed: UInt64
    public internal(set) var points: [GymPoint] = []
    public internal(set) var step = 0
    /// Bytes of one worker.
    public internal(set) var sent = 0, received = 0
    /// That one worker computed, evaluations apart.
    public internal(set) var seconds = 0.0
    /// Training ended early since a payload or the validation loss was no longer finite.
    public internal(set) var diverged = false
    /// Over the part that the file names for the end; nil before it, and if training diverged.
    public internal(set) var finalLoss: Double?
    /// Root of the last θ; nil before the end.
    public internal(set) var root: Digest?

    public var isFinished: Bool { root != nil }
    /// Files of this arm and seed begin so.
    public var fileName: String { "\(arm.name)-\(seed)" }

    init(_ arm: GymArm, seed: UInt64) { (self.arm, self.seed) = (arm, seed) }

    public var csv: String {
        let lines = points.map { point in
            "\(point.step),\(point.tokens),\(point.trainingLoss.map { decimal($0, 6) } ?? ""),\(decimal(point.validationLoss, 6)),\(point.sent)"
        }
        return (["step,tokens,train_loss,validation_loss,bytes_sent_per_worker"] + lines).joined(separator: "\n") + "\n"
    }

    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(UInt64(step))
        encoder.append(UInt64(sent))
        encoder.append(UInt64(received))
        encoder.append(seconds)
        encoder.append(diverged)
        encoder.append(optional: root)
        encoder.append(finalLoss != nil)
        encoder.append(finalLoss ?? 0)
        encoder.append(UInt32(points.count))
        for point in points {
            for number in [point.step, point.tokens, point.sent] { encoder.append(UInt64(number)) }
            encoder.append(point.trainingLoss != nil)
            encoder.append(point.trainingLoss ?? 0)
            encoder.append(point.validationLoss)
        }
    }

    mutating func restore(from decoder: inout CanonicalDecoder) throws {
        func count() throws -> Int {
            let value = try decoder.uint64()
            guard let count = Int(exactly: value) else { throw AssayPrimitives.DecodingError.invalidValue(field: "count", value: value) }
            return count
        }
        (step, sent, received) = (try count(), try count(), try count())
        seconds = try decoder.double()
        diverged = try decoder.bool()
        root = try decoder.optional()
        let ended = try decoder.bool(), loss = try decoder.double()
        finalLoss = ended ? loss : nil
        points = try (0..<decoder.count(limit: 10_000_000)).map { _ in
            let step = try count(), tokens = try count(), sent = try count(), trained = try decoder.bool(), loss = try decoder.double()
            return GymPoint(step: step, tokens: tokens, trainingLoss: trained ? loss : nil, validationLoss: try decoder.double(), sent: sent)
        }
    }
}

/// A loss as people read it; what has gone far astray needs no digits.
func lossText(_ loss: Double) -> String { loss < 100 ? decimal(loss, 4) : "above 100" }

/// A number with so many digits after the point, rounded half away from zero.
func decimal(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    let power = (0..<digits).reduce(1.0) { power, _ in power * 10 }, scaled = (abs(value) * power).rounded(.toNearestOrAwayFromZero)
    guard scaled < 1e15 else { return "\(value)" }
    let whole = Int(scaled), unit = Int(power), fraction = String(whole % unit)
    let text = digits == 0 ? "\(whole)" : "\(whole / unit)." + String(repeating: "0", count: digits - fraction.utf8.count) + fraction
    return value < 0 && whole != 0 ? "-" + text : text
}
