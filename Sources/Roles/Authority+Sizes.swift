import AssayPrimitives
import AssayProtocol

/// How much an authority holds, by container: what an operator may watch, and what a simulation holds to its bounds.
public struct AuthoritySizes: Hashable, Sendable {
    /// Blocks that wait for ancestors, and the ancestors that they wait for.
    public var suspended = 0, missing = 0
    /// Blocks of the DAG, its span of rounds above the evicted ones, and blocks with transactions that no commit has ordered.
    public var blocks = 0, rounds = 0, unordered = 0
    /// Attested commits, each as often as there are different words about it.
    public var votes = 0
    public var pool = 0
    /// What is asked for, and of whom.
    public var sync = 0

    public init() {}
}

extension Authority {
    public var sizes: AuthoritySizes {
        var sizes = AuthoritySizes()
        (sizes.suspended, sizes.missing) = (suspendedCount, missingCount)
        (sizes.blocks, sizes.rounds, sizes.unordered) = (dag.count, Int(clamping: dag.highestRound.rawValue - dag.evictedRound.rawValue), unordered.count)
        (sizes.votes, sizes.pool, sizes.sync) = (votes.count, poolCount, sync.count)
        return sizes
    }
}
