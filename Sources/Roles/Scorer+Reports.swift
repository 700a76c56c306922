import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Phases 4, 5 and 8: compute the facts that were drawn for this validator, commit to them, then show them.
extension Scorer {
    // MARK: scores

    mutating func score(_ view: WindowView, _ head: LedgerHead, _ now: Instant) {
        guard view[.scoreCommit].opened != nil else { return }
        guard !view[.scoreReveal].closed else { return cancel(.score, of: view.window) }
        let mine = view.scoreDraws.filter { $0.scorers.contains(me) }.map(\.trainer)
        if !mine.isEmpty { scoreReport(0, on: mine, view, head, now) }
        let backed = view.scoreDraws.filter { $0.backups.contains(me) }
        guard !backed.isEmpty else { return }
        // A backup steps in when half of the phase has gone by without a scorer of one of its trainers. It reports on all of them then,
        // so that what it commits to does not depend on when it looked.
        let committed = view.report(of: me, .score, index: 1) != nil
        let halfGone = head.status.phaseClock >= Scorer.part(view[.scoreCommit], 1, of: 2)
        let missing = backed.contains { draw in draw.scorers.contains { view.report(of: $0, .score, index: 0) == nil } }
        guard committed || (halfGone && missing && view[.scoreCommit].isOpen) || outbox.holds(Duty(.scoreCommit, view.window, index: 1)) else { return }
        note(.steppedIn(view.window), view.window)
        scoreReport(1, on: backed.map(\.trainer), view, head, now)
    }

    private mutating func scoreReport(_ index: UInt8, on trainers: [Address], _ view: WindowView, _ head: LedgerHead, _ now: Instant) {
        let report = view.report(of: me, .score, index: index)
        guard view[.scoreCommit].isOpen || report?.revealed == false else { return }
        var lines: [ScoreLine] = [], witnesses: [Digest] = []
        for trainer in trainers {
            guard let job = scoreJob(view, head, trainer, again: false) else { continue }
            ask(job.name, now, .score(job))
            guard let scored = scores[job.name] else { continue }
            lines.append(ScoreLine(trainer: trainer, fact: scored.fact))
            witnesses.append(scored.witness)
        }
        guard lines.count == trainers.count else { return }
        send(Report(.score, lines: lines, witnesses: witnesses), seen: report, committing: Duty(.scoreCommit, view.window, index: index), open: view[.scoreCommit],
             revealing: Duty(.scoreReveal, view.window, index: index), open: view[.scoreReveal], now)
    }

    /// Nil until θ(w + 1) and the draw are there.
    func scoreJob(_ view: WindowView, _ head: LedgerHead, _ trainer: Address, again: Bool) -> ScoreJob? {
        guard let reveal = view.contribution(of: trainer)?.reveal, let base = head[view.window.next]?.outer,
              let beacon = view.beacon, let assignment = view.assignment else { return nil }
        return ScoreJob(window: view.window, trainer: trainer, validator: me, payloadRoot: reveal.payloadRoot, base: base,
                        beacon: beacon, assignment: assignment, rank: view.outer?.pace?.rank, again: again)
    }

    // MARK: replays

    mutating func replay(_ view: WindowView, _ head: LedgerHead, _ now: Instant) {
        guard view[.replayCommit].opened != nil else { return }
        guard !view[.replayReveal].closed else { return cancel(.replay, of: view.window) }
        let mine = view.replays.filter { $0.replayers.contains(me) }
        let report = view.report(of: me, .replay, index: 0)
        guard !mine.isEmpty, view[.replayCommit].isOpen || report?.revealed == false else { return }
        var lines: [ReplayLine] = [], witnesses: [Digest] = []
        for replay in mine {
            guard let found = replayed(replay, in: view, again: false, late: head.status.phaseClock >= Scorer.late(view[.replayCommit]), now) else { continue }
            lines.append(ReplayLine(trainer: replay.draw.trainer, fact: found.fact))
            witnesses.append(found.witness)
        }
        guard lines.count == mine.count else { return }
        send(Report(.replay, lines: lines, witnesses: witnesses), seen: report, committing: Duty(.replayCommit, view.window), open: view[.replayCommit],
             revealing: Duty(.replayReveal, view.window), open: view[.replayReveal], now)
    }

    /// The fact if it is there; else it is asked for. A residual that the trainer owes and did not serve needs no computing.
    mutating func replayed(_ replay: ReplayView, in view: WindowView, again: Bool, late: Bool, _ now: Instant) -> Replayed? {
        let owed = replay.draw.withCompression ? replay.reveal.residualIn : .zero
        if owed != .zero, (replay.residualRoot ?? .zero) != owed { return unserved(replay, view) }
        let opening = TrainingOpening(parametersRoot: replay.parametersRoot, assignment: replay.assignment,
                                      ownPayload: rules.delay == .continued ? replay.ownPayload : nil, residualIn: replay.reveal.residualIn, pace: replay.pace)
        let job = ReplayJob(window: view.window, validator: me, draw: replay.draw, reveal: replay.reveal, opening: opening, stateRoot: replay.stateRoot ?? .zero, again: again)
        if let found = replays[job.name] { return found }
        if late, case .waiting = jobs[job.name] { return unserved(replay, view) }
        ask(job.name, now, .replay(job))
        return nil
    }

    private func unserved(_ replay: ReplayView, _ view: WindowView) -> Replayed {
        Replayed(fact: ReplayFact(verdict: .unserved, expected: .zero, found: .zero), witness: Digest.tagged("assay/unserved/1") {
            $0.append(me)
            $0.append(view.window)
            $0.append(replay.draw)
        })
    }

    // MARK: commit, then reveal

    private mutating func send(_ report: Report, seen: ReportView?, committing: Duty, open committingPhase: PhaseView,
                               revealing: Duty, open revealingPhase: PhaseView, _ now: Instant) {
        guard let seen else {
            if committingPhase.isOpen { submit(committing, now) { $0.commitReport(committing, report) } }
            return
        }
        guard !seen.revealed, revealingPhase.isOpen else { return }
        guard seen.commitment == builder.commitment(committing, report.value, report.witness) else { return note(.reportLost(committing), committing.window) }
        submit(revealing, now) { $0.revealReport(revealing, committedAs: committing, report) }
    }
}

extension WindowView {
    func report(of validator: Address, _ kind: ReportKind, index: UInt8) -> ReportView? {
        reports.first { $0.validator == validator && $0.kind == kind && $0.index == index }
    }
}
