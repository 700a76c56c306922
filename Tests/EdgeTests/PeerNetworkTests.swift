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
    private func owner(_ number: Int) -> Address { Address(number: UInt64(number + 1)) }

    private func network(_ identity: NetworkIdentity, own: Int, _ peers: [PeerNetwork.Peer], genesis other: Digest? = nil) -> PeerNetwork {
        PeerNetwork(identity: identity, own: owner(own), genesis: other ?? genesis, peers: peers, log: Self.quiet)
    }
    private func peer(_ index: Int, _ identity: NetworkIdentity, port: Int = 1) -> PeerNetwork.Peer { .init(owner: owner(index), host: "127.0.0.1", port: port, key: identity.keyDigest) }

    /// Waits for a condition; false after ten seconds.
    private func comes(_ condition: () -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while !condition() {
            if ContinuousClock.now > end { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return true
    }

    /// Two that have greeted each other: owners 0 and 1.
    private func pair() async throws -> (zero: PeerNetwork, one: PeerNetwork) {
        let ids = try (0..<2).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(0, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        try #require(await areConnected(zero, one))
        return (zero, one)
    }
    private func areConnected(_ zero: PeerNetwork, _ one: PeerNetwork) async -> Bool { await comes { zero.connected == [owner(1)] && one.connected == [owner(0)] } }

    @Test func `validators greet each other and frames arrive whole and in order`() async throws {
        let (zero, one) = try await pair()
        let sent = (0..<50).map { Frame(kind: 1, bytes: [UInt8](repeating: UInt8($0), count: $0 * 1_000)) }
        for frame in sent { zero.send(frame, to: owner(1)) }
        var received: [Frame] = []
        for await event in one.events {
            guard case .frame(let frame, let from) = event else { continue }
            #expect(from == owner(0))
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
            #expect(try Loopback.exchange(port: port, sends: bytes) != nil, "the connection is closed")
        }
        // Half open: says nothing, and is closed when the greeting's time is over.
        #expect(try Loopback.exchange(port: port, sends: []) != nil)

        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        #expect(await areConnected(zero, one))
        await zero.stop()
        await one.stop()
    }

    @Test func `who may connect is told while it runs: a newcomer comes, one that is no longer named goes, and a changed key is a stranger's until it is known`() async throws {
        let ids = try (0..<4).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let zero = network(ids[0], own: 0, [])
        try await zero.start(host: "127.0.0.1", port: 0)
        let newcomer = network(ids[2], own: 2, [peer(1, ids[1], port: port)])
        let newPort = try await newcomer.start(host: "127.0.0.1", port: 0)

        // Named on one side only it is refused; on both it is there.
        zero.setPeers([peer(1, ids[1], port: port)])
        #expect(await comes { one.counters.refused >= 1 })
        #expect(zero.connected == [])
        one.setPeers([peer(0, ids[0]), peer(2, ids[2], port: newPort)])
        #expect(await comes { one.connected == [owner(0), owner(2)] && zero.connected == [owner(1)] && newcomer.connected == [owner(1)] })

        // Nothing changes: nobody loses a connection.
        let frames = one.counters.receivedFrames
        one.setPeers([peer(2, ids[2], port: newPort), peer(0, ids[0])])
        zero.send(Frame(kind: 1, bytes: [1]), to: owner(1))
        #expect(await comes { one.counters.receivedFrames == frames + 1 })
        #expect(one.connected == [owner(0), owner(2)])

        one.setPeers([peer(0, ids[0])])
        #expect(await comes { one.connected == [owner(0)] && newcomer.connected == [] })

        // One's view of zero has another key now: zero's connection goes, and comes again once the key is zero's.
        one.setPeers([peer(0, ids[3])])
        #expect(await comes { one.connected == [] && zero.connected == [] })
        one.setPeers([peer(0, ids[0])])
        #expect(await areConnected(zero, one))
        for network in [zero, one, newcomer] { await network.stop() }
    }

    @Test func `a frame above the limit costs the connection and nothing else`() async throws {
        let (zero, one) = try await pair()
        var chance = SeededGenerator(seed: 6)
        zero.send(Frame(kind: 1, bytes: (0..<Limits.frameBytes / 8 + 1).flatMap { _ in withUnsafeBytes(of: chance.next()) { Array($0) } }), to: owner(1))
        #expect(await comes { one.counters.refused >= 1 })
        #expect(one.counters.receivedFrames == 0)
        #expect(await areConnected(zero, one), "the lower address dials again")
        await zero.stop()
        await one.stop()
    }

    @Test func `what a peer sends faster than it is handled waits on its side, not in our memory`() async throws {
        let (zero, one) = try await pair()
        var chance = SeededGenerator(seed: 7)
        let piece = (0..<1 << 17).flatMap { _ in withUnsafeBytes(of: chance.next()) { Array($0) } }
        let count = 48
        for _ in 0..<count { zero.send(Frame(kind: 1, bytes: piece), to: owner(1)) }
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
