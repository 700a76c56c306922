import AssayCrypto
import AssayPrimitives
import AssayTensor
import AssayTraining
import NIOCore
import NIOSSL
import NIOTLS

/// Which stage of which pipeline a connection leads to: the first message both ways.
package struct StageGreeting: Hashable, Sendable, CanonicalCodable {
    private static let magic: UInt32 = 0x5453_5341
    private static let version: UInt32 = 3
    package let genesis: Digest
    package let stage: UInt32
    package let stages: UInt32

    package init(genesis: Digest, stage: Int, stages: Int) { (self.genesis, self.stage, self.stages) = (genesis, UInt32(stage), UInt32(stages)) }
    package func encode(into encoder: inout CanonicalEncoder) {
        for number in [StageGreeting.magic, StageGreeting.version, stage, stages] { encoder.append(number) }
        encoder.append(genesis)
    }
    package init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        let magic = try decoder.uint32(), version = try decoder.uint32()
        guard magic == StageGreeting.magic else { throw .invalidValue(field: "greeting", value: UInt64(magic)) }
        guard version == StageGreeting.version else { throw .invalidValue(field: "version", value: UInt64(version)) }
        stage = try decoder.uint32()
        stages = try decoder.uint32()
        genesis = try decoder.value()
    }

    /// Why whoever greets so is not the stage that is expected; nil if it is.
    func refusal(of other: StageGreeting, expected number: Int) -> String? {
        if other.genesis != genesis { return "it belongs to another network: its genesis is \(other.genesis)" }
        if other.stages != stages { return "it is a stage of \(other.stages), this one of \(stages): all must be started with the same --stage s/S" }
        return other.stage == UInt32(number) ? nil : "it is stage \(other.stage), not \(number): check --next and --stage"
    }
}

/// A link to a neighbouring stage over TCP and TLS. The event loop reads and writes; the stage's own thread waits for messages.
///
/// Memory: nothing more is read while more than two of the run's longest messages wait to be taken, and `send` waits while more than four wait to leave.
public final class StageConnection: StageLink {
    struct Inbox {
        var messages: [StageMessage] = []
        var bytes = 0
        /// Grows with everything that comes.
        var activity = 0
        var ended: String?
        var isPaused = false
    }
    struct Outbox {
        var waiting = 0
        /// Grows with everything that has left.
        var sent = 0
        var ended: String?
    }
    let channel: any Channel
    let limits: StageLimits
    public let place: String
    private let inbox = Gate(Inbox()), outbox = Gate(Outbox())
    private var room: Int { limits.most + StageMessage.headerBytes + 4_096 }

    init(_ channel: any Channel, place: String, limits: StageLimits) { (self.channel, self.place, self.limits) = (channel, place, limits) }

    public var activity: Int { inbox.change { $0.activity } + outbox.change { $0.sent } }

    public func send(_ message: StageMessage, seconds: Double) throws(StageLinkError) {
        let count = StageMessage.headerBytes + message.bytes.count
        let reason: String?? = outbox.wait(seconds: seconds, counts: \.sent) { outbox in
            if let ended = outbox.ended { return .some(ended) }
            guard outbox.waiting <= 3 * room else { return nil }
            outbox.waiting += count
            return .some(nil)
        }
        guard let reason else { throw .timedOut(seconds: seconds) }
        if let reason { throw .closed(reason) }
        channel.writeAndFlush(message).whenComplete { [outbox] _ in
            outbox.change {
                $0.waiting -= count
                $0.sent += 1
            }
        }
    }

    public func receive(seconds: Double) throws(StageLinkError) -> StageMessage {
        var resumes = false
        let got: Result<StageMessage, StageLinkError>? = inbox.wait(seconds: seconds, counts: \.activity) { [room] inbox in
            if !inbox.messages.isEmpty {
                let message = inbox.messages.removeFirst()
                inbox.bytes -= message.bytes.count + StageMessage.headerBytes
                resumes = inbox.isPaused && inbox.bytes <= room
                if resumes { inbox.isPaused = false }
                return .success(message)
            }
            return inbox.ended.map { .failure(.closed($0)) }
        }
        if resumes { channel.setOption(.autoRead, value: true).whenSuccess { [channel] in channel.read() } }
        guard let got else { throw .timedOut(seconds: seconds) }
        return try got.get()
    }

    public func close() {
        // What was handed over last may say why.
        _ = outbox.wait(seconds: 2) { $0.waiting == 0 || $0.ended != nil ? true : nil }
        closeAtOnce()
    }
    /// Without waiting for what has not left yet.
    public func closeAtOnce() { channel.close(promise: nil) }

    /// Lets the other end read the last word before the connection goes: what comes meanwhile is put aside.
    public func finish(seconds: Double) {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            do { _ = try receive(seconds: 0.2) } catch {
                if case .closed = error { break }
            }
        }
        close()
    }

    // MARK: What the channel tells

    func noteActivity() { inbox.change { $0.activity += 1 } }
    func received(_ message: StageMessage) {
        let isFull = inbox.change { inbox -> Bool in
            inbox.messages.append(message)
            inbox.bytes += message.bytes.count + StageMessage.headerBytes
            guard inbox.bytes > 2 * room, !inbox.isPaused else { return false }
            inbox.isPaused = true
            return true
        }
        if isFull { channel.setOption(.autoRead, value: false).whenFailure { _ in } }
    }
    func ended(_ reason: String) {
        inbox.change { if $0.ended == nil { $0.ended = reason } }
        outbox.change { if $0.ended == nil { $0.ended = reason } }
    }
}

/// Header, then bytes. A header is checked against the limits before anything waits for what it announces.
struct StageDecoder: ByteToMessageDecoder {
    typealias InboundOut = StageMessage
    /// Small until the peer has said who it is.
    let limits: @Sendable () -> StageLimits
    let activity: @Sendable () -> Void
    private var header: StageMessage.Header?

    init(limits: @escaping @Sendable () -> StageLimits, activity: @escaping @Sendable () -> Void) { (self.limits, self.activity) = (limits, activity) }

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        activity()
        if header == nil {
            guard let bytes = buffer.readBytes(length: StageMessage.headerBytes) else { return .needMoreData }
            header = try StageMessage.Header(bytes, limits: limits())
        }
        guard let next = header, let bytes = buffer.readBytes(length: Int(next.length)) else { return .needMoreData }
        header = nil
        context.fireChannelRead(wrapInboundOut(try StageMessage(next, received: bytes)))
        return .continue
    }
    mutating func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) throws -> DecodingState { .needMoreData }
}

struct StageEncoder: MessageToByteEncoder {
    typealias OutboundIn = StageMessage
    func encode(data: StageMessage, out: inout ByteBuffer) {
        out.writeBytes(data.header.encoded)
        out.writeBytes(data.bytes)
    }
}

/// One connection's life: greeting both ways, then messages.
final class StageSession: ChannelInboundHandler, Sendable {
    typealias InboundIn = StageMessage
    typealias OutboundOut = StageMessage

    private let own: StageGreeting
    private let expected: Int
    private let connection: StageConnection
    private let greeted: EventLoopPromise<StageConnection>
    private let isGreeted = Shared(false)
    /// The key that was shown is not this trainer's.
    let isStranger = Shared(false)

    init(own: StageGreeting, expected: Int, connection: StageConnection, greeted: EventLoopPromise<StageConnection>) {
        (self.own, self.expected, self.connection, self.greeted) = (own, expected, connection, greeted)
    }
    var limits: StageLimits { isGreeted.withLock { $0 } ? connection.limits : .stranger }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent { context.writeAndFlush(wrapOutboundOut(StageMessage(.greeting, own.canonicalBytes)), promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let message = unwrapInboundIn(data)
        if isGreeted.withLock({ $0 }) { return connection.received(message) }
        guard message.header.kind == .greeting, Digest.sha256(message.bytes) == message.header.digest, let greeting = try? StageGreeting(canonicalBytes: message.bytes) else {
            return end(context, "it does not greet as a stage of this program does")
        }
        if let refusal = own.refusal(of: greeting, expected: expected) { return end(context, refusal) }
        isGreeted.withLock { $0 = true }
        greeted.succeed(connection)
    }

    private func end(_ context: ChannelHandlerContext, _ reason: String) {
        say(reason)
        context.close(promise: nil)
    }
    private func say(_ reason: String) {
        connection.ended(reason)
        greeted.fail(StageLinkError.stranger(reason))
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isStranger.withLock({ $0 }) { return end(context, "its key is not this trainer's: every stage needs the same node key in its home") }
        end(context, (error as? StageLinkError)?.description ?? PeerNetwork.reason(error))
    }
    func channelInactive(context: ChannelHandlerContext) {
        say(isGreeted.withLock { $0 } ? "the other end closed it" : "it was closed before a greeting; is that a stage of the same trainer?")
        context.fireChannelInactive()
    }
}
