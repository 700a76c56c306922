import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// Facts about ordering, for logs and metrics.
public enum AuthorityEvent: Hashable, Sendable {
    case proposed(Round, Proposer.Reason)
    case committed(BlockReference, CommitIndex)
    case leaderSkipped(AuthorityIndex, Round)
    /// Committed or skipped by a later leader, since the votes for it alone did not settle it.
    case decidedIndirectly(Slot)
    /// A block, or a request that makes no sense.
    case refused(AuthorityIndex, BlockError?)
    case equivocated(AuthorityIndex, Round)
    case resubmitted(Int)
    /// The last commit of an epoch: what follows is ordered by the next committee.
    case epochEnded(Epoch)
    case jumped(to: Round)
    /// A period of commits is over: others lead for these seats until the next one is.
    case leadersChanged(absent: [AuthorityIndex])
    /// The disk was lost; the others have said up to which round blocks of ours may exist.
    case recollected(Round)
    /// Our roots are not those of a quorum: this node has halted.
    case diverged(ours: CommitVote, quorum: CommitVote)

    /// The case's name, for counting.
    public var kind: String {
        switch self {
        case .proposed(_, let reason): "proposed: \(reason)"
        case .committed: "committed"
        case .leaderSkipped: "leader skipped"
        case .decidedIndirectly: "decided indirectly"
        case .refused: "refused"
        case .equivocated: "equivocated"
        case .resubmitted: "resubmitted"
        case .epochEnded: "epoch ended"
        case .jumped: "jumped"
        case .leadersChanged: "leaders changed"
        case .recollected: "recollected"
        case .diverged: "diverged"
        }
    }
    public static let kinds = Proposer.Reason.allCases.map { "proposed: \($0)" } + ["committed", "leader skipped", "decided indirectly", "refused", "equivocated", "resubmitted", "epoch ended", "jumped", "leaders changed", "recollected", "diverged"]
}
