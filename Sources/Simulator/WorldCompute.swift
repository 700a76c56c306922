import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// Compute by table: every root is a hash of what it would be computed from, so that equal work is equal roots and other work is not.
/// It takes no time; `WorldDurations` says how long a shell waits with the answer.
public struct WorldCompute: Hashable, Sendable {
    /// What an adversary computes otherwise.
    public enum Behaviour: Hashable, Sendable {
        case honest
        /// A trainer that does a tenth of its steps and makes up the rest of the trajectory.
        case lazy
        /// A trainer whose payload makes things worse.
        case noise
        /// A trainer that sends its payload of the window before again.
        case freeride
        /// A scorer that reports sums of its own making.
        case liar
        /// A validator whose kernels compute other parameters.
        case miscomputing
    }
    public let behaviour: Behaviour
    public let innerSteps: UInt32
    /// How often the process has started: what is made up is made up anew each time.
    public let life: UInt64

    public init(behaviour: Behaviour, innerSteps: UInt32, life: UInt64 = 1) {
        (self.behaviour, self.innerSteps, self.life) = (behaviour, innerSteps, life)
    }

    // MARK: a trainer's

    public func train(_ job: TrainJob) -> TrainedWindow {
        let honest = WorldCompute.work(job.trainer, job.window, job.opening, innerSteps: innerSteps)
        switch behaviour {
        case .honest, .liar, .miscomputing: return honest
        case .lazy: return TrainedWindow(payloadRoot: WorldCompute.root("lazy", honest.payloadRoot), trajectoryRoot: WorldCompute.root("lazy", honest.trajectoryRoot),
                                         residualOut: honest.residualOut, steps: honest.steps)
        case .noise: return TrainedWindow(payloadRoot: WorldCompute.bad(honest.payloadRoot), trajectoryRoot: WorldCompute.root("noise \(life)", honest.trajectoryRoot),
                                          residualOut: honest.residualOut, steps: honest.steps)
        case .freeride: return TrainedWindow(payloadRoot: job.opening.ownPayload ?? honest.payloadRoot, trajectoryRoot: honest.trajectoryRoot,
                                             residualOut: honest.residualOut, steps: honest.steps)
        }
    }

    /// What honest training of this opening comes to.
    private static func work(_ trainer: Address, _ window: Window, _ opening: TrainingOpening, innerSteps: UInt32) -> TrainedWindow {
        let seed = Digest.tagged("world/work") {
            $0.append(trainer)
            $0.append(window)
            $0.append(opening.parametersRoot)
            $0.append(opening.assignment)
            $0.append(optional: opening.ownPayload)
            $0.append(opening.residualIn)
            $0.append(optional: opening.pace)
        }
        return TrainedWindow(payloadRoot: root("payload", seed), trajectoryRoot: root("trajectory", seed), residualOut: root("residual", seed), steps: opening.pace?.innerSteps ?? innerSteps)
    }

    public func serve(_ job: ServeJob) -> (stateRoot: Digest, residualRoot: Digest) {
        (Digest.tagged("world/state") { $0.append(job.draw) }, job.residualIn)
    }

    // MARK: a validator's

    public func hold(_ job: HoldJob, validator: Address) -> HoldOutcome {
        .whole(custody: Digest.tagged("world/custody") {
            $0.append(validator)
            $0.append(job.reveal.payloadRoot)
        })
    }

    public func score(_ job: ScoreJob) -> (ScoreFact, witness: Digest) {
        let ticks = Digest.tagged("world/score") {
            $0.append(job.payloadRoot)
            $0.append(job.base.parametersRoot)
            $0.append(job.beacon)
        }
        let luck = Int64(ticks.bytes[1]) << 8 | Int64(ticks.bytes[2])
        let before: Int64 = 1_000_000_000
        let gain = WorldCompute.isBad(job.payloadRoot) ? -20_000_000 - luck : 10_000_000 + luck
        let lie: Int64 = behaviour == .liar ? 7 + Int64(clamping: life) : 0
        let fact = ScoreFact(randomBefore: before, randomAfter: before - gain - lie, ownBefore: before, ownAfter: before - gain)
        return (fact, Digest.tagged("world/ticks") {
            $0.append(job.validator)
            $0.append(ticks)
        })
    }

    public func replay(_ job: ReplayJob) -> (ReplayFact, witness: Digest) {
        let honest = WorldCompute.work(job.draw.trainer, job.draw.window, job.opening, innerSteps: innerSteps)
        func segment(_ trajectory: Digest) -> Digest {
            Digest.tagged("world/segment") {
                $0.append(trajectory)
                $0.append(job.draw)
            }
        }
        let payloadAgrees = !job.draw.withCompression || honest.payloadRoot == job.reveal.payloadRoot
        let equal = honest.trajectoryRoot == job.reveal.trajectoryRoot && payloadAgrees
        let fact = ReplayFact(verdict: equal ? .equal : .differs, expected: segment(job.reveal.trajectoryRoot), found: segment(honest.trajectoryRoot))
        return (fact, Digest.tagged("world/step") {
            $0.append(job.validator)
            $0.append(segment(honest.trajectoryRoot))
        })
    }

    public func aggregate(_ job: AggregateJob) -> AggregateOutcome {
        var parameters = job.base.parametersRoot, momentum = job.base.momentumRoot
        if !job.aggregated.isEmpty {
            parameters = Digest.tagged("world/parameters") {
                $0.append(job.base.parametersRoot)
                for payload in job.aggregated { $0.append(payload.root) }
            }
            momentum = WorldCompute.root("momentum", parameters)
        }
        if behaviour == .miscomputing { parameters = WorldCompute.root("miscomputed", parameters) }
        let norms = (0..<4).map { FloatBits(bits: 0x3F80_0000 + UInt32(job.judged.count) + $0) }
        // Between a half and twice the first rank of 8, so that rank and H go up and down.
        let effectiveRank = job.base.pace == nil || job.aggregated.isEmpty ? 0 : 1_024 + 12 * UInt32(parameters.bytes[3])
        return AggregateOutcome(parametersRoot: parameters, momentumRoot: momentum, clipNorms: norms, effectiveRank: effectiveRank, witness: Digest.tagged("world/bytes") {
            $0.append(job.validator)
            $0.append(parameters)
        })
    }

    private static func root(_ what: String, _ seed: Digest) -> Digest {
        var bytes = Digest.tagged("world/" + what) { $0.append(seed) }.bytes
        bytes[0] &= 0x7F
        return Digest(bytes: bytes)
    }
    /// The top bit of a payload's root says that it makes things worse: a table has no loss to measure.
    private static func bad(_ payload: Digest) -> Digest {
        var bytes = payload.bytes
        bytes[0] |= 0x80
        return Digest(bytes: bytes)
    }
    private static func isBad(_ payload: Digest) -> Bool { payload.bytes[0] & 0x80 != 0 }
}

/// How long the table's answers take, in milliseconds of virtual time.
public struct WorldDurations: Hashable, Sendable {
    public var train: UInt64 = 3_000
    public var store: UInt64 = 200
    public var serve: UInt64 = 300
    public var hold: UInt64 = 150
    public var score: UInt64 = 250
    public var replay: UInt64 = 600
    public var aggregate: UInt64 = 400
    public init() {}
}

/// Blobs that are not to be had for a while: a shell answers `unavailable` by this die.
public struct WorldTroubles: Sendable {
    let perMille: UInt64
    let until: Instant
    private var chance: SeededGenerator

    public static let none = WorldTroubles(perMille: 0, until: Instant(0), seed: 0)
    public init(perMille: UInt64, until: Instant, seed: UInt64) {
        (self.perMille, self.until, chance) = (perMille, until, SeededGenerator(seed: seed))
    }
    mutating func strike(_ now: Instant) -> Bool { perMille > 0 && now < until && chance.below(1_000) < perMille }
}
