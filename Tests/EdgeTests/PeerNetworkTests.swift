import AssayCrypto
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import Foundation
import Logging
import Testing

/// Two validators' networks and strangers, over loopback.
@Suite(.serialized) struct PeerNetworkTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let genesis = Digest.sha256([1])

    private func network(_ identity: NetworkIdentity, own: Int, _ peers: [PeerNetwork.Peer], genesis other: Digest? = nil) -> PeerNetwork {
        PeerNetwork(identity: identity, own: AuthorityIndex(own), genesis: other ?? genesis, peers: peers, log: Self.quiet)
    }
    private func peer(_ index: Int, _ identity: NetworkIdentity, port: Int = 1) -> PeerNetwork.Peer { .init(index: AuthorityIndex(index), host: "127.0.0.1", port: port, key: identity.keyDigest) }

    /// Waits for a condition; false after ten seconds.
    private func comes(_ condition: () -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while !condition() {
            if ContinuousClock.now > end { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return true
    }

    /// A plain TCP client. Gives what came back before the other side closed; nil if it never did.
    private func stranger(port: Int, sends bytes: [UInt8]) throws -> [UInt8]? {
        let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(handle) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } }
        try #require(connected == 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        _ = send(handle, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        var answer: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(handle, &buffer, buffer.count, 0)
            if count > 0 { answer += buffer.prefix(count) } else { return count == 0 || errno == ECONNRESET ? answer : nil }
        }
    }

    @Test func `validators greet each other and frames arrive whole and in order`() async throws {
        let ids = try (0..<2).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(0, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        #expect(await comes { zero.connected == [AuthorityIndex(1)] && one.connected == [AuthorityIndex(0)] })
        let sent = (0..<50).map { Frame(kind: 1, bytes: [UInt8](repeating: UInt8($0), count: $0 * 1_000)) }
        for frame in sent { zero.send(frame, to: AuthorityIndex(1)) }
        var received: [Frame] = []
        for await event in one.events {
            guard case .frame(let frame, let from) = event else { continue }
            #expect(from == AuthorityIndex(0))
            received.append(frame)
            one.handled(frame, from: from)
            if received.count == sent.count { break }
        }
        #expect(received == sent)
        await zero.stop()
        await one.stop()
    }

    @Test func `a stranger's key, another network's greeting and plain garbage are refused, and validators go on`() async throws {
        let ids = try (0..<3).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(0, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)

        let keyless = network(ids[2], own: 0, [peer(1, ids[1], port: port)])
        try await keyless.start(host: "127.0.0.1", port: 0)
        #expect(await comes { one.counters.refused >= 1 })
        #expect(keyless.connected == [] && one.connected == [])
        await keyless.stop()

        let before = one.counters.refused
        let foreign = network(ids[0], own: 0, [peer(1, ids[1], port: port)], genesis: Digest.sha256([2]))
        try await foreign.start(host: "127.0.0.1", port: 0)
        #expect(await comes { one.counters.refused > before })
        #expect(one.connected == [])
        await foreign.stop()

        var chance = SeededGenerator(seed: 5)
        for bytes in [Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), [0x16, 3, 1, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 70_000), (0..<3_000).map { _ in UInt8(truncatingIfNeeded: chance.next()) }] {
            #expect(try stranger(port: port, sends: bytes) != nil, "the connection is closed")
        }
        // Half open: says nothing, and is closed when the greeting's time is over.
        #expect(try stranger(port: port, sends: []) != nil)

        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        #expect(await comes { zero.connected == [AuthorityIndex(1)] && one.connected == [AuthorityIndex(0)] })
        await zero.stop()
        await one.stop()
    }

    @Test func `a frame above the limit costs the connection and nothing else`() async throws {
        let ids = try (0..<2).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(0, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        #expect(await comes { zero.connected == [AuthorityIndex(1)] && one.connected == [AuthorityIndex(0)] })
        var chance = SeededGenerator(seed: 6)
        zero.send(Frame(kind: 1, bytes: (0..<Limits.frameBytes / 8 + 1).flatMap { _ in withUnsafeBytes(of: chance.next()) { Array($0) } }), to: AuthorityIndex(1))
        #expect(await comes { one.counters.refused >= 1 })
        #expect(one.counters.receivedFrames == 0)
        #expect(await comes { zero.connected == [AuthorityIndex(1)] && one.connected == [AuthorityIndex(0)] }, "the lower seat dials again")
        await zero.stop()
        await one.stop()
    }

    @Test func `what a peer sends faster than it is handled waits on its side, not in our memory`() async throws {
        let ids = try (0..<2).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(0, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        #expect(await comes { zero.connected == [AuthorityIndex(1)] && one.connected == [AuthorityIndex(0)] })
        var chance = SeededGenerator(seed: 7)
        let piece = (0..<1 << 17).flatMap { _ in withUnsafeBytes(of: chance.next()) { Array($0) } }
        let count = 48
        for _ in 0..<count { zero.send(Frame(kind: 1, bytes: piece), to: AuthorityIndex(1)) }
        // Nobody takes the frames: reading stops a little above the limit, and stays there.
        #expect(await comes { one.counters.receivedBytes >= PeerNetwork.inboundLimit })
        var last = -1
        #expect(await comes {
            defer { last = one.counters.receivedBytes }
            return one.counters.receivedBytes == last
        })
        #expect(one.counters.receivedBytes < PeerNetwork.inboundLimit + 12 << 20)
        // Somebody does: all of them come.
        var taken = 0
        for await event in one.events {
            guard case .frame(let frame, let from) = event else { continue }
            one.handled(frame, from: from)
            taken += 1
            if taken == count { break }
        }
        #expect(taken == count)
        await zero.stop()
        await one.stop()
    }

    @Test func `a port in use is named, with what to do`() async throws {
        let ids = try (0..<2).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(0, ids[0])]), again = network(ids[1], own: 1, [peer(0, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let error = await #expect(throws: NetworkError.self) { try await again.start(host: "127.0.0.1", port: port) }
        #expect(error?.description.contains("\(port)") == true && error?.description.contains("node.json") == true)
        await again.stop()
        await one.stop()
    }
}
