import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining

/// Station 10: how much loss one payload takes away, alone, from the parameters that it would be added to.
///
/// Source: Gauntlet (arXiv 2505.21684), section 3, with integers in place of floats and one agreed base in place of each validator's own.
public final class LossDelta {
    public struct Result: Hashable, Sendable {
        public let fact: ScoreFact
        /// H(validator ‖ every token's ticks): only one who computed them can write it.
        public let witness: Digest
    }

    /// 2^-20 nat, and the most that a token counts.
    private static let ticksPerNat: Double = 1_048_576
    private static let mostTicks: Double = 33_554_432

    private let trainer: WindowTrainer
    private let outer: OuterStep
    /// L before, of the random batches of the last base and beacon: the same for all that are judged in a window.
    private var before: (base: Digest, beacon: Digest, batches: [Batch], ticks: [Int64]?)?

    public init(_ trainer: WindowTrainer, outer: OuterStep) { (self.trainer, self.outer) = (trainer, outer) }

    /// - Parameters:
    ///   - base: θ(w + 1) and its clip norms.
    ///   - assignment: R_w, which assigned the trainer's own batches.
    ///   - rank: of the window, where it adapts.
    public func score(payload: [UInt8], base: OuterState, baseRoot: Digest, window: Window, address: Address, beacon: Digest, assignment: Digest, rank: UInt32? = nil, validator: Address) -> Result {
        let rules = trainer.rules
        let failed = Result(fact: .notFinite, witness: witness(validator, []))
        guard let update = try? trainer.compressor.decompress(payload, CompressionContext(assignment: assignment, rank: rank)) else { return failed }
        outer.admit(update, base)
        let moved = base.parameters.copy()
        let step = Float(bitPattern: rules.evaluationFactor.bits) * Float(bitPattern: rules.outerLearningRate.bits)
        let kernels = trainer.kernels
        kernels.job { kernels.addScaled(moved.count, -step, update.pointer, into: moved.pointer) }

        if before?.base != baseRoot || before?.beacon != beacon {
            let batches = ScoringBatches.random(trainer.corpus, beacon: beacon, rules: rules)
            before = (baseRoot, beacon, batches, ticks(base.parameters, batches))
        }
        guard let random = before, let randomBefore = random.ticks, let randomAfter = ticks(moved, random.batches) else { return failed }
        // Out of those steps that every trainer must have done.
        let shard = Shard(trainer.corpus, assignment: assignment, trainer: address, window: window, rules: rules, steps: Int(rules.allowedSteps.lowerBound))
        let own = ScoringBatches.own(shard, trainer: address, beacon: beacon, rules: rules)
        guard let ownBefore = ticks(base.parameters, own), let ownAfter = ticks(moved, own) else { return failed }
        func sum(_ ticks: [Int64]) -> Int64 { ticks.reduce(0, +) }
        let fact = ScoreFact(randomBefore: sum(randomBefore), randomAfter: sum(randomAfter), ownBefore: sum(ownBefore), ownAfter: sum(ownAfter))
        return Result(fact: fact, witness: witness(validator, randomBefore + randomAfter + ownBefore + ownAfter))
    }

    /// Each token's loss, rounded half to even. Nil if any is not finite.
    private func ticks(_ parameters: FloatBuffer, _ batches: [Batch]) -> [Int64]? {
        var ticks: [Int64] = []
        for batch in batches {
            for loss in trainer.model.tokenLosses(parameters, batch) {
                guard loss.isFinite else { return nil }
                let scaled = (Double(loss) * LossDelta.ticksPerNat).rounded(.toNearestOrEven)
                ticks.append(Int64(min(max(scaled, 0), LossDelta.mostTicks)))
            }
        }
        return ticks
    }

    private func witness(_ validator: Address, _ ticks: [Int64]) -> Digest {
        Digest.tagged("assay/witness/score/1") {
            $0.append(validator)
            $0.append(UInt32(ticks.count))
            for tick in ticks { $0.append(UInt64(bitPattern: tick)) }
        }
    }
}
