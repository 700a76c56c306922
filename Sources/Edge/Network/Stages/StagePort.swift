import AssayCrypto
import AssayPrimitives
import AssayTensor
import AssayTraining
import Logging
import NIOCore
import NIOPosix
import NIOSSL

/// A stage's way to its neighbours: it dials the next one and listens for the one before. All stages of a trainer have one key, and know nobody else.
public final class StagePort: Sendable {
    private static let greetingSeconds: Int64 = 10

    private let identity: NetworkIdentity
    private let own: StageGreeting
    private let limits: StageLimits
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let log: Logger

    private struct Arrived {
        /// The newest: whoever dials again has given up what it had.
        var connection: StageConnection?
        /// In use; closed when another comes.
        var current: StageConnection?
        var isStopped = false
    }
    private let arrived = Gate(Arrived())
    private let dialled = Gate(Arrived())
    private let server = Shared<(any Channel)?>(nil)

    public init(identity: NetworkIdentity, genesis: Digest, part: ModelPart, limits: StageLimits, log: Logger) {
        (self.identity, self.limits, self.log) = (identity, limits, log)
        own = StageGreeting(genesis: genesis, stage: part.number, stages: part.count)
    }

    /// - Returns: the port, which the system chose if 0 was asked for.
    public func listen(host: String, port: Int) async throws -> Int {
        let tls = try NIOSSLContext(configuration: identity.configuration(server: true))
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 16)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelInitializer { channel in
                let greeted = channel.eventLoop.makePromise(of: StageConnection.self)
                greeted.futureResult.whenSuccess { self.came($0) }
                greeted.futureResult.whenFailure { self.log.warning("a connection was refused: \($0)") }
                let place = channel.remoteAddress.map { "\($0.ipAddress ?? "?"):\($0.port ?? 0)" } ?? "?"
                return self.setUp(channel, expected: Int(self.own.stage) - 1, place: place, greeted, tls, isServer: true)
            }
        do {
            let channel = try await bootstrap.bind(host: host, port: port).get()
            server.withLock { $0 = channel }
            return channel.localAddress?.port ?? port
        } catch { throw NetworkError("cannot listen on \(host):\(port) for the stage before: \(PeerNetwork.reason(error))\n  Is another stage running there? Give another --listen.") }
    }

    /// Waits for the stage before; nil once this port was stopped.
    public func accept() -> StageConnection? {
        let got: StageConnection?? = arrived.wait(seconds: .infinity) { arrived in
            if arrived.isStopped { return .some(nil) }
            guard let connection = arrived.connection else { return nil }
            (arrived.connection, arrived.current) = (nil, connection)
            return .some(connection)
        }
        return got ?? nil
    }
    private func came(_ connection: StageConnection) {
        let old = arrived.change { arrived -> [StageConnection?] in
            defer { (arrived.connection, arrived.current) = (connection, nil) }
            return [arrived.connection, arrived.current]
        }
        for connection in old { connection?.closeAtOnce() }
    }

    /// Connects to the next stage, and waits for its greeting. Blocks its thread.
    public func dial(host: String, port: Int) throws(StageLinkError) -> StageConnection {
        let place = "\(host):\(port)"
        do {
            let tls = try NIOSSLContext(configuration: identity.configuration(server: false))
            let greeted = group.next().makePromise(of: StageConnection.self)
            ClientBootstrap(group: group).connectTimeout(.seconds(5)).channelOption(.socketOption(.so_keepalive), value: 1)
                .channelInitializer { self.setUp($0, expected: Int(self.own.stage) + 1, place: place, greeted, tls, isServer: false) }
                .connect(host: host, port: port).whenFailure { greeted.fail($0) }
            let connection = try greeted.futureResult.wait()
            let isStopped = dialled.change { dialled in
                dialled.connection = connection
                return dialled.isStopped
            }
            if isStopped { connection.closeAtOnce() }
            return connection
        } catch let error as StageLinkError { throw error } catch { throw .closed("it cannot be reached: \(PeerNetwork.reason(error))") }
    }

    /// Ends all connections, for good: whoever waits on one is told.
    public func closeConnections() {
        for gate in [arrived, dialled] {
            let open = gate.change { gate -> [StageConnection?] in
                gate.isStopped = true
                return [gate.connection, gate.current]
            }
            for connection in open { connection?.closeAtOnce() }
        }
    }
    public func stop() async {
        closeConnections()
        try? await server.withLock { $0 }?.close()
        try? await group.shutdownGracefully()
    }

    private func setUp(
        _ channel: any Channel, expected: Int, place: String, _ greeted: EventLoopPromise<StageConnection>, _ tls: NIOSSLContext, isServer: Bool
    ) -> EventLoopFuture<Void> {
        let connection = StageConnection(channel, place: place, limits: limits)
        let session = StageSession(own: own, expected: expected, connection: connection, greeted: greeted)
        let key = identity.keyDigest
        let verify: NIOSSLCustomVerificationCallback = { certificates, promise in
            guard let found = certificates.first.flatMap({ try? NetworkIdentity.digest(of: $0) }), found == key else {
                session.isStranger.withLock { $0 = true }
                return promise.succeed(.failed)
            }
            promise.succeed(.certificateVerified)
        }
        return channel.eventLoop.makeCompletedFuture {
            let handler: any ChannelHandler = isServer ? NIOSSLServerHandler(context: tls, customVerificationCallback: verify) : try NIOSSLClientHandler(context: tls, serverHostname: nil, customVerificationCallback: verify)
            let decoder = StageDecoder(limits: { session.limits }, activity: { connection.noteActivity() })
            try channel.pipeline.syncOperations.addHandlers([handler, ByteToMessageHandler(decoder), MessageToByteHandler(StageEncoder()), session])
            let limit = channel.eventLoop.scheduleTask(in: .seconds(StagePort.greetingSeconds)) {
                greeted.fail(StageLinkError.timedOut(seconds: Double(StagePort.greetingSeconds)))
                channel.close(promise: nil)
            }
            greeted.futureResult.whenComplete { _ in limit.cancel() }
        }
    }
}
