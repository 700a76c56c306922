import ArgumentParser
import AssayNode

struct ValidatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "validator", abstract: "Run a validator: order the ledger, judge the work, earn.", subcommands: [Init.self, Run.self, Status.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run the validator whose home this is, until SIGINT or SIGTERM.")
        @Option(name: .long, help: "The node's home, with node.json, genesis and keys.") var home: String
        @Flag(name: .long, help: .hidden) var exitWithParent = false
        @OptionGroup var output: JSONOption
        func run() async throws { try await ValidatorNode.run(home: NodeHome(file(home)), exitWithParent: exitWithParent, json: output.json) }
    }
}

extension ValidatorCommand {
    struct Init: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make the home of a new validator: its keys, node.json, and what its owner needs to stake.")
        @Option(name: .long, help: "The home: a new directory.") var home: String
        @Option(name: .long, help: "The network's genesis file.") var genesis: String
        @Option(name: .long, help: "The run's text.") var data: String
        @Option(name: .long, help: "HOST:PORT to listen on for the other validators.") var listen: String
        @Option(name: .long, help: "HOST:PORT of its JSON-RPC server.") var rpc: String
        @Option(name: .long, help: "HOST:PORT where the others reach it, if that is not --listen.") var endpoint: String?
        @Option(name: .long, help: "The owner's account; without it a key for it is made too.") var owner: String?
        @Option(name: .long, help: "Hundredths of a percent that the validator keeps of its delegators' rewards.") var commissionBps: UInt16 = 0
        @Option(name: .long, help: "Threads for judging.") var threads = 1
        @OptionGroup var output: JSONOption

        func run() async throws {
            var options = ValidatorSetup.Options(home: file(home), genesis: file(genesis), data: file(data), listen: listen, rpc: rpc)
            (options.endpoint, options.owner, options.commissionBps, options.threads) = (endpoint, owner, commissionBps, threads)
            let made = try ValidatorSetup.make(options)
            if output.json { try printJSON(made) } else { print(made.text) }
        }
    }

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
        @Option(name: .long, help: "s/S: this process has the s-th of S parts of the layers, from 0, which is the trainer. The others only compute.") var stage: String?
        @Option(name: .long, help: "HOST:PORT where stage s − 1 reaches this one; not for stage 0.") var listen: String?
        @Option(name: .long, help: "HOST:PORT where stage s + 1 listens; not for the last.") var next: String?
        @Option(name: .long, help: "Seconds without a byte after which another stage counts as lost.") var stageTimeout: Double = 300
        @Flag(name: .long, help: .hidden) var exitWithParent = false
        @OptionGroup var output: JSONOption
        func validate() throws { if stage == nil, listen != nil || next != nil { throw ValidationError("--listen and --next belong to --stage s/S") } }
        func run() async throws {
            let place = try stage.map { try StagePlace(stage: $0, listen: listen, next: next, timeoutSeconds: stageTimeout) }
            try await TrainerNode.run(home: NodeHome(file(home)), place: place, exitWithParent: exitWithParent, json: output.json)
        }
    }
}
