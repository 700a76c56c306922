import ArgumentParser
import AssayNode
import Foundation

struct LocalnetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "localnet", abstract: "A whole network on this machine: real processes over loopback.", subcommands: [Up.self, Status.self, Down.self, ChaosCommand.self])

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a network and run it. With --windows N it ends by itself; Ctrl-C ends it at any time.")
        @Option(name: .long, help: "Directory for the network; made if it is not there.") var home: String
        @Option(name: .long, help: "Validators.") var validators = 4
        @Option(name: .long, help: "Honest trainers.") var trainers = 3
        @Option(name: .long, help: "Windows to train; none for no end.") var windows: Int?
        @Option(name: .long, help: "Text to train on, at least 64 KiB.") var data: String
        @Option(name: .long, help: "Model: a name from Genesis/Models, or a file like those.") var model = "tiny"
        @Option(name: .long, help: "Adversaries beside the honest trainers, by comma: lazy, copycat, noise, signflip, nonsense.") var adversaries: String?
        @Option(name: .long, help: "Threads of each node for training and judging.") var threads = 1
        @Option(name: .long, help: "Seconds of a window's commit phase at the most.") var windowSeconds: Double?
        @Option(name: .long, help: "Seconds after which the committee is read anew from the stakes; 0 for never.") var epochSeconds: Double?
        @Option(name: .long, help: "Another file of rules than Genesis/localnet.json.") var rules: String?
        @Option(name: .long, help: "Processes that each honest trainer's layers are spread over.") var stages = 1
        @Option(name: .long, help: "Inner steps of the honest trainers' windows, in turn, by comma, where the rules leave a choice (minimumSteps, maximumSteps).") var steps: String?
        @Flag(name: .long, help: "Leave it running in the background.") var detach = false
        @OptionGroup var output: JSONOption

        func run() async throws {
            let steps = try (steps ?? "").split(separator: ",").map { part in
                guard let steps = UInt32(part) else { throw ValidationError("--steps \(part): numbers by comma, like 20,10") }
                return steps
            }
            let options = Localnet.Options(
                home: file(home), validators: validators, trainers: trainers, windows: windows, data: file(data), model: model,
                adversaries: adversaries.map { $0.split(separator: ",").map(String.init) } ?? [], threads: threads, windowSeconds: windowSeconds, epochSeconds: epochSeconds,
                rules: rules.map(file), stages: stages, steps: steps, json: output.json)
            let code = detach ? try await Localnet.detach(options) : try await Localnet.up(options)
            if code != 0 { throw ExitCode(code) }
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What the network's nodes say of themselves.")
        @Option(name: .long, help: "The network's directory.") var home: String
        @OptionGroup var output: JSONOption
        func run() async throws {
            let status = try await Localnet.status(file(home))
            if output.json { try printJSON(status) } else { print(status.text) }
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End all of the network's processes.")
        @Option(name: .long, help: "The network's directory.") var home: String
        @OptionGroup var output: JSONOption
        func run() async throws {
            let ended = try await Localnet.down(file(home))
            if output.json { try printJSON(["ended": ended]) } else { print("Ended \(ended) processes.") }
        }
    }
}
