import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Who leads in whose place: after a period of commits, the seats whose blocks came late or not at all give their rounds to those that came in time.
public struct LeaderSwaps: Hashable, Sendable {
    public struct Table: Hashable, Sendable {
        /// The last round of the schedule before; this table holds above it.
        public let after: Round
        /// Worst first, then best first; by seat where equal.
        public let absent: [AuthorityIndex]
        public let timely: [AuthorityIndex]
    }
    /// The newest last. The one before it still rules the round of the commit that ended its period, which may have more leaders to decide.
    public private(set) var tables: [Table] = []

    public init() {}
    mutating func add(_ table: Table) { tables = Array((tables + [table]).suffix(2)) }

    /// The leaders of a round out of those that the schedule names: as many, all different.
    func leaders(_ scheduled: [AuthorityIndex], of round: Round, seed: Digest) -> [AuthorityIndex] {
        guard let table = tables.last(where: { $0.after < round }), scheduled.contains(where: table.absent.contains) else { return scheduled }
        var generator = SeededGenerator(Digest.tagged("assay/leader-swap/1") {
            $0.append(seed)
            $0.append(round)
        })
        var leaders = scheduled
        for place in scheduled.indices where table.absent.contains(scheduled[place]) {
            let free = table.timely.filter { !leaders.contains($0) }
            if !free.isEmpty { leaders[place] = free[Int(generator.below(UInt64(free.count)))] }
        }
        return leaders
    }
}

/// Counts, over a period of commits, how often each seat's block was in time: in the round of a committed leader or the one before, and part of its commit.
/// A pure function of the commits, so that everybody swaps the same leaders from the same round on.
///
/// Source: the idea of HammerHead (arXiv 2309.12713) and Shoal (arXiv 2306.03058), leaders by their record. They count votes for leaders; commits alone, which
/// every node keeps, say nearly as much.
public struct LeaderReputation: Sendable {
    public let committee: Committee
    /// Commits of a period.
    public let period: UInt64
    /// The last commit of the epoch before: periods are counted from it.
    public let before: CommitIndex
    public private(set) var swaps = LeaderSwaps()
    private var counts: [UInt64]

    public init(_ committee: Committee, period: UInt64, after before: CommitIndex = CommitIndex(0)) {
        precondition(period > 0, "a period of no commits")
        (self.committee, self.period, self.before) = (committee, period, before)
        counts = [UInt64](repeating: 0, count: committee.size)
    }

    /// The first commit that a node must know again to go on behind `last`: those of the period under way and of the one before the last swap.
    public static func firstNeeded(period: UInt64, last: CommitIndex, after before: CommitIndex = CommitIndex(0)) -> CommitIndex {
        let boundary = last.lowered(by: before.rawValue).rawValue / period * period
        return before.advanced(by: boundary < 2 * period ? 1 : boundary - 2 * period + 1)
    }

    /// Takes the next commit. True if the leaders above its leader's round are others now, so that what was decided of those must be decided anew.
    public mutating func add(_ commit: Commit) -> Bool {
        for block in commit.blocks where block.round.next >= commit.leader.round { counts[block.author.index] += 1 }
        guard commit.index.lowered(by: before.rawValue).rawValue.isMultiple(of: period) else { return false }
        let before = swaps.tables.last, table = table(after: commit.leader.round)
        swaps.add(table)
        counts = [UInt64](repeating: 0, count: committee.size)
        return before?.absent ?? [] != table.absent || !table.absent.isEmpty && before?.timely != table.timely
    }

    /// Absent are those with less than half of the median count, the worst first, while they are fewer than a third of the stake; timely is the best third.
    private func table(after round: Round) -> LeaderSwaps.Table {
        let best = committee.indices.sorted { (counts[$1.index], $0) < (counts[$0.index], $1) }
        let median = counts.sorted()[counts.count / 2]
        var absent: [AuthorityIndex] = [], tally = StakeTally(committee)
        for seat in best.reversed() where counts[seat.index] * 2 < median {
            tally.add(seat)
            if tally.hasValidity { break }
            absent.append(seat)
        }
        let timely = best.filter { !absent.contains($0) }.prefix(max(1, committee.size / 3))
        return LeaderSwaps.Table(after: round, absent: absent, timely: Array(timely))
    }
}
