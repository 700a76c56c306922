import AssayCrypto
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import Foundation
import Logging
import Synchronization
import Testing

/// Validators' networks and strangers, over loopback.
@Suite(.serialized) struct PeerNetworkTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let genesis = Digest.sha256([1])

    /// Of owners in order: the lower number dials.
    private func owner(_ number: UInt64) -> Address { Address(number: number) }
    private func network(_ identity: NetworkIdentity, own: UInt64, _ peers: [PeerNetwork.Peer], genesis other: Digest? = nil, version: UInt32 = Limits.protocolVersion, log: Logger = quiet) -> PeerNetwork {
        PeerNetwork(identity: identity, own: owner(own), genesis: other ?? genesis, peers: peers, version: version, log: log)
    }
    private func peer(_ number: UInt64, _ identity: NetworkIdentity, port: Int = 1) -> PeerNetwork.Peer { .init(owner: owner(number), host: "127.0.0.1", port: port, key: identity.keyDigest) }

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

    // MARK: Peers that come and go

    @Test func `a peer that is named later connects, and one that is named no more is cut off at once and refused`() async throws {
        let ids = try (0..<3).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, []), zero = network(ids[0], own: 0, [])
        let onePort = try await one.start(host: "127.0.0.1", port: 0), zeroPort = try await zero.start(host: "127.0.0.1", port: 0)
        // Zero knows one, and dials it; one does not know zero yet, and refuses it, again and again.
        zero.setPeers([peer(1, ids[1], port: onePort)])
        #expect(await comes { one.counters.refused >= 2 })
        #expect(one.connected == [] && zero.connected == [])
        one.setPeers([peer(0, ids[0], port: zeroPort)])
        #expect(await areConnected(zero, one))
        // A third, that both know from now on, finds both; what they had stays as it was.
        let refused = (zero.counters.refused, one.counters.refused)
        let two = network(ids[2], own: 2, [peer(0, ids[0], port: zeroPort), peer(1, ids[1], port: onePort)])
        let twoPort = try await two.start(host: "127.0.0.1", port: 0)
        for node in [zero, one] { node.setPeers([peer(0, ids[0], port: zeroPort), peer(1, ids[1], port: onePort), peer(2, ids[2], port: twoPort)]) }
        #expect(await comes { zero.connected == [owner(1), owner(2)] && one.connected == [owner(0), owner(2)] && two.connected == [owner(0), owner(1)] })
        #expect(refused == (zero.counters.refused, one.counters.refused))
        // It is named no more: nothing goes to it or comes from it, however often it tries; the others go on.
        for node in [zero, one] { node.setPeers([peer(0, ids[0], port: zeroPort), peer(1, ids[1], port: onePort)]) }
        #expect(zero.connected == [owner(1)] && one.connected == [owner(0)])
        #expect(await comes { two.connected == [] })
        two.broadcast(Frame(kind: 1, bytes: [2]))
        zero.broadcast(Frame(kind: 1, bytes: [0]))
        var heard: [Address] = []
        for await event in one.events {
            guard case .frame(_, let from) = event else { continue }
            heard.append(from)
            break
        }
        #expect(heard == [owner(0)])
        for node in [zero, one, two] { await node.stop() }
    }

    @Test func `who is cut off is as if it were not named, whoever is named meanwhile, until the cut is over`() async throws {
        let (zero, one) = try await pair()
        one.cut([owner(0), owner(9)])
        #expect(one.connected == [])
        #expect(await comes { zero.connected == [] && one.counters.refused >= 2 })
        zero.broadcast(Frame(kind: 1, bytes: [1]))
        #expect(one.connected == [] && one.counters.receivedFrames == 0)
        one.cut([])
        #expect(await areConnected(zero, one))
        await zero.stop()
        await one.stop()
    }

    @Test func `peers that are named again as they were keep their connection`() async throws {
        let ids = try (0..<2).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(0, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        #expect(await areConnected(zero, one))
        for _ in 0..<100 { zero.setPeers([peer(0, ids[0]), peer(1, ids[1], port: port)]) }
        zero.send(Frame(kind: 1, bytes: [7]), to: owner(1))
        var seen: [String] = []
        for await event in one.events {
            seen.append("\(event)")
            if case .frame = event { break }
        }
        #expect(seen.count == 2, "one greeting, one frame: \(seen)")
        await zero.stop()
        await one.stop()
    }

    @Test func `a peer that moves, or has a new key, reconnects, and its old key is refused`() async throws {
        let ids = try (0..<3).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(0, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        #expect(await areConnected(zero, one))
        // One's owner runs it elsewhere, with another key.
        let moved = network(ids[2], own: 1, [peer(0, ids[0])])
        let newPort = try await moved.start(host: "127.0.0.1", port: 0)
        zero.setPeers([peer(1, ids[2], port: newPort)])
        #expect(await areConnected(zero, moved))
        #expect(await comes { one.connected == [] })
        // Zero's owner gives it a new key too. By the old one it gets in no more.
        let later = try NetworkIdentity.generate()
        moved.setPeers([peer(0, later)])
        #expect(moved.connected == [])
        let refused = moved.counters.refused
        #expect(await comes { moved.counters.refused > refused && zero.connected == [] })
        await zero.stop()
        let again = network(later, own: 0, [peer(1, ids[2], port: newPort)])
        try await again.start(host: "127.0.0.1", port: 0)
        #expect(await areConnected(again, moved))
        for node in [one, moved, again] { await node.stop() }
    }

    @Test func `whoever names another's key as its own keeps nobody out`() async throws {
        let ids = try (0..<2).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(7, ids[0]), peer(0, ids[0]), peer(8, ids[0])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let zero = network(ids[0], own: 0, [peer(1, ids[1], port: port), peer(9, ids[1], port: port)])
        try await zero.start(host: "127.0.0.1", port: 0)
        #expect(await areConnected(zero, one))
        await zero.stop()
        await one.stop()
    }

    @Test func `of a pair only the lower address dials`() async throws {
        let ids = try (0..<3).map { _ in try NetworkIdentity.generate() }
        let one = network(ids[1], own: 1, [peer(2, ids[2])])
        let port = try await one.start(host: "127.0.0.1", port: 0)
        // Two takes one for three, and so dials.
        let two = network(ids[2], own: 2, [peer(3, ids[1], port: port)])
        try await two.start(host: "127.0.0.1", port: 0)
        #expect(await comes { one.counters.refused >= 1 && two.counters.refused >= 1 })
        #expect(one.connected == [] && two.connected == [])
        await two.stop()
        await one.stop()
    }

    @Test func `another protocol version is refused before anything else is read, and said once, with what to do`() async throws {
        let ids = try (0..<2).map { _ in try NetworkIdentity.generate() }
        let said = Said(), current = Limits.protocolVersion
        let one = network(ids[1], own: 1, [peer(0, ids[0])], log: Logger(label: "test") { _ in said })
        let port = try await one.start(host: "127.0.0.1", port: 0)
        let older = network(ids[0], own: 0, [peer(1, ids[1], port: port)], version: current - 1)
        try await older.start(host: "127.0.0.1", port: 0)
        #expect(await comes { one.counters.refused >= 3 })
        #expect(one.connected == [] && older.connected == [] && one.counters.receivedFrames == 0)
        await older.stop()
        #expect(said.warnings == ["validator \(owner(0)) speaks protocol version \(current - 1), this node \(current): nothing is exchanged with it until that node runs a newer program"])
        // With a program of this version it is let in.
        let newer = network(ids[0], own: 0, [peer(1, ids[1], port: port)])
        try await newer.start(host: "127.0.0.1", port: 0)
        #expect(await areConnected(newer, one))
        await newer.stop()
        await one.stop()
    }

    @Test func `a greeting's version is told whatever follows it`() {
        // Version 1 had a seat of two bytes where the address is.
        let first = bytes(hex: "41535359010000006f800f13de17ee64d5d08b602b631d7e8b8bbc6d8643e5d282f5da56739e2d5b0200")!
        #expect(Greeting.version(of: first) == 1 && (try? Greeting(canonicalBytes: first)) == nil)
        #expect(Greeting.version(of: Greeting(version: 77, genesis: genesis, owner: owner(1)).canonicalBytes) == 77)
        #expect(Greeting.version(of: Array(first.prefix(7))) == nil && Greeting.version(of: Array(first.dropFirst())) == nil)
    }
}

/// Keeps what is warned of.
private final class Said: LogHandler, @unchecked Sendable {
    private let kept = Mutex<[String]>([])
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning
    var warnings: [String] { kept.withLock { $0 } }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { kept.withLock { $0.append("\(event.message)") } }
}
