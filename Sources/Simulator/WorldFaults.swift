import AssayPrimitives

/// What goes wrong in a simulated world. Each seed leaves some faults out and turns others far up.
public struct WorldFaults: Hashable, Sendable {
    /// Milliseconds of a message's way: at least, and at most so much more.
    public var delay: UInt64 = 10
    public var jitter: UInt64 = 30
    /// Of a thousand messages between validators.
    public var lostPerMille: UInt64 = 0
    public var doubledPerMille: UInt64 = 0
    /// Milliseconds more on the way from one validator to one other, all the time.
    public var slowLink: UInt64 = 0
    /// Milliseconds more on the way of a block to who leads the next round, all the time: with authorities that rush, this makes rounds jump.
    public var leaderLag: UInt64 = 0
    /// Validators' clocks are up to so much ahead of the world's.
    public var clockSkew: UInt64 = 0
    /// Milliseconds between two crashes of a validator, and how long it is away; 0 for none. One is away at a time, but for storms.
    public var crashEvery: UInt64 = 0
    public var crashFor: UInt64 = 0
    /// Of a hundred thousand flushes: the validator crashes in the middle of it, so that nothing of it is on the disk and nothing follows.
    public var crashInWritePer100000: UInt64 = 0
    /// Milliseconds between two crashes of all validators at once, who come back one by one.
    public var stormEvery: UInt64 = 0
    /// Of a thousand crashes: the disk is gone too.
    public var diskLostPerMille: UInt64 = 0
    /// The same for trainers.
    public var trainerCrashEvery: UInt64 = 0
    public var trainerCrashFor: UInt64 = 0
    /// The same for validators cut off from the others: one or a half of them, both ways or one.
    public var cutEvery: UInt64 = 0
    public var cutFor: UInt64 = 0
    /// Of a thousand answers of Compute: a blob was not to be had.
    public var unavailablePerMille: UInt64 = 0
    /// After this much virtual time nothing more goes wrong, so that liveness can be asked for.
    public var until: UInt64 = 60_000

    public init() {}
    public static let none = WorldFaults()

    public static func swarm(seed: UInt64) -> WorldFaults {
        var chance = SeededGenerator(seed: seed, stream: 0xFA17)
        var faults = WorldFaults()
        faults.delay = 2 + chance.below(40)
        faults.jitter = chance.chance(1, in: 3) ? chance.below(400) : chance.below(40)
        if chance.chance(1, in: 2) { faults.lostPerMille = chance.below(80) }
        if chance.chance(1, in: 2) { faults.doubledPerMille = chance.below(100) }
        if chance.chance(2, in: 3) { (faults.crashEvery, faults.crashFor) = (3_000 + chance.below(15_000), 300 + chance.below(8_000)) }
        if chance.chance(1, in: 2) { (faults.trainerCrashEvery, faults.trainerCrashFor) = (4_000 + chance.below(20_000), 100 + chance.below(10_000)) }
        if chance.chance(1, in: 2) { (faults.cutEvery, faults.cutFor) = (8_000 + chance.below(20_000), 500 + chance.below(6_000)) }
        if chance.chance(1, in: 2) { faults.diskLostPerMille = chance.below(600) }
        if chance.chance(1, in: 3) { faults.unavailablePerMille = chance.below(400) }
        if chance.chance(1, in: 3) { faults.slowLink = 100 + chance.below(1_500) }
        if chance.chance(1, in: 3) { faults.clockSkew = chance.below(2_000) }
        if chance.chance(1, in: 3) { (faults.crashInWritePer100000, faults.crashFor) = (20 + chance.below(300), max(faults.crashFor, 300 + chance.below(4_000))) }
        if chance.chance(1, in: 6) { (faults.stormEvery, faults.crashFor) = (12_000 + chance.below(20_000), max(faults.crashFor, 300 + chance.below(4_000))) }
        if chance.chance(1, in: 6) { faults.leaderLag = 50 + chance.below(600) }
        return faults
    }

    /// Kinds of faults by name, to play with some of them only.
    public enum Kind: String, CaseIterable, Sendable {
        case loss, duplication, reordering, slowlink, skew, crash, write, storm, scheduler, disk, trainers, partition, blobs, byzantine
    }
    /// The same without the kinds that are not named.
    public func only(_ kinds: Set<Kind>) -> WorldFaults {
        var faults = self
        if !kinds.contains(.loss) { faults.lostPerMille = 0 }
        if !kinds.contains(.duplication) { faults.doubledPerMille = 0 }
        if !kinds.contains(.reordering) { faults.jitter = 0 }
        if !kinds.contains(.slowlink) { faults.slowLink = 0 }
        if !kinds.contains(.scheduler) { faults.leaderLag = 0 }
        if !kinds.contains(.skew) { faults.clockSkew = 0 }
        if !kinds.contains(.crash) { faults.crashEvery = 0 }
        if !kinds.contains(.write) { faults.crashInWritePer100000 = 0 }
        if !kinds.contains(.storm) { faults.stormEvery = 0 }
        if !kinds.contains(.disk) { faults.diskLostPerMille = 0 }
        if !kinds.contains(.trainers) { faults.trainerCrashEvery = 0 }
        if !kinds.contains(.partition) { faults.cutEvery = 0 }
        if !kinds.contains(.blobs) { faults.unavailablePerMille = 0 }
        return faults
    }
}
