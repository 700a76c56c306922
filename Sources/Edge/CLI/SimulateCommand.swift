import ArgumentParser
import AssaySimulator
import Foundation

/// `assay simulate`: whole networks in one thread, under faults and adversaries that follow from a seed.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Play networks under faults and adversaries, each the function of its seed, and check what must always hold.",
        discussion: "Authorities, ledgers, scorers and trainers are those that run in the world; training is answered by a table. A violation ends with the command that brings it back.")

    @Option(name: .long, help: "Play one seed.") var seed: UInt64?
    @Option(name: .long, help: "Play the seeds A..B, both included.") var seeds: String?
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
        if let seeds, SimulateCommand.range(seeds) == nil { throw ValidationError("--seeds wants A..B with A not above B, not \(seeds)") }
    }

    private static func range(_ text: String) -> ClosedRange<UInt64>? {
        let parts = text.components(separatedBy: "..")
        guard parts.count == 2, let first = UInt64(parts[0]), let last = UInt64(parts[1]), first <= last, last - first < 1_000_000 else { return nil }
        return first...last
    }

    func run() throws {
        let chosen = seeds.flatMap(SimulateCommand.range) ?? seed.map { $0...$0 } ?? 0...7
        let start = ContinuousClock.now
        let plain = output.json
        let report = Swarm.play(seeds: chosen) { seed, world in
            if !plain {
                let faults = world.checks.violations
                print("seed \(seed): \(world.checks.commits) commits, \(world.checks.rounds) rounds, \(faults.isEmpty ? "all held" : "VIOLATED")")
                for fault in faults { print("  \(fault.checker): \(fault.message)\n  bring it back: swift run assay simulate --seed \(seed)") }
            }
            return true
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
