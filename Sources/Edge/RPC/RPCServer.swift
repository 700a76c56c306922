import AssayCrypto
import AssayPrimitives
import AssayProtocol
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// JSON-RPC 2.0, blobs, metrics and health over HTTP.
public struct RPCServer: Sendable {
    public struct Configuration: Sendable {
        public var host: String
        public var port: Int
        /// Origins that browsers may call from; "*" for any.
        public var allowedOrigins: [String]
        public init(host: String = "127.0.0.1", port: Int, allowedOrigins: [String] = []) { (self.host, self.port, self.allowedOrigins) = (host, port, allowedOrigins) }
    }
    static let bodyLimit = 5 << 20
    static let batchLimit = 1_000
    static let blobLimit = 256 << 20
    /// Of a batch's answers together: a thousand large ones would be more than the machine holds.
    package static let answerLimit = 25 << 20

    private let backend: any RPCBackend
    private let configuration: Configuration
    private let log: Logger

    public init(_ backend: any RPCBackend, _ configuration: Configuration, log: Logger) { (self.backend, self.configuration, self.log) = (backend, configuration, log) }

    /// Serves until the task is cancelled. - Parameter ready: called with the port.
    public func run(ready: @escaping @Sendable (Int) async -> Void) async throws {
        var quiet = log
        quiet.logLevel = .error
        let application = Application(
            router: router(), configuration: .init(address: .hostname(configuration.host, port: configuration.port), serverName: "assay"),
            onServerRunning: { channel in await ready(channel.localAddress?.port ?? 0) }, logger: quiet)
        do { try await application.run() } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw RPCError(-32000, "cannot listen on \(configuration.host):\(configuration.port) for JSON-RPC: the port is in use.\n  Is another node running there? Change `rpc` in node.json.")
        }
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.post("/") { request, _ in try await self.post(request) }
        router.on("/", method: .options) { request, _ in self.respond(.noContent, Data(), "text/plain", request) }
        router.get("/health") { request, _ in
            let isHealthy = await self.backend.isHealthy()
            return self.respond(isHealthy ? .ok : .serviceUnavailable, Data((isHealthy ? "ok\n" : "not ready\n").utf8), "text/plain", request)
        }
        router.get("/metrics") { request, _ in self.respond(.ok, Data(await self.backend.metrics().utf8), "text/plain; version=0.0.4", request) }
        router.get("/blobs/:root") { request, context in
            guard let root = context.parameters.get("root").flatMap({ Digest(hex: $0) }) else { return self.respond(.badRequest, Data("a blob's root has 64 hexadecimal digits\n".utf8), "text/plain", request) }
            guard let bytes = await self.backend.blob(root) else { return self.respond(.notFound, Data("no blob \(root)\n".utf8), "text/plain", request) }
            return self.respond(.ok, Data(bytes), "application/octet-stream", request)
        }
        router.get("/blobs/:root/:chunk") { request, context in
            guard let root = context.parameters.get("root").flatMap({ Digest(hex: $0) }), let index = context.parameters.get("chunk").flatMap(Int.init) else { return self.respond(.badRequest, Data("/blobs/ROOT/CHUNK\n".utf8), "text/plain", request) }
            guard let chunk = await self.backend.chunk(root, index) else { return self.respond(.notFound, Data("no chunk \(index) of blob \(root)\n".utf8), "text/plain", request) }
            let json: JSON = ["index": .int(Int64(index)), "count": .int(Int64(chunk.count)), "proof": .array(chunk.proof.map { .string($0.description) }), "bytes": .string(hex(chunk.bytes))]
            return self.respond(.ok, json.data, "application/json", request)
        }
        router.put("/blobs/:root") { request, context in try await self.putBlob(request, context) }
        return router
    }

    // MARK: JSON-RPC

    private func post(_ request: Request) async throws -> Response {
        let body: ByteBuffer
        do { body = try await request.body.collect(upTo: RPCServer.bodyLimit) } catch { return respond(.contentTooLarge, Data("at most \(RPCServer.bodyLimit) bytes\n".utf8), "text/plain", request) }
        let answer = await RPCServer.answer(Data(body.readableBytesView), backend)
        return respond(.ok, answer, "application/json", request)
    }

    /// The answer to a body, whatever it holds.
    package static func answer(_ body: Data, _ backend: any RPCBackend) async -> Data {
        let methods = RPCMethods(backend: backend)
        guard let json = try? JSON(body) else { return failure(.null, RPCError(-32700, "parse error: the body is no JSON")).data }
        guard case .array(let batch) = json else { return (await answer(json, methods) ?? .null).data }
        guard !batch.isEmpty else { return failure(.null, RPCError(-32600, "empty batch")).data }
        guard batch.count <= batchLimit else { return failure(.null, RPCError(-32600, "batch too large: at most \(batchLimit) requests")).data }
        var answers = Data("[".utf8)
        for request in batch {
            let isFull = answers.count > answerLimit
            guard let answer = isFull ? failure(request["id"] ?? .null, RPCError(-32003, "response too large: at most \(answerLimit) bytes for a batch")) : await answer(request, methods) else { continue }
            if answers.count > 1 { answers.append(UInt8(ascii: ",")) }
            answers.append(answer.data)
        }
        answers.append(UInt8(ascii: "]"))
        return answers
    }

    /// Nil for a notification, which gets no answer.
    private static func answer(_ request: JSON, _ methods: RPCMethods) async -> JSON? {
        guard let method = request["method"]?.string else { return failure(request["id"] ?? .null, RPCError(-32600, "invalid request: no method")) }
        let id = request["id"]
        let parameters = request["params"] ?? []
        guard parameters.array != nil || parameters.isNull else { return failure(id ?? .null, RPCError(-32602, "invalid params: a list is needed")) }
        do {
            let result = try await methods.answer(method, parameters.isNull ? [] : parameters)
            return id.map { ["jsonrpc": "2.0", "id": $0, "result": result] }
        } catch let error as RPCError {
            return failure(id ?? .null, error)
        } catch {
            return failure(id ?? .null, RPCError(-32603, "\(error)"))
        }
    }
    private static func failure(_ id: JSON, _ error: RPCError) -> JSON {
        var fields: [String: JSON] = ["code": .int(Int64(error.code)), "message": .string(error.message)]
        if let data = error.data { fields["data"] = data }
        return ["jsonrpc": "2.0", "id": id, "error": .object(fields)]
    }

    // MARK: Blobs

    private func putBlob(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        func refuse(_ status: HTTPResponse.Status, _ reason: String) -> Response { respond(status, Data("\(reason)\n".utf8), "text/plain", request) }
        guard let root = context.parameters.get("root").flatMap({ Digest(hex: $0) }) else { return refuse(.badRequest, "a blob's root has 64 hexadecimal digits") }
        guard let size = request.headers[.contentLength].flatMap(Int.init), size >= 0, size <= RPCServer.blobLimit else { return refuse(.contentTooLarge, "say the size; at most \(RPCServer.blobLimit) bytes") }
        // Who may write is checked before a byte is read.
        guard let name = HTTPField.Name(BlobAuthorization.header), let signature = request.headers[name],
              let signer = BlobAuthorization.signer(signature, genesis: backend.genesis.digest, root: root, bytes: size), await backend.ledger().owner(ofNodeKey: signer) != nil else {
            return refuse(.forbidden, "blobs are written with a registered node key's signature in \(BlobAuthorization.header)")
        }
        let body: ByteBuffer
        do { body = try await request.body.collect(upTo: size) } catch { return refuse(.contentTooLarge, "more bytes than were announced") }
        guard body.readableBytes == size else { return refuse(.badRequest, "\(body.readableBytes) bytes where \(size) were announced") }
        do { try await backend.put(Array(body.readableBytesView), root: root) } catch { return refuse(.unprocessableContent, "\(error)") }
        return respond(.created, Data(), "text/plain", request)
    }

    private func respond(_ status: HTTPResponse.Status, _ data: Data, _ type: String, _ request: Request) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = type
        if let origin = request.headers[.origin], configuration.allowedOrigins.contains(origin) || configuration.allowedOrigins.contains("*") {
            headers[.accessControlAllowOrigin] = origin
            headers[.accessControlAllowHeaders] = "content-type"
            headers[.accessControlAllowMethods] = "POST, GET, OPTIONS"
        }
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: data)))
    }
}
