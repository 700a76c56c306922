import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// A validator's disk: what survives a crash.
struct WorldDisk: Sendable {
    private(set) var written: [VerifiedBlock] = []
    private var places: [BlockReference: Int] = [:]
    /// Places by round, in the order of writing.
    private var rounds: [UInt64: [Int]] = [:]
    private var highest = Round(0)
    private(set) var commits: [OrderedCommit] = []
    private(set) var votes: [CommitVote] = []
    /// The small file beside the rest.
    var reserved: Round? = Round(0)
    /// Lost, and no block made since: such a one counts as faulty.
    var isForgetful = false
    /// Blocks that are written with the next thing that must be durable.
    private var pending: [VerifiedBlock] = []

    init(reserved: Round? = Round(0), isForgetful: Bool = false) { (self.reserved, self.isForgetful) = (reserved, isForgetful) }

    // MARK: writing

    mutating func keep(_ blocks: [VerifiedBlock]) { pending += blocks }

    mutating func persist(_ block: VerifiedBlock) {
        isForgetful = false
        pending.append(block)
        write()
    }

    mutating func executed(_ commit: OrderedCommit, _ vote: CommitVote) {
        write()
        commits.append(commit)
        votes.append(vote)
    }

    private mutating func write() {
        for block in pending where places[block.reference] == nil {
            places[block.reference] = written.count
            rounds[block.round.rawValue, default: []].append(written.count)
            written.append(block)
            highest = max(highest, block.round)
        }
        pending.removeAll(keepingCapacity: true)
    }

    /// The machine stops: what was not written is gone.
    mutating func crash() { pending = [] }

    // MARK: reading

    func blocks(_ references: [BlockReference]) -> [SignedBlock] {
        references.compactMap { places[$0] }.sorted().map { written[$0].signed }
    }

    func blocks(from: Round, to: Round, limit: Int) -> [SignedBlock] {
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
    func recovered(_ index: AuthorityIndex, gcDepth: UInt64, reputationPeriod: UInt64) -> (blocks: [SignedBlock], commits: [Commit], vote: CommitVote?, reserved: Round?) {
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
