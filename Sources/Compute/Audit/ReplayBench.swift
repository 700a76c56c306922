import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining

/// What a replay costs, beside the window that it is a part of. Both are measured in turn, and the median of the pairs counts.
public struct ReplayBench: Encodable, Sendable {
    public let parameters, threads, innerSteps, segmentSteps, pairs: Int
    /// Seconds of a whole window with digests and compression; of a replay from a served state, without and with the compression.
    public let windowSeconds, replaySeconds, lastReplaySeconds: Double
    /// Replay ÷ window, over J ÷ H: 1 is the price of the steps alone. The second with the compression, which a window has once too.
    public let cost, lastCost: Double

    /// - Parameter progress: is told each pair's cost.
    public init(_ run: BenchRun, threads: Int, pairs: Int, progress: (Int, Double) -> Void = { _, _ in }) throws {
        let trainer = try run.trainer(threads: threads), replay = Replay(trainer), opening = run.opening(0, run.first)
        let segments = Int(run.rules.segments), share = 1 / Double(segments)
        var result = try trainer.train(opening)
        let reveal = Reveal(parametersRoot: opening.parameters.blobRoot, payloadRoot: result.payloadRoot, trajectoryRoot: result.trajectory.root, residualIn: .zero, residualOut: result.residualRoot, steps: run.rules.innerSteps, salt: .zero)
        let middle = try trainer.state(at: segments / 2, of: opening).blob, last = try trainer.state(at: segments - 1, of: opening).blob
        func replayed(_ segment: Int, _ served: [UInt8], withCompression: Bool) throws -> Double {
            let draw = ReplayDraw(trainer: BenchRun.address, window: Window(0), segment: UInt32(segment), withCompression: withCompression)
            let (found, seconds) = try measured { try replay.replay(draw, opening: opening, served: served, trajectory: result.trajectory, reveal: reveal, validator: BenchRun.address) }
            precondition(found.fact.verdict == .equal, "a replay of an honest window must be equal")
            return seconds
        }
        var windows: [Double] = [], middles: [Double] = [], lasts: [Double] = [], costs: [Double] = [], lastCosts: [Double] = []
        for pair in 0..<max(1, pairs) {
            let window = try timed { result = try trainer.train(opening) }
            let alone = try replayed(segments / 2, middle, withCompression: false), whole = try replayed(segments - 1, last, withCompression: true)
            windows.append(window)
            middles.append(alone)
            lasts.append(whole)
            costs.append(alone / window / share)
            lastCosts.append(whole / window / share)
            progress(pair + 1, costs[pair])
        }
        func median(_ values: [Double]) -> Double { values.sorted()[(values.count - 1) / 2] }
        (parameters, self.threads, innerSteps, segmentSteps, self.pairs) = (trainer.table.count, threads, Int(run.rules.innerSteps), Int(run.rules.segmentSteps), max(1, pairs))
        (windowSeconds, replaySeconds, lastReplaySeconds, cost, lastCost) = (median(windows), median(middles), median(lasts), median(costs), median(lastCosts))
    }
}
