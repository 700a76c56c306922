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

    mutating func violate(_ checker: String, _ message: String) {
        let violation = Violation(checker: checker, message: message)
        if !violations.contains(violation) { violations.append(violation) }
    }
    mutating func count(_ kind: String) { seen[kind, default: 0] += 1 }

    mutating func note(_ event: AuthorityEvent) {
        switch event {
        case .proposed(let round, _): rounds = max(rounds, round.rawValue)
        case .committed: count("committed")
        case .leaderSkipped: count("leader skipped")
        case .refused: count("block refused")
        case .equivocated(let author, let round): violate("equivocation", "honest \(author) has two blocks in round \(round)")
        case .resubmitted: count("resubmitted")
        case .jumped: count("jumped")
        case .diverged(let ours, let quorum): violate("diverged", "commit \(ours.index): \(ours.stateRoot.short) against the quorum's \(quorum.stateRoot.short)")
        }
    }

    mutating func events(_ scorer: ScorerShell?) {
        for event in scorer?.events ?? [] {
            switch event {
            case .unavailable: count("scorer: unavailable")
            case .heldInPart: count("scorer: held in part")
            case .steppedIn: count("scorer: stepped in")
            case .contest: count("scorer: contest")
            case .reportLost: count("scorer: report lost")
            case .parametersDiffer(let window, _, _): violate("parameters", "a scorer computed other parameters for window \(window) than the quorum attested")
            case .beaconUsedUp: count("scorer: beacon used up")
            }
        }
    }

    mutating func events(_ trainer: TrainerShell?) {
        for event in trainer?.events ?? [] {
            switch event {
            case .training: count("trainer: training")
            case .trained: count("trainer: trained")
            case .missed: count("trainer: missed")
            case .openedOtherwise: count("trainer: opened otherwise")
            case .judged: count("trainer: judged")
            case .refused(_, let rule): count("trainer: refused by rule \(rule)")
            case .commitmentLost: count("trainer: commitment lost")
            case .unavailable: count("trainer: unavailable")
            }
        }
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
