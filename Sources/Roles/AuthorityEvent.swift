import AssayConsensus
import AssayCrypto
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
    /// A quorum is far ahead: what is between is fetched as commits.
    case syncing(from: CommitIndex, to: CommitIndex)
    /// Near enough to a quorum, or nobody was of help: blocks are followed again.
    case live(at: CommitIndex, behind: UInt64)
    case refusedCommits(AuthorityIndex, CommitSync.Fault)
    /// A peer keeps commits from this one on only.
    case pruned(AuthorityIndex, kept: CommitIndex)
    /// From the history of a commit that a quorum has voted for we made another, or our last commit is not in its chain: this node has halted.
    case commitDiffers(CommitIndex, ours: Digest, quorum: Digest)

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
        case .syncing: "syncing by commits"
        case .live: "live again"
        case .refusedCommits: "refused commits"
        case .pruned: "told of pruned commits"
        case .commitDiffers: "commit differs"
        }
    }
    public static let kinds = Proposer.Reason.allCases.map { "proposed: \($0)" } + ["committed", "leader skipped", "decided indirectly", "refused", "equivocated", "resubmitted", "epoch ended", "jumped", "leaders changed", "recollected", "diverged",
                                                                                            "syncing by commits", "live again", "refused commits", "told of pruned commits", "commit differs"]
}
