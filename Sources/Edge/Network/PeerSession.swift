import AssayCrypto
import AssayPrimitives
import AssayProtocol
import NIOCore
import NIOTLS
import Synchronization

/// A value behind a lock that can be shared by reference.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { mutex.withLock { value in body(&value) } }
}

/// One connection: greeting first, then frames.
///
/// The greeting's owner must be one whose key this is. Until it is there, nothing else of the peer is looked at.
final class PeerSession: ChannelInboundHandler, Sendable {
    typealias InboundIn = Frame
    typealias OutboundOut = Frame
    static let helloKind: UInt8 = 0

    /// What the peer has proven to hold, once TLS is complete.
    let key = Mutex<Digest?>(nil)
    /// Whom the connection belongs to, once it was greeted.
    private let owner = Mutex<Address?>(nil)
    private let network: PeerNetwork
    private let dial: Dial?

    init(network: PeerNetwork, dial: Dial?) { (self.network, self.dial) = (network, dial) }

    var isGreeted: Bool { owner.withLock { $0 } != nil }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent {
            let greeting = Greeting(version: network.version, genesis: network.genesis, owner: network.own)
            context.writeAndFlush(wrapOutboundOut(Frame(kind: PeerSession.helloKind, bytes: greeting.canonicalBytes)), promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        if let owner = owner.withLock({ $0 }) { return network.received(frame, from: owner, context.channel) }
        guard let key = key.withLock({ $0 }) else { return refuse(context, "frame before TLS was complete") }
        guard frame.kind == PeerSession.helloKind, let version = Greeting.version(of: frame.bytes) else { return refuse(context, "no greeting") }
        guard version == network.version else {
            network.refused(version: version, key: key)
            return context.close(promise: nil)
        }
        guard let greeting = try? Greeting(canonicalBytes: frame.bytes) else { return refuse(context, "no greeting of this protocol") }
        guard greeting.genesis == network.genesis else { return refuse(context, "\(greeting.owner) belongs to another network: its genesis is \(greeting.genesis)") }
        if let refusal = network.greeted(greeting, key: key, dial: dial, context.channel) { return refuse(context, refusal) }
        owner.withLock { $0 = greeting.owner }
    }

    private func refuse(_ context: ChannelHandlerContext, _ reason: String) {
        network.refused(reason)
        context.close(promise: nil)
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { refuse(context, "\(error)") }
    func channelInactive(context: ChannelHandlerContext) {
        if let owner = owner.withLock({ $0 }) { network.closed(owner, context.channel) }
        context.fireChannelInactive()
    }
}
