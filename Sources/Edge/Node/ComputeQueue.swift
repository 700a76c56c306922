import AssayRoles
import Foundation
import Synchronization

/// Jobs that take long, one after another on a thread of their own, so that no job holds up the ledger's work.
///
/// The most urgent goes first: facts that a phase waits for before replays, earlier windows before later ones.
final class ComputeQueue: Sendable {
    private struct Waiting {
        var urgency: Int
        var number: Int
        var name: JobName
        var work: @Sendable () -> Void
    }
    private struct State {
        var waiting: [Waiting] = []
        var running: JobName?
        var number = 0
        var stopped = false
    }
    private let state = Mutex(State())
    private let signal = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    init(name: String) {
        let thread = Thread { [self] in work() }
        thread.name = name
        // Kernels keep a few tiles on the stack; the default of secondary threads is small.
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Takes a job unless one of this name is waiting or running.
    func add(_ name: JobName, urgency: Int, _ work: @escaping @Sendable () -> Void) {
        let added = state.withLock { state in
            guard !state.stopped, state.running != name, !state.waiting.contains(where: { $0.name == name }) else { return false }
            state.number += 1
            state.waiting.append(Waiting(urgency: urgency, number: state.number, name: name, work: work))
            return true
        }
        if added { signal.signal() }
    }

    /// Drops a job that has not begun.
    func cancel(_ name: JobName) { state.withLock { $0.waiting.removeAll { $0.name == name } } }

    /// Names of jobs waiting, and of the one running.
    var load: (waiting: Int, running: JobName?) { state.withLock { ($0.waiting.count, $0.running) } }

    /// Drops what waits, lets the running job finish, and ends the thread.
    func stop() {
        let first = state.withLock { state in
            defer { state.stopped = true }
            state.waiting = []
            return !state.stopped
        }
        guard first else { return }
        signal.signal()
        ended.wait()
    }

    private func work() {
        defer { ended.signal() }
        while true {
            signal.wait()
            let next = state.withLock { state -> Waiting? in
                guard !state.stopped, let index = state.waiting.indices.min(by: {
                    (-state.waiting[$0].urgency, state.waiting[$0].number) < (-state.waiting[$1].urgency, state.waiting[$1].number)
                }) else { return nil }
                let job = state.waiting.remove(at: index)
                state.running = job.name
                return job
            }
            guard let next else {
                if state.withLock({ $0.stopped }) { return }
                continue
            }
            next.work()
            state.withLock { $0.running = nil }
        }
    }
}
