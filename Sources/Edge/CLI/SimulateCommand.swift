import ArgumentParser
import AssaySimulator
import Foundation
import Synchronization

/// `assay simulate`: whole networks in one thread, under faults and adversaries that follow from a seed.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Play networks under faults and adversaries, each the function of its seed, and check what must always hold.",
        discussion: "Authorities, ledgers, scorers and trainers are those that run in the world; training is answered by a table. A violation ends with the command that brings it back.")

    @Option(name: .long, help: "Play one seed.") var seed: UInt64?
    @Option(name: .long, help: "Play the seeds A..B, both included.") var seeds: String?
    @Option(name: .long, help: ArgumentHelp("Only these kinds of faults, by comma: \(WorldFaults.Kind.allCases.map(\.rawValue).joined(separator: ", ")); none for none.", valueName: "kinds"))
    var faults: String?
    @Option(name: .long, help: "Seeds played at a time.") var jobs: Int = ProcessInfo.processInfo.activeProcessorCount
    @OptionGroup var output: JSONOption

    private struct Summary: Encodable {
        struct Violation: Encodable { var seed: UInt64, checker, message: String }
        var seeds: [UInt64]
        var violations: [Violation]
        var eventKinds: [String: Int]
        var rounds: UInt64
        var seconds: Double
    }

    func validate() throws {
        if seed != nil, seeds != nil { throw ValidationError("--seed plays one and --seeds many: give one of them") }
        guard (1...1_024).contains(jobs) else { throw ValidationError("--jobs is \(jobs), allowed is 1…1024") }
        _ = try kinds()
        if let seeds, SimulateCommand.range(seeds) == nil { throw ValidationError("--seeds wants A..B with A not above B, not \(seeds)") }
    }

    private func kinds() throws -> Set<WorldFaults.Kind>? {
        guard let faults else { return nil }
        if faults == "none" { return [] }
        return try Set(faults.split(separator: ",").map { name in
            guard let kind = WorldFaults.Kind(rawValue: String(name)) else {
                throw ValidationError("--faults: there is no kind “\(name)”; known are \(WorldFaults.Kind.allCases.map(\.rawValue).joined(separator: ", ")), none")
            }
            return kind
        })
    }

    private static func range(_ text: String) -> ClosedRange<UInt64>? {
        let parts = text.components(separatedBy: "..")
        guard parts.count == 2, let first = UInt64(parts[0]), let last = UInt64(parts[1]), first <= last, last - first < 1_000_000 else { return nil }
        return first...last
    }

    /// Several seeds at a time; the report is in their order.
    /// - Parameter progress: told after each seed, one call at a time: the seed, and how many are done.
    private static func play(_ seeds: [UInt64], _ kinds: Set<WorldFaults.Kind>?, jobs: Int, progress: @Sendable (_ played: (seed: UInt64, count: Int), WorldChecks) -> Void) -> SimulationReport {
        let state = Mutex((next: 0, done: [Int: WorldChecks]()))
        DispatchQueue.concurrentPerform(iterations: min(jobs, seeds.count)) { _ in
            while true {
                let place = state.withLock { state in
                    state.next += 1
                    return state.next - 1
                }
                guard place < seeds.count else { return }
                let checks = Swarm.play(seed: seeds[place], only: kinds).checks
                state.withLock { state in
                    state.done[place] = checks
                    progress((seeds[place], state.done.count), checks)
                }
            }
        }
        var report = SimulationReport()
        for (place, checks) in state.withLock({ $0.done }).sorted(by: { $0.key < $1.key }) { report.add(seed: seeds[place], checks) }
        return report
    }

    func run() throws {
        let chosen = Array(seeds.flatMap(SimulateCommand.range) ?? seed.map { $0...$0 } ?? 0...7)
        let start = ContinuousClock.now, plain = output.json, kinds = try kinds(), option = faults.map { " --faults \($0)" } ?? ""
        // Few seeds are shown one by one, many by their violations and a line now and then.
        let shows = chosen.count <= 64
        let report = SimulateCommand.play(chosen, kinds, jobs: jobs) { played, checks in
            guard !plain else { return }
            if shows || !checks.violations.isEmpty {
                print("seed \(played.seed): \(checks.commits) commits, \(checks.rounds) rounds, \(checks.violations.isEmpty ? "all held" : "VIOLATED")")
                for violation in checks.violations { print("  \(violation.checker): \(violation.message)\n  bring it back: swift run assay simulate --seed \(played.seed)\(option)") }
            }
            defer { fflush(nil) }
            if !shows, played.count.isMultiple(of: 100) { print("\(played.count) of \(chosen.count) seeds, \(start.duration(to: .now).formatted(.time(pattern: .hourMinuteSecond)))") }
        }
        let took = start.duration(to: .now)
        let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
        if plain {
            try printJSON(Summary(
                seeds: report.seeds, violations: report.violations.map { .init(seed: $0.seed, checker: $0.checker, message: $0.message) },
                eventKinds: report.eventKinds, rounds: report.rounds, seconds: seconds))
        } else {
            print("\(report.seeds.count) seeds, \(report.violations.count) violations, \(report.eventKinds.count) kinds of events, \(report.rounds) rounds in \(String(format: "%.1f", seconds)) s")
        }
        if !report.violations.isEmpty { throw ExitCode(1) }
    }
}
