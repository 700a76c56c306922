import ArgumentParser
import AssayAudit
import AssayNode
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation

/// What the benches of windows have in common.
struct BenchRunOptions: ParsableArguments {
    @Option(name: .long, help: "The model.") var shape = BenchShape.char
    @Option(name: .long, help: "Numbers of the linear layers.") var profile = Named(NumericsProfile.f32)
    @Option(name: .long, help: "H: inner steps of a window.") var steps = 20
    @Option(name: .long, help: "How payloads are written.") var compressor = Named(TrainingRules.Compressor.lowRankInt4)
    @Option(name: .long, help: "Rank of lowrank-int4.") var rank = 64
    @Option(name: .long, help: "Threads.") var threads = 1

    func check() throws {
        guard (1...256).contains(threads), (1...10_000).contains(steps), (1...4_096).contains(rank) else { throw ValidationError("--threads is 1…256, --steps 1…10000, --rank 1…4096") }
    }
}

struct BenchReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "What a validator's replay of a segment costs beside the window that it is a part of.",
        discussion: "A window and replays of one of its segments from a served state are measured in turn. 1.00 is the price of the segment's share of the window: J of H steps.")
    @OptionGroup var window: BenchRunOptions
    @Option(name: .long, help: "J: steps of a segment; divides H.") var segment = 5
    @Option(name: .long, help: "Pairs of a window and its replays.") var pairs = 3
    @OptionGroup var output: JSONOption

    func run() throws {
        try KernelPath.selectFromEnvironment()
        try window.check()
        guard segment > 0, window.steps.isMultiple(of: segment), window.steps / segment > 1, (1...1_000).contains(pairs) else { throw ValidationError("--segment \(segment): it divides --steps \(window.steps), at least twice; --pairs is 1…1000") }
        let bench = BenchRun(shape: window.shape, profile: window.profile.rule, steps: window.steps, segmentSteps: segment, compressor: window.compressor.rule, rank: window.rank)
        let report = try ReplayBench(bench, threads: window.threads, pairs: pairs) { FileHandle.standardError.write(Data("pair \($0): \(String(format: "%.3f", $1))\n".utf8)) }
        if output.json { return try printJSON(report) }
        print("\(window.shape), \(window.profile.rule.name): a window of \(report.innerSteps) steps \(String(format: "%.2f", report.windowSeconds)) s, a replay of \(report.segmentSteps) \(String(format: "%.2f", report.replaySeconds)) s, "
            + "\(String(format: "%.3f", report.cost)) of its share; with the compression \(String(format: "%.2f", report.lastReplaySeconds)) s, \(String(format: "%.3f", report.lastCost))")
    }
}

struct BenchLinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "link", abstract: "How much of a trainer's time goes into inner steps while payloads travel over a slow link.",
        discussion: "Compute is measured, the link is emulated: bytes go through a socket at its rate. Beside it, computed from the same measures: the same without the one-step delay, and fp32 all-reduce every step.")
    @OptionGroup var window: BenchRunOptions
    @Option(name: .long, help: "Mbit/s each way; several by comma.") var megabits = "1000,100"
    @Option(name: .customLong("latency"), help: "Milliseconds one way.") var latency = 20.0
    @Option(name: .long, help: "D: trainers whose payloads are aggregated.") var trainers = 4
    @Option(name: .long, help: "Windows that are measured, for each rate.") var windows = 3
    @OptionGroup var output: JSONOption

    func run() throws {
        try KernelPath.selectFromEnvironment()
        try window.check()
        let rates = megabits.split(separator: ",").map { Double($0) ?? .nan }
        guard !rates.isEmpty, rates.allSatisfy({ $0 >= 0.001 && $0 <= 1e6 }) else { throw ValidationError("--megabits \(megabits): numbers from 0.001 to 1000000, by comma, like 1000,100") }
        guard (0...60_000).contains(latency), (2...256).contains(trainers), (1...1_000).contains(windows) else { throw ValidationError("--latency is 0…60000, --trainers 2…256, --windows 1…1000") }
        var options = LinkBench.Options()
        (options.shape, options.profile, options.compressor, options.rank) = (window.shape, window.profile.rule, window.compressor.rule, window.rank)
        (options.steps, options.windows, options.trainers, options.threads) = (window.steps, windows, trainers, window.threads)
        (options.megabits, options.latencyMilliseconds) = (rates, latency)
        let report = try LinkBench.run(options) { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        if output.json { try printJSON(report) } else { print(report.text) }
    }
}
