import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// One trainer's way through the windows: train, commit, store, reveal once all have committed, serve what is drawn, and train the
/// next window meanwhile.
///
/// It sees the ledger as any client does, by views that may be late or skip a commit. What it owes follows from the view alone. Its own
/// results are persisted; one that is lost all the same is asked for again, and the same job gives the same bits.
public struct Trainer: Sendable {
    /// What an adversary of the laboratory does otherwise at this level; the others differ in what they compute.
    public enum Habit: Hashable, Sendable { case honest, noReveal, late, withhold }

    public enum Input: Sendable {
        case viewed(LedgerHead)
        case trained(Window, TrainedWindow)
        /// The window's payload and trajectory are on enough validators.
        case stored(Window)
        /// Roots of what was put on the validators; zero for what is not given.
        case served(Window, stateRoot: Digest, residualRoot: Digest)
        /// A blob that the job needs is nowhere to be had, or nobody took it, for now.
        case unavailable(JobName)
        case woke
    }

    public enum Effect: Hashable, Sendable {
        /// Durable before the next effect: what is committed to must be there after a crash. A record replaces an older one of its window.
        case persist(TrainedRecord)
        case train(TrainJob)
        case store(StoreJob)
        case serve(ServeJob)
        case cancel(JobName)
        case submit(Duty, [UInt8])
        case wake(at: Instant)
        case note(Event)
    }

    public enum Event: Hashable, Sendable {
        case training(Window)
        case trained(Window)
        case missed(Window)
        /// The window before was not judged, so this one is trained again without it.
        case openedOtherwise(Window)
        case judged(Window)
        case refused(Window, rule: UInt16)
        /// The ledger holds a commitment that this machine cannot make again: the window is withdrawn.
        case commitmentLost(Window)
        case unavailable(JobName)

        /// The case's name, for counting.
        public var kind: String {
            switch self {
            case .training: "training"
            case .trained: "trained"
            case .missed: "missed"
            case .openedOtherwise: "opened otherwise"
            case .judged: "judged"
            case .refused: "refused"
            case .commitmentLost: "commitment lost"
            case .unavailable: "unavailable"
            }
        }
        public static let kinds = ["training", "trained", "missed", "opened otherwise", "judged", "refused", "commitment lost", "unavailable"]
    }

    enum JobState: Hashable, Sendable { case running, waiting(until: Instant), done }
    let builder: DutyBuilder
    let rules: TrainingRules
    /// Windows of the run; 0 for no end.
    let windows: UInt64
    let habit: Habit
    var head: LedgerHead?
    /// The one window that is computed now.
    var training: TrainJob?
    /// Training failed for want of a blob; not asked again before.
    var retryTraining: Instant?
    var work: [Window: TrainedRecord] = [:]
    var jobs: [JobName: JobState] = [:]
    var served: [Window: (state: Digest, residual: Digest)] = [:]
    /// Each fact is noted once.
    var noted: [Window: Set<Event>] = [:]
    var outbox: Outbox
    /// Asked for and not yet come.
    var wakesAt: Instant?
    var effects: [Effect] = []

    static let resendMilliseconds: UInt64 = 2_000
    static let retryMilliseconds: UInt64 = 1_000

    /// - Parameter recovered: what was persisted before a restart. Nothing breaks without it; a window may be withdrawn then.
    public init(identity: Identity, genesis: Genesis, habit: Habit = .honest, recovered: [TrainedRecord] = []) {
        (builder, rules, windows, self.habit) = (DutyBuilder(identity: identity, genesis: genesis), genesis.training, genesis.run.windows, habit)
        outbox = Outbox(resendMilliseconds: Trainer.resendMilliseconds)
        for record in recovered { work[record.window] = record }
    }

    var me: Address { builder.identity.owner }

    public mutating func handle(_ input: Input, now: Instant) -> [Effect] {
        switch input {
        case .viewed(let head):
            if let last = self.head, head.status.head < last.status.head { return [] }
            self.head = head
        case .trained(let window, let result):
            guard let job = training, job.window == window else { return [] }
            training = nil
            let record = TrainedRecord(window: window, opening: job.opening, reveal: Reveal(
                parametersRoot: job.opening.parametersRoot, payloadRoot: result.payloadRoot, trajectoryRoot: result.trajectoryRoot,
                residualIn: job.opening.residualIn, residualOut: result.residualOut, steps: result.steps,
                salt: GradientCommitment.salt(nodeKey: builder.identity.nodeKey, run: builder.run, window: window)))
            work[window] = record
            effects.append(.persist(record))
            note(.trained(window), window)
        case .stored(let window): jobs[JobName(.store, window, me)] = .done
        case .served(let window, let state, let residual):
            jobs[JobName(.serve, window, me)] = .done
            served[window] = (state, residual)
        case .unavailable(let name):
            let until = now.advanced(by: Trainer.retryMilliseconds)
            if name.kind == .train, training?.window == name.window {
                training = nil
                retryTraining = until
            } else if jobs[name] == .running {
                jobs[name] = .waiting(until: until)
            } else {
                return []
            }
            note(.unavailable(name), name.window)
        case .woke: break
        }
        plan(now)
        defer { effects = [] }
        return effects
    }

    /// What is owed now. A window's duties come before the training of the next, which they may decide.
    private mutating func plan(_ now: Instant) {
        guard let head, head.status.trainers.contains(me) else { return }
        for view in head.views where !view.settled {
            if let mine = view.contribution(of: me) {
                follow(view, mine, now)
            } else if view[.commit].closed, isOfTheRun(view.window) {
                note(.missed(view.window), view.window)
                if training?.window == view.window { stopTraining() }
            }
            serve(view, now)
        }
        train(head, now)
        forget(below: head.status.settled)
        if effects.contains(where: { if case .submit = $0 { true } else { false } }) { wake(at: now.advanced(by: Trainer.resendMilliseconds), now) }
        if let retryTraining, retryTraining > now { wake(at: retryTraining, now) }
        if jobs.values.contains(where: { if case .waiting = $0 { true } else { false } }) { wake(at: now.advanced(by: Trainer.retryMilliseconds), now) }
    }

    /// Views reach past a run's last window, since its θ are still made.
    func isOfTheRun(_ window: Window) -> Bool { windows == 0 || window.rawValue < windows }

    private mutating func forget(below window: Window) {
        work = work.filter { $0.key >= window.lowered(by: 1) }
        served = served.filter { $0.key >= window }
        for name in jobs.keys.sorted() where name.window < window {
            if jobs[name] == .running { effects.append(.cancel(name)) }
            jobs[name] = nil
        }
        noted = noted.filter { $0.key >= window }
        outbox.forget(below: window)
    }

    mutating func stopTraining() {
        guard let job = training else { return }
        effects.append(.cancel(JobName(.train, job.window, me)))
        training = nil
    }

    mutating func ask(_ name: JobName, _ now: Instant, _ effect: @autoclosure () -> Effect) {
        switch jobs[name] {
        case .running, .done: return
        case .waiting(let until) where now < until: return
        case .waiting, nil: break
        }
        jobs[name] = .running
        effects.append(effect())
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
