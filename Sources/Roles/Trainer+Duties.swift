import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// What follows a commitment: its blobs, its reveal, and what a replay draws.
extension Trainer {
    mutating func follow(_ view: WindowView, _ mine: ContributionView, _ now: Instant) {
        switch mine.state {
        case .judged: return note(.judged(view.window), view.window)
        case .refused(let rule): return note(.refused(view.window, rule: rule), view.window)
        case .voided: return
        case .committed, .revealed: break
        }
        guard let reveal = mine.reveal ?? work[view.window]?.reveal else { return }
        guard builder.commitment(view.window, reveal).digest == mine.commitment else {
            note(.commitmentLost(view.window), view.window)
            if view.beacon == nil { submit(Duty(.void, view.window), now) { $0.void(view.window) } }
            return
        }
        // Nobody sees a payload before everybody has committed.
        guard view[.commit].closed, habit != .noReveal else { return }
        ask(JobName(.store, view.window, me), now, .store(StoreJob(window: view.window, payloadRoot: reveal.payloadRoot, trajectoryRoot: reveal.trajectoryRoot)))
        guard mine.state == .committed, view[.reveal].isOpen else { return }
        submit(Duty(.reveal, view.window), now) { $0.reveal(view.window, reveal) }
    }

    /// Gives the opening state of the segment that was drawn, while that is of use.
    mutating func serve(_ view: WindowView, _ now: Instant) {
        let name = JobName(.serve, view.window, me)
        guard habit != .withhold, view[.serve].isOpen, let replay = view.replays.first(where: { $0.draw.trainer == me }), replay.stateRoot == nil,
              // The view is a validator's word, and a segment that does not exist would be computed for ever.
              rules.allows(replay.reveal.steps), replay.draw.segment < rules.segments(of: replay.reveal.steps) else {
            if view[.serve].closed, jobs[name] == .running {
                effects.append(.cancel(name))
                jobs[name] = nil
            }
            return
        }
        ask(name, now, .serve(ServeJob(window: view.window, draw: replay.draw, residualIn: replay.draw.withCompression ? replay.reveal.residualIn : .zero)))
        guard let roots = served[view.window] else { return }
        submit(Duty(.serve, view.window), now) { $0.serve(view.window, stateRoot: roots.state, residualRoot: roots.residual) }
    }
}
