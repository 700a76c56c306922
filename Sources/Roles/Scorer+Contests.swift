import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Phase 9: where reports differ every validator computes the fact again and votes.
extension Scorer {
    mutating func vote(_ view: WindowView, _ head: LedgerHead, _ now: Instant) {
        for contest in view.contests where !contest.closed && contest.index < Duty.indexLimit {
            guard contest.committing.opened != nil else { continue }
            note(.contest(contest.id, trainer: contest.trainer, contest.kind), view.window)
            guard let report = recomputed(contest, view, head, now) else { continue }
            let committing = Duty(.voteCommit, view.window, index: contest.index), revealing = Duty(.voteReveal, view.window, index: contest.index)
            guard let vote = contest.votes.first(where: { $0.validator == me }) else {
                if contest.committing.isOpen { submit(committing, now) { $0.voteCommit(committing, contest: contest.id, report) } }
                continue
            }
            guard !vote.revealed, contest.revealing.isOpen else { continue }
            guard vote.commitment == builder.commitment(committing, report.value, report.witness) else {
                note(.reportLost(committing), view.window)
                continue
            }
            submit(revealing, now) { $0.voteReveal(revealing, committedAs: committing, contest: contest.id, report) }
        }
    }

    private mutating func recomputed(_ contest: ContestView, _ view: WindowView, _ head: LedgerHead, _ now: Instant) -> Report? {
        switch contest.kind {
        case .score:
            guard let job = scoreJob(view, head, contest.trainer, again: true) else { return nil }
            ask(job.name, now, .score(job))
            return scores[job.name].map { Report(kind: .score, value: $0.fact.canonicalBytes, witness: $0.witness) }
        case .replay:
            guard let replay = view.replays.first(where: { $0.draw.trainer == contest.trainer }) else { return nil }
            let late = head.status.phaseClock >= Scorer.late(contest.committing)
            return replayed(replay, in: view, again: true, late: late, now).map { Report(kind: .replay, value: $0.fact.canonicalBytes, witness: $0.witness) }
        }
    }
}
