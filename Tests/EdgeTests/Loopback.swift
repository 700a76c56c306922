import Foundation
import Testing

/// Plain sockets on 127.0.0.1, for what no library would send.
enum Loopback {
    private static func socket(_ port: Int, _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32) throws -> Int32 {
        let handle = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var one: Int32 = 1
        setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { use(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } }
        if result != 0 { close(handle) }
        try #require(result == 0, "port \(port): errno \(errno)")
        return handle
    }

    /// Takes a port until it is closed.
    static func listen(on port: Int) throws -> Int32 {
        let handle = try socket(port) { bind($0, $1, $2) }
        try #require(Foundation.listen(handle, 4) == 0)
        return handle
    }

    /// Sends bytes. Gives what came back before the other side closed; nil if it did not within the time.
    static func exchange(port: Int, sends bytes: [UInt8], seconds: Int = 10) throws -> [UInt8]? {
        let handle = try socket(port) { connect($0, $1, $2) }
        defer { close(handle) }
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        _ = send(handle, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        var answer: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(handle, &buffer, buffer.count, 0)
            if count > 0 { answer += buffer.prefix(count) } else { return count == 0 || errno == ECONNRESET ? answer : nil }
        }
    }
}
