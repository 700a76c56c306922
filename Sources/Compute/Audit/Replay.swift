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
    public func replay(_ draw: ReplayDraw, opening: WindowOpening, served: [UInt8]?, trajectory: Trajectory, reveal: Reveal, validator: Address) throws(PayloadError) -> Result {
        let segment = Int(draw.segment), steps = Int(trainer.rules.segmentSteps)
        guard trajectory.digests.count == Int(trainer.rules.segments) + 2, segment < Int(trainer.rules.segments) else {
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
        guard draw.withCompression, found == trajectory.digests[segment + 1] else { return result(trajectory.digests[segment + 1], found) }
        // The residual is the one thing that only the trainer has.
        guard reveal.residualIn == .zero || opening.residual?.blobRoot == reveal.residualIn else {
            return Result(fact: ReplayFact(verdict: .unserved, expected: reveal.residualIn, found: .zero), witness: witness(validator, inside))
        }
        let compressed = try trainer.compress(try trainer.delta(opening, end: state.parameters))
        let expected = Trajectory.final(state: trajectory.digests[segment + 1], payload: reveal.payloadRoot, residual: reveal.residualOut)
        let final = Trajectory.final(state: found, payload: compressed.payloadRoot, residual: compressed.residualRoot)
        return trajectory.digests[segment + 2] == expected ? result(expected, final) : result(trajectory.digests[segment + 2], final)
    }

    /// From the served blob if it is what was committed to; else from the opening, at the trainer's expense.
    private func openingState(_ segment: Int, _ opening: WindowOpening, _ served: [UInt8]?, _ trajectory: Trajectory) throws(PayloadError) -> InnerState {
        if segment > 0, let served, let state = try? InnerState(blob: served, count: trainer.table.count), state.digest == trajectory.digests[segment] { return state }
        return try trainer.state(at: segment, of: opening)
    }

    private func witness(_ validator: Address, _ inside: Digest) -> Digest {
        Digest.tagged("assay/witness/replay/1") {
            $0.append(validator)
            $0.append(inside)
        }
    }
}
