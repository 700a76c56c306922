import AssayTensor
import Foundation

/// A link of a given rate and latency, emulated: bytes go through a socket pair of this process, each at its time on the wire.
final class PacedLink: Sendable {
    private let bytesPerSecond, latencySeconds: Double
    /// What is written at a time.
    private static let slice = 16 * 1_024

    init(megabitsPerSecond: Double, latencyMilliseconds: Double) { (bytesPerSecond, latencySeconds) = (megabitsPerSecond * 125_000, latencyMilliseconds / 1_000) }

    /// Sends bytes and returns what arrived, when all of it has.
    func carry(_ bytes: [UInt8]) throws -> [UInt8] {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else { throw Failure("no socket pair: \(String(cString: strerror(errno)))") }
        let sending = ends[0], receiving = ends[1]
        let writer = ComputeThread { [bytesPerSecond] in
            let clock = ContinuousClock(), began = clock.now
            var sent = 0
            while sent < bytes.count {
                let part = min(PacedLink.slice, bytes.count - sent)
                // The last bit of the slice is on the wire by then, not before.
                let due = began.advanced(by: .seconds(Double(sent + part) / bytesPerSecond)), wait = clock.now.duration(to: due)
                if wait > .zero { Thread.sleep(forTimeInterval: wait.inSeconds) }
                var at = sent
                while at < sent + part {
                    let written = bytes.withUnsafeBytes { write(sending, $0.baseAddress! + at, sent + part - at) }
                    guard written > 0 else { close(sending); return }
                    at += written
                }
                sent += part
            }
            close(sending)
        }
        defer {
            close(receiving)
            writer.join()
        }
        var arrived = [UInt8](repeating: 0, count: bytes.count), count = 0
        while count < arrived.count {
            let more = arrived.withUnsafeMutableBytes { read(receiving, $0.baseAddress! + count, $0.count - count) }
            guard more > 0 else { throw Failure("the emulated link broke after \(count) of \(bytes.count) bytes") }
            count += more
        }
        Thread.sleep(forTimeInterval: latencySeconds)
        return arrived
    }
}

/// Work of another thread, to be waited for once.
final class Underway<Value: Sendable>: Sendable {
    private let outcome = Gate<Result<Value, any Error>?>(nil)
    private let thread: ComputeThread

    init(_ body: @escaping @Sendable () throws -> Value) {
        thread = ComputeThread { [outcome] in
            let result = Result { try body() }
            outcome.change { $0 = result }
        }
    }
    func wait() throws -> Value {
        thread.join()
        guard let result = outcome.change({ $0 }) else { preconditionFailure("a thread ended without its work") }
        return try result.get()
    }
}
