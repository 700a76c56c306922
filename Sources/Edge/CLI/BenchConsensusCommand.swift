import ArgumentParser
import AssayNode
import Foundation

struct BenchConsensusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consensus", abstract: "What a committee on this machine orders a second, and how long from submit to commit.",
        discussion: "Clients send by the clock, however long answers take. Opaque transactions are random bytes that the ledger only counts and hashes; signed ones are transfers that the real ledger executes.")
    @Option(name: .long, help: "Nodes.") var validators = 4
    @Option(name: .long, help: "opaque or signed.") var load = "opaque"
    @Option(name: .long, help: "Transactions a second that are offered, over all nodes.") var rate = 10_000.0
    @Option(name: .long, help: "Seconds that are measured.") var seconds = 20.0
    @Option(name: .customLong("warm-up"), help: "Seconds before that.") var warmUp = 5.0
    @Option(name: .long, help: "Bytes of a transaction.") var bytes = 512
    @Flag(name: .long, help: "All nodes in one process instead of a process each.") var oneProcess = false
    @Flag(name: .long, inversion: .prefixedNo, help: "Wait for the disk before anything relies on what was written.") var fsync = true
    @Option(name: .long, help: "Least milliseconds between a node's blocks.") var roundDelay: UInt64 = 50
    @Option(name: .long, help: "Empty or new directory for the nodes' files, kept; by default a temporary one.") var home: String?
    @OptionGroup var output: JSONOption

    func run() async throws {
        var options: ConsensusBench.Options
        do {
            options = try ConsensusBench.Options(load: load)
            (options.validators, options.rate, options.seconds, options.warmUpSeconds, options.bytes) = (validators, rate, seconds, warmUp, bytes)
            (options.inOneProcess, options.fsync, options.roundDelayMilliseconds, options.home) = (oneProcess, fsync, roundDelay, home.map(file))
            try options.check()
        } catch let failure as Failure { throw ValidationError(failure.description) }
        let report = try await ConsensusBench.run(options) { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        if output.json { try printJSON(report) } else { print(report.text) }
        guard report.stateRootsEqual else { throw Failure("the nodes came to different states", remedy: "That is a fault of this program: keep --home and report it.") }
    }
}

/// One node of a measurement, as a process of its own.
struct BenchConsensusNodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "consensus-node", abstract: "One node of `bench consensus`, which starts it.", shouldDisplay: false)
    @Option(name: .long, help: "The node's directory.") var home: String
    func run() async throws { try await ConsensusBench.runNode(home: file(home)) }
}
