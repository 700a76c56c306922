import ArgumentParser
import AssayNode
import Foundation

/// `assay`: one file a command; parse, call one function, print.
@main
struct Assay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "assay",
        abstract: "Train a language model together with people you do not trust.",
        discussion: "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the ledger. Every command takes --json.",
        version: "0.1.0",
        subcommands: [
            LocalnetCommand.self, ValidatorCommand.self, TrainerCommand.self, KeysCommand.self, StakeCommand.self, UnstakeCommand.self,
            ClaimCommand.self, AuditCommand.self, SimulateCommand.self, GymCommand.self, ExportCommand.self, BenchCommand.self,
        ])

    /// As ArgumentParser's own, but with our exit codes and errors that speak for themselves.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? AsyncParsableCommand { try await asynchronous.run() } else { try command.run() }
        } catch let error as ExitCode {
            Foundation.exit(error.rawValue)
        } catch let error as Failure {
            complain(error.description)
            Foundation.exit(1)
        } catch let error as Refusal {
            complain(error.description)
            Foundation.exit(3)
        } catch {
            let code = exitCode(for: error)
            if code == .validationFailure || code == .success {
                let text = fullMessage(for: error)
                if code == .success { print(text) } else { complain(text, bare: true) }
                Foundation.exit(code == .success ? 0 : 2)
            }
            complain("\(error)")
            Foundation.exit(1)
        }
    }

    private static func complain(_ text: String, bare: Bool = false) {
        FileHandle.standardError.write(Data((bare ? text : "assay: \(text)").appending("\n").utf8))
    }
}

/// Prints a value as JSON, for programs.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// A path as given on the command line.
func file(_ path: String) -> URL { URL(filePath: (path as NSString).expandingTildeInPath) }

struct JSONOption: ParsableArguments {
    @Flag(name: .long, help: "Print the same facts as JSON, for programs.") var json = false
}
