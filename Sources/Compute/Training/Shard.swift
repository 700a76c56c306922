import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Station 1: which tokens a trainer gets in a window, out of the beacon that nobody could foresee. A pure function of public facts.
public struct Shard: Sendable {
    public let corpus: Corpus
    public let steps: Int
    public let rows: Int
    /// Whose and of which window it is: what another needs to cut the same.
    public let assignment: Digest, trainer: Address, window: Window
    private let philox: Philox

    /// - Parameters:
    ///   - assignment: R_w.
    ///   - steps: of the window, if not the rules' H.
    public init(_ corpus: Corpus, assignment: Digest, trainer: Address, window: Window, rules: TrainingRules, steps: Int? = nil) {
        (self.corpus, self.assignment, self.trainer, self.window) = (corpus, assignment, trainer, window)
        (self.steps, rows) = (steps ?? Int(rules.innerSteps), Int(rules.rows))
        philox = Philox(Digest.tagged("assay/shard/1") {
            $0.append(assignment)
            $0.append(trainer)
            $0.append(window)
        })
    }

    /// Where the sequences of an inner step begin: sequence number step · rows + row takes the first 64 bits of its own Philox block.
    public func offsets(step: Int) -> [Int] {
        (0..<rows).map { row in
            let block = philox.block(UInt64(step * rows + row))
            return corpus.trainingOffset(UInt64(block.1) << 32 | UInt64(block.0))
        }
    }
    public func batch(step: Int) -> Batch { corpus.batch(at: offsets(step: step)) }
}

/// The batches on which a window's payloads are judged, drawn once the payloads lie fast.
public enum ScoringBatches {
    /// The same for all that are judged in the window.
    public static func random(_ corpus: Corpus, beacon: Digest, rules: TrainingRules) -> [Batch] {
        var generator = SeededGenerator(Beacon.draw(beacon, "batches"))
        return (0..<rules.randomBatches).map { _ in corpus.batch(at: (0..<rules.rows).map { _ in corpus.trainingOffset(generator.next()) }) }
    }

    /// Out of those that a trainer was assigned: whole inner steps, drawn by the beacon.
    public static func own(_ shard: Shard, trainer: Address, beacon: Digest, rules: TrainingRules) -> [Batch] {
        var generator = SeededGenerator(Beacon.draw(beacon, "own \(trainer)"))
        return (0..<rules.ownBatches).map { _ in shard.batch(step: Int(generator.below(UInt64(shard.steps)))) }
    }
}
