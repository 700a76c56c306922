import AssayCrypto
import AssayPrimitives

/// The parts of a window that the ledger opens and closes by its own time.
public enum WindowPhase: UInt8, Codable, Hashable, Comparable, Sendable, CaseIterable {
    case commit = 1, reveal, hold, scoreCommit, scoreReveal, parameters, serve, replayCommit, replayReveal
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Where a phase is, in milliseconds of the run's phase clock Φ.
public struct PhaseView: Codable, Hashable, Sendable {
    /// Nil before it opens.
    public var opened: UInt64?
    /// Closes then at the latest; nil where nothing but the event itself closes it.
    public var limit: UInt64?
    public var closed: Bool

    public init(opened: UInt64? = nil, limit: UInt64? = nil, closed: Bool = false) {
        (self.opened, self.limit, self.closed) = (opened, limit, closed)
    }
    public var isOpen: Bool { opened != nil && !closed }
}

/// What an attested outer root stands for: all that the next outer step starts from.
public struct OuterView: Codable, Hashable, Sendable {
    /// Zero for θ(0) and θ(1), which come from genesis and were never attested.
    public var outerRoot: Digest
    public var parametersRoot: Digest
    /// Zero: no momentum yet.
    public var momentumRoot: Digest
    /// Empty: none measured yet, the rule's absolute clip holds.
    public var clipNorms: [FloatBits]

    /// Of the window that starts from here; nil where rank and H do not adapt.
    public var pace: WindowPace?

    public init(outerRoot: Digest, parametersRoot: Digest, momentumRoot: Digest, clipNorms: [FloatBits], pace: WindowPace? = nil) {
        (self.outerRoot, self.parametersRoot, self.momentumRoot, self.clipNorms, self.pace) = (outerRoot, parametersRoot, momentumRoot, clipNorms, pace)
    }
    /// With the root that these facts have.
    public init(parametersRoot: Digest, momentumRoot: Digest, clipNorms: [FloatBits], pace: WindowPace?, rules: TrainingRules) {
        let root = OuterRoot.digest(parameters: parametersRoot, momentum: momentumRoot, clipNorms: clipNorms, rules: rules, pace: pace)
        self.init(outerRoot: root, parametersRoot: parametersRoot, momentumRoot: momentumRoot, clipNorms: clipNorms, pace: pace)
    }
    public static func first(parametersRoot: Digest, pace: WindowPace? = nil) -> OuterView {
        OuterView(outerRoot: .zero, parametersRoot: parametersRoot, momentumRoot: .zero, clipNorms: [], pace: pace)
    }
    /// The same state as a later window's, where nothing was added to it.
    public func unchanged(_ rules: TrainingRules) -> OuterView {
        guard let pace else { return self }
        return OuterView(parametersRoot: parametersRoot, momentumRoot: momentumRoot, clipNorms: clipNorms, pace: pace.next(rules, effectiveRank: 0), rules: rules)
    }
}

/// One trainer's work in a window, as far as the ledger knows it.
public struct ContributionView: Codable, Hashable, Sendable {
    public enum State: Codable, Hashable, Sendable {
        case committed
        /// Fits its commitment; waits for the draw.
        case revealed
        case judged
        /// Out, by the rule with this id (6 miss, 7 mismatch, 8 duplicate, 9 refused payload).
        case refused(rule: UInt16)
        case voided
    }
    public var trainer: Address
    public var commitment: Digest
    public var reveal: Reveal?
    public var state: State

    public init(trainer: Address, commitment: Digest, reveal: Reveal?, state: State) {
        (self.trainer, self.commitment, self.reveal, self.state) = (trainer, commitment, reveal, state)
    }
}

/// Who scores one contribution.
public struct ScoreDrawView: Codable, Hashable, Sendable {
    public var trainer: Address
    public var scorers: [Address]
    /// They act from half of the phase on.
    public var backups: [Address]
    public var fact: ScoreFact?

    public init(trainer: Address, scorers: [Address], backups: [Address], fact: ScoreFact? = nil) {
        (self.trainer, self.scorers, self.backups, self.fact) = (trainer, scorers, backups, fact)
    }
}

/// One replay drawn by this window's beacon, with the facts of the window that is replayed, which may be an older one.
public struct ReplayView: Codable, Hashable, Sendable {
    public var draw: ReplayDraw
    public var replayers: [Address]
    /// Of `draw.window`: the reveal, θ's root, R, and the pace where that adapts.
    public var reveal: Reveal
    public var parametersRoot: Digest
    public var assignment: Digest
    public var pace: WindowPace?
    /// The payload that a window with `delay` continued starts from: the trainer's contribution to `draw.window` − 1, if that was judged.
    public var ownPayload: Digest?
    /// What the trainer served; nil before its `serve`, zero for what it did not give.
    public var stateRoot: Digest?
    public var residualRoot: Digest?
    public var fact: ReplayFact?

    public init(draw: ReplayDraw, replayers: [Address], reveal: Reveal, parametersRoot: Digest, assignment: Digest, pace: WindowPace? = nil, ownPayload: Digest?,
                stateRoot: Digest? = nil, residualRoot: Digest? = nil, fact: ReplayFact? = nil) {
        self.pace = pace
        (self.draw, self.replayers, self.reveal, self.parametersRoot, self.assignment) = (draw, replayers, reveal, parametersRoot, assignment)
        (self.ownPayload, self.stateRoot, self.residualRoot, self.fact) = (ownPayload, stateRoot, residualRoot, fact)
    }
}

/// A validator's report, by its author and the part it reports on.
public struct ReportView: Codable, Hashable, Sendable {
    public var validator: Address
    public var kind: ReportKind
    /// 1 for a score report as a backup.
    public var index: UInt8
    public var commitment: Digest
    public var revealed: Bool

    public init(validator: Address, kind: ReportKind, index: UInt8, commitment: Digest, revealed: Bool) {
        (self.validator, self.kind, self.index, self.commitment, self.revealed) = (validator, kind, index, commitment, revealed)
    }
}

/// A fact that reports disagree on: every validator recomputes it and votes.
public struct ContestView: Codable, Hashable, Sendable {
    public struct Vote: Codable, Hashable, Sendable {
        public var validator: Address
        public var commitment: Digest
        public var revealed: Bool
        public init(validator: Address, commitment: Digest, revealed: Bool) {
            (self.validator, self.commitment, self.revealed) = (validator, commitment, revealed)
        }
    }
    public var id: Digest
    /// Number in its window, the index of its votes' duties.
    public var index: UInt8
    public var kind: ReportKind
    public var trainer: Address
    public var committing: PhaseView
    public var revealing: PhaseView
    public var votes: [Vote]
    public var closed: Bool

    public init(id: Digest, index: UInt8, kind: ReportKind, trainer: Address, committing: PhaseView, revealing: PhaseView, votes: [Vote], closed: Bool) {
        (self.id, self.index, self.kind, self.trainer) = (id, index, kind, trainer)
        (self.committing, self.revealing, self.votes, self.closed) = (committing, revealing, votes, closed)
    }
}

/// A window on the ledger: what the roles act on and what is shown. A window that has not opened yet has a view too, as far as
/// its θ and its assignment are known, so that trainers start before it opens.
public struct WindowView: Codable, Hashable, Sendable {
    public var window: Window
    /// R_w; nil before the beacon of w − 2.
    public var assignment: Digest?
    /// B_w; nil before the draw.
    public var beacon: Digest?
    /// θ(w) and what goes with it; nil before its quorum.
    public var outer: OuterView?
    /// In the order of `WindowPhase`. `parameters` is that of θ(w + 2).
    public var phases: [PhaseView]
    /// By ascending trainer, as are all lists here that name a trainer.
    public var contributions: [ContributionView]
    /// Validators whose attest is in.
    public var attested: [Address]
    public var scoreDraws: [ScoreDrawView]
    public var replays: [ReplayView]
    public var reports: [ReportView]
    /// Agg(w); nil before phase 5 has closed.
    public var aggregated: [Address]?
    /// Validators whose attest of θ(w + 2) is in.
    public var parametersAttested: [Address]
    public var contests: [ContestView]
    public var settled: Bool

    public init(window: Window, assignment: Digest? = nil, beacon: Digest? = nil, outer: OuterView? = nil,
                phases: [PhaseView] = WindowPhase.allCases.map { _ in PhaseView() }, contributions: [ContributionView] = [], attested: [Address] = [],
                scoreDraws: [ScoreDrawView] = [], replays: [ReplayView] = [], reports: [ReportView] = [], aggregated: [Address]? = nil,
                parametersAttested: [Address] = [], contests: [ContestView] = [], settled: Bool = false) {
        (self.window, self.assignment, self.beacon, self.outer, self.phases) = (window, assignment, beacon, outer, phases)
        (self.contributions, self.attested, self.scoreDraws, self.replays) = (contributions, attested, scoreDraws, replays)
        (self.reports, self.aggregated, self.parametersAttested, self.contests, self.settled) = (reports, aggregated, parametersAttested, contests, settled)
    }

    /// A view may have come from somebody else with fewer phases than there are: those have not opened.
    public subscript(_ phase: WindowPhase) -> PhaseView {
        get { phases.indices.contains(Int(phase.rawValue) - 1) ? phases[Int(phase.rawValue) - 1] : PhaseView() }
        set { phases[Int(phase.rawValue) - 1] = newValue }
    }
    public func contribution(of trainer: Address) -> ContributionView? { contributions.first { $0.trainer == trainer } }
    /// What an attest's bitmaps count.
    public var revealed: [ContributionView] { contributions.filter { $0.reveal != nil } }
    public var judged: [ContributionView] { contributions.filter { $0.state == .judged } }
}

/// Where a run is.
public struct RunStatus: Codable, Hashable, Sendable {
    public struct Validator: Codable, Hashable, Sendable {
        public var owner: Address
        public var nodeKey: Address
        /// Wei.
        public var stake: U256
        /// The attest's preimage must hash to this.
        public var beaconTip: Digest
        public init(owner: Address, nodeKey: Address, stake: U256, beaconTip: Digest) {
            (self.owner, self.nodeKey, self.stake, self.beaconTip) = (owner, nodeKey, stake, beaconTip)
        }
    }
    public var run: Digest
    public var runIndex: UInt64
    public var head: CommitIndex
    /// Ledger time, and the run's phase clock Φ, in milliseconds.
    public var time: Instant
    public var phaseClock: UInt64
    /// The last window that opened; nil before the first.
    public var opened: Window?
    /// Windows settled: all below this one.
    public var settled: Window
    public var over: Bool
    /// Members of the run, ascending; jailed ones too.
    public var trainers: [Address]
    /// Of each member, in the same order: the residual that its next window may carry on, besides zero.
    public var residuals: [Digest]
    /// By seat.
    public var validators: [Validator]

    public init(run: Digest, runIndex: UInt64, head: CommitIndex, time: Instant, phaseClock: UInt64, opened: Window?, settled: Window, over: Bool,
                trainers: [Address], residuals: [Digest], validators: [Validator]) {
        (self.run, self.runIndex, self.head, self.time, self.phaseClock) = (run, runIndex, head, time, phaseClock)
        (self.opened, self.settled, self.over, self.trainers, self.residuals, self.validators) = (opened, settled, over, trainers, residuals, validators)
    }
    /// Zero for one who is no member.
    public func residual(of trainer: Address) -> Digest {
        guard let place = trainers.firstIndex(of: trainer), place < residuals.count else { return .zero }
        return residuals[place]
    }
}
