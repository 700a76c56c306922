import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Where the run is.
struct RunRecord: Hashable, Sendable, CanonicalCodable {
    /// Openings that have happened: windows 0 … openings − 1, and at the run's end two more that only let the last windows finish.
    var openings: UInt64 = 0
    /// Windows settled: all below this one.
    var settled: UInt64 = 0
    var isOver = false
    /// Φ: ledger time in milliseconds, in which a gap between two commits counts 2 s at most.
    var clock: UInt64 = 0
    var lastTime: Instant
    /// Members by address, ascending.
    var members: [Address] = []
    /// Who missed a duty last time, and is not waited for until it acts again.
    var idleTrainers: [Address] = []
    var idleValidators: [Address] = []
    /// Payload roots of the last windows, none of which may come again.
    var recentPayloads: [RecentPayload] = []
    /// B of the last window drawn.
    var lastBeacon: Digest

    static let payloadMemory: UInt64 = 8
    static let memberLimit = 4_096

    init(start: Instant, beacon: Digest) { (lastTime, lastBeacon) = (start, beacon) }

    struct RecentPayload: Hashable, Sendable, CanonicalCodable {
        var window: Window
        var root: Digest
        init(window: Window, root: Digest) { (self.window, self.root) = (window, root) }
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(window)
            encoder.append(root)
        }
        init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            window = try decoder.value()
            root = try decoder.value()
        }
    }

    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(openings)
        encoder.append(settled)
        encoder.append(isOver)
        encoder.append(clock)
        encoder.append(lastTime)
        encoder.append(members)
        encoder.append(idleTrainers)
        encoder.append(idleValidators)
        encoder.append(recentPayloads)
        encoder.append(lastBeacon)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        openings = try decoder.uint64()
        settled = try decoder.uint64()
        isOver = try decoder.bool()
        clock = try decoder.uint64()
        lastTime = try decoder.value()
        members = try decoder.array(limit: RunRecord.memberLimit)
        idleTrainers = try decoder.array(limit: RunRecord.memberLimit)
        idleValidators = try decoder.array(limit: Limits.committeeSize)
        recentPayloads = try decoder.array(limit: RunRecord.memberLimit * Int(RunRecord.payloadMemory + 2))
        lastBeacon = try decoder.value()
    }
}

/// What the run knows of one trainer.
public struct MemberRecord: Hashable, Sendable, CanonicalCodable {
    public var trainer: Address
    /// First window that could be opened when it joined.
    public var joined: Window
    /// Replays found equal since registration or the last fault.
    public var cleanReplays: UInt32 = 0
    /// Windows whose replay failed, the last three.
    public var failures: [Window] = []
    /// Excluded from the aggregate until a replay is clean again.
    public var isSuspect = false
    /// v: moving average of the score over the window's median, in billionths.
    public var value: UInt64 = 0
    public var rating = Rating.new
    /// Last eight windows, the lowest bit the newest; 1 is a miss.
    public var misses: UInt8 = 0
    /// 0…3: pay times 1, ¾, ½, 0.
    public var missLevel: UInt8 = 0
    public var lastScore: Score?
    public var lastScored: Window?
    public var lastJudged: Window?
    public var lastResidual = Digest.zero
    /// Back at work from this window on.
    public var jailedUntil: Window?
    /// Windows that were replayed, of the last ones.
    public var replayed: [Window] = []

    init(trainer: Address, joined: Window) { (self.trainer, self.joined) = (trainer, joined) }

    func isJailed(at window: Window) -> Bool { jailedUntil.map { window < $0 } ?? false }
    static let forever = Window(UInt64(UInt32.max))

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(trainer)
        encoder.append(joined)
        encoder.append(cleanReplays)
        encoder.append(failures)
        encoder.append(isSuspect)
        encoder.append(value)
        encoder.append(rating)
        encoder.append(misses)
        encoder.append(missLevel)
        encoder.append(optional: lastScore)
        encoder.append(optional: lastScored)
        encoder.append(optional: lastJudged)
        encoder.append(lastResidual)
        encoder.append(optional: jailedUntil)
        encoder.append(replayed)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        trainer = try decoder.value()
        joined = try decoder.value()
        cleanReplays = try decoder.uint32()
        failures = try decoder.array(limit: 3)
        isSuspect = try decoder.bool()
        value = try decoder.uint64()
        rating = try decoder.value()
        misses = try decoder.uint8()
        missLevel = try decoder.uint8()
        lastScore = try decoder.optional()
        lastScored = try decoder.optional()
        lastJudged = try decoder.optional()
        lastResidual = try decoder.value()
        jailedUntil = try decoder.optional()
        replayed = try decoder.array(limit: 256)
    }
}

/// θ, momentum, clip norms and pace as attested, by the window that starts from them.
struct OuterRecord: Hashable, Sendable, CanonicalCodable {
    var view: OuterView
    init(_ view: OuterView) { self.view = view }
    func encode(into encoder: inout CanonicalEncoder) {
        for root in [view.outerRoot, view.parametersRoot, view.momentumRoot] { encoder.append(root) }
        encoder.append(view.clipNorms)
        encoder.append(optional: view.pace)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        view = OuterView(outerRoot: try decoder.value(), parametersRoot: try decoder.value(), momentumRoot: try decoder.value(), clipNorms: try decoder.array(limit: 65_536), pace: try decoder.optional())
    }
}
