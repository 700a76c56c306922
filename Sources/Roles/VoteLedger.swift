import AssayPrimitives
import AssayProtocol

/// What authorities attested of executed commits, beside what was executed here. Holds the last commits only.
struct VoteLedger: Sendable {
    private static let depth: UInt64 = 256
    private var own: [UInt64: CommitVote] = [:]
    private var tallies: [UInt64: [CommitVote: StakeTally]] = [:]
    /// Who has attested which commit: each says one thing about it, and the first counts, so that nobody fills our memory with words.
    private var spoken: [UInt64: Seats] = [:]
    private var head: UInt64 = 0
    /// The highest commit that each authority has attested, however far ahead it is.
    private var latest: [AuthorityIndex: CommitIndex] = [:]

    /// Different words about commits that are held.
    var count: Int { tallies.values.reduce(0) { $0 + $1.count } }

    mutating func executed(_ vote: CommitVote) {
        own[vote.index.rawValue] = vote
        head = vote.index.rawValue
        own[head &- VoteLedger.depth] = nil
        for index in tallies.keys where index + VoteLedger.depth <= head { (tallies[index], spoken[index]) = (nil, nil) }
    }

    /// What an authority signed counts as its word, though its block is not accepted yet: a node that lags learns so by how far.
    mutating func observe(_ block: Block) {
        for vote in block.commitVotes { latest[block.author] = max(latest[block.author] ?? vote.index, vote.index) }
    }
    /// An epoch is over for an authority, up to this commit.
    mutating func heard(_ author: AuthorityIndex, executed index: CommitIndex) { latest[author] = max(latest[author] ?? index, index) }
    func attested(by author: AuthorityIndex) -> CommitIndex { latest[author] ?? CommitIndex(0) }

    /// False for a commit too far from ours to be kept, and for a second word about one.
    mutating func add(_ vote: CommitVote, by author: AuthorityIndex, _ committee: Committee) -> Bool {
        let index = vote.index.rawValue
        guard index < head.addingReportingOverflow(VoteLedger.depth).partialValue, head < index.addingReportingOverflow(VoteLedger.depth).partialValue else { return false }
        guard spoken[index, default: Seats()].insert(author) else { return false }
        tallies[index, default: [:]][vote, default: StakeTally(committee)].add(author)
        return true
    }

    /// Our vote and the quorum's, if they differ.
    func disagreement(at index: CommitIndex, _ committee: Committee) -> (ours: CommitVote, theirs: CommitVote)? {
        guard let ours = own[index.rawValue], let votes = tallies[index.rawValue] else { return nil }
        return votes.first { $0.key != ours && $0.value.hasQuorum }.map { (ours, $0.key) }
    }

    /// The highest commit that authorities of a quorum have attested, or a later one.
    func quorumIndex(_ committee: Committee) -> CommitIndex {
        var tally = StakeTally(committee)
        for (author, index) in latest.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            tally.add(author)
            if tally.hasQuorum { return index }
        }
        return CommitIndex(0)
    }
}
