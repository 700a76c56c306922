import AssayCrypto
import AssayPrimitives
import AssayProtocol
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Connections between a network's validators: TLS 1.3 both ways, keys pinned, one connection a pair (the lower address dials).
///
/// A peer is its owner's account, whatever seat it has, and whether it has one. Whom to know, where they listen and which key is theirs comes from
/// the ledger, and may change at any time.
/// A peer that sends garbage, too large a frame or another network's greeting loses its connection, and nothing else happens.
public final class PeerNetwork: Sendable {
    public struct Peer: Hashable, Sendable {
        public let owner: Address
        public let host: String
        public let port: Int
        /// SHA-256 of the key's SubjectPublicKeyInfo.
        public let key: Digest
        public init(owner: Address, host: String, port: Int, key: Digest) { (self.owner, self.host, self.port, self.key) = (owner, host, port, key) }
    }
    public enum Event: Sendable {
        case connected(Address)
        case disconnected(Address)
        case frame(Frame, from: Address)
    }
    public struct Counters: Hashable, Sendable {
        public var sentBytes = 0, receivedBytes = 0, sentFrames = 0, receivedFrames = 0, refused = 0
    }

    /// Bytes that may wait for a peer that does not read; beyond it the connection is closed.
    static let outboundLimit = 64 << 20
    /// Bytes from a peer that may wait to be handled; beyond it nothing more is read from its connection until half of them are.
    public static let inboundLimit = 16 << 20
    /// Connections that came and have not said who they are, at most. A new one takes the place of the oldest: whoever is honest needs
    /// milliseconds for its greeting.
    public static let strangerLimit = 128

    let identity: NetworkIdentity
    let own: Address
    let genesis: Digest
    /// Of the protocol that this node speaks.
    let version: UInt32
    let log: Logger
    let group: MultiThreadedEventLoopGroup
    let state: Mutex<State>
    private let continuation: AsyncStream<Event>.Continuation
    public let events: AsyncStream<Event>

    struct State {
        /// Whom the ledger names, without this node itself.
        var named: [Address: Peer] = [:]
        /// Whom a test has cut off.
        var cut: Set<Address> = []
        /// Whom to know: those named and not cut off.
        var peers: [Address: Peer] = [:]
        /// A key may be named by several owners: whose it is, its greeting says.
        var keys: Set<Digest> = []
        /// Of each peer that this node dials.
        var dials: [Address: Dial] = [:]
        /// Connections that were greeted.
        var links: [Address: Link] = [:]
        /// Received and not yet handled, of whatever connections.
        var inboundBytes: [Address: Int] = [:]
        /// Connections that came and were not greeted yet, oldest first.
        var strangers: [any Channel] = []
        /// Of keys whose node speaks another protocol version: said once.
        var otherVersions: [Digest: UInt32] = [:]
        var counters = Counters()
        var server: (any Channel)?
        /// What dialled connections begin with; nil until this node listens.
        var tls: NIOSSLContext?
        var isStopped = false
    }
    struct Link {
        let channel: any Channel
        /// Handed to the channel and not yet written.
        var waitingBytes = 0
        var isPaused = false
    }

    public init(identity: NetworkIdentity, own: Address, genesis: Digest, peers: [Peer], version: UInt32 = Limits.protocolVersion, log: Logger) {
        (self.identity, self.own, self.genesis, self.version, self.log) = (identity, own, genesis, version, log)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        state = Mutex(State())
        (events, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
        setPeers(peers)
    }

    /// Listens and dials. - Returns: the port, which the system chose if 0 was asked for.
    @discardableResult
    public func start(host: String, port: Int) async throws -> Int {
        let tls = try NIOSSLContext(configuration: configuration(server: false))
        let server = try await listen(host: host, port: port)
        let dials = state.withLock { state in
            (state.server, state.tls) = (server, tls)
            return newDials(&state)
        }
        for dial in dials { reach(dial) }
        return server.localAddress?.port ?? port
    }

    public func stop() async {
        let (server, channels) = state.withLock { state in
            state.isStopped = true
            return (state.server, state.links.values.map(\.channel))
        }
        try? await server?.close()
        for channel in channels { try? await channel.close() }
        continuation.finish()
        try? await group.shutdownGracefully()
    }

    /// Whom to know from now on, this node itself left out. New ones are dialled or awaited. Who is no longer named, or has another endpoint or
    /// key, loses its connection at once: nothing more is heard from it, and nothing is sent.
    ///
    /// Costs little when nothing changed.
    public func setPeers(_ peers: [Peer]) {
        var named = Dictionary(peers.map { ($0.owner, $0) }, uniquingKeysWith: { $1 })
        named[own] = nil
        meet { $0.named = named }
    }
    /// For tests: as if these were not named, until others are cut off.
    public func cut(_ owners: Set<Address>) { meet { $0.cut = owners } }

    private func meet(_ change: (inout State) -> Void) {
        let (lost, dials) = state.withLock { state -> ([any Channel], [Dial]) in
            change(&state)
            let known = state.named.filter { !state.cut.contains($0.key) }
            guard known != state.peers else { return ([], []) }
            let changed = state.peers.values.filter { known[$0.owner] != $0 }.map(\.owner).sorted()
            state.peers = known
            state.keys = Set(known.values.map(\.key))
            state.otherVersions = state.otherVersions.filter { state.keys.contains($0.key) }
            let lost = changed.compactMap { owner -> (any Channel)? in
                state.dials[owner] = nil
                guard let link = state.links.removeValue(forKey: owner) else { return nil }
                continuation.yield(.disconnected(owner))
                return link.channel
            }
            return (lost, newDials(&state))
        }
        for channel in lost { channel.close(promise: nil) }
        for dial in dials { reach(dial) }
    }

    /// To peers that this node is to dial and does not yet.
    private func newDials(_ state: inout State) -> [Dial] {
        guard state.tls != nil else { return [] }
        let new = state.peers.values.filter { own < $0.owner && state.dials[$0.owner] == nil }.sorted { $0.owner < $1.owner }.map { Dial($0) }
        for dial in new { state.dials[dial.peer.owner] = dial }
        return new
    }

    public var connected: [Address] { state.withLock { $0.links.keys.sorted() } }
    public var counters: Counters { state.withLock { $0.counters } }

    // MARK: Frames

    /// Hands a frame to a peer's connection, if there is one. Never waits.
    public func send(_ frame: Frame, to peer: Address) {
        let (channel, isTooMuch) = state.withLock { state -> ((any Channel)?, Bool) in
            guard let link = state.links[peer] else { return (nil, false) }
            let waiting = link.waitingBytes + frame.bytes.count
            state.links[peer]?.waitingBytes = waiting
            state.counters.sentBytes += frame.bytes.count
            state.counters.sentFrames += 1
            if waiting > PeerNetwork.outboundLimit { state.counters.refused += 1 }
            return (link.channel, waiting > PeerNetwork.outboundLimit)
        }
        guard let channel else { return }
        if isTooMuch { return channel.close(promise: nil) }
        channel.writeAndFlush(frame).whenComplete { _ in
            self.state.withLock { state in
                guard state.isCurrent(channel, of: peer) else { return }
                state.links[peer]?.waitingBytes -= frame.bytes.count
            }
        }
    }
    /// To all that are connected.
    public func broadcast(_ frame: Frame) { for peer in connected { send(frame, to: peer) } }

    /// Closes a peer's connection for what came over it. It may come again, and is greeted anew.
    public func drop(_ peer: Address, _ reason: String) {
        refused("\(peer): \(reason)")
        state.withLock { $0.links[peer]?.channel }?.close(promise: nil)
    }

    /// Whoever took a frame from `events` is done with it: its bytes no longer count against the peer.
    public func handled(_ frame: Frame, from peer: Address) {
        let resumed = state.withLock { state -> (any Channel)? in
            let left = max(0, state.inboundBytes[peer, default: 0] - frame.bytes.count - Frame.overhead)
            state.inboundBytes[peer] = left > 0 ? left : nil
            guard left <= PeerNetwork.inboundLimit / 2, let link = state.links[peer], link.isPaused else { return nil }
            state.links[peer]?.isPaused = false
            return link.channel
        }
        resumed?.setOption(.autoRead, value: true).whenSuccess { resumed?.read() }
    }

    // MARK: What sessions tell

    /// - Returns: why the connection is refused; nil if the peer is connected by it now.
    func greeted(_ greeting: Greeting, key: Digest, dial: Dial?, _ channel: any Channel) -> String? {
        let owner = greeting.owner
        let (refusal, old) = state.withLock { state -> (String?, (any Channel)?) in
            guard state.peers[owner]?.key == key else { return ("the key is not that of \(owner), which its greeting names", nil) }
            if let dial {
                guard state.dials[owner] === dial else { return ("\(dial.peer.owner) was dialled as it was known before, or another answered", nil) }
                dial.milliseconds.withLock { $0 = Dial.least }
            } else if owner > own { return ("\(owner) dialled, though its address is the higher one", nil) }
            let old = state.links.updateValue(Link(channel: channel), forKey: owner)
            state.otherVersions[key] = nil
            continuation.yield(.connected(owner))
            return (nil, old?.channel)
        }
        if let refusal { return refusal }
        known(channel)
        old?.close(promise: nil)
        log.debug("connected", metadata: ["peer": "\(owner)"])
        return nil
    }

    func received(_ frame: Frame, from peer: Address, _ channel: any Channel) {
        let isFull = state.withLock { state -> Bool in
            // A connection that another has replaced, or whose peer is no longer known, is not heard.
            guard state.isCurrent(channel, of: peer) else { return false }
            state.counters.receivedBytes += frame.bytes.count
            state.counters.receivedFrames += 1
            let waiting = state.inboundBytes[peer, default: 0] + frame.bytes.count + Frame.overhead
            state.inboundBytes[peer] = waiting
            continuation.yield(.frame(frame, from: peer))
            guard waiting > PeerNetwork.inboundLimit, state.links[peer]?.isPaused == false else { return false }
            state.links[peer]?.isPaused = true
            return true
        }
        if isFull { channel.setOption(.autoRead, value: false).whenFailure { _ in } }
    }

    func closed(_ peer: Address, _ channel: any Channel) {
        let wasCurrent = state.withLock { state -> Bool in
            guard state.isCurrent(channel, of: peer) else { return false }
            state.links[peer] = nil
            continuation.yield(.disconnected(peer))
            return true
        }
        if wasCurrent { log.debug("disconnected", metadata: ["peer": "\(peer)"]) }
    }

    func refused(_ reason: String) {
        state.withLock { $0.counters.refused += 1 }
        log.debug("connection refused", metadata: ["reason": "\(reason)"])
    }

    /// Said aloud, and once: nothing but a newer program on one side helps.
    func refused(version other: UInt32, key: Digest) {
        let (owners, isNew) = state.withLock { state -> ([Address], Bool) in
            state.counters.refused += 1
            return (state.peers.values.filter { $0.key == key }.map(\.owner).sorted(), state.otherVersions.updateValue(other, forKey: key) != other)
        }
        guard isNew else { return }
        let older = other < version ? "that node" : "this node"
        log.warning("validator \(owners.map(\.description).joined(separator: " or ")) speaks protocol version \(other), this node \(version): nothing is exchanged with it until \(older) runs a newer program")
    }
}

extension PeerNetwork.State {
    func isCurrent(_ channel: any Channel, of peer: Address) -> Bool { links[peer].map { ObjectIdentifier($0.channel) == ObjectIdentifier(channel) } ?? false }
}
