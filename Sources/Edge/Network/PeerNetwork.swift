import AssayCrypto
import AssayPrimitives
import AssayProtocol
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// Connections between a network's validators: TLS 1.3 both ways, keys pinned by the ledger, one connection a pair (the lower address dials).
///
/// Nodes are known by their owners' accounts, since seats change with the committee. Who may connect is told by `setPeers`, at any time.
///
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
    private static let helloSeconds: Int64 = 5

    let identity: NetworkIdentity
    let own: Address
    let genesis: Digest
    let log: Logger
    private let group: MultiThreadedEventLoopGroup
    private let state = Mutex(State())
    private let continuation: AsyncStream<Event>.Continuation
    public let events: AsyncStream<Event>

    private struct State {
        /// Who may connect.
        var peers: [Address: Peer] = [:]
        var channels: [Address: any Channel] = [:]
        var isListening = false
        var waitingBytes: [Address: Int] = [:]
        /// Received and not yet handled.
        var inboundBytes: [Address: Int] = [:]
        var paused: Set<Address> = []
        /// Connections that came and were not greeted yet, oldest first.
        var strangers: [any Channel] = []
        var counters = Counters()
        var server: (any Channel)?
        var isStopped = false
    }

    public init(identity: NetworkIdentity, own: Address, genesis: Digest, peers: [Peer], log: Logger) {
        (self.identity, self.own, self.genesis, self.log) = (identity, own, genesis, log)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        (events, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
        setPeers(peers)
    }

    /// Listens and dials. - Returns: the port, which the system chose if 0 was asked for.
    @discardableResult
    public func start(host: String, port: Int) async throws -> Int {
        let tls = try NIOSSLContext(configuration: configuration(server: true))
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in self.setUp(channel, tls: .server(tls)) }
        let server: any Channel
        do { server = try await bootstrap.bind(host: host, port: port).get() } catch {
            throw NetworkError("cannot listen on \(host):\(port) for the other validators: \(PeerNetwork.reason(error))\n  Is another node running there? Change `listen` in node.json.")
        }
        let peers = state.withLock { state in
            (state.server, state.isListening) = (server, true)
            return state.peers.values.sorted { $0.owner < $1.owner }
        }
        for peer in peers where peer.owner > own { dial(peer, after: 0) }
        return server.localAddress?.port ?? port
    }

    /// Who may connect from now on. Who is not named loses its connection; so does one whose key or address is another now, and it is dialled anew.
    public func setPeers(_ peers: [Peer]) {
        let named = Dictionary(peers.filter { $0.owner != own }.map { ($0.owner, $0) }) { $1 }
        let (gone, fresh) = state.withLock { state -> ([Address: any Channel], [Peer]) in
            guard state.peers != named else { return ([:], []) }
            let gone = state.channels.filter { named[$0.key] != state.peers[$0.key] }
            let fresh = named.values.filter { state.peers[$0.owner] != $0 && $0.owner > own && state.isListening }.sorted { $0.owner < $1.owner }
            state.peers = named
            return (gone, fresh)
        }
        for peer in fresh {
            if let channel = gone[peer.owner] { channel.closeFuture.whenComplete { _ in self.dial(peer, after: 50) } } else { dial(peer, after: 0) }
        }
        for channel in gone.values { channel.close(promise: nil) }
    }

    static func reason(_ error: any Error) -> String {
        if let error = error as? IOError, error.errnoCode == EADDRINUSE { return "the port is in use" }
        return "\(error)"
    }

    public func stop() async {
        let (server, channels) = state.withLock { state in
            state.isStopped = true
            return (state.server, Array(state.channels.values))
        }
        try? await server?.close()
        for channel in channels { try? await channel.close() }
        continuation.finish()
        try? await group.shutdownGracefully()
    }

    public var connected: [Address] { state.withLock { $0.channels.keys.sorted() } }
    public var counters: Counters { state.withLock { $0.counters } }

    /// Hands a frame to a peer's connection, if there is one. Never waits.
    public func send(_ frame: Frame, to peer: Address) {
        let channel = state.withLock { state -> (any Channel)? in
            guard let channel = state.channels[peer] else { return nil }
            let waiting = state.waitingBytes[peer, default: 0] + frame.bytes.count
            state.waitingBytes[peer] = waiting
            state.counters.sentBytes += frame.bytes.count
            state.counters.sentFrames += 1
            if waiting > PeerNetwork.outboundLimit {
                state.counters.refused += 1
                channel.close(promise: nil)
                return nil
            }
            return channel
        }
        channel?.writeAndFlush(frame).whenComplete { _ in self.state.withLock { state in state.waitingBytes[peer, default: 0] -= frame.bytes.count } }
    }
    /// Closes a peer's connection for what came over it. It may come again, and is greeted anew.
    public func drop(_ peer: Address, _ reason: String) {
        refused("\(peer): \(reason)")
        state.withLock { $0.channels[peer] }?.close(promise: nil)
    }
    /// To all that are connected.
    public func broadcast(_ frame: Frame) { for peer in connected { send(frame, to: peer) } }

    // MARK: Connections

    private enum Side { case server(NIOSSLContext), client(NIOSSLContext) }

    private func configuration(server: Bool) -> TLSConfiguration {
        var configuration = server
            ? TLSConfiguration.makeServerConfiguration(certificateChain: [.certificate(identity.certificate)], privateKey: .privateKey(identity.key))
            : TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = [.certificate(identity.certificate)]
        configuration.privateKey = .privateKey(identity.key)
        configuration.minimumTLSVersion = .tlsv13
        // Full verification by the callback below, which pins keys; no authority vouches for anybody here.
        configuration.certificateVerification = .noHostnameVerification
        return configuration
    }

    private func setUp(_ channel: any Channel, tls: Side) -> EventLoopFuture<Void> {
        if case .server = tls { admit(channel) }
        let pinned = Shared<Address?>(nil)
        let verify: NIOSSLCustomVerificationCallback = { certificates, promise in
            let digest = certificates.first.flatMap { try? NetworkIdentity.digest(of: $0) }
            guard let peer = self.state.withLock({ state in state.peers.values.first { $0.key == digest } }) else { return promise.succeed(.failed) }
            pinned.withLock { $0 = peer.owner }
            promise.succeed(.certificateVerified)
        }
        return channel.eventLoop.makeCompletedFuture {
            let handler: any ChannelHandler = switch tls {
            case .server(let context): NIOSSLServerHandler(context: context, customVerificationCallback: verify)
            case .client(let context): try NIOSSLClientHandler(context: context, serverHostname: nil, customVerificationCallback: verify)
            }
            let session = PeerSession(network: self, pinned: pinned)
            try channel.pipeline.syncOperations.addHandlers([
                handler, ByteToMessageHandler(FrameDecoder { session.isGreeted.withLock { $0 } ? Limits.frameBytes : 256 }), MessageToByteHandler(FrameEncoder()), session,
            ])
            channel.eventLoop.scheduleTask(in: .seconds(PeerNetwork.helloSeconds)) { if !session.isGreeted.withLock({ $0 }) { channel.close(promise: nil) } }
        }
    }

    private func admit(_ channel: any Channel) {
        let oldest = state.withLock { state -> (any Channel)? in
            state.strangers.append(channel)
            return state.strangers.count > PeerNetwork.strangerLimit ? state.strangers.removeFirst() : nil
        }
        if let oldest {
            refused("too many connections that have not said who they are")
            oldest.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in self.known(channel) }
    }
    /// It was greeted, or is gone.
    private func known(_ channel: any Channel) {
        state.withLock { state in state.strangers.removeAll { ObjectIdentifier($0) == ObjectIdentifier(channel) } }
    }

    private func dial(_ peer: Peer, after milliseconds: Int64) {
        guard !state.withLock({ $0.isStopped || $0.peers[peer.owner] != peer }) else { return }
        let again = min(2_000, max(100, milliseconds * 2))
        group.next().scheduleTask(in: .milliseconds(milliseconds)) {
            guard !self.state.withLock({ $0.isStopped || $0.channels[peer.owner] != nil || $0.peers[peer.owner] != peer }), let tls = try? NIOSSLContext(configuration: self.configuration(server: false)) else { return }
            ClientBootstrap(group: self.group).connectTimeout(.seconds(2)).channelInitializer { self.setUp($0, tls: .client(tls)) }
                .connect(host: peer.host, port: peer.port).whenComplete { result in
                    switch result {
                    case .failure: self.dial(peer, after: again)
                    case .success(let channel): channel.closeFuture.whenComplete { _ in self.dial(peer, after: again) }
                    }
                }
        }
    }

    // MARK: What sessions tell

    func greeted(_ peer: Address, _ channel: any Channel) {
        let old = state.withLock { state -> (any Channel)? in
            defer {
                (state.channels[peer], state.waitingBytes[peer]) = (channel, 0)
                state.paused.remove(peer)
            }
            return state.channels[peer]
        }
        known(channel)
        old?.close(promise: nil)
        log.debug("connected", metadata: ["peer": "\(peer)"])
        continuation.yield(.connected(peer))
    }
    func received(_ frame: Frame, from peer: Address) {
        let full = state.withLock { state -> (any Channel)? in
            state.counters.receivedBytes += frame.bytes.count
            state.counters.receivedFrames += 1
            state.inboundBytes[peer, default: 0] += frame.bytes.count + Frame.overhead
            guard state.inboundBytes[peer, default: 0] > PeerNetwork.inboundLimit, state.paused.insert(peer).inserted else { return nil }
            return state.channels[peer]
        }
        full?.setOption(.autoRead, value: false).whenFailure { _ in }
        continuation.yield(.frame(frame, from: peer))
    }
    /// Whoever took a frame from `events` is done with it: its bytes no longer count against the peer.
    public func handled(_ frame: Frame, from peer: Address) {
        let resumed = state.withLock { state -> (any Channel)? in
            let left = max(0, state.inboundBytes[peer, default: 0] - frame.bytes.count - Frame.overhead)
            state.inboundBytes[peer] = left
            guard left <= PeerNetwork.inboundLimit / 2, state.paused.remove(peer) != nil else { return nil }
            return state.channels[peer]
        }
        resumed?.setOption(.autoRead, value: true).whenSuccess { resumed?.read() }
    }
    func refused(_ reason: String) {
        state.withLock { $0.counters.refused += 1 }
        log.debug("connection refused", metadata: ["reason": "\(reason)"])
    }
    func closed(_ peer: Address, _ channel: any Channel) {
        let wasCurrent = state.withLock { state -> Bool in
            guard let current = state.channels[peer], ObjectIdentifier(current) == ObjectIdentifier(channel) else { return false }
            state.channels[peer] = nil
            return true
        }
        if wasCurrent {
            log.debug("disconnected", metadata: ["peer": "\(peer)"])
            continuation.yield(.disconnected(peer))
        }
    }
}

/// A value behind a lock that can be shared by reference.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { mutex.withLock { value in body(&value) } }
}

/// One connection: greeting first, then frames.
///
/// The greeting's owner must be that of the pinned key.
final class PeerSession: ChannelInboundHandler, Sendable {
    typealias InboundIn = Frame
    typealias OutboundOut = Frame
    static let helloKind: UInt8 = 0

    let isGreeted = Shared(false)
    private let network: PeerNetwork
    private let pinned: Shared<Address?>

    init(network: PeerNetwork, pinned: Shared<Address?>) { (self.network, self.pinned) = (network, pinned) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent {
            let greeting = Greeting(genesis: network.genesis, owner: network.own)
            context.writeAndFlush(wrapOutboundOut(Frame(kind: PeerSession.helloKind, bytes: greeting.canonicalBytes)), promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard let peer = pinned.withLock({ $0 }) else { return refuse(context, "frame before TLS was complete") }
        guard !isGreeted.withLock({ $0 }) else { return network.received(frame, from: peer) }
        do {
            try check(frame, peer)
            isGreeted.withLock { $0 = true }
            network.greeted(peer, context.channel)
        } catch { refuse(context, "\(error)") }
    }

    private func check(_ frame: Frame, _ peer: Address) throws {
        guard frame.kind == PeerSession.helloKind else { throw NetworkError("no greeting") }
        guard let greeting = try? Greeting(canonicalBytes: frame.bytes) else { throw NetworkError("no greeting of this protocol") }
        guard greeting.version == Limits.protocolVersion else { throw NetworkError("\(peer) speaks protocol version \(greeting.version), this node \(Limits.protocolVersion): the older of the two must be replaced") }
        guard greeting.genesis == network.genesis else { throw NetworkError("\(peer) belongs to another network: its genesis is \(greeting.genesis)") }
        guard greeting.owner == peer else { throw NetworkError("the key of \(peer) says it is \(greeting.owner)") }
    }

    private func refuse(_ context: ChannelHandlerContext, _ reason: String) {
        network.refused(reason)
        context.close(promise: nil)
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { refuse(context, "\(error)") }
    func channelInactive(context: ChannelHandlerContext) {
        if isGreeted.withLock({ $0 }), let peer = pinned.withLock({ $0 }) { network.closed(peer, context.channel) }
        context.fireChannelInactive()
    }
}
