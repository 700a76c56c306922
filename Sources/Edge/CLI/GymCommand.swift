import ArgumentParser
import AssayGym
import AssayNode
import AssayTensor
import Foundation

/// `assay gym`: ways of training together compared on one machine, without a ledger.
struct GymCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gym", abstract: "Compare ways of training together: simulated trainers in one process, without a ledger.",
        discussion: """
            Every arm of a gym file trains the same model on the same tokens in another way: AdamW on one worker, gradients averaged after every step, \
            DiLoCo windows with delay, compression and outer step as the arm says. DIR gets a curve for each arm and seed (ARM-SEED.csv), all of them in one \
            picture (curves.svg), and a table (summary.md, summary.json) with losses, bytes and what a link of 1 Gbit/s or 100 Mbit/s would leave of the speed.

            Begin with any text:      assay gym Gym/quick.json --data TEXT --out DIR
            One strategy, no file:    assay gym --strategy diloco --data TEXT --out DIR
            The published ladder:     assay gym Gym/ladder.json --data tinyshakespeare.txt --out DIR

            It may be stopped at any time: the same command goes on where it was and ends with the same numbers, to the bit.
            Strategies by name: \(BuiltIn.strategies.map { "\($0.name) (\($0.summary))" }.joined(separator: ", ")). Docs/Gym.md describes the file.
            """)

    @Argument(help: ArgumentHelp("A gym file: Docs/Gym.md.", valueName: "file")) var gym: String?
    @Option(name: .long, help: "One of the built-in strategies instead of a file.") var strategy: String?
    @Option(name: .long, help: "The data, instead of what the file names: a text, or a shard of u16 tokens if the file is about shards.") var data: String?
    @Option(name: .long, help: ArgumentHelp("Directory for what comes out; made if it is not there.", valueName: "dir")) var out: String
    @Option(name: .long, help: "Threads of a trainer. The numbers do not depend on it.") var threads = 1
    @Option(name: .long, help: ArgumentHelp("Only these arms, by comma.", valueName: "names")) var arms: String?
    @Option(name: .long, help: ArgumentHelp("These seeds instead of the file's, by comma.", valueName: "numbers")) var seeds: String?
    @Flag(name: .long, help: "Write each arm's model when it ends: DIR/ARM-SEED/model.safetensors and config.json, as transformers loads them.") var export = false
    @OptionGroup var output: JSONOption

    func validate() throws {
        if gym != nil, strategy != nil { throw ValidationError("a gym file says its strategies itself: give the file or --strategy, not both") }
        if gym == nil, strategy == nil { throw ValidationError("give a gym file, or --strategy: \(BuiltIn.strategies.map(\.name).joined(separator: ", "))") }
        if let strategy, !BuiltIn.strategies.contains(where: { $0.name == strategy }) {
            throw ValidationError("there is no strategy “\(strategy)”; known are \(BuiltIn.strategies.map(\.name).joined(separator: ", ")); everything else is said in a gym file")
        }
        guard (1...256).contains(threads) else { throw ValidationError("--threads is \(threads), allowed is 1…256") }
        _ = try numbers()
    }

    private func numbers() throws -> [UInt64]? {
        guard let seeds else { return nil }
        let numbers = try seeds.split(separator: ",").map { text in
            guard let number = UInt64(text.trimmingCharacters(in: .whitespaces)) else { throw ValidationError("--seeds wants numbers by comma, like 1,2,3, not \(seeds)") }
            return number
        }
        guard !numbers.isEmpty, Set(numbers).count == numbers.count else { throw ValidationError("--seeds wants at least one number, and none twice") }
        return numbers
    }

    func run() throws {
        try KernelPath.selectFromEnvironment()
        var options = GymSession.Options(out: file(out))
        (options.file, options.strategy, options.data, options.threads) = (gym.map(file), strategy, data.map(file), threads)
        options.exports = export
        (options.arms, options.seeds) = (arms?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }, try numbers())
        let session = try GymSession(options)
        let terminal = isatty(STDERR_FILENO) == 1, json = output.json
        if !json { print("\(session.plan.name): \(session.plan.parameters) parameters, \(session.plan.arms.count) arms, \(session.plan.tokens) tokens each, vocabulary \(session.plan.shape.vocabulary)") }
        fflush(nil)
        var shown = ContinuousClock.now - .seconds(1)
        let summary = try session.run { progress in
            // On a terminal one line that moves; elsewhere a line for each point of a curve, and none for programs.
            if terminal, progress.isPoint || shown.duration(to: .now) > .milliseconds(200) {
                FileHandle.standardError.write(Data("\r\(GymCommand.line(progress))\u{1B}[K".utf8))
                shown = .now
            } else if !terminal, !json, progress.isPoint || progress.diverged {
                print(GymCommand.line(progress))
                fflush(nil)
            }
        }
        if terminal { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
        if json { return try printJSON(summary) }
        print("\n\(summary.markdown)\nCurves: \(options.out.appending(path: "curves.svg").path)")
    }

    private static func line(_ at: GymSession.Progress) -> String {
        let loss = at.diverged ? "diverged" : at.validationLoss.map { "loss " + String(format: "%.4f", $0) } ?? "", left = at.secondsLeft.map { ", \(time($0)) left" } ?? ""
        return "\(at.number) of \(at.count): \(at.arm), seed \(at.seed), step \(at.step) of \(at.steps), \(loss), \(String(format: "%.0f", at.tokensPerSecond)) tokens/s\(left)"
    }

    private static func time(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        return whole >= 3_600 ? "\(whole / 3_600) h \(whole % 3_600 / 60) min" : whole >= 60 ? "\(whole / 60) min \(whole % 60) s" : "\(whole) s"
    }
}
