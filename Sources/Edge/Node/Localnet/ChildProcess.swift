import Foundation
import Synchronization

/// A process that this one started, that ends with it, and whose output goes to a file.
///
/// The child holds the reading end of a pipe and ends when the other end closes: so it goes even if its parent was killed.
public final class ChildProcess: Sendable {
    public let name: String
    public let log: URL
    private let process: Mutex<Process>
    private let lifeline: FileHandle
    public let identifier: Int32

    public init(name: String, executable: URL, arguments: [String], environment: [String: String] = [:], log: URL) throws {
        self.name = name
        self.log = log
        let process = Process()
        let pipe = Pipe()
        if !FileManager.default.fileExists(atPath: log.path) { _ = FileManager.default.createFile(atPath: log.path, contents: nil) }
        let output: FileHandle
        do { output = try FileHandle(forWritingTo: log) } catch { throw Failure("cannot write \(log.path): \(error.localizedDescription)") }
        _ = try? output.seekToEnd()
        process.executableURL = executable
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = pipe.fileHandleForReading
        process.standardOutput = output
        process.standardError = output
        do { try process.run() } catch { throw Failure("cannot start \(name): \(error.localizedDescription)") }
        // Only the child may hold the reading end, and only we the writing one.
        try? pipe.fileHandleForReading.close()
        try? output.close()
        lifeline = pipe.fileHandleForWriting
        identifier = process.processIdentifier
        self.process = Mutex(process)
    }

    public var isRunning: Bool { process.withLock { $0.isRunning } }

    /// Its exit status once it has ended.
    public var status: Int32? { process.withLock { $0.isRunning ? nil : $0.terminationStatus } }

    /// Asks it to end.
    public func terminate() {
        if isRunning { kill(identifier, SIGTERM) }
        try? lifeline.close()
    }

    /// Asks all to end, and ends those that have not after the time limit.
    public static func endAll(_ children: [ChildProcess], within limit: Duration = .seconds(10)) async {
        for child in children { child.terminate() }
        let deadline = ContinuousClock.now + limit
        while children.contains(where: \.isRunning), ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
        for child in children where child.isRunning { kill(child.identifier, SIGKILL) }
    }

    /// The last lines it wrote.
    public func tail(_ lines: Int = 5) -> String {
        let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(lines).joined(separator: "\n")
    }
}

/// Ports that were free a moment ago, all different.
func freePorts(_ count: Int) throws -> [Int] {
    var sockets: [Int32] = [], ports: [Int] = []
    defer { for socket in sockets { close(socket) } }
    // Below those that systems hand out by themselves, to whom anybody connects from: one of those may be gone before its process begins.
    for _ in 0..<1_000 where ports.count < count {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0), port = UInt16.random(in: 10_240..<32_768)
        guard descriptor >= 0 else { throw Failure("no socket: \(String(cString: strerror(errno)))") }
        sockets.append(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        let bound = withUnsafeMutablePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 } }
        if bound { ports.append(Int(port)) }
    }
    guard ports.count == count else { throw Failure("no \(count) free ports on 127.0.0.1 between 10240 and 32767") }
    return ports
}
