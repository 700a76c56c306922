import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// The methods: one request in, one answer or error out.
struct RPCMethods: Sendable {
    let backend: any RPCBackend
    static let blockRange: UInt64 = 100_000
    static let logLimit = 20_000
    static let percentileLimit = 100

    private var chainID: UInt64 { backend.genesis.chainID }

    func answer(_ method: String, _ parameters: JSON) async throws -> JSON {
        switch method {
        case "web3_clientVersion": return "assay/0.1.0"
        case "net_version": return .string("\(chainID)")
        case "net_listening": return true
        case "eth_chainId": return Quantity.json(chainID)
        case "eth_syncing": return false
        case "eth_accounts": return []
        case "eth_blockNumber": return Quantity.json(await backend.ledger().head.number)
        case "eth_gasPrice": return Quantity.json(Ledger.baseFee)
        case "eth_maxPriorityFeePerGas": return "0x0"
        case "eth_feeHistory": return try await feeHistory(parameters)
        case "eth_getBalance": return Quantity.json(await backend.ledger().balance(of: try Quantity.address(parameters[0], "address")))
        case "eth_getTransactionCount": return try await transactionCount(parameters)
        case "eth_getCode":
            let address = try Quantity.address(parameters[0], "address")
            return ContractAddress.all.contains { $0.address == address } ? "0x60006000fd" : "0x"
        case "eth_getStorageAt": return .string(EthereumJSON.zeros32)
        case "eth_call": return try await call(parameters)
        case "eth_estimateGas": return try await estimate(parameters)
        case "eth_sendRawTransaction": return try await send(parameters)
        case "eth_getTransactionByHash": return try await transaction(parameters)
        case "eth_getTransactionReceipt": return try await receipt(parameters)
        case "eth_getBlockByNumber": return try await block(try await number(parameters[0]), full: parameters[1])
        case "eth_getBlockByHash": return try await block(try await backend.header(hash: try Quantity.digest(parameters[0], "hash")), full: parameters[1])
        case "eth_getBlockReceipts": return try await blockReceipts(parameters)
        case "eth_getLogs": return try await logs(parameters)
        case "rpc_modules": return ["web3": "1.0", "net": "1.0", "eth": "1.0", "rpc": "1.0", "assay": "1.0"]
        case "assay_status": return await backend.status()
        case "assay_networkInfo": return networkInfo()
        case "assay_head": return try JSON(encoding: HeadView(await backend.ledger()))
        case "assay_window": return try await window(parameters)
        case "assay_trainers": return await trainers()
        case "assay_submit": return try await submit(parameters)
        case "assay_getCheckpoint": return await checkpoint()
        case "assay_getInclusionProof": return try await inclusion(parameters)
        case "assay_getConsistencyProof": return try await consistency(parameters)
        default: throw RPCError(-32601, "the method \(method) does not exist/is not available")
        }
    }

    // MARK: Blocks

    /// By quantity or tag; nil for a block that is not there.
    private func number(_ json: JSON?) async throws -> BlockHeader? {
        switch json?.string {
        case nil, "latest", "pending", "safe", "finalized": return await backend.ledger().head
        case "earliest": return try await header(0)
        default: return try await header(try Quantity.uint64(json, "block"))
        }
    }
    private func header(_ number: UInt64) async throws -> BlockHeader? {
        if number == 0 { return (try? Ledger(genesis: backend.genesis))?.head }
        return try await backend.header(number: number)
    }
    private func block(_ header: BlockHeader?, full: JSON?) async throws -> JSON {
        guard let header else { return .null }
        let receipts = header.number == 0 ? [] : try await backend.receipts(number: header.number)
        let logs = header.number == 0 ? [] : try await backend.logs(from: header.number, to: header.number, contracts: [], topics: [], limit: RPCMethods.logLimit)
        return EthereumJSON.block(header, receipts, logs, full: full == .bool(true), chainID: chainID)
    }
    private func feeHistory(_ parameters: JSON) async throws -> JSON {
        let wanted = try parameters[0]?.int.map { UInt64(max(0, $0)) } ?? Quantity.uint64(parameters[0], "blockCount")
        let count = min(1_024, wanted)
        guard let newest = try await number(parameters[1]) else { throw RPCError.parameters("unknown block") }
        let blocks = min(count, newest.number + 1)
        let percentiles = parameters[2]?.array?.count ?? 0
        // Each is answered for every block: without a limit a long list would be multiplied by a thousand.
        guard percentiles <= RPCMethods.percentileLimit else { throw RPCError.parameters("over the query limit \(RPCMethods.percentileLimit): \(percentiles) reward percentiles") }
        return [
            "oldestBlock": Quantity.json(newest.number + 1 - blocks), "baseFeePerGas": .array((0...blocks).map { _ in Quantity.json(Ledger.baseFee) }), "gasUsedRatio": .array((0..<blocks).map { _ in .double(0) }),
            "reward": .array((0..<blocks).map { _ in .array((0..<percentiles).map { _ in "0x0" }) }),
        ]
    }

    // MARK: Transactions

    private func transactionCount(_ parameters: JSON) async throws -> JSON {
        let address = try Quantity.address(parameters[0], "address")
        var nonce = await backend.ledger().nonce(of: address)
        if parameters[1]?.string == "pending" {
            let waiting = await backend.pending().compactMap { try? Transaction(raw: $0, chainID: chainID) }.filter { $0.sender == address }
            nonce = max(nonce, (waiting.map(\.nonce).max() ?? 0) + (waiting.isEmpty ? 0 : 1))
        }
        return Quantity.json(nonce)
    }

    private struct Call { var to: Address?, from: Address, data: [UInt8], value: U256 }
    private func parse(_ json: JSON?) throws -> Call {
        guard let fields = json?.object else { throw RPCError.parameters("a call object is needed") }
        func given(_ key: String) -> JSON? { fields[key].flatMap { $0.isNull ? nil : $0 } }
        return Call(
            to: try given("to").map { try Quantity.address($0, "to") }, from: try given("from").map { try Quantity.address($0, "from") } ?? .zero,
            data: try (given("input") ?? given("data")).map { try Quantity.bytes($0, "data") } ?? [], value: try given("value").map { try Quantity.u256($0, "value") } ?? 0)
    }
    private func call(_ parameters: JSON) async throws -> JSON {
        let call = try parse(parameters[0])
        switch await backend.ledger().call(to: call.to, data: call.data, from: call.from, value: call.value) {
        case .returned(let bytes): return .string(hex(bytes))
        case .reverted(let data, let reason): throw RPCError(3, "execution reverted: \(reason)", data: .string(hex(data)))
        }
    }
    private func estimate(_ parameters: JSON) async throws -> JSON {
        let call = try parse(parameters[0])
        let ledger = await backend.ledger()
        if ledger.balance(of: call.from) < call.value { throw RPCError(-32000, "insufficient funds for transfer") }
        let (gas, result) = ledger.estimateGas(to: call.to, data: call.data, from: call.from, value: call.value)
        if case .reverted(let data, let reason) = result { throw RPCError(3, "execution reverted: \(reason)", data: .string(hex(data))) }
        return Quantity.json(gas)
    }
    private func send(_ parameters: JSON) async throws -> JSON {
        let raw = try Quantity.bytes(parameters[0], "transaction")
        if case .refused(let reason) = await backend.submit(raw) { throw RPCError(-32000, reason) }
        return .string(hex(keccak256(raw)))
    }
    /// As eth_sendRawTransaction, but a refusal is an answer: for clients that send duties to several validators.
    private func submit(_ parameters: JSON) async throws -> JSON {
        let raw = try Quantity.bytes(parameters[0], "transaction")
        if case .refused(let reason) = await backend.submit(raw) { return ["accepted": false, "reason": .string(reason)] }
        return ["accepted": true]
    }
    private func transaction(_ parameters: JSON) async throws -> JSON {
        let hash = try Quantity.digest(parameters[0], "hash")
        if let receipt = try await backend.receipt(hash), let header = try await backend.header(number: receipt.number) { return EthereumJSON.transaction(receipt, blockHash: header.hash, chainID: chainID) }
        for raw in await backend.pending() where Digest(bytes: keccak256(raw)) == hash {
            if let transaction = try? Transaction(raw: raw, chainID: chainID) { return EthereumJSON.json(transaction, place: nil, price: transaction.maxFeePerGas) }
        }
        return .null
    }
    private func receipt(_ parameters: JSON) async throws -> JSON {
        guard let found = try await backend.receipt(try Quantity.digest(parameters[0], "hash")), let header = try await backend.header(number: found.number) else { return .null }
        return try await receipts(of: header).first { $0["transactionHash"]?.string == found.hash.description } ?? .null
    }
    private func blockReceipts(_ parameters: JSON) async throws -> JSON {
        guard let header = try await number(parameters[0]) else { return .null }
        return .array(header.number == 0 ? [] : try await receipts(of: header))
    }
    private func receipts(of header: BlockHeader) async throws -> [JSON] {
        let logs = try await backend.logs(from: header.number, to: header.number, contracts: [], topics: [], limit: .max)
        var gas: UInt64 = 0
        return try await backend.receipts(number: header.number).map { receipt in
            gas += receipt.gasUsed
            let own = logs.filter { $0.place >= receipt.firstLog && $0.place < receipt.firstLog + receipt.logCount }
            return EthereumJSON.receipt(receipt, own, blockHash: header.hash, cumulativeGas: gas, chainID: chainID)
        }
    }

    private func logs(_ parameters: JSON) async throws -> JSON {
        guard let filter = parameters[0]?.object else { throw RPCError.parameters("a filter object is needed") }
        var from: UInt64, to: UInt64
        if let hash = filter["blockHash"], !hash.isNull {
            guard let header = try await backend.header(hash: try Quantity.digest(hash, "blockHash")) else { throw RPCError(-32000, "unknown block") }
            (from, to) = (header.number, header.number)
        } else {
            from = try await number(filter["fromBlock"])?.number ?? .max
            to = try await number(filter["toBlock"])?.number ?? .max
        }
        to = min(to, await backend.ledger().head.number)
        guard from <= to else { return [] }
        guard to - from <= RPCMethods.blockRange else { throw RPCError(-32005, "block range too big: at most \(RPCMethods.blockRange) blocks") }
        func list(_ json: JSON?) -> [JSON] { json.map { $0.array ?? ($0.isNull ? [] : [$0]) } ?? [] }
        let contracts = try list(filter["address"]).map { try Quantity.address($0, "address") }
        let topics = try (filter["topics"]?.array ?? []).prefix(4).map { try list($0).map { try Quantity.digest($0, "topic") } }
        let rows = try await backend.logs(from: from, to: to, contracts: contracts, topics: Array(topics), limit: RPCMethods.logLimit + 1)
        guard rows.count <= RPCMethods.logLimit else { throw RPCError(-32005, "query returned more than \(RPCMethods.logLimit) results") }
        var hashes: [UInt64: Digest] = [:], places: [Digest: Int] = [:], answers: [JSON] = []
        for row in rows {
            if hashes[row.number] == nil { hashes[row.number] = try await backend.header(number: row.number)?.hash }
            if places[row.transactionHash] == nil { places[row.transactionHash] = try await backend.receipt(row.transactionHash)?.place }
            answers.append(EthereumJSON.log(row, blockHash: hashes[row.number] ?? .zero, transactionIndex: places[row.transactionHash] ?? 0))
        }
        return .array(answers)
    }

    // MARK: Assay's own

    private func networkInfo() -> JSON {
        let genesis = backend.genesis
        return [
            "chainId": Quantity.json(chainID), "genesis": .string(genesis.digest.description), "canonicalGenesis": .string(hex(genesis.canonicalBytes)), "run": .string(genesis.runID.description),
            "contracts": .object(Dictionary(uniqueKeysWithValues: ContractAddress.all.map { ($0.name, .string($0.address.description)) })),
            "validators": .array(genesis.validators.enumerated().map { index, validator in
                ["owner": .string(validator.owner.description), "endpoint": .string(validator.endpoint), "rpc": index < backend.validatorURLs.count ? .string(backend.validatorURLs[index]) : .null]
            }),
        ]
    }
    private func windowNumber(_ json: JSON?) throws -> Window {
        if let number = json?.int, number >= 0 { return Window(UInt64(number)) }
        return Window(try Quantity.uint64(json, "window"))
    }
    private func window(_ parameters: JSON) async throws -> JSON {
        guard let view = await backend.ledger().windowView(try windowNumber(parameters[0])) else { return .null }
        return try JSON(encoding: view)
    }
    private func trainers() async -> JSON {
        let ledger = await backend.ledger()
        return .array(ledger.runStatus.trainers.map { trainer in
            let member = ledger.member(trainer), staker = ledger.staker(trainer)
            return [
                "address": .string(trainer.description), "name": .string(staker?.name ?? ""), "nodeKey": .string((staker?.nodeKey ?? .zero).description), "stake": .string((staker?.stake ?? 0).description),
                "mu": .int(member?.rating.mu ?? 0), "sigma": .int(member?.rating.sigma ?? 0), "value": .int(Int64(clamping: member?.value ?? 0)), "cleanReplays": .int(Int64(member?.cleanReplays ?? 0)), "missLevel": .int(Int64(member?.missLevel ?? 0)),
                "jailedUntil": member?.jailedUntil.map { .int(Int64(clamping: $0.rawValue)) } ?? .null, "pending": .string(ledger.pendingRewards(trainer).description), "claimable": .string(ledger.claimable(trainer).description),
            ]
        })
    }
    private func checkpoint() async -> JSON {
        let ledger = await backend.ledger()
        return ["size": .int(Int64(ledger.logTree.count)), "root": .string(ledger.logTree.root.description), "block": Quantity.json(ledger.head.number), "stateRoot": .string(ledger.head.stateRoot.description)]
    }
    private func inclusion(_ parameters: JSON) async throws -> JSON {
        let tree = await backend.ledger().logTree
        let index = try Quantity.uint64(parameters[0], "index"), size = try parameters[1].map { try Quantity.uint64($0, "size") } ?? UInt64(tree.count)
        guard size <= tree.count, index < size else { throw RPCError.parameters("leaf \(index) of \(size); the log has \(tree.count)") }
        return ["size": .int(Int64(size)), "root": .string(tree.root(size: Int(size)).description), "leaf": .string(tree.levels[0][Int(index)].description), "proof": .array(tree.inclusionProof(of: Int(index), size: Int(size)).map { .string($0.description) })]
    }
    private func consistency(_ parameters: JSON) async throws -> JSON {
        let tree = await backend.ledger().logTree
        let old = try Quantity.uint64(parameters[0], "old"), size = try parameters[1].map { try Quantity.uint64($0, "size") } ?? UInt64(tree.count)
        guard size <= tree.count, old <= size else { throw RPCError.parameters("sizes \(old) and \(size); the log has \(tree.count)") }
        return ["oldRoot": .string(tree.root(size: Int(old)).description), "root": .string(tree.root(size: Int(size)).description), "proof": .array(tree.consistencyProof(from: Int(old), to: Int(size)).map { .string($0.description) })]
    }
}

/// A ledger's head in JSON, for clients that act on it.
public struct HeadView: Codable, Sendable {
    public let status: RunStatus
    public let views: [WindowView]
    public init(_ ledger: Ledger) {
        let head = LedgerHead(ledger)
        (status, views) = (head.status, head.views)
    }
    public var head: LedgerHead { LedgerHead(status: status, views: views) }
}
