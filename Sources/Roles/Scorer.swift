import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A validator's judging part: it holds what trainers reveal, scores it, replays pieces of it, makes the next parameters, and votes
/// where reports differ.
///
/// It acts on the ledger's view alone: what it owes follows from the view, and a fact that it lost in a crash is computed again. Facts
/// are pure functions of the ledger, and salts of the node key, so after a restart it says the same again.
public struct Scorer: Sendable {
    public enum Input: Sendable {
        /// After each commit, or at least now and then.
        case executed(LedgerHead)
        case held(Window, trainer: Address, HoldOutcome)
        case scored(JobName, ScoreFact, witness: Digest)
        case replayed(JobName, ReplayFact, witness: Digest)
        /// θ(window + 2) and what goes with it; its outer root is left to the machine.
        case aggregated(AggregateJob, AggregateOutcome)
        /// A blob that the job needs is nowhere to be had, for now.
        case unavailable(JobName)
        case woke
    }

    public enum Effect: Hashable, Sendable {
        case hold(HoldJob)
        case score(ScoreJob)
        case replay(ReplayJob)
        case aggregate(AggregateJob)
        case cancel(JobName)
        case submit(Duty, [UInt8])
        case wake(at: Instant)
        case note(Event)
    }

    /// Facts that are nobody's fault, or that only an operator can do something about.
    public enum Event: Hashable, Sendable {
        case unavailable(JobName)
        /// The attest left before every payload was here.
        case heldInPart(Window, held: Int, revealed: Int)
        case steppedIn(Window)
        case contest(Digest, trainer: Address, ReportKind)
        /// The committed report cannot be made again: what was computed now differs from it.
        case reportLost(Duty)
        /// The quorum's θ is not the one computed here: a memory error or a kernel that differs.
        case parametersDiffer(Window, computed: Digest, attested: Digest)
        case beaconUsedUp

        /// The case's name, for counting.
        public var kind: String {
            switch self {
            case .unavailable: "unavailable"
            case .heldInPart: "held in part"
            case .steppedIn: "stepped in"
            case .contest: "contest"
            case .reportLost: "report lost"
            case .parametersDiffer: "parameters differ"
            case .beaconUsedUp: "beacon used up"
            }
        }
        public static let kinds = ["unavailable", "held in part", "stepped in", "contest", "report lost", "parameters differ", "beacon used up"]
    }

    enum JobState: Hashable, Sendable { case running, waiting(until: Instant), done }
    struct Scored: Sendable { let fact: ScoreFact, witness: Digest }
    struct Replayed: Sendable { let fact: ReplayFact, witness: Digest }
    struct Aggregated: Sendable { let outer: OuterView, effectiveRank: UInt32, witness: Digest }

    /// Makes the transactions of its identity.
    public let builder: DutyBuilder
    let beacon: BeaconChain
    let rules: TrainingRules
    var head: LedgerHead?
    var jobs: [JobName: JobState] = [:]
    var holds: [JobName: HoldOutcome] = [:]
    var scores: [JobName: Scored] = [:]
    var replays: [JobName: Replayed] = [:]
    var aggregates: [Window: Aggregated] = [:]
    /// Payload roots of windows seen, for the check against copies.
    var payloads: [Window: [Digest]] = [:]
    /// Each fact is noted once.
    var noted: [Window: Set<Event>] = [:]
    var outbox: Outbox
    /// Asked for and not yet come.
    var wakesAt: Instant?
    var effects: [Effect] = []

    static let resendMilliseconds: UInt64 = 2_000
    static let retryMilliseconds: UInt64 = 1_000
    /// Windows whose payloads a new one is compared with.
    static let copyWindows: UInt64 = 8

    public init(identity: Identity, genesis: Genesis, beacon: BeaconChain) {
        (builder, self.beacon, rules) = (DutyBuilder(identity: identity, genesis: genesis), beacon, genesis.training)
        outbox = Outbox(resendMilliseconds: Scorer.resendMilliseconds)
    }

    var me: Address { builder.identity.owner }

    public mutating func handle(_ input: Input, now: Instant) -> [Effect] {
        switch input {
        case .executed(let head):
            if let last = self.head, head.status.head < last.status.head { return [] }
            self.head = head
        case .held(let window, let trainer, let outcome):
            let name = JobName(.hold, window, trainer)
            guard finish(name) else { return [] }
            holds[name] = outcome
        case .scored(let name, let fact, let witness):
            guard finish(name) else { return [] }
            scores[name] = Scored(fact: fact, witness: witness)
        case .replayed(let name, let fact, let witness):
            guard finish(name) else { return [] }
            replays[name] = Replayed(fact: fact, witness: witness)
        case .aggregated(let job, let made):
            guard finish(job.name) else { return [] }
            let pace = job.base.pace?.next(rules, effectiveRank: made.effectiveRank)
            let outer = OuterView(parametersRoot: made.parametersRoot, momentumRoot: made.momentumRoot, clipNorms: made.clipNorms, pace: pace, rules: rules)
            aggregates[job.window] = Aggregated(outer: outer, effectiveRank: made.effectiveRank, witness: made.witness)
        case .unavailable(let name):
            guard jobs[name] == .running else { return [] }
            jobs[name] = .waiting(until: now.advanced(by: Scorer.retryMilliseconds))
            note(.unavailable(name), name.window)
        case .woke: break
        }
        plan(now)
        defer { effects = [] }
        return effects
    }

    /// What is owed now, window by window.
    private mutating func plan(_ now: Instant) {
        guard let head, head.status.validators.contains(where: { $0.owner == me }) else { return }
        for view in head.views {
            remember(view)
            guard !view.settled else { continue }
            hold(view, now)
            score(view, head, now)
            aggregate(view, head, now)
            replay(view, head, now)
            vote(view, head, now)
        }
        forget(below: head.status.settled)
        // Commits drive the machine; this only covers a ledger that stands still while something of ours has to go out again.
        if effects.contains(where: { if case .submit = $0 { true } else { false } }) { wake(at: now.advanced(by: Scorer.resendMilliseconds), now) }
        if jobs.values.contains(where: { if case .waiting = $0 { true } else { false } }) { wake(at: now.advanced(by: Scorer.retryMilliseconds), now) }
    }

    private mutating func remember(_ view: WindowView) {
        let roots = view.contributions.compactMap(\.reveal?.payloadRoot)
        if !roots.isEmpty { payloads[view.window] = roots }
    }

    private mutating func forget(below window: Window) {
        for name in jobs.keys.sorted() where name.window < window {
            if jobs[name] == .running { effects.append(.cancel(name)) }
            jobs[name] = nil
        }
        holds = holds.filter { $0.key.window >= window }
        scores = scores.filter { $0.key.window >= window }
        replays = replays.filter { $0.key.window >= window }
        aggregates = aggregates.filter { $0.key >= window }
        payloads = payloads.filter { $0.key >= window.lowered(by: Scorer.copyWindows) }
        noted = noted.filter { $0.key >= window }
        outbox.forget(below: window)
    }

    // MARK: jobs and duties

    /// Marks a job done; false if nobody waits for it: it was called off, or it answered before.
    private mutating func finish(_ name: JobName) -> Bool {
        guard let state = jobs[name], state != .done else { return false }
        jobs[name] = .done
        return true
    }

    /// Asks for a job unless it runs, is done, or failed just now.
    mutating func ask(_ name: JobName, _ now: Instant, _ effect: @autoclosure () -> Effect) {
        switch jobs[name] {
        case .running, .done: return
        case .waiting(let until) where now < until: return
        case .waiting, nil: break
        }
        jobs[name] = .running
        effects.append(effect())
    }

    /// Calls off what still runs of one kind of a window's jobs.
    mutating func cancel(_ kind: JobName.Kind, of window: Window) {
        for name in jobs.keys.sorted() where name.window == window && name.kind == kind && jobs[name] != .done {
            if jobs[name] == .running { effects.append(.cancel(name)) }
            jobs[name] = nil
        }
    }

    mutating func wake(at: Instant, _ now: Instant) {
        if let wakesAt, wakesAt > now, wakesAt <= at { return }
        wakesAt = at
        effects.append(.wake(at: at))
    }

    mutating func submit(_ duty: Duty, _ now: Instant, _ make: (DutyBuilder) -> Transaction?) {
        let builder = builder
        if let transaction = outbox.due(duty, now: now, make: { make(builder) }) { effects.append(.submit(duty, transaction.raw)) }
    }

    mutating func note(_ event: Event, _ window: Window) {
        if noted[window, default: []].insert(event).inserted { effects.append(.note(event)) }
    }
}
