import Foundation

/// The interpreter of the test environment that `make test` sets up, named by ASSAY_PYTHON. Tests that need it are off without it.
public enum Python {
    public static let interpreter: String? = {
        guard let path = ProcessInfo.processInfo.environment["ASSAY_PYTHON"], FileManager.default.isExecutableFile(atPath: path) else { return nil }
        return path
    }()
    public static var isThere: Bool { interpreter != nil }
    public static let absent = "ASSAY_PYTHON names no interpreter; `make test` sets one up"

    public static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Python")

    public struct Failed: Error, CustomStringConvertible { public let description: String }

    /// Runs a script of Tests/Python with the input on its standard input, and gives what it printed.
    /// - Throws: `Failed` with its standard error if it did not end with 0.
    public static func run(_ script: String, arguments: [String] = [], input: Data = Data()) throws -> Data {
        guard let interpreter else { throw Failed(description: absent) }
        let process = Process()
        process.executableURL = URL(filePath: interpreter)
        process.arguments = [folder.appending(path: script).path] + arguments
        let files = FileManager.default.temporaryDirectory.appending(path: "assay-python-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: files, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: files) }
        // Files instead of pipes: neither side can block on the other, whatever the sizes.
        func handle(_ name: String, _ content: Data) throws -> FileHandle {
            try content.write(to: files.appending(path: name))
            return try FileHandle(forUpdating: files.appending(path: name))
        }
        process.standardInput = try handle("in", input)
        process.standardOutput = try handle("out", Data())
        process.standardError = try handle("err", Data())
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let message = (try? String(contentsOf: files.appending(path: "err"), encoding: .utf8)) ?? ""
            throw Failed(description: "\(script) ended with \(process.terminationStatus): \(message.suffix(2_000))")
        }
        return try Data(contentsOf: files.appending(path: "out"))
    }

    /// The same with JSON both ways.
    public static func json(_ script: String, _ input: Any) throws -> Any {
        try JSONSerialization.jsonObject(with: run(script, input: JSONSerialization.data(withJSONObject: input, options: [.fragmentsAllowed])), options: [.fragmentsAllowed])
    }
}
