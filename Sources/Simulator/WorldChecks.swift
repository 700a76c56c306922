import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// What must hold in every world, whatever fails; and what was seen in it, so that a fault that never struck is not taken for one survived.
public struct WorldChecks: Sendable {
    public struct Violation: Hashable, Sendable {
        public let checker: String
        public let message: String
    }
    public private(set) var violations: [Violation] = []
    /// Kinds of events, with their numbers.
    public private(set) var seen: [String: Int] = [:]
    public private(set) var commits: UInt64 = 0
    public private(set) var rounds: UInt64 = 0
    public private(set) var mostSuspended = 0

    mutating func violate(_ checker: String, _ message: String) {
        let violation = Violation(checker: checker, message: message)
        if !violations.contains(violation) { violations.append(violation) }
    }
    mutating func count(_ kind: String) { seen[kind, default: 0] += 1 }

    /// - Parameters:
    ///   - index: the validator that notes it.
    ///   - faulty: the validators that are not honest.
    mutating func note(_ event: AuthorityEvent, by index: Int, faulty: Set<Int>) {
        count("authority: \(event.kind)")
        switch event {
        case .proposed(let round, _): rounds = max(rounds, round.rawValue)
        case .equivocated(let author, let round): if !faulty.contains(author.index) { violate("equivocation", "honest \(author) has two blocks in round \(round)") }
        case .diverged(let ours, let quorum): violate("diverged", "validator \(index), commit \(ours.index): \(ours.stateRoot.short) against the quorum's \(quorum.stateRoot.short)")
        case .refused(let peer, let error): if !faulty.contains(peer.index) { violate("honest block refused", "validator \(index) refuses what honest \(peer) sent: \(error.map { "\($0)" } ?? "a request without sense")") }
        case .refusedCommits(let peer, let fault): if !faulty.contains(peer.index) { violate("honest commits refused", "validator \(index) refuses what honest \(peer) served: \(fault)") }
        case .commitDiffers(let commit, let ours, let quorum): violate("one chain", "validator \(index) made \(ours.short) of commit \(commit), a quorum \(quorum.short)")
        case .committed, .leaderSkipped, .decidedIndirectly, .resubmitted, .jumped, .leadersChanged, .recollected, .syncing, .live, .pruned: break
        }
    }

    mutating func events(_ scorer: ScorerShell?, isFaulty: Bool) {
        for event in scorer?.events ?? [] {
            count("scorer: \(event.kind)")
            if case .parametersDiffer(let window, _, _) = event, !isFaulty { violate("parameters", "a scorer computed other parameters for window \(window) than the quorum attested") }
        }
    }
    mutating func events(_ trainer: TrainerShell?) { for event in trainer?.events ?? [] { count("trainer: \(event.kind)") } }

    /// What peers send must not fill a validator's memory.
    mutating func bound(_ suspended: Int, _ missing: Int, _ pool: Int, _ index: Int) {
        mostSuspended = max(mostSuspended, suspended)
        if suspended > Limits.suspendedBlocks || missing > Limits.suspendedBlocks * 4 { violate("bounded memory", "validator \(index) holds \(suspended) suspended blocks and \(missing) missing references") }
    }

    /// After each commit: the ledger's own invariants, and windows that never go back.
    mutating func look(_ head: LedgerHead, broken: [String]) {
        commits = max(commits, head.status.head.rawValue)
        for message in broken { violate("ledger", message) }
    }

    /// At the end: one chain of roots on the common prefix, nobody honest slashed.
    mutating func finish(_ votes: [[CommitVote]], ledgers: [some WorldLedger], honest: Set<Address>) {
        let longest = votes.max { $0.count < $1.count } ?? []
        for (index, chain) in votes.enumerated() {
            if let at = zip(chain, longest).enumerated().first(where: { $0.element.0 != $0.element.1 })?.offset {
                violate("one chain", "validator \(index) has other roots after commit \(at + 1)")
            }
        }
        for ledger in ledgers {
            for slashed in ledger.slashedIdentities where honest.contains(slashed) { violate("honest never slashed", "\(slashed)") }
        }
    }
}
