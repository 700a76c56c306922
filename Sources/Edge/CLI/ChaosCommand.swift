import ArgumentParser
import AssayNode
import Foundation

struct ChaosCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaos", abstract: "Make a network, get its validators into trouble, and check that they come out of it.",
        discussion: """
            Validators are killed, stopped and cut off from each other, lose their disks or run out of room, by a seed. After each trouble all must be at work again and \
            agree, and nobody may be slashed. Exit code 1 if something did not hold; then the network's files are kept.
            """)
    @Option(name: .long, help: "Text to train on, at least 64 KiB.") var data: String
    @Option(name: .long, help: "Directory for the network, kept; by default a temporary one.") var home: String?
    @Option(name: .long, help: "What happens, and when, follows from it.") var seed: UInt64 = 1
    @Option(name: .long, help: "Seconds after which no new trouble begins.") var seconds = 600.0
    @Option(name: .long, help: "The end after so many troubles, if that is sooner.") var steps: Int?
    @Option(name: .long, help: "Validators.") var validators = 4
    @Option(name: .long, help: "Trainers, all of them honest.") var trainers = 2
    @Option(name: .long, help: "Seconds after which the committee is read anew from the stakes; 0 for never.") var epochSeconds = 20.0
    @Option(name: .long, help: ArgumentHelp("Only these kinds of troubles, by comma: \(Chaos.Options.known.joined(separator: ", ")).", valueName: "kinds")) var only: String?
    @OptionGroup var output: JSONOption

    func run() async throws {
        var options = Chaos.Options(data: file(data))
        (options.home, options.seed, options.seconds, options.steps, options.validators, options.trainers) = (home.map(file), seed, seconds, steps, validators, trainers)
        options.epochSeconds = epochSeconds
        do {
            if let only { try options.choose(only: only.split(separator: ",").map(String.init)) }
        } catch let failure as Failure { throw ValidationError(failure.description) }
        let isForPrograms = output.json
        let report = try await Chaos.run(options) { FileHandle(fileDescriptor: isForPrograms ? STDERR_FILENO : STDOUT_FILENO).write(Data("\($0)\n".utf8)) }
        if output.json { try printJSON(report) } else { print(report.text) }
        if report.violation != nil { throw ExitCode(1) }
    }
}
