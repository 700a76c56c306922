import ArgumentParser
import AssayNode
import Foundation

/// `assay export`: a run's model for other programs.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a run's model as Hugging Face transformers loads it: model.safetensors and config.json.",
        discussion: "The model is θ of a window, checked against the root on the ledger. A gym's arms are written by assay gym --export.")

    @Option(name: .long, help: "A local network's directory: its validators are asked if they run, else their files are read.") var home: String?
    @Option(name: .long, help: "JSON-RPC URL of a validator.") var rpc: String?
    @Option(name: .long, help: "A file of parameters as a validator keeps them in its blobs, instead of --home or --rpc.") var checkpoint: String?
    @Option(name: .long, help: "The window whose opening parameters are written; otherwise the last that has any.") var window: UInt64?
    @Option(name: .long, help: "The run's genesis file; that of --home otherwise.") var genesis: String?
    @Option(name: .long, help: ArgumentHelp("Directory for the model; made if it is not there.", valueName: "dir")) var out: String
    @OptionGroup var output: JSONOption

    func validate() throws {
        guard [home, rpc, checkpoint].compactMap({ $0 }).count == 1 else { throw ValidationError("give one of --home, --rpc and --checkpoint") }
        if home == nil, genesis == nil { throw ValidationError("give the run's genesis file with --genesis") }
        if checkpoint != nil, window != nil { throw ValidationError("a file of parameters is of one window: leave --window out") }
    }

    func run() async throws {
        let written: Export.Exported
        if let checkpoint, let genesis { written = try Export.checkpoint(file(checkpoint), genesis: file(genesis), out: file(out)) } else {
            written = try await Export.network(home.map { .home(file($0)) } ?? .rpc(rpc ?? ""), window: window, genesis: genesis.map(file), out: file(out))
        }
        if output.json { return try printJSON(written) }
        print("\(written.parameters) parameters\(written.window.map { " of window \($0)" } ?? "") written to \(written.directory)\nTheir root: \(written.parametersRoot)")
    }
}
