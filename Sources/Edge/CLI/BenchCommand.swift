import ArgumentParser
import AssayNode
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bench", abstract: "Measure this machine.", subcommands: [KernelsCommand.self, TrainCommand.self, BenchCompressCommand.self, BenchConsensusCommand.self, BenchConsensusNodeCommand.self,
                                                                                                            BenchCatchUpCommand.self, BenchDiskCommand.self, BenchReplayCommand.self, BenchLinkCommand.self])

    struct KernelsCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "kernels", abstract: "Rate of every kernel on every path, its share of the core's peak, and the root that 50 steps of training must give.")
        @Flag(name: .long, help: "Fewer repetitions.") var quick = false
        @OptionGroup var output: JSONOption
        func run() throws {
            try KernelPath.selectFromEnvironment()
            let report = benchKernels(quick: quick)
            if output.json { return try printJSON(report) }
            for peak in report.peaks { print("\(peak.path): peak \(String(format: "%.0f", peak.gigaflopsPerSecond)) GFLOP/s") }
            for rate in report.rates { print("\(rate.path)  \(rate.kernel)  \(rate.shape)  \(String(format: "%.1f", rate.gigaflopsPerSecond)) GFLOP/s  \(String(format: "%.0f", rate.shareOfPeak * 100)) %") }
            for rate in report.integers { print("\(rate.path)  \(rate.kernel)  \(rate.shape)  \(String(format: "%.0f", rate.gigaoperationsPerSecond)) GOP/s  \(String(format: "%.0f", rate.shareOfPeak * 100)) %") }
            print("trained root \(report.trainedRoot)")
        }
    }

    struct TrainCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "train", abstract: "Tokens per second of training.")
        @Option(name: .long, help: "The model.") var shape = BenchShape.nano
        @Option(name: .long, help: "Numbers of the linear layers.") var profile = Named(NumericsProfile.f32)
        @Option(name: .long, help: "Threads.") var threads = 1
        @Option(name: .long, help: "Steps; the median counts.") var steps = 12
        @Option(name: .long, help: "Stages of a pipeline, as threads of this process; each has --threads.") var stages = 1
        @Option(name: .long, help: "Parts of a batch that go through one after the other.") var microBatches = 1
        @OptionGroup var output: JSONOption
        func run() throws {
            try KernelPath.selectFromEnvironment()
            let modelShape = shape.shape.with(profile.rule), rows = shape.rows
            guard (1...256).contains(threads), (1...10_000).contains(steps) else { throw ValidationError("--threads is 1…256, --steps 1…10000") }
            guard (1...modelShape.layers).contains(stages) else { throw ValidationError("--stages is 1…\(modelShape.layers), the layers of \(shape)") }
            guard microBatches > 0, rows.isMultiple(of: microBatches) else { throw ValidationError("--micro-batches \(microBatches) does not divide the \(rows) sequences of \(shape)") }
            if stages > 1 || microBatches > 1 { return try runStages(modelShape, rows) }
            let rate = benchTraining(shape: modelShape, rows: rows, threads: threads, steps: steps, path: .current)
            let kernels = profile.rule == .i8 ? KernelPath.currentName : KernelPath.current.rawValue
            struct Report: Encodable { var shape, profile, kernels: String; var threads: Int; var tokensPerSecond: Double }
            if output.json { return try printJSON(Report(shape: shape.rawValue, profile: profile.rule.name, kernels: kernels, threads: threads, tokensPerSecond: rate)) }
            print("\(shape), \(profile.rule.name): \(String(format: "%.0f", rate)) tokens/s, \(threads) threads, \(kernels)")
        }

        private func runStages(_ modelShape: ModelShape, _ rows: Int) throws {
            let bench = benchPipeline(shape: modelShape, rows: rows, stages: stages, microBatches: microBatches, threads: threads, steps: steps)
            if output.json { return try printJSON(bench) }
            let share = { (value: Double) in String(format: "%.1f", value * 100) }
            print("\(shape), \(profile.rule.name): \(String(format: "%.0f", bench.tokensPerSecond)) tokens/s, \(stages) stages of \(threads) threads, \(microBatches) micro-batches; "
                + "bubble share \(share(bench.bubbleShare)) %, by the formula \(share(bench.bubbleShareByFormula)) %; "
                + "waiting a step: \(bench.waitingSeconds.map { String(format: "%.3f", $0) }.joined(separator: ", ")) s")
        }
    }
}
