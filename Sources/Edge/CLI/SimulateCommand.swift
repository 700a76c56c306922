import ArgumentParser
import AssayPrimitives
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
    @Option(name: .long, help: ArgumentHelp("Draw the DAG around the first violation, or the last rounds, and end there: as an image if the name ends in .svg, as text if not; - prints the text. For one seed.", valueName: "file"))
    var dag: String?
    @Option(name: .long, help: "Draw the rounds around this one.") var round: UInt64?
    @Option(name: .long, help: "Draw what this validator has, counted from 0.") var validator: Int?
    @Option(name: .long, help: "Seeds played at a time.") var jobs: Int = ProcessInfo.processInfo.activeProcessorCount
    @OptionGroup var output: JSONOption

    private struct Summary: Encodable {
        struct Violation: Encodable { var seed: UInt64, checker, message, command: String }
        var seeds: [UInt64]
        var violations: [Violation]
        var eventKinds: [String: Int]
        var rounds: UInt64
        var seconds: Double
    }

    func validate() throws {
        if seed != nil, seeds != nil { throw ValidationError("--seed plays one and --seeds many: give one of them") }
        guard (1...1_024).contains(jobs) else { throw ValidationError("--jobs is \(jobs), allowed is 1…1024") }
        if dag != nil, seeds != nil { throw ValidationError("--dag draws one network: give --seed, not --seeds") }
        if dag == nil, round != nil || validator != nil { throw ValidationError("--round and --validator say what --dag FILE draws: give it too") }
        if dag != nil, output.json { throw ValidationError("--dag draws for people: leave --json out") }
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
    private static func play(_ seeds: [UInt64], _ kinds: Set<WorldFaults.Kind>?, faults: String?, jobs: Int, progress: @Sendable (_ played: (seed: UInt64, count: Int), WorldChecks) -> Void) -> SimulationReport {
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
        var report = SimulationReport(faults: faults)
        for (place, checks) in state.withLock({ $0.done }).sorted(by: { $0.key < $1.key }) { report.add(seed: seeds[place], checks) }
        return report
    }

    /// One network, up to its first violation if there is one.
    private func draw(_ seed: UInt64, _ kinds: Set<WorldFaults.Kind>?, to file: String) throws {
        let world = Swarm.play(seed: seed, only: kinds, drawing: true)
        if let validator, !world.validatorIndices.contains(validator) { throw ValidationError("--validator is \(validator); this network has 0 to \(world.validatorIndices.count - 1)") }
        let picture = world.picture(of: validator, around: round.map { Round($0) })
        if file == "-" {
            print(picture.text, terminator: "")
        } else {
            try (file.hasSuffix(".svg") ? picture.svg : picture.text).write(toFile: file, atomically: true, encoding: .utf8)
            print("seed \(seed): \(world.checks.commits) commits, \(world.checks.rounds) rounds; rounds \(picture.rounds.lowerBound) to \(picture.rounds.upperBound) are drawn in \(file)")
        }
        for violation in world.checks.violations { print("  \(violation.checker): \(violation.message)\n  bring it back: \(SimulationReport.command(seed: seed, faults: faults))") }
        if !world.checks.violations.isEmpty { throw ExitCode(1) }
    }

    func run() throws {
        let chosen = Array(seeds.flatMap(SimulateCommand.range) ?? seed.map { $0...$0 } ?? 0...7)
        let start = ContinuousClock.now, plain = output.json, kinds = try kinds()
        if let dag { return try draw(chosen[0], kinds, to: dag) }
        // Few seeds are shown one by one, many by their violations and a line now and then.
        let shows = chosen.count <= 64
        let report = SimulateCommand.play(chosen, kinds, faults: faults, jobs: jobs) { played, checks in
            guard !plain else { return }
            if shows || !checks.violations.isEmpty {
                print("seed \(played.seed): \(checks.commits) commits, \(checks.rounds) rounds, \(checks.violations.isEmpty ? "all held" : "VIOLATED")")
                for violation in checks.violations { print("  \(violation.checker): \(violation.message)\n  bring it back: \(SimulationReport.command(seed: played.seed, faults: faults))") }
            }
            defer { fflush(nil) }
            if !shows, played.count.isMultiple(of: 100) { print("\(played.count) of \(chosen.count) seeds, \(start.duration(to: .now).formatted(.time(pattern: .hourMinuteSecond)))") }
        }
        let took = start.duration(to: .now), seconds = took.inSeconds
        if plain {
            try printJSON(Summary(
                seeds: report.seeds, violations: report.violations.map { .init(seed: $0.seed, checker: $0.checker, message: $0.message, command: $0.command) },
                eventKinds: report.eventKinds, rounds: report.rounds, seconds: seconds))
        } else {
            print("\(report.seeds.count) seeds, \(report.violations.count) violations, \(report.eventKinds.count) kinds of events, \(report.rounds) rounds in \(String(format: "%.1f", seconds)) s")
        }
        if !report.violations.isEmpty { throw ExitCode(1) }
    }
}
