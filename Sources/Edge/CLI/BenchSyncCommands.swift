import ArgumentParser
import AssayNode
import Foundation

struct BenchCatchUpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catchup", abstract: "How fast a node without anything catches up with a long chain, beside how fast the chain grows.",
        discussion: "Measures the commits a second of four validators at their busy pace, makes a chain of many commits with real stores and signatures, and lets a fourth validator with an empty store catch up over loopback from three that go on meanwhile.")
    @Option(name: .long, help: "Commits of the chain.") var commits: UInt64 = 100_000
    @Option(name: .customLong("live-seconds"), help: "Seconds for which the live rate is measured.") var liveSeconds = 15.0
    @Option(name: .long, help: "Empty or new directory for the nodes' files, kept; by default a temporary one.") var home: String?
    @OptionGroup var output: JSONOption

    func run() async throws {
        var options = CatchUpBench.Options()
        (options.commits, options.liveSeconds, options.home) = (commits, liveSeconds, home.map(file))
        do { try options.check() } catch let failure as Failure { throw ValidationError(failure.description) }
        let report = try await CatchUpBench.run(options) { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        if output.json { try printJSON(report) } else { print(report.text) }
    }
}

struct BenchDiskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disk", abstract: "How much a validator's database grows in a day, idle and under load, keeping all commits or the last ones.",
        discussion: "Writes a chain in virtual time into a real store, and measures the file over the second half of it.")
    @Option(name: .long, help: "Commits of each run.") var commits: UInt64 = 12_000
    @Option(name: .long, help: "Commits that are kept in the runs that drop old ones.") var kept: UInt64 = 2_000
    @Option(name: .long, help: "Transfers a second under load.") var rate: UInt64 = 60
    @Option(name: .long, help: "Bytes of a transfer.") var bytes = 512
    @Option(name: .long, help: "Empty or new directory for the stores, kept; by default a temporary one.") var home: String?
    @OptionGroup var output: JSONOption

    func run() async throws {
        var options = DiskBench.Options()
        (options.commits, options.kept, options.rate, options.bytes, options.home) = (commits, kept, rate, bytes, home.map(file))
        do { try options.check() } catch let failure as Failure { throw ValidationError(failure.description) }
        let report = try await DiskBench.run(options) { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        if output.json { try printJSON(report) } else { print(report.text) }
    }
}
