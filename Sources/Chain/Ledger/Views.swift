import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// The ledger as roles and programs look at it.
extension Ledger {
    private func environment() -> Environment { environment(sender: .zero, value: 0, contract: .zero, .init(number: head.number, time: head.timestamp)) }

    public var runStatus: RunStatus {
        let environment = environment()
        guard let run = state[Runs.key] else { preconditionFailure("run.exists: every ledger has the run that it began with") }
        let opened = min(run.openings, environment.lastWindowCount)
        return RunStatus(
            run: environment.run, runIndex: 0, head: CommitIndex(head.number), time: head.timestamp, phaseClock: run.clock, opened: opened == 0 ? nil : Window(opened - 1), settled: Window(run.settled), over: run.isOver,
            trainers: run.members,
            residuals: run.members.map { state[Runs.memberKey($0)]?.lastResidual ?? .zero }, validators: environment.validators.map { .init(owner: $0.owner, nodeKey: $0.nodeKey, stake: $0.stake, beaconTip: $0.beaconTip) })
    }

    /// Opened and not settled, and the next one as far as it is known.
    public var windowsInFlight: [Window] {
        guard let run = state[Runs.key] else { return [] }
        let opened = min(run.openings, environment().lastWindowCount)
        return (run.settled...max(run.settled, opened)).map { Window($0) }
    }

    /// Nil for a window of which nothing is known.
    public func windowView(_ window: Window) -> WindowView? {
        let outer = state[Runs.outerKey(window)]?.view
        guard let record = state[Windows.key(window)] else {
            guard outer != nil || windowsInFlight.contains(window) else { return nil }
            let environment = environment()
            let known = window.rawValue < 2 || state[Windows.key(window.lowered(by: 2))]?.beacon != nil
            return WindowView(window: window, assignment: known ? Phases.assignment(of: window, environment) : nil, outer: outer)
        }
        var view = WindowView(window: window, assignment: record.assignment, beacon: record.beacon, outer: outer)
        for phase in WindowPhase.allCases {
            let limit = Phases.limit(phase, genesis.run)
            let phaseRecord = record[phase]
            view[phase] = PhaseView(opened: phaseRecord.opened, limit: phase == .serve || phase == .parameters ? nil : phaseRecord.opened.map { $0 + limit }, closed: phaseRecord.isClosed)
        }
        view.contributions = record.contributions.map { contribution in
            let state: ContributionView.State = switch contribution.state {
            case .committed: .committed
            case .revealed: .revealed
            case .judged: .judged
            case .refused: .refused(rule: contribution.rule)
            case .voided: .voided
            }
            return ContributionView(trainer: contribution.trainer, commitment: contribution.commitment, reveal: contribution.reveal, state: state)
        }
        view.attested = record.attests.map(\.validator)
        view.scoreDraws = record.scoreDraws.map { ScoreDrawView(trainer: $0.trainer, scorers: $0.scorers, backups: $0.backups, fact: $0.fact) }
        view.replays = record.replays.compactMap { replayView($0) }
        view.reports = record.reports.map { ReportView(validator: $0.validator, kind: $0.kind, index: $0.index, commitment: $0.commitment, revealed: $0.values != nil) }
        view.aggregated = record.aggregated
        view.parametersAttested = record.parameterVotes.map(\.validator)
        view.contests = record.contests.enumerated().map { index, contest in
            ContestView(
                id: contest.id, index: UInt8(index), kind: contest.kind, trainer: contest.trainer, committing: phaseView(contest.committing, .replayCommit), revealing: phaseView(contest.revealing, .replayReveal),
                votes: contest.votes.map { .init(validator: $0.validator, commitment: $0.commitment, revealed: $0.value != nil) }, closed: contest.isClosed)
        }
        view.settled = record.isSettled
        return view
    }

    private func phaseView(_ record: PhaseRecord, _ phase: WindowPhase) -> PhaseView {
        PhaseView(opened: record.opened, limit: record.opened.map { $0 + Phases.limit(phase, genesis.run) }, closed: record.isClosed)
    }

    /// A replay with the facts of the window that it goes over.
    private func replayView(_ replay: ReplayRecord) -> ReplayView? {
        let window = replay.draw.window
        guard let record = state[Windows.key(window)], let place = record.contribution(of: replay.draw.trainer), let reveal = record.contributions[place].reveal, let outer = state[Runs.outerKey(window)]?.view else { return nil }
        return ReplayView(
            draw: replay.draw, replayers: replay.replayers, reveal: reveal, parametersRoot: outer.parametersRoot, assignment: record.assignment, pace: outer.pace, ownPayload: judgedPayload(of: replay.draw.trainer, in: window.rawValue == 0 ? nil : window.lowered(by: 1)),
            stateRoot: replay.stateRoot, residualRoot: replay.residualRoot, fact: replay.fact)
    }

    /// The payload root of a trainer's contribution, if it was judged.
    public func judgedPayload(of trainer: Address, in window: Window?) -> Digest? {
        guard let window, let record = state[Windows.key(window)], let place = record.contribution(of: trainer), record.contributions[place].state == .judged else { return nil }
        return record.contributions[place].reveal?.payloadRoot
    }

    public func member(_ trainer: Address) -> MemberRecord? { state[Runs.memberKey(trainer)] }
    public func staker(_ owner: Address) -> StakerRecord? { state[Staking.validatorKey(owner)] ?? state[Staking.trainerKey(owner)] }
    /// All who are or were validators, in the order in which they came.
    public var registeredValidators: [StakerRecord] { (state[Staking.validators]?.addresses ?? []).compactMap { state[Staking.validatorKey($0)] } }
    /// Whom a node talks to: all who have something at stake as validators, whether or not they sit.
    public var validatorEndpoints: [(owner: Address, endpoint: String, networkKey: Digest)] {
        registeredValidators.compactMap { record in
            guard !record.stake.isZero || !record.unbonding.isEmpty || committee.seat(of: record.owner) != nil, let keys = state[Staking.keysKey(record.owner)] else { return nil }
            return (record.owner, record.endpoint, keys.networkKey)
        }
    }
    /// Whether a commit changed anything of a validator's.
    public static func changesValidators(_ executed: ExecutedBlock) -> Bool {
        let prefix = StateKey<StakerRecord>("validator").bytes
        return executed.changes.contains { $0.key.starts(with: prefix) }
    }
    /// Whose node key an address is.
    public func owner(ofNodeKey address: Address) -> Address? { state[Staking.identityKey(address)]?.owner }
    public func claimable(_ owner: Address) -> U256 { state[Rewards.key(owner)]?.claimable ?? 0 }
    public func pendingRewards(_ owner: Address) -> U256 { (state[Rewards.key(owner)]?.pending ?? []).reduce(U256.zero) { (try? $0.adding($1.amount)) ?? $0 } }
}
