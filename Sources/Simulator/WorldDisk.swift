import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// A validator's disk, and what it promises: a database written in flushes, each of them whole or not at all and durable once it is done, and a small
/// file beside it that is written by itself. So a crash in mid-write loses the whole flush, blocks and commits alike, and never a part of it; what
/// no flush had to carry yet, others' blocks, is lost with any crash. A disk that lies has said of its last flushes that they are durable, and they are
/// not: then they go from the last one back, and the file beside them may stay.
package struct WorldDisk: Sendable {
    package private(set) var written: [VerifiedBlock] = []
    private var places: [BlockReference: Int] = [:]
    /// Places by round, in the order of writing.
    private var rounds: [UInt64: [Int]] = [:]
    private var highest = Round(0)
    package private(set) var commits: [OrderedCommit] = []
    package private(set) var votes: [CommitVote] = []
    /// The small file beside the rest.
    package var reserved: Round? = Round(0)
    /// Lost, and no block made since: such a one counts as faulty.
    package var isForgetful = false
    /// What the next flush will write, and whether something in it must be durable before anything leaves.
    private var waiting: (blocks: [VerifiedBlock], commits: [(OrderedCommit, CommitVote)], isDue: Bool, hasOwn: Bool) = ([], [], false, false)
    /// How things stood before each of the last flushes.
    private var before: [(written: Int, commits: Int, reserved: Round?)] = []
    private static let rememberedFlushes = 16

    package init(reserved: Round? = Round(0), isForgetful: Bool = false) { (self.reserved, self.isForgetful) = (reserved, isForgetful) }

    // MARK: writing

    package mutating func keep(_ blocks: [VerifiedBlock]) { waiting.blocks += blocks }
    package mutating func persist(_ block: VerifiedBlock) {
        waiting.blocks.append(block)
        (waiting.isDue, waiting.hasOwn) = (true, true)
    }
    package mutating func executed(_ commit: OrderedCommit, _ vote: CommitVote) {
        waiting.commits.append((commit, vote))
        waiting.isDue = true
    }

    /// Something waits that must be durable before the next thing leaves.
    package var isDue: Bool { waiting.isDue }
    /// Something waits at all.
    package var isWaiting: Bool { waiting.isDue || !waiting.blocks.isEmpty }

    package mutating func flush() {
        guard isWaiting else { return }
        before.append((written.count, commits.count, reserved))
        if before.count > WorldDisk.rememberedFlushes { before.removeFirst() }
        for block in waiting.blocks where places[block.reference] == nil {
            places[block.reference] = written.count
            rounds[block.round.rawValue, default: []].append(written.count)
            written.append(block)
            highest = max(highest, block.round)
        }
        if waiting.hasOwn { isForgetful = false }
        for (commit, vote) in waiting.commits {
            commits.append(commit)
            votes.append(vote)
        }
        crash()
    }

    /// The machine stops: what was not written is gone.
    package mutating func crash() { waiting = ([], [], false, false) }

    /// The last flushes were never durable. Says whether anything is gone.
    /// - Parameter withFile: the file beside the database goes back too.
    package mutating func lose(flushes count: Int, withFile: Bool) -> Bool {
        guard let point = before.suffix(count).first else { return false }
        before.removeLast(min(count, before.count))
        for block in written[point.written...].reversed() {
            places[block.reference] = nil
            rounds[block.round.rawValue]?.removeLast()
        }
        written.removeLast(written.count - point.written)
        highest = written.map(\.round).max() ?? Round(0)
        commits.removeLast(commits.count - point.commits)
        votes.removeLast(votes.count - point.commits)
        if withFile { reserved = point.reserved }
        return true
    }

    /// Forgets what ordering does not need any more: for runs without crashes whose memory is measured.
    package mutating func prune(below round: Round) {
        guard written.count > 4 * written.lazy.filter({ $0.round >= round }).count else { return }
        var fresh = WorldDisk(reserved: reserved, isForgetful: isForgetful)
        fresh.keep(written.filter { $0.round >= round })
        fresh.flush()
        fresh.votes = votes
        fresh.crash()
        self = fresh
    }

    // MARK: reading

    package func blocks(_ references: [BlockReference]) -> [SignedBlock] {
        references.compactMap { places[$0] }.sorted().map { written[$0].signed }
    }

    package func blocks(from: Round, to: Round, limit: Int) -> [SignedBlock] {
        var found: [SignedBlock] = []
        var round = from
        while round <= min(to, highest), found.count < limit {
            let places = (rounds[round.rawValue] ?? []).sorted { (written[$0].author, $0) < (written[$1].author, $1) }
            found += places.map { written[$0].signed }
            round = round.next
        }
        return Array(found.prefix(limit))
    }

    /// What a node goes on from: blocks above the garbage-collection round and its own last one, commits as far back as they are needed.
    package func recovered(_ index: AuthorityIndex, gcDepth: UInt64, reputationPeriod: UInt64) -> (blocks: [SignedBlock], commits: [Commit], vote: CommitVote?, reserved: Round?) {
        var recent: [Commit] = []
        for ordered in commits.reversed() {
            recent.append(ordered.commit)
            if let newest = recent.first, ordered.commit.leader.round.advanced(by: 2 * gcDepth) < newest.leader.round,
               ordered.commit.index <= LeaderReputation.firstNeeded(period: reputationPeriod, last: newest.index) { break }
        }
        let floor = recent.first.map { $0.leader.round.lowered(by: gcDepth) } ?? Round(0)
        let own = written.lazy.filter { $0.author == index }.max { $0.round < $1.round }
        var blocks = written.filter { $0.round > floor }.map(\.signed)
        if let own, own.round <= floor { blocks.append(own.signed) }
        return (blocks, recent.reversed(), votes.last, reserved)
    }
}
