import ArgumentParser
import AssayNode

struct ValidatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "validator", abstract: "Run a validator: order the ledger, judge the work, earn.", subcommands: [Run.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run the validator whose home this is, until SIGINT or SIGTERM.")
        @Option(name: .long, help: "The node's home, with node.json, genesis and keys.") var home: String
        @Flag(name: .long, help: .hidden) var exitWithParent = false
        @OptionGroup var output: JSONOption
        func run() async throws { try await ValidatorNode.run(home: NodeHome(file(home)), exitWithParent: exitWithParent, json: output.json) }
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
