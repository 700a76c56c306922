import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation

/// `assay bench link`: how much of a trainer's time goes into inner steps when the payloads of the window before travel over a slow link meanwhile.
///
/// Compute is measured, the link emulated: the trainer sends its payload and fetches those of the others, each direction at the link's rate, while it trains the next window.
/// Everything that a trainer of a network does is in the time: digests of states, compression, decoding of all payloads, the outer step.
public enum LinkBench {
    public struct Options: Sendable {
        public var shape = BenchShape.char
        public var profile = NumericsProfile.f32
        public var compressor = TrainingRules.Compressor.lowRankInt4
        public var rank = 64
        /// H, and windows that are measured.
        public var steps = 20
        public var windows = 3
        /// D.
        public var trainers = 4
        public var megabits: [Double] = [1_000, 100]
        public var latencyMilliseconds = 20.0
        public var threads = 1
        public init() {}
    }
    public struct Line: Codable, Sendable {
        public var megabitsPerSecond, latencyMilliseconds: Double
        public var payloadBytes: Int
        /// Of a window, on average: inner steps; digests, compression, decoding and outer step; waiting for payloads; and the whole.
        public var stepSeconds, otherSeconds, waitedSeconds, windowSeconds: Double
        /// How long the payloads were under way, and how long fp32 gradients would be under way by a ring after every step.
        public var transferSeconds, allReduceSeconds: Double
        /// Inner steps ÷ all: with the one-step delay as measured; if training waited for the payloads; and of fp32 all-reduce every step.
        public var utilisation, utilisationWithoutDelay, utilisationOfAllReduce: Double
    }
    public struct Report: Codable, Sendable {
        public var shape, profile, compressor: String
        public var parameters, steps, trainers, threads: Int
        public var lines: [Line]
        public var text: String {
            (["\(shape), \(profile): \(parameters) parameters, \(trainers) trainers, \(steps) steps a window, \(compressor), \(threads) threads"] + lines.map { line in
                String(format: "%.0f Mbit/s, %.0f ms: %.1f %% in steps (%.1f %% without delay, %.1f %% with fp32 all-reduce every step); a window of %.2f s waited %.3f s, its payloads of %d bytes took %.2f s",
                       line.megabitsPerSecond, line.latencyMilliseconds, 100 * line.utilisation, 100 * line.utilisationWithoutDelay, 100 * line.utilisationOfAllReduce, line.windowSeconds, line.waitedSeconds,
                       line.payloadBytes, line.transferSeconds)
            }).joined(separator: "\n")
        }
    }

    public static func run(_ options: Options, progress: @escaping @Sendable (String) -> Void) throws -> Report {
        let run = BenchRun(shape: options.shape, profile: options.profile, steps: options.steps, segmentSteps: max(1, options.steps / 4), compressor: options.compressor, rank: options.rank)
        let trainer = try run.trainer(threads: options.threads)
        let lines = try options.megabits.map { rate in
            progress(String(format: "%.0f Mbit/s", rate))
            return try measure(options, run, trainer, PacedLink(megabitsPerSecond: rate, latencyMilliseconds: options.latencyMilliseconds), megabits: rate, progress)
        }
        return Report(shape: options.shape.rawValue, profile: options.profile.name, compressor: options.compressor.name, parameters: trainer.table.count, steps: options.steps, trainers: options.trainers, threads: options.threads, lines: lines)
    }

    private struct Times { var steps = 0.0, other = 0.0, waited = 0.0, transfer = 0.0 }

    private static func measure(_ options: Options, _ run: BenchRun, _ trainer: WindowTrainer, _ link: PacedLink, megabits: Double, _ progress: (String) -> Void) throws -> Line {
        let outer = OuterStep(rules: run.rules, table: trainer.table), others = options.trainers - 1
        var state = OuterState.first(run.first, run.rules), residual: FloatBuffer?, own: [UInt8]?, times = Times(), bytes = 0
        // The first window has no payloads to wait for, so it is not measured.
        for window in 0...options.windows {
            let underway = own.map { payload in
                Underway {
                    try measured {
                        let up = Underway { try link.carry(payload) }
                        let down = try (0..<others).map { _ in try link.carry(payload) }
                        return [try up.wait()] + down
                    }
                }
            }
            var passed = Times()
            let (result, trained) = try measured { try train(trainer, run.opening(UInt64(window), state.parameters, ownPayload: own, residual: residual), &passed.steps) }
            if let underway {
                let ((payloads, transfer), waited) = try measured { try underway.wait() }
                (passed.waited, passed.transfer) = (waited, transfer)
                passed.other = try timed {
                    let decoded = try payloads.map { try trainer.compressor.decompress($0) }
                    state = outer.apply(state, aggregated: decoded, judged: decoded)
                }
                passed.other += trained - passed.steps
                times = Times(steps: times.steps + passed.steps, other: times.other + passed.other, waited: times.waited + passed.waited, transfer: times.transfer + passed.transfer)
                progress(String(format: "  window %d: %.2f s of steps, %.2f s beside them, waited %.3f s", window, passed.steps, passed.other, passed.waited))
            }
            (own, residual, bytes) = (result.payload, result.residual, result.payload.count)
        }
        let windows = Double(options.windows), whole = times.steps + times.other + times.waited
        // A ring of D workers sends 2(D − 1) ÷ D of the floats, in 2(D − 1) rounds.
        let ring = 2 * Double(others) / Double(options.trainers) * 4 * Double(trainer.table.count) / (megabits * 125_000) + 2 * Double(others) * options.latencyMilliseconds / 1_000
        let allReduce = ring * Double(options.steps)
        return Line(
            megabitsPerSecond: megabits, latencyMilliseconds: options.latencyMilliseconds, payloadBytes: bytes, stepSeconds: times.steps / windows, otherSeconds: times.other / windows,
            waitedSeconds: times.waited / windows, windowSeconds: whole / windows, transferSeconds: times.transfer / windows, allReduceSeconds: allReduce, utilisation: times.steps / whole,
            utilisationWithoutDelay: times.steps / (times.steps + times.other + times.transfer), utilisationOfAllReduce: times.steps / (times.steps + windows * allReduce))
    }

    /// A window as `WindowTrainer.train` has it, with its inner steps timed.
    private static func train(_ trainer: WindowTrainer, _ opening: WindowOpening, _ steps: inout Double) throws -> (payload: [UInt8], residual: FloatBuffer) {
        let start = try trainer.start(opening), shard = trainer.shard(opening), segment = Int(trainer.rules.segmentSteps)
        var state = trainer.openingState(start, opening)
        var digests = [state.digest]
        for first in stride(from: 0, to: trainer.steps(opening), by: segment) {
            steps += timed { _ = trainer.run(&state, steps: first..<min(first + segment, trainer.steps(opening)), shard: shard) }
            digests.append(state.digest)
        }
        let compressed = try trainer.compress(try trainer.delta(opening, end: state.parameters), opening)
        return (compressed.payload, compressed.residual)
    }
}
