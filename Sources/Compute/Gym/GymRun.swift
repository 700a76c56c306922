import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining

/// One arm with one seed, from its first step to its last, a round at a time. It can be put down as a checkpoint after each round and taken up again.
///
/// Exactness: curve and parameters are the same bits for any number of threads, on every kernel path, and however often it was put down.
public final class GymRun {
    public private(set) var result: GymResult
    public let digest: Digest
    private let plan: GymPlan
    private let place: Workplace
    private var method: any GymMethod
    private let curve, last: Validation
    /// Training losses since the last point, and their number.
    private var losses = (sum: 0.0, count: 0)
    private var arm: GymArm { place.arm }

    /// - Parameter checkpoint: what `checkpoint()` gave, to go on from there.
    public init(_ plan: GymPlan, arm: GymArm, seed: UInt64, threads: Int, path: KernelPath = .current, checkpoint: [UInt8]? = nil) throws(GymError) {
        self.plan = plan
        digest = plan.digest(arm, seed: seed)
        result = GymResult(arm, seed: seed)
        let model = Model(shape: plan.shape, rows: arm.workerRows, microBatches: Int(arm.rules.microBatches), threads: threads, path: path)
        place = Workplace(arm: arm, model: model, loop: InnerLoop(shape: plan.shape, rules: arm.optimizer), batches: GymBatches(plan.data, seed: seed))
        // Losses of a token do not depend on the batch it is in, so the judging model may be of another size than the training one.
        let judge = Model(shape: plan.shape, rows: 16, threads: threads, path: path)
        curve = Validation(plan.data, sequences: plan.evaluation.sequences, model: judge)
        last = Validation(plan.data, sequences: plan.evaluation.finalSequences, model: judge)
        let initial = plan.initial?.copy() ?? InnerLoop.initialParameters(shape: plan.shape, philox: Philox(key: seed))
        do {
            method = switch arm.strategy {
            case .adamw, .allreduce: Synchronous(initial, workers: arm.workers)
            case .diloco: try Windowed(initial, arm: arm, seed: seed, model: model)
            }
        } catch { throw .field("arm \(arm.name)", "\(error)") }
        if let checkpoint { try restore(checkpoint) } else { note(curve.loss(initial)) }
    }

    /// θ with everything in it that was trained so far; of a run that was finished when it was taken up, only what it started from.
    public var parameters: FloatBuffer { method.parameters }
    /// Validation targets that the final loss counts.
    public var finalTargets: Int { last.targets }

    /// Trains until all workers agree again, and judges if a point of the curve was reached.
    public func advance() {
        precondition(!result.isFinished, "\(result.fileName) has ended")
        let before = result.step
        do {
            let round = try method.round(at: before, limit: arm.steps - before, place)
            result.step += round.steps
            (result.sent, result.received) = (result.sent + round.sent, result.received + round.received)
            result.seconds += round.seconds
            losses = (losses.sum + round.losses, losses.count + round.steps)
        } catch {
            result.diverged = true          // a payload that says what is not finite is refused, as it would be by any peer
        }
        let ended = result.diverged || result.step == arm.steps
        if !result.diverged, ended || result.step / plan.evaluation.every > before / plan.evaluation.every { note(curve.loss(method.parameters)) }
        guard result.diverged || ended else { return }
        if !result.diverged { result.finalLoss = last.targets == curve.targets ? result.points.last?.validationLoss : last.loss(method.parameters) }
        result.root = method.parameters.blobRoot
    }

    /// Steps whose loss is not finite change nothing, so parameters that have gone too far may stay finite: what is judged tells.
    private func note(_ loss: Double) {
        guard loss.isFinite else {
            result.diverged = true
            return
        }
        result.points.append(GymPoint(
            step: result.step, tokens: result.step * arm.rows * plan.shape.context, trainingLoss: losses.count == 0 ? nil : losses.sum / Double(losses.count),
            validationLoss: loss, sent: result.sent))
        losses = (0, 0)
    }

    // MARK: Checkpoints

    /// Everything that the rest of the run depends on. A finished run keeps its result alone.
    public func checkpoint() -> [UInt8] {
        var encoder = CanonicalEncoder()
        encoder.append(GymRun.magic)
        encoder.append(digest)
        result.encode(into: &encoder)
        encoder.append(losses.sum)
        encoder.append(UInt64(losses.count))
        if !result.isFinished { method.encode(into: &encoder) }
        encoder.append(Digest.sha256(encoder.bytes))
        return encoder.bytes
    }
    private static let magic: UInt32 = 0x316d_7947

    private func restore(_ checkpoint: [UInt8]) throws(GymError) {
        let (found, decoder) = try GymRun.read(checkpoint, plan, arm, result.seed)
        (result, method, losses) = try GymRun.decoding(arm, result.seed) { () throws in
            var decoder = decoder, method = self.method
            let losses = (sum: try decoder.double(), count: Int(clamping: try decoder.uint64()))
            if !found.isFinished { try method.restore(from: &decoder) }
            try decoder.finish()
            return (found, method, losses)
        }
    }

    /// What a checkpoint says of how far its run has come, without what is needed to go on.
    public static func result(of checkpoint: [UInt8], plan: GymPlan, arm: GymArm, seed: UInt64) throws(GymError) -> GymResult { try read(checkpoint, plan, arm, seed).result }

    private static func read(_ checkpoint: [UInt8], _ plan: GymPlan, _ arm: GymArm, _ seed: UInt64) throws(GymError) -> (result: GymResult, rest: CanonicalDecoder) {
        guard checkpoint.count > 32, Digest(bytes: checkpoint.suffix(32)) == Digest.sha256(checkpoint.dropLast(32)) else {
            throw .unreadableCheckpoint(arm: arm.name, seed: seed, reason: "its own digest does not fit")
        }
        let (found, result, rest) = try decoding(arm, seed) { () throws in
            var decoder = CanonicalDecoder(Array(checkpoint.dropLast(32))), result = GymResult(arm, seed: seed)
            guard try decoder.uint32() == magic else { throw AssayPrimitives.DecodingError.invalidValue(field: "kind of file", value: 0) }
            let found: Digest = try decoder.value()
            if found == plan.digest(arm, seed: seed) { try result.restore(from: &decoder) }
            return (found, result, decoder)
        }
        guard found == plan.digest(arm, seed: seed) else { throw .otherPlan(arm: arm.name, seed: seed) }
        return (result, rest)
    }

    private static func decoding<Value>(_ arm: GymArm, _ seed: UInt64, _ body: () throws -> Value) throws(GymError) -> Value {
        do { return try body() } catch { throw .unreadableCheckpoint(arm: arm.name, seed: seed, reason: "\(error)") }
    }
}
