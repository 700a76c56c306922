import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Which window is trained now, and where it starts.
///
/// A window starts from the trainer's own payload of the window before and from the residual it left, if those are judged. Training
/// begins before that is known and takes it for granted; the commitment waits until it is known. If it was wrong the window is trained again.
extension Trainer {
    mutating func train(_ head: LedgerHead, _ now: Instant) {
        for view in head.views where !view.settled && isOfTheRun(view.window) {
            if let mine = view.contribution(of: me) {
                // Committed, but the result was lost in a crash: the reveal needs it, and so does the next window.
                guard mine.state == .committed, mine.reveal == nil, work[view.window] == nil, !view[.reveal].closed else { continue }
                guard let opening = opening(of: view, head) else { return }
                return start(view.window, opening.facts, now)
            }
            guard !view[.commit].closed else { continue }
            guard let opening = opening(of: view, head) else { return }
            let committing = Duty(.commit, view.window)
            if let done = work[view.window], !outbox.holds(committing), !done.opening.serves(opening.facts) {
                work[view.window] = nil
                note(.openedOtherwise(view.window), view.window)
            }
            guard let done = work[view.window] else { return start(view.window, opening.facts, now) }
            if opening.settled { commit(view, done, now) }
            // One window ahead and no further: the next starts when this one's commitment is on its way.
            guard outbox.holds(committing) else { return }
        }
    }

    private mutating func start(_ window: Window, _ opening: TrainingOpening, _ now: Instant) {
        let job = TrainJob(window: window, trainer: me, opening: opening)
        guard training != job else { return }
        if let retryTraining, now < retryTraining { return }
        retryTraining = nil
        stopTraining()
        training = job
        effects.append(.train(job))
        note(.training(window), window)
    }

    private mutating func commit(_ view: WindowView, _ done: TrainedRecord, _ now: Instant) {
        guard view[.commit].isOpen else { return }
        if habit == .late, view[.commit].limit.map({ head?.status.phaseClock ?? 0 < $0 }) ?? true { return }
        submit(Duty(.commit, view.window), now) { $0.commit(view.window, done.reveal) }
    }

    /// Nil until θ(w) and R_w are there, or while the result of the window before has still to be found. `settled`: nothing in it is taken for granted.
    func opening(of view: WindowView, _ head: LedgerHead) -> (facts: TrainingOpening, settled: Bool)? {
        guard let outer = view.outer, let assignment = view.assignment else { return nil }
        // The view is a validator's word: steps without end would be trained for ever, and a counter may not overflow.
        guard outer.pace.map({ $0.fits(rules) }) ?? (rules.adaptation == nil), WindowPace.firstStep(view.window, outer.pace, rules) != nil else { return nil }
        let before = view.window > Window(0) ? head[view.window.lowered(by: 1)] : nil
        // The draw of w − 1 decides what of it counts.
        let settled = before == nil || before?.beacon != nil || habit == .noReveal
        let mine = before?.contribution(of: me)
        let result = mine?.reveal ?? before.flatMap { work[$0.window]?.reveal }
        let counts: Bool = switch mine?.state {
        case .judged: true
        case .committed, .revealed: !settled
        case .refused, .voided: false
        case nil: !settled && before.map { outbox.holds(Duty(.commit, $0.window)) } ?? false
        }
        if counts, result == nil { return nil }
        let own = counts ? result : nil
        // What the ledger will accept is known for certain once w − 1 is drawn; before, its judgement is taken for granted.
        let carried = settled ? head.status.residual(of: me) : own?.residualOut ?? head.status.residual(of: me)
        let restarts = rules.residualRestart > 0 && view.window.rawValue.isMultiple(of: UInt64(rules.residualRestart))
        let facts = TrainingOpening(parametersRoot: outer.parametersRoot, assignment: assignment, ownPayload: rules.delay == .continued ? own?.payloadRoot : nil,
                                    residualIn: restarts ? .zero : carried, pace: outer.pace)
        return (facts, settled)
    }
}

extension TrainingOpening {
    /// A window opened so need not be trained again: all is as it should be, or the residual alone was given up, which is always allowed.
    func serves(_ wanted: TrainingOpening) -> Bool {
        parametersRoot == wanted.parametersRoot && assignment == wanted.assignment && ownPayload == wanted.ownPayload && pace == wanted.pace
            && (residualIn == wanted.residualIn || residualIn == .zero)
    }
}
