import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayRPC
import AssaySimulator
import Foundation
import Logging
import Synchronization
import Testing

/// A ledger alone, behind the server.
actor LedgerAlone: RPCBackend {
    nonisolated let genesis: Genesis
    private var state: Ledger
    private var pool: [[UInt8]] = []
    private var blobs: [Digest: [UInt8]] = [:]
    init(_ genesis: Genesis) throws {
        self.genesis = genesis
        state = try Ledger(genesis: genesis)
    }
    func ledger() -> Ledger { state }
    func submit(_ raw: [UInt8]) -> Admission {
        if pool.contains(raw) { return .refused("already known") }
        let admission = state.admission(of: raw)
        if case .refused = admission { return admission }
        pool.append(raw)
        return admission
    }
    func pending() -> [[UInt8]] { pool }
    func header(number: UInt64) -> BlockHeader? { number == 0 ? state.head : nil }
    func header(hash: Digest) -> BlockHeader? { nil }
    func receipt(_ hash: Digest) -> StoredReceipt? { nil }
    func receipts(number: UInt64) -> [StoredReceipt] { [] }
    func logs(from: UInt64, to: UInt64, contracts: [Address], topics: [[Digest]], limit: Int) -> [StoredLog] { [] }
    func blob(_ root: Digest) -> [UInt8]? { blobs[root] }
    func chunk(_ root: Digest, _ index: Int) -> (bytes: [UInt8], count: Int, proof: [Digest])? { nil }
    func put(_ bytes: [UInt8], root: Digest) throws {
        guard Blob.root(bytes) == root else { throw RPCError(-32000, "these bytes are not the blob \(root)") }
        blobs[root] = bytes
    }
    nonisolated var validatorURLs: [String] { [] }
    func status() -> JSON { [:] }
    func metrics() -> String { "" }
    func isHealthy() -> Bool { true }
}

/// What anybody may send to the JSON-RPC port, and what comes back.
@Suite(.serialized) struct RPCTests {
    private static let world = WorldGenesis(windows: 2)
    private var genesis: Genesis { Self.world.genesis }
    private var owner: KeyPair { Self.world.trainers[0].owner }

    /// Serves on a port of the system's choice while the body runs.
    private func serving(_ body: (URL) async throws -> Void) async throws {
        let backend = try LedgerAlone(genesis)
        let (ports, said) = AsyncStream.makeStream(of: Int.self)
        let server = Task { try await RPCServer(backend, .init(port: 0), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }).run { said.yield($0) } }
        defer { server.cancel() }
        var found: Int?
        for await port in ports {
            found = port
            break
        }
        try await body(URL(string: "http://127.0.0.1:\(try #require(found))")!)
        server.cancel()
        _ = await server.result
    }

    /// curl, which nobody here wrote: `URLSession` would not send what is broken.
    private func curl(_ url: URL, _ arguments: [String], body: Data? = nil) throws -> (status: Int, body: Data) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "assay-curl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let process = Process(), output = folder.appending(path: "out"), code = folder.appending(path: "code")
        process.executableURL = URL(filePath: "/usr/bin/curl")
        process.arguments = ["-s", "-m", "20", "-o", output.path, "-w", "%{http_code}"] + arguments + [url.absoluteString]
        if let body {
            try body.write(to: folder.appending(path: "body"))
            process.arguments! += ["--data-binary", "@" + folder.appending(path: "body").path]
        }
        _ = FileManager.default.createFile(atPath: code.path, contents: nil)
        process.standardOutput = try FileHandle(forWritingTo: code)
        try process.run()
        process.waitUntilExit()
        return (Int(String(decoding: try Data(contentsOf: code), as: UTF8.self)) ?? 0, (try? Data(contentsOf: output)) ?? Data())
    }
    private func post(_ url: URL, _ text: String) throws -> [String: Any] {
        let answer = try curl(url, ["-H", "content-type: application/json"], body: Data(text.utf8))
        #expect(answer.status == 200)
        return try #require(try JSONSerialization.jsonObject(with: answer.body) as? [String: Any])
    }
    private func error(_ url: URL, _ text: String) throws -> (code: Int, message: String) {
        let error = try #require(try post(url, text)["error"] as? [String: Any])
        return (try #require(error["code"] as? Int), try #require(error["message"] as? String))
    }
    private func sending(_ raw: [UInt8]) -> String { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_sendRawTransaction\",\"params\":[\"\(hex(raw))\"]}" }
    private func transfer(nonce: UInt64 = 0, chainID: UInt64? = nil, value: U256 = 5, data: [UInt8] = []) -> Transaction {
        .dynamicFee(chainID: chainID ?? genesis.chainID, nonce: nonce, maxFeePerGas: 2_000_000_000, gasLimit: 100_000, to: Address(number: 77), value: value, data: data, by: owner)
    }

    @Test func `a malformed transaction is refused in geth's words, and a good one is taken once`() async throws {
        try await serving { url in
            let good = transfer().raw
            let cases: [(raw: [UInt8], says: String)] = [
                ([], "typed transaction too short"), ([0x02], "rlp: truncated"), (Array(good.dropLast()), "rlp: truncated"), (good + [0], "rlp: trailing"), ([0x03] + good.dropFirst(), "transaction type not supported"),
                ([0x7F] + good.dropFirst(), "transaction type not supported"), (transfer(chainID: 1).raw, "chain"), ([UInt8](repeating: 0xFF, count: 64), "rlp"),
                (transfer(value: U256.max).raw, "insufficient funds"), ([0x02] + [UInt8](repeating: 1, count: Limits.transactionBytes), "oversized data"),
            ]
            for (raw, says) in cases {
                let (code, message) = try error(url, sending(raw))
                #expect(code == -32000 && message.contains(says) && !message.isEmpty, "\(hex(Array(raw.prefix(8)))) (\(raw.count) bytes): \(code) \(message), wanted “\(says)”")
            }
            #expect(try post(url, sending(good))["result"] as? String == transfer().hash.description)
            #expect(try error(url, sending(good)).message == "already known")
        }
    }

    @Test func `a call that makes no sense is answered with the standard's code`() async throws {
        try await serving { url in
            let cases: [(String, Int)] = [
                ("", -32700), ("{", -32700), ("nothing", -32700), ("[]", -32600), ("{}", -32600), ("{\"method\":7}", -32600), ("{\"id\":1,\"method\":\"eth_nothing\"}", -32601),
                ("{\"id\":1,\"method\":\"eth_getBalance\",\"params\":{}}", -32602), ("{\"id\":1,\"method\":\"eth_getBalance\",\"params\":[]}", -32602),
                ("{\"id\":1,\"method\":\"eth_getBalance\",\"params\":[\"0x12\"]}", -32602), ("{\"id\":1,\"method\":\"eth_getBlockByNumber\",\"params\":[\"0xfffffffffffffffffffffff\",false]}", -32602),
                ("{\"id\":1,\"method\":\"eth_call\",\"params\":[7]}", -32602), ("{\"id\":1,\"method\":\"eth_getProof\",\"params\":[]}", -32601), ("{\"id\":1,\"method\":\"eth_sendRawTransaction\",\"params\":[\"zz\"]}", -32602),
                ("{\"id\":1,\"method\":\"eth_getLogs\",\"params\":[{\"topics\":[\"0x1\"]}]}", -32602), ("{\"id\":1,\"method\":\"eth_feeHistory\",\"params\":[\"0xffffffffffffffffff\",\"latest\",[]]}", -32602),
            ]
            for (body, code) in cases {
                let found = try error(url, body)
                #expect(found.code == code, "\(body): \(found)")
            }
            #expect(try post(url, "{\"id\":9,\"method\":\"eth_chainId\"}")["result"] as? String == "0x" + String(genesis.chainID, radix: 16))
        }
    }

    @Test func `large, deep, long and unreadable bodies are refused, and the server goes on`() async throws {
        try await serving { url in
            let large = try curl(url, [], body: Data(repeating: 0x20, count: 6 << 20))
            #expect(large.status == 413)
            let batch = "[" + Array(repeating: "{\"id\":1,\"method\":\"eth_chainId\"}", count: 1_001).joined(separator: ",") + "]"
            #expect(try error(url, batch).message.contains("1000"))
            let deep = String(repeating: "[", count: 200_000) + String(repeating: "]", count: 200_000)
            #expect(try error(url, deep).code == -32700)
            #expect(try error(url, "{\"id\":1,\"method\":\"eth_call\",\"params\":" + String(repeating: "[", count: 5_000) + String(repeating: "]", count: 5_000) + "}").code <= -32600)
            let unreadable = try curl(url, [], body: Data([0x7B, 0xFF, 0xFE, 0x7D]))
            #expect(String(decoding: unreadable.body, as: UTF8.self).contains("-32700"))
            #expect(try curl(url.appending(path: "health"), []).status == 200)
        }
    }

    @Test func `a blob is taken only from a registered node key, whole, and if it is what it says`() async throws {
        try await serving { url in
            let bytes = [UInt8](repeating: 9, count: 1_000), root = Blob.root(bytes), key = Self.world.validators[0].identity.nodeKey
            let path = url.appending(path: "blobs/\(hex(root.bytes, prefix: false))")
            func put(_ signature: String?, _ body: [UInt8], at url: URL = path) throws -> Int {
                try curl(url, ["-X", "PUT"] + (signature.map { ["-H", "\(BlobAuthorization.header): \($0)"] } ?? []), body: Data(body)).status
            }
            let right = BlobAuthorization.signature(key, genesis: genesis.digest, root: root, bytes: bytes.count)
            #expect(try put(nil, bytes) == 403)
            #expect(try put("0x1234", bytes) == 403)
            #expect(try put(BlobAuthorization.signature(KeyPair(seed: "stranger"), genesis: genesis.digest, root: root, bytes: bytes.count), bytes) == 403)
            #expect(try put(right, Array(bytes.dropLast())) == 403, "the size is signed")
            #expect(try put(right, [8] + bytes.dropFirst()) == 422, "other bytes of that size")
            #expect(try put(right, bytes, at: url.appending(path: "blobs/12")) == 400)
            #expect(try curl(path, []).status == 404)
            #expect(try put(right, bytes) == 201)
            let back = try curl(path, [])
            #expect(back.status == 200 && Array(back.body) == bytes)
        }
    }
}
