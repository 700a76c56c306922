import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// A validator's disk, and what it promises: a database written in flushes, each of them whole or not at all and durable once it is done, and a small
/// file beside it that is written by itself. So a crash in mid-write loses the whole flush, blocks and commits alike, and never a part of it; what
/// no flush had to carry yet, others' blocks, is lost with any crash. A disk that lies has said of its last flushes that they are durable, and they are
/// not: then they go from the last one back, and the file beside them may stay.
package struct WorldDisk: Sendable {
    package private(set) var written: [VerifiedBlock] = []
    private var places: [BlockReference: Int] = [:]
    /// Places by epoch and round, in the order of writing.
    private var rounds: [Epoch: [UInt64: [Int]]] = [:]
    package private(set) var commits: [OrderedCommit] = []
    package private(set) var votes: [CommitVote] = []
    /// The small file beside the rest.
    package var reserved: Reservation? = Reservation.none
    /// A database that is made anew is another.
    package let id: UInt64
    /// Lost, and no block made since: such a one counts as faulty.
    package var isForgetful = false
    /// What the next flush will write, and whether something in it must be durable before anything leaves.
    private var waiting: (blocks: [VerifiedBlock], commits: [(OrderedCommit, CommitVote)], isDue: Bool, hasOwn: Bool) = ([], [], false, false)
    /// How things stood before each of the last flushes.
    private var before: [(written: Int, commits: Int, reserved: Reservation?)] = []
    private static let rememberedFlushes = 16

    package init(reserved: Reservation? = Reservation.none, isForgetful: Bool = false, id: UInt64 = 0) { (self.reserved, self.isForgetful, self.id) = (reserved, isForgetful, id) }

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
            rounds[block.block.epoch, default: [:]][block.round.rawValue, default: []].append(written.count)
            written.append(block)
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
            rounds[block.block.epoch]?[block.round.rawValue]?.removeLast()
        }
        written.removeLast(written.count - point.written)
        commits.removeLast(commits.count - point.commits)
        votes.removeLast(votes.count - point.commits)
        if withFile { reserved = point.reserved }
        return true
    }

    /// Forgets what ordering does not need any more: for runs without crashes whose memory is measured.
    package mutating func prune(below round: Round, of epoch: Epoch) {
        func isNeeded(_ block: VerifiedBlock) -> Bool { block.block.epoch == epoch && block.round >= round }
        guard written.count > 4 * written.lazy.filter(isNeeded).count else { return }
        var fresh = WorldDisk(reserved: reserved, isForgetful: isForgetful, id: id)
        fresh.keep(written.filter(isNeeded))
        fresh.flush()
        fresh.votes = votes
        fresh.crash()
        self = fresh
    }

    // MARK: reading

    package func blocks(_ references: [BlockReference]) -> [SignedBlock] {
        references.compactMap { places[$0] }.sorted().map { written[$0].signed }
    }

    package func blocks(from: Slot, to: Round, of epoch: Epoch, limit: Int) -> [SignedBlock] {
        var found: [SignedBlock] = []
        let rounds = rounds[epoch] ?? [:], highest = Round(rounds.keys.max() ?? 0)
        var round = from.round
        while round <= min(to, highest), found.count < limit {
            let places = (rounds[round.rawValue] ?? []).filter { round > from.round || written[$0].author >= from.author }.sorted { (written[$0].author, $0) < (written[$1].author, $1) }
            found += places.map { written[$0].signed }
            round = round.next
        }
        return Array(found.prefix(limit))
    }

    /// What a node goes on from: blocks above the garbage-collection round and its own last one, commits as far back as they are needed.
    /// - Parameter committee: of the epoch in which the next commit is.
    package func recovered(_ committee: Committee, of owner: Address, gcDepth: UInt64, reputationPeriod: UInt64) -> (blocks: [SignedBlock], commits: [Commit], vote: CommitVote?) {
        let epoch = committee.epoch, before = commits.last { $0.commit.epoch < epoch }?.commit
        var recent: [Commit] = []
        for ordered in commits.reversed() {
            if ordered.commit.epoch < epoch { break }
            recent.append(ordered.commit)
            if let newest = recent.first, ordered.commit.leader.round.advanced(by: 2 * gcDepth) < newest.leader.round,
               ordered.commit.index <= LeaderReputation.firstNeeded(period: reputationPeriod, last: newest.index, after: before?.index ?? CommitIndex(0)) { break }
        }
        let floor = recent.first.map { $0.leader.round.lowered(by: gcDepth) } ?? Round(0), seat = committee.seat(of: owner)
        let own = written.lazy.filter { $0.block.epoch == epoch && $0.author == seat }.max { $0.round < $1.round }
        var blocks = written.filter { $0.block.epoch == epoch && $0.round > floor }.map(\.signed)
        if let own, own.round <= floor { blocks.append(own.signed) }
        return (blocks, (before.map { [$0] } ?? []) + recent.reversed(), votes.last)
    }
}
