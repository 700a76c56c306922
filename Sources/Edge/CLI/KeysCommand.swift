import ArgumentParser
import AssayCrypto
import AssayNode
import AssayPrimitives
import Foundation

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Keys in Ethereum's keystore format (version 3), as wallets read them.", subcommands: [New.self, Show.self, Import.self])

    struct Row: Codable { var address, file: String }

    struct PasswordOption: ParsableArguments {
        @Option(name: .long, help: "File with the password; else ASSAY_PASSWORD, else asked for on the terminal.") var passwordFile: String?

        func password(confirm: Bool) throws -> String { try readPassword(file: passwordFile.map(file), confirm: confirm) }
    }

    struct New: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a key.")
        @Argument(help: "Where to write it.") var keystore: String
        @OptionGroup var password: PasswordOption
        @OptionGroup var output: JSONOption
        func run() async throws {
            let key = try KeyPair(privateBytes: randomBytes(32))
            try KeysCommand.write(key, keystore, password, output)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Whose key a keystore holds; with --private the key itself, if the password is right.")
        @Argument(help: "The keystore.") var keystore: String
        @Flag(name: .customLong("private"), help: "Show the private key.") var showPrivate = false
        @OptionGroup var password: PasswordOption
        @OptionGroup var output: JSONOption
        func run() async throws {
            var facts = ["address": try Keystore.address(file(keystore)).description, "file": file(keystore).path]
            if showPrivate { facts["privateKey"] = hex(try Keystore.read(file(keystore), password: try password.password(confirm: false)).privateBytes) }
            if output.json { return try printJSON(facts) }
            print(facts["address"]!)
            if let key = facts["privateKey"] { print(key) }
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Put a private key, read from a file of 64 hexadecimal digits, into a keystore.")
        @Option(name: .long, help: "File with the private key.") var from: String
        @Argument(help: "Where to write it.") var keystore: String
        @OptionGroup var password: PasswordOption
        @OptionGroup var output: JSONOption
        func run() async throws {
            guard let text = try? String(contentsOf: file(from), encoding: .utf8) else { throw Failure("no file at \(file(from).path)") }
            guard let raw = bytes(hex: text.trimmingCharacters(in: .whitespacesAndNewlines)), let key = try? KeyPair(privateBytes: raw) else {
                throw Failure("\(file(from).path) holds no private key", remedy: "It must be 64 hexadecimal digits, with or without 0x.")
            }
            try KeysCommand.write(key, keystore, password, output)
        }
    }

    private static func write(_ key: KeyPair, _ path: String, _ password: PasswordOption, _ output: JSONOption) throws {
        let url = file(path)
        guard !FileManager.default.fileExists(atPath: url.path) else { throw Failure("\(url.path) exists already", remedy: "Give another name; a key is never overwritten.") }
        try Keystore.write(key, to: url, password: try password.password(confirm: true))
        if output.json { try printJSON(Row(address: key.address.description, file: url.path)) } else { print("\(key.address)  \(url.path)") }
    }
}
