import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Phase 6: make θ(w + 2), and attest to it while the quorum is open. Every validator makes it, since the next windows start from it.
extension Scorer {
    mutating func aggregate(_ view: WindowView, _ head: LedgerHead, _ now: Instant) {
        guard let aggregated = view.aggregated, let base = head[view.window.next]?.outer else { return }
        let judged = view.judged.compactMap { contribution in contribution.reveal.map { AggregateJob.Payload(trainer: contribution.trainer, root: $0.payloadRoot) } }
        let job = AggregateJob(window: view.window, validator: me, base: base, aggregated: judged.filter { aggregated.contains($0.trainer) }, judged: judged)
        ask(job.name, now, .aggregate(job))
        guard let made = aggregates[view.window] else { return }
        // A dropped aggregate keeps θ(w + 1): then ours is not what counts, and nobody made a mistake.
        if let attested = head[job.target]?.outer, attested.outerRoot != made.outer.outerRoot, attested.parametersRoot != base.parametersRoot {
            note(.parametersDiffer(job.target, computed: made.outer.parametersRoot, attested: attested.parametersRoot), view.window)
        }
        guard view[.parameters].isOpen, !view.parametersAttested.contains(me) else { return }
        submit(Duty(.parameters, job.target), now) { $0.attestParameters(job.target, made.outer, effectiveRank: made.effectiveRank, witness: made.witness) }
    }
}
