import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator

/// What everybody does in a window, by a table: the deviations are what a test is about.
struct Conduct {
    /// Who does nothing of a kind.
    var silent: [Duty.Kind: Set<Address>] = [:]
    /// What a validator reports of a trainer.
    var score: (_ validator: Address, _ trainer: Address) -> ScoreFact = { _, _ in Conduct.fact(10_000_000) }
    var replay: (_ validator: Address, _ trainer: Address) -> ReplayFact = { _, _ in .init(verdict: .equal, expected: Conduct.root("step"), found: Conduct.root("step")) }
    /// What a validator votes, where that is not what it would report.
    var vote: ((_ validator: Address, _ contest: ContestView) -> [UInt8])?
    /// The next parameters, as a validator computes them.
    var outer: (_ validator: Address, _ window: Window) -> Digest = { _, window in Conduct.root("θ \(window)") }
    /// Of the update, as a validator measures it, in 256ths.
    var effectiveRank: (_ validator: Address) -> UInt32 = { _ in 0 }
    /// Who reveals what it did not commit to.
    var mismatching: Set<Address> = []

    static func root(_ text: String) -> Digest { Digest.tagged("script/root") { $0.append(text) } }
    /// A fact whose score is so many billionths.
    static func fact(_ gain: Int64) -> ScoreFact { ScoreFact(randomBefore: 1_000_000_000, randomAfter: 1_000_000_000 - gain, ownBefore: 1_000_000_000, ownAfter: 1_000_000_000 - 2 * gain) }

    func does(_ kind: Duty.Kind, _ address: Address) -> Bool { !(silent[kind]?.contains(address) ?? false) }
}

extension LedgerScript {
    private func builder(_ person: Person) -> DutyBuilder { DutyBuilder(identity: person.identity, genesis: genesis) }
    private static let witness = Conduct.root("witness")

    func reveal(_ trainer: Person, _ window: Window) -> Reveal {
        func root(_ name: String, _ window: Window) -> Digest { Conduct.root("\(name) \(trainer.owner.address) \(window)") }
        let restarts = window.rawValue.isMultiple(of: UInt64(genesis.training.residualRestart))
        return Reveal(parametersRoot: ledger.windowView(window)?.outer?.parametersRoot ?? .zero, payloadRoot: root("payload", window), trajectoryRoot: root("trajectory", window),
                      residualIn: carriesResiduals && !restarts ? root("residual", window.lowered(by: 1)) : .zero, residualOut: root("residual", window),
                      steps: steps[trainer.owner.address] ?? ledger.windowView(window)?.outer?.pace?.innerSteps ?? genesis.training.innerSteps, salt: .zero)
    }
    /// - Parameter target: the window that starts from it.
    func outerView(_ parameters: Digest, _ target: Window, effectiveRank: UInt32 = 0) -> OuterView {
        OuterView(parametersRoot: parameters, momentumRoot: Conduct.root("momentum"), clipNorms: [], pace: ledger.windowView(target.lowered(by: 1))?.outer?.pace?.next(genesis.training, effectiveRank: effectiveRank), rules: genesis.training)
    }

    /// Every duty that is open to somebody now and that the conduct does not leave out.
    func duties(_ conduct: Conduct) -> [Transaction] {
        let status = ledger.runStatus
        return ledger.windowsInFlight.compactMap { ledger.windowView($0) }.flatMap { view in
            (trainers.flatMap { trainerDuties($0, view, status, conduct) } + validators.enumerated().flatMap { validatorDuties($1, seat: $0, view, status, conduct) }).compactMap { $0 }
        }
    }

    private func trainerDuties(_ trainer: Person, _ view: WindowView, _ status: RunStatus, _ conduct: Conduct) -> [Transaction?] {
        let owner = trainer.owner.address, builder = builder(trainer), window = view.window
        guard status.trainers.contains(owner) else { return [] }
        var done: [Transaction?] = []
        let contribution = view.contribution(of: owner)
        if view[.commit].isOpen, contribution == nil, conduct.does(.commit, owner) { done.append(builder.commit(window, reveal(trainer, window))) }
        if view[.reveal].isOpen, contribution?.state == .committed, conduct.does(.reveal, owner) {
            let honest = reveal(trainer, window)
            let other = Reveal(parametersRoot: honest.parametersRoot, payloadRoot: .zero, trajectoryRoot: .zero, residualIn: .zero, residualOut: .zero, steps: honest.steps, salt: .zero)
            done.append(builder.reveal(window, conduct.mismatching.contains(owner) ? other : honest))
        }
        if view[.serve].isOpen, let replay = view.replays.first(where: { $0.draw.trainer == owner }), replay.stateRoot == nil, conduct.does(.serve, owner) {
            done.append(builder.serve(window, stateRoot: Conduct.root("state"), residualRoot: .zero))
        }
        return done
    }

    private func validatorDuties(_ validator: Person, seat: Int, _ view: WindowView, _ status: RunStatus, _ conduct: Conduct) -> [Transaction?] {
        let owner = validator.owner.address, builder = builder(validator), window = view.window
        var done: [Transaction?] = []
        if view[.hold].isOpen, view[.reveal].closed, !view.attested.contains(owner), conduct.does(.attest, owner), let preimage = world.beacons[seat].preimage(of: status.validators[seat].beaconTip) {
            let all = view.revealed.map { _ in true }
            done.append(builder.attest(window, held: all, refused: all.map { _ in false }, custody: Conduct.root("custody"), preimage: preimage))
        }
        for (committing, revealing, kind) in [(Duty.Kind.scoreCommit, Duty.Kind.scoreReveal, ReportKind.score), (.replayCommit, .replayReveal, .replay)] {
            guard let report = report(kind, owner, view, conduct) else { continue }
            let mine = view.reports.first { $0.validator == owner && $0.kind == kind }
            if view[kind == .score ? .scoreCommit : .replayCommit].isOpen, mine == nil, conduct.does(committing, owner) { done.append(builder.commitReport(Duty(committing, window), report)) }
            if view[kind == .score ? .scoreReveal : .replayReveal].isOpen, let mine, !mine.revealed, conduct.does(revealing, owner) {
                done.append(builder.revealReport(Duty(revealing, window), committedAs: Duty(committing, window), report))
            }
        }
        if view[.parameters].isOpen, !view.parametersAttested.contains(owner), conduct.does(.parameters, owner) {
            let target = window.advanced(by: 2)
            done.append(builder.attestParameters(target, outerView(conduct.outer(owner, target), target, effectiveRank: conduct.effectiveRank(owner)), effectiveRank: conduct.effectiveRank(owner), witness: LedgerScript.witness))
        }
        for contest in view.contests where !contest.closed {
            let value = conduct.vote?(owner, contest) ?? (contest.kind == .score ? conduct.score(owner, contest.trainer).canonicalBytes : conduct.replay(owner, contest.trainer).canonicalBytes)
            let report = Report(kind: contest.kind, value: value, witness: LedgerScript.witness), mine = contest.votes.first { $0.validator == owner }
            let committing = Duty(.voteCommit, window, index: contest.index), revealing = Duty(.voteReveal, window, index: contest.index)
            if contest.committing.isOpen, mine == nil, conduct.does(.voteCommit, owner) { done.append(builder.voteCommit(committing, contest: contest.id, report)) }
            if contest.revealing.isOpen, let mine, !mine.revealed, conduct.does(.voteReveal, owner) { done.append(builder.voteReveal(revealing, committedAs: committing, contest: contest.id, report)) }
        }
        return done
    }

    /// A scorer's lines, or a replayer's; nil for one who is not drawn. Backups rest.
    private func report(_ kind: ReportKind, _ validator: Address, _ view: WindowView, _ conduct: Conduct) -> Report? {
        switch kind {
        case .score:
            let lines = view.scoreDraws.filter { $0.scorers.contains(validator) }.map { ScoreLine(trainer: $0.trainer, fact: conduct.score(validator, $0.trainer)) }
            return lines.isEmpty ? nil : Report(.score, lines: lines, witnesses: lines.map { _ in LedgerScript.witness })
        case .replay:
            let lines = view.replays.filter { $0.replayers.contains(validator) }.map { ReplayLine(trainer: $0.draw.trainer, fact: conduct.replay(validator, $0.draw.trainer)) }
            return lines.isEmpty ? nil : Report(.replay, lines: lines, witnesses: lines.map { _ in LedgerScript.witness })
        }
    }

    /// Commits, each with the duties that the last one opened, until something is so. False if that does not come in 600 commits.
    @discardableResult
    mutating func play(_ conduct: Conduct = Conduct(), every milliseconds: UInt64 = 500, until isSo: (LedgerScript) -> Bool) -> Bool {
        for _ in 0..<600 {
            if isSo(self) { return true }
            commit(duties(conduct), after: milliseconds)
        }
        return isSo(self)
    }
    /// Commits without anybody's deed.
    mutating func wait(_ milliseconds: UInt64, every step: UInt64 = 500) {
        for _ in 0..<milliseconds / step { commit(after: step) }
    }
    func view(_ window: UInt64) -> WindowView { ledger.windowView(Window(window)) ?? WindowView(window: Window(window)) }
    func isSettled(_ window: UInt64) -> Bool { ledger.runStatus.settled > Window(window) }
}
