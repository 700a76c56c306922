import AssayCrypto
import AssayPrimitives
import AssayProtocol
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// One attempt after another to reach a peer, until it is known otherwise or no more.
final class Dial: Sendable {
    let peer: PeerNetwork.Peer
    /// To wait before the next attempt: none at first, then more and more; the least again once the peer was greeted.
    let milliseconds = Mutex<Int64>(0)
    static let least: Int64 = 100
    init(_ peer: PeerNetwork.Peer) { self.peer = peer }
}

/// How connections come about.
extension PeerNetwork {
    private static let helloSeconds: Int64 = 5

    func listen(host: String, port: Int) async throws -> any Channel {
        let tls = try NIOSSLContext(configuration: configuration(server: true))
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                self.admit(channel)
                return self.setUp(channel, dial: nil, tls)
            }
        do { return try await bootstrap.bind(host: host, port: port).get() } catch {
            throw NetworkError("cannot listen on \(host):\(port) for the other validators: \(PeerNetwork.reason(error))\n  Is another node running there? Change `listen` in node.json.")
        }
    }

    static func reason(_ error: any Error) -> String {
        if let error = error as? IOError, error.errnoCode == EADDRINUSE { return "the port is in use" }
        return "\(error)"
    }

    /// Dials after its time, and again whenever it fails or the connection ends.
    func reach(_ dial: Dial) {
        group.next().scheduleTask(in: .milliseconds(dial.milliseconds.withLock { $0 })) {
            let peer = dial.peer
            guard let tls = self.state.withLock({ $0.isStopped || $0.dials[peer.owner] !== dial ? nil : $0.tls }) else { return }
            dial.milliseconds.withLock { $0 = min(2_000, max(Dial.least, $0 * 2)) }
            ClientBootstrap(group: self.group).connectTimeout(.seconds(2)).channelInitializer { self.setUp($0, dial: dial, tls) }
                .connect(host: peer.host, port: peer.port).whenComplete { result in
                    switch result {
                    case .failure: self.reach(dial)
                    case .success(let channel): channel.closeFuture.whenComplete { _ in self.reach(dial) }
                    }
                }
        }
    }

    func configuration(server: Bool) -> TLSConfiguration { identity.configuration(server: server) }

    /// - Parameter dial: nil for a connection that came.
    private func setUp(_ channel: any Channel, dial: Dial?, _ tls: NIOSSLContext) -> EventLoopFuture<Void> {
        let session = PeerSession(network: self, dial: dial)
        // Asked at each handshake, so that a key that has become known since is taken, and one that is known no more is not.
        let verify: NIOSSLCustomVerificationCallback = { certificates, promise in
            guard let key = certificates.first.flatMap({ try? NetworkIdentity.digest(of: $0) }), dial.map({ $0.peer.key == key }) ?? self.state.withLock({ $0.keys.contains(key) }) else { return promise.succeed(.failed) }
            session.key.withLock { $0 = key }
            promise.succeed(.certificateVerified)
        }
        return channel.eventLoop.makeCompletedFuture {
            let handler: any ChannelHandler = dial == nil ? NIOSSLServerHandler(context: tls, customVerificationCallback: verify) : try NIOSSLClientHandler(context: tls, serverHostname: nil, customVerificationCallback: verify)
            try channel.pipeline.syncOperations.addHandlers([
                handler, ByteToMessageHandler(FrameDecoder { session.isGreeted ? Limits.frameBytes : 256 }), MessageToByteHandler(FrameEncoder()), session,
            ])
            channel.eventLoop.scheduleTask(in: .seconds(PeerNetwork.helloSeconds)) { if !session.isGreeted { channel.close(promise: nil) } }
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
    func known(_ channel: any Channel) {
        state.withLock { state in state.strangers.removeAll { ObjectIdentifier($0) == ObjectIdentifier(channel) } }
    }
}
