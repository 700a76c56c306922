import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining

/// Station 12: one segment of a trainer's window computed again, and held against what it committed to. Hash against hash: there is no tolerance.
public struct Replay {
    public struct Result: Hashable, Sendable {
        public let fact: ReplayFact
        /// H(validator ‖ state inside the segment): only one who computed it can write it.
        public let witness: Digest
    }

    private let trainer: WindowTrainer
    public init(_ trainer: WindowTrainer) { self.trainer = trainer }

    /// - Parameters:
    ///   - opening: what the window starts from; its residual is used with the compression only.
    ///   - served: the state that the trainer served for the segment's beginning; it counts only if it is the one it committed to.
    ///   - trajectory: as committed.
    public func replay(_ draw: ReplayDraw, opening: WindowOpening, served: [UInt8]?, trajectory: Trajectory, reveal: Reveal, validator: Address) throws(WindowError) -> Result {
        let segment = Int(draw.segment), steps = Int(trainer.rules.segmentSteps), segments = Int(reveal.steps) / max(1, steps)
        guard trajectory.digests.count == segments + 2, segment < segments else {
            return Result(fact: ReplayFact(verdict: .differs, expected: trajectory.root, found: .zero), witness: witness(validator, .zero))
        }
        var state = try openingState(segment, opening, served, trajectory)
        let shard = trainer.shard(opening)
        _ = trainer.run(&state, steps: segment * steps..<segment * steps + 1, shard: shard)
        let inside = state.parameters.blobRoot
        _ = trainer.run(&state, steps: segment * steps + 1..<(segment + 1) * steps, shard: shard)
        let found = state.digest
        func result(_ expected: Digest, _ found: Digest) -> Result {
            Result(fact: ReplayFact(verdict: expected == found ? .equal : .differs, expected: expected, found: found), witness: witness(validator, inside))
        }
        guard draw.withCompression, segment + 1 == segments, found == trajectory.digests[segment + 1] else { return result(trajectory.digests[segment + 1], found) }
        // The residual is the one thing that only the trainer has. One that is no residual of this model counts as not served.
        var opening = opening
        if reveal.residualIn == .zero { opening.residual = nil } else {
            guard let residual = opening.residual, residual.count == trainer.table.count, residual.blobRoot == reveal.residualIn, bounded(residual) else {
                return Result(fact: ReplayFact(verdict: .unserved, expected: reveal.residualIn, found: .zero), witness: witness(validator, inside))
            }
        }
        let delta: FloatBuffer
        do { delta = try trainer.delta(opening, end: state.parameters) } catch { throw .payload(error) }
        let committed = trajectory.digests[segment + 2]
        // Honest training that ends outside the payload's format has no payload, whatever was revealed.
        guard let compressed = try? trainer.compress(delta, opening) else { return result(committed, .zero) }
        let revealed = Trajectory.final(state: found, payload: reveal.payloadRoot, residual: reveal.residualOut)
        let final = Trajectory.final(state: found, payload: compressed.payloadRoot, residual: compressed.residualRoot)
        // Both must be what was computed: a true trajectory beside the payload of another training is a fraud too.
        return result(final == committed ? revealed : committed, final)
    }

    /// From the served blob if it is what was committed to; else from the opening, at the trainer's expense.
    private func openingState(_ segment: Int, _ opening: WindowOpening, _ served: [UInt8]?, _ trajectory: Trajectory) throws(WindowError) -> InnerState {
        if segment > 0, let served, let state = try? InnerState(blob: served, count: trainer.table.count), state.digest == trajectory.digests[segment],
           isPossible(state, at: segment, opening) { return state }
        return try trainer.state(at: segment, of: opening)
    }

    /// Whether training as the rules have it could have come to this state. What a trainer serves, it may have made up; from a possible state nothing
    /// can overflow a counter, and no NaN can arise whose bits would be the CPU's choice.
    private func isPossible(_ state: InnerState, at segment: Int, _ opening: WindowOpening) -> Bool {
        let steps = UInt64(segment) * UInt64(trainer.rules.segmentSteps)
        guard state.step == trainer.firstStep(opening) &+ steps, state.stepsSinceReset <= steps else { return false }
        let rules = OptimizerRules(trainer.rules)
        var power1: Float = 1, power2: Float = 1
        for _ in 0..<state.stepsSinceReset { (power1, power2) = (power1 * rules.beta1, power2 * rules.beta2) }
        return state.beta1Power.bitPattern == power1.bitPattern && state.beta2Power.bitPattern == power2.bitPattern
            && bounded(state.parameters) && bounded(state.m) && bounded(state.v)
            && state.v.withUnsafeBufferPointer { $0.allSatisfy { $0 >= 0 } }
    }

    /// Finite, and far from the ends of Float.
    private func bounded(_ buffer: FloatBuffer) -> Bool { buffer.withUnsafeBufferPointer { $0.allSatisfy { abs($0) <= 0x1p60 } } }

    private func witness(_ validator: Address, _ inside: Digest) -> Digest {
        Digest.tagged("assay/witness/replay/1") {
            $0.append(validator)
            $0.append(inside)
        }
    }
}
