import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// What an authority that may have lost its disk must learn from the others before it makes a block again: a second block for a round that it
/// has forgotten would be an equivocation.
///
/// Each other authority is asked for our latest block that it holds and for the highest block that it has accepted, both signed, so that
/// nobody can inflate a round. A block of ours in round r stood on a quorum of round r − 1; f of those are by other honest authorities, and any
/// 2f + 1 of the 3f others include one of them. So nothing of ours lies above 1 + the highest round in 2f + 1 answers.
struct Recollection: Sendable {
    private var answered: StakeTally
    private let needed: Stake
    private(set) var highest: Round
    /// Our latest block that anybody has shown.
    private(set) var own: VerifiedBlock?
    var askedAt: Instant?

    /// - Parameters:
    ///   - author: the seat that is asked about.
    ///   - atLeast: what this machine still knows of its own rounds.
    ///   - trustsFewer: a third of the stake is enough. One honest answer is then certain, which may never have seen our block: the operator's risk.
    init(_ committee: Committee, of author: AuthorityIndex, atLeast: Round, own: VerifiedBlock?, trustsFewer: Bool) {
        (answered, highest, self.own) = (StakeTally(committee), atLeast, own)
        // Where fewer than a quorum are others, all of them: whatever our block stood on is then known.
        needed = trustsFewer ? committee.validity : min(committee.quorum, committee.totalStake.lowered(by: committee.stake(author).rawValue))
    }

    var isEnough: Bool { answered.stake >= needed }
    var answers: Int { answered.voters.count }

    /// A block of ours came in otherwise, in the history of another.
    mutating func found(_ block: VerifiedBlock) {
        highest = max(highest, block.round)
        if block.round > own?.round ?? Round(0) { own = block }
    }

    mutating func answer(_ peer: AuthorityIndex, own shown: VerifiedBlock?, highest round: Round) {
        answered.add(peer)
        highest = max(highest, round, shown?.round ?? Round(0))
        if let shown, shown.round > own?.round ?? Round(0) { own = shown }
    }
}
