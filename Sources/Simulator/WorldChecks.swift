import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// What must hold in every world, whatever fails; and what was seen in it, so that a fault that never struck is not taken for one survived.
public struct WorldChecks: Sendable {
    public struct Violation: Hashable, Sendable {
        public let checker: String
        public let message: String
        /// The validator that saw it, and about which round; nil if it is nobody's in particular.
        public var node: Int?
        public var round: Round?
    }
    public private(set) var violations: [Violation] = []
    /// Kinds of events, with their numbers.
    public private(set) var seen: [String: Int] = [:]
    public private(set) var commits: UInt64 = 0
    /// The highest round of each epoch.
    private var highest: [Epoch: Round] = [:]
    public var rounds: UInt64 { highest.values.reduce(0) { $0 + $1.rawValue } }
    public var epochs: Int { highest.count }
    /// Slots of honest validators that the rule written out was asked about.
    public internal(set) var decisions: UInt64 = 0
    /// The most that an honest validator held of each kind.
    public private(set) var most = AuthoritySizes()
    /// Milliseconds that an honest validator went without a commit once nothing was amiss any more.
    public internal(set) var longestSilence: UInt64 = 0
    /// What was executed first of each commit, by whomever.
    private var chain: [CommitVote] = []

    package init() {}

    mutating func violate(_ checker: String, _ message: String, node: Int? = nil, round: Round? = nil) {
        let violation = Violation(checker: checker, message: message, node: node, round: round)
        if !violations.contains(violation) { violations.append(violation) }
    }
    mutating func count(_ kind: String) { seen[kind, default: 0] += 1 }

    /// - Parameters:
    ///   - index: the validator that notes it.
    ///   - faulty: the seats of that epoch whose validators are not honest.
    mutating func note(_ event: AuthorityEvent, by index: Int, of epoch: Epoch, faulty: Set<Int>) {
        count("authority: \(event.kind)")
        switch event {
        case .proposed(let round, _): highest[epoch] = max(highest[epoch] ?? round, round)
        case .equivocated(let author, let round): if !faulty.contains(author.index) { violate("equivocation", "honest \(author) has two blocks in round \(round)") }
        case .diverged(let ours, let quorum): violate("diverged", "validator \(index), commit \(ours.index): \(ours.stateRoot.short) against the quorum's \(quorum.stateRoot.short)")
        case .refused(let peer, let error): if !faulty.contains(peer.index) { violate("honest block refused", "validator \(index) refuses what honest \(peer) sent: \(error.map { "\($0)" } ?? "a request without sense")") }
        case .refusedCommits(let peer, let fault): if !faulty.contains(peer.index) { violate("honest commits refused", "validator \(index) refuses what honest \(peer) served: \(fault)") }
        case .commitDiffers(let commit, let ours, let quorum): violate("one chain", "validator \(index) made \(ours.short) of commit \(commit), a quorum \(quorum.short)")
        case .committed, .leaderSkipped, .decidedIndirectly, .resubmitted, .epochEnded, .jumped, .leadersChanged, .recollected, .syncing, .live, .pruned: break
        }
    }

    mutating func events(_ scorer: ScorerShell?, isFaulty: Bool) {
        for event in scorer?.events ?? [] {
            count("scorer: \(event.kind)")
            if case .parametersDiffer(let window, _, _) = event, !isFaulty { violate("parameters", "a scorer computed other parameters for window \(window) than the quorum attested") }
        }
    }
    mutating func events(_ trainer: TrainerShell?) { for event in trainer?.events ?? [] { count("trainer: \(event.kind)") } }

    /// Invariant execution.equal: whoever executes a commit comes to the same roots.
    package mutating func agree(_ vote: CommitVote, by index: Int) {
        let place = Int(vote.index.rawValue) - 1
        if place == chain.count { chain.append(vote) }
        guard chain.indices.contains(place), chain[place] != vote else { return }
        let what = chain[place].commit != vote.commit ? "another commit" : "other roots"
        violate("equal execution", "validator \(index) has \(what) at index \(vote.index)", node: index)
    }

    /// Rounds between the oldest block that is held and the newest: as far as a commit reaches back, and as many as may go by without one.
    static func roundsLimit(gcDepth: UInt64) -> Int { Int(gcDepth) + 100 }

    /// Invariant memory.bounded: what peers send does not fill a validator's memory.
    package mutating func bound(_ sizes: AuthoritySizes, committee: Int, gcDepth: UInt64, _ index: Int) {
        func hold(_ what: String, _ size: Int, _ kept: WritableKeyPath<AuthoritySizes, Int>, limit: Int) {
            most[keyPath: kept] = max(most[keyPath: kept], size)
            if size > limit { violate("bounded memory", "validator \(index) holds more than \(limit) \(what)", node: index) }
        }
        let rounds = WorldChecks.roundsLimit(gcDepth: gcDepth)
        hold("suspended blocks", sizes.suspended, \.suspended, limit: Limits.suspendedBlocks)
        hold("missing blocks", sizes.missing, \.missing, limit: Limits.suspendedBlocks * committee)
        hold("rounds", sizes.rounds, \.rounds, limit: rounds)
        // One of a slot; of those that equivocate as many as others refer to, which are as many as there are others.
        hold("blocks", sizes.blocks, \.blocks, limit: rounds * (committee + (committee - 1) / 3 * committee))
        hold("blocks that are not ordered", sizes.unordered, \.unordered, limit: rounds * (committee + (committee - 1) / 3 * committee))
        hold("words about commits", sizes.votes, \.votes, limit: 2 * 256 * committee)
        hold("transactions", sizes.pool, \.pool, limit: 20_000)
        hold("requests", sizes.sync, \.sync, limit: 3 * committee)
    }

    /// After each commit: the ledger's own invariants, and windows that never go back.
    mutating func look(_ head: LedgerHead, broken: [String]) {
        commits = max(commits, head.status.head.rawValue)
        for message in broken { violate("ledger", message) }
    }

    /// At the end: one chain of roots on the common prefix, nobody honest slashed.
    mutating func finish(_ votes: [[CommitVote]], ledgers: [some WorldLedger], honest: Set<Address>) {
        // What was compared as it came is not worth keeping over thousands of worlds.
        chain = []
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
