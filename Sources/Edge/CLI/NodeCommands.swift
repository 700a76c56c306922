import ArgumentParser
import AssayNode

struct ValidatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "validator", abstract: "Run a validator: order the ledger, judge the work, earn.", subcommands: [Run.self, Status.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run the validator whose home this is, until SIGINT or SIGTERM.")
        @Option(name: .long, help: "The node's home, with node.json, genesis and keys.") var home: String
        @Flag(name: .long, help: .hidden) var exitWithParent = false
        @OptionGroup var output: JSONOption
        func run() async throws { try await ValidatorNode.run(home: NodeHome(file(home)), exitWithParent: exitWithParent, json: output.json) }
    }
}

extension ValidatorCommand {
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Say how a running validator is: where it stands, how far others are behind, and why it makes no block if it makes none.")
        @Option(name: .long, help: "The node's home.") var home: String?
        @Option(name: .long, help: "A validator's JSON-RPC address, instead of a home.") var rpc: String?
        @OptionGroup var output: JSONOption

        func validate() throws { if (home == nil) == (rpc == nil) { throw ValidationError("give --home HOME or --rpc URL") } }

        func run() async throws {
            let status = try await ValidatorStatus.read(home: home.map { NodeHome(file($0)) }, rpc: rpc)
            if output.json { print(status.json) } else { print(status.text) }
        }
    }
}

struct TrainerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "trainer", abstract: "Stake computers and train: be paid for what the work was worth.", subcommands: [Join.self])

    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Register and stake if that is not done, join the run, and train until it ends.")
        @Option(name: .long, help: "The trainer's home, with node.json, genesis and keys.") var home: String
        @Flag(name: .long, help: .hidden) var exitWithParent = false
        @OptionGroup var output: JSONOption
        func run() async throws { try await TrainerNode.run(home: NodeHome(file(home)), exitWithParent: exitWithParent, json: output.json) }
    }
}
