import ArgumentParser
import AssayNode
import Foundation

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "audit", abstract: "Check what was contributed, paid and slashed.", subcommands: [History.self, Replay.self])

    struct Source: ParsableArguments {
        @Option(name: .long, help: "A local network's directory: its validators are asked if they run, else their files are read.") var home: String?
        @Option(name: .long, help: "JSON-RPC URL of a validator.") var rpc: String?
        func validate() throws { if (home == nil) == (rpc == nil) { throw ValidationError("give --home or --rpc") } }
        var source: Audit.Source { home.map { .home(file($0)) } ?? .rpc(rpc!) }
    }

    struct History: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Every event that changed a score, rating, stake or balance.")
        @OptionGroup var source: Source
        @Option(name: .long, help: "Only this trainer or validator.") var trainer: String?
        @Option(name: .long, help: "Only windows A..B, both included.") var windows: String?
        @OptionGroup var output: JSONOption

        func run() async throws {
            var range: ClosedRange<UInt64>?
            if let windows {
                let parts = windows.components(separatedBy: "..").compactMap(UInt64.init)
                guard parts.count == 2, parts[0] <= parts[1] else { throw ValidationError("--windows wants A..B with A not above B, not \(windows)") }
                range = parts[0]...parts[1]
            }
            let rows = try await Audit.history(source.source, trainer: trainer, windows: range)
            if output.json { return try printJSON(rows) }
            for row in rows { print(row.text) }
            print("\(rows.count) events")
        }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Compute a contribution again: its loss-delta and its training, segment by segment. Exit code 1 if anything differs.")
        @OptionGroup var source: Source
        @Option(name: .long, help: "The trainer's address.") var trainer: String
        @Option(name: .long, help: "The window.") var window: UInt64
        @Option(name: .long, help: "One segment; otherwise all of them.") var segment: UInt32?
        @Option(name: .long, help: "The run's genesis file; that of --home otherwise.") var genesis: String?
        @Option(name: .long, help: "The run's data file; that of --home otherwise.") var data: String?
        @OptionGroup var output: JSONOption

        func run() async throws {
            let result = try await Audit.replay(source.source, trainer: trainer, window: window, segment: segment, genesis: genesis.map(file), data: data.map(file)) { line in
                if !output.json { print(line) }
            }
            if output.json { try printJSON(result) } else { print(result.isEqual ? "equal" : "NOT EQUAL") }
            if !result.isEqual { throw ExitCode(1) }
        }
    }
}
