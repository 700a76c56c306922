import AsyncHTTPClient
import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Foundation
import NIOCore
import NIOHTTP1

/// A call that failed: where, and why.
public enum ClientError: Error, Sendable, CustomStringConvertible {
    case unreachable(url: String, cause: String)
    case refused(url: String, RPCError)
    case malformed(url: String, what: String)

    public var description: String {
        switch self {
        case .unreachable(let url, let cause): "no answer from \(url): \(cause)"
        case .refused(let url, let error): "\(url): \(error.message)"
        case .malformed(let url, let what): "\(url) answered something else than \(what)"
        }
    }
}

/// JSON-RPC and blobs of one validator.
public struct RPCClient: Sendable {
    public let url: String
    private static let blobLimit = 1 << 30
    private let http: HTTPClient

    public init(_ url: String, http: HTTPClient = .shared) { (self.url, self.http) = (url.hasSuffix("/") ? String(url.dropLast()) : url, http) }

    public func call(_ method: String, _ parameters: JSON = [], timeout: TimeAmount = .seconds(20)) async throws -> JSON {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/json")
        let body: JSON = ["jsonrpc": "2.0", "id": .int(1), "method": .string(method), "params": parameters]
        request.body = .bytes(ByteBuffer(bytes: body.data))
        let data = try await execute(request, limit: 64 << 20, timeout: timeout).body
        guard let answer = try? JSON(data) else { throw ClientError.malformed(url: url, what: "JSON") }
        if let error = answer["error"], !error.isNull { throw ClientError.refused(url: url, RPCError(Int(error["code"]?.int ?? 0), error["message"]?.string ?? "no message", data: error["data"])) }
        guard let result = answer["result"] else { throw ClientError.malformed(url: url, what: "a result of \(method)") }
        return result
    }

    private func execute(_ request: HTTPClientRequest, limit: Int, timeout: TimeAmount) async throws -> (status: Int, body: Data) {
        do {
            let response = try await http.execute(request, timeout: timeout)
            let body = try await response.body.collect(upTo: limit)
            return (Int(response.status.code), Data(body.readableBytesView))
        } catch { throw ClientError.unreachable(url: url, cause: "\(error)") }
    }

    // MARK: In Swift's terms

    /// Whether it answers at all.
    public func isReachable() async -> Bool {
        do {
            _ = try await call("eth_blockNumber", [], timeout: .seconds(5))
            return true
        } catch { return false }
    }

    public func uint64(_ method: String, _ parameters: JSON = []) async throws -> UInt64 {
        let answer = try await call(method, parameters)
        guard let text = answer.string, let value = U256(text)?.uint64 else { throw ClientError.malformed(url: url, what: "a quantity") }
        return value
    }
    public func balance(_ address: Address) async throws -> U256 {
        guard let text = try await call("eth_getBalance", [.string(address.description), "latest"]).string, let value = U256(text) else { throw ClientError.malformed(url: url, what: "a balance") }
        return value
    }
    public func head() async throws -> HeadView { try await call("assay_head").decoded() }
    public func window(_ window: Window) async throws -> WindowView? {
        let json = try await call("assay_window", [.int(Int64(clamping: window.rawValue))])
        return json.isNull ? nil : try json.decoded()
    }
    /// Nil, or why it was refused.
    public func submit(_ raw: [UInt8]) async throws -> String? {
        let answer = try await call("assay_submit", [.string(hex(raw))])
        return answer["accepted"] == .bool(true) || answer["accepted"] == .int(1) ? nil : answer["reason"]?.string ?? "no reason given"
    }
    public func view(_ function: ABIFunction, at contract: Address, _ values: [ABIValue]) async throws -> [ABIValue] {
        let data = function.selector + ABI.encode(values)
        let result = try await call("eth_call", [["to": .string(contract.description), "data": .string(hex(data))], "latest"])
        guard let text = result.string, let bytes = bytes(hex: text), let decoded = try? function.decodeOutputs(bytes) else { throw ClientError.malformed(url: url, what: "the outputs of \(function.name)") }
        return decoded
    }

    /// Signs, sends and waits for a transaction of an account.
    /// - Returns: the block's number. - Throws: `ClientError.refused` with the named revert if it failed.
    public func transact(_ key: KeyPair, chainID: UInt64, to: Address, value: U256 = 0, data: [UInt8], seconds: Int = 60) async throws -> UInt64 {
        let nonce = RPCClient.quantity(try await call("eth_getTransactionCount", .array([.string(key.address.description), .string("pending")])))
        let gas = RPCClient.quantity(try await call("eth_estimateGas", .array([RPCClient.callObject(key.address, to, value, data)])))
        let transaction = RPCClient.signed(key, chainID, nonce, gas, to, value, data)
        _ = try await call("eth_sendRawTransaction", [.string(hex(transaction.raw))])
        return try await executed(transaction.hash, seconds: seconds)
    }

    private static func callObject(_ from: Address, _ to: Address, _ value: U256, _ data: [UInt8]) -> JSON {
        ["from": .string(from.description), "to": .string(to.description), "value": Quantity.json(value), "data": .string(hex(data))]
    }

    private static func signed(_ key: KeyPair, _ chainID: UInt64, _ nonce: UInt64, _ gas: UInt64, _ to: Address, _ value: U256, _ data: [UInt8]) -> Transaction {
        .dynamicFee(chainID: chainID, nonce: nonce, maxFeePerGas: Ledger.baseFee, gasLimit: gas, to: to, value: value, data: data, by: key)
    }

    /// Waits for a transaction's receipt.
    private func executed(_ hash: Digest, seconds: Int) async throws -> UInt64 {
        for _ in 0..<max(1, seconds * 6) {
            let receipt = try await call("eth_getTransactionReceipt", [.string(hash.description)])
            if !receipt.isNull {
                guard receipt["status"]?.string == "0x1" else { throw ClientError.refused(url: url, RPCError(3, "the transaction \(hash) failed")) }
                return RPCClient.quantity(receipt["blockNumber"])
            }
                try await Task.sleep(nanoseconds: 160_000_000)
        }
        throw ClientError.unreachable(url: url, cause: "the transaction \(hash) was not executed within \(seconds) s")
    }
    private static func quantity(_ json: JSON?) -> UInt64 { json?.string.flatMap { U256($0) }?.uint64 ?? 0 }

    // MARK: Blobs

    /// Nil if it is not there. - Throws: if the bytes are not what the root stands for.
    public func blob(_ root: Digest) async throws -> [UInt8]? {
        let request = HTTPClientRequest(url: "\(url)/blobs/\(hex(root.bytes, prefix: false))")
        let (status, body) = try await execute(request, limit: RPCClient.blobLimit, timeout: .seconds(60))
        guard status == 200 else { return nil }
        let bytes = [UInt8](body)
        guard Blob.root(bytes) == root else { throw ClientError.malformed(url: url, what: "the blob \(root)") }
        return bytes
    }

    public func put(_ bytes: [UInt8], key: KeyPair, genesis: Digest) async throws {
        let root = Blob.root(bytes)
        var request = HTTPClientRequest(url: "\(url)/blobs/\(hex(root.bytes, prefix: false))")
        request.method = .PUT
        request.headers.add(name: BlobAuthorization.header, value: BlobAuthorization.signature(key, genesis: genesis, root: root, bytes: bytes.count))
        request.body = .bytes(ByteBuffer(bytes: bytes))
        let (status, body) = try await execute(request, limit: 1 << 16, timeout: .seconds(60))
        guard status == 201 else { throw ClientError.refused(url: url, RPCError(-32000, "blob \(root) was not taken (\(status)): \(String(decoding: body, as: UTF8.self))")) }
    }
}
