import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Phase 3: to have what was revealed, whole, and to say so with the next link of the beacon's chain.
extension Scorer {
    mutating func hold(_ view: WindowView, _ now: Instant) {
        let phase = view[.hold]
        guard !phase.closed else { return cancel(.hold, of: view.window) }
        guard phase.opened != nil || view[.reveal].opened != nil, !view.attested.contains(me), let head, let assignment = view.assignment else { return }
        let revealed = view.revealed
        let earlier = earlierPayloads(before: view.window)
        for contribution in revealed {
            guard let reveal = contribution.reveal else { continue }
            ask(JobName(.hold, view.window, contribution.trainer), now, .hold(HoldJob(
                window: view.window, trainer: contribution.trainer, reveal: reveal, earlier: earlier, assignment: assignment, rank: view.outer?.pace?.rank)))
        }
        // What is revealed stands still from here on, so that a bit means the same to everybody.
        guard view[.reveal].closed, phase.isOpen else { return }
        let outcomes = revealed.map { holds[JobName(.hold, view.window, $0.trainer)] }
        let held = outcomes.count { $0 != nil }
        guard held == revealed.count || head.status.phaseClock >= Scorer.late(phase) else { return }
        guard let tip = head.status.validators.first(where: { $0.owner == me })?.beaconTip, let preimage = beacon.preimage(of: tip) else { return note(.beaconUsedUp, view.window) }
        if held < revealed.count { note(.heldInPart(view.window, held: held, revealed: revealed.count), view.window) }
        let custody = Digest.tagged("assay/custody/1") { $0.append(outcomes.compactMap { $0?.custody }) }
        let flags = outcomes.map { $0 != nil }, refused = outcomes.map { $0?.isRefused ?? false }
        submit(Duty(.attest, view.window), now) {
            $0.attest(view.window, held: flags, refused: refused, custody: custody, preimage: preimage)
        }
    }

    /// Three quarters into a phase: then what is there has to do.
    static func late(_ phase: PhaseView) -> UInt64 { part(phase, 3, of: 4) }
    static func part(_ phase: PhaseView, _ numerator: UInt64, of denominator: UInt64) -> UInt64 {
        guard let opened = phase.opened, let limit = phase.limit else { return .max }
        return opened + (limit > opened ? (limit - opened) / denominator * numerator : 0)
    }

    private func earlierPayloads(before window: Window) -> [Digest] {
        payloads.filter { $0.key < window }.sorted { $0.key < $1.key }.flatMap(\.value)
    }
}
