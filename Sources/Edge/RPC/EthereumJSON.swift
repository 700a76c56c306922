import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol

/// Blocks, transactions and receipts in the words of Ethereum's execution APIs.
enum EthereumJSON {
    static let emptyUncles = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
    static let zeros32 = "0x" + String(repeating: "0", count: 64)

    static func block(_ header: BlockHeader, _ receipts: [StoredReceipt], _ logs: [StoredLog], full: Bool, chainID: UInt64) -> JSON {
        let hash = header.hash
        return [
            "number": Quantity.json(header.number), "hash": .string(hash.description), "parentHash": .string(header.parentHash.description),
            "nonce": "0x0000000000000000", "sha3Uncles": .string(emptyUncles), "mixHash": .string(zeros32), "uncles": [],
            "logsBloom": .string(hex(bloom(logs.map(\.log)))), "transactionsRoot": .string(header.transactionsRoot.description), "stateRoot": .string(header.stateRoot.description),
            // The log root after this block; RFC 6962, not a Merkle-Patricia root.
            "receiptsRoot": .string(header.logRoot.description), "miner": .string(header.proposer.description), "difficulty": "0x0", "totalDifficulty": "0x0",
            "extraData": .string(header.logRoot.description), "size": Quantity.json(UInt64(512 + receipts.reduce(0) { $0 + ($1.raw?.count ?? 0) })),
            "gasLimit": Quantity.json(Ledger.blockGasLimit), "gasUsed": Quantity.json(header.gasUsed), "timestamp": Quantity.json(header.timestamp.milliseconds / 1_000),
            "baseFeePerGas": Quantity.json(Ledger.baseFee),
            "transactions": .array(receipts.map { full ? transaction($0, blockHash: hash, chainID: chainID) : .string($0.hash.description) }),
        ]
    }

    static func transaction(_ receipt: StoredReceipt, blockHash: Digest, chainID: UInt64) -> JSON {
        guard let raw = receipt.raw, let transaction = try? Transaction(raw: raw, chainID: chainID) else { return system(receipt, blockHash) }
        return json(transaction, place: (receipt.number, blockHash, receipt.place), price: receipt.price)
    }

    static func json(_ transaction: Transaction, place: (number: UInt64, hash: Digest, index: Int)?, price: U256) -> JSON {
        let recovery = UInt64(transaction.signature.recovery)
        var fields: [String: JSON] = [
            "hash": .string(transaction.hash.description), "from": .string(transaction.sender.description), "to": transaction.to.map { .string($0.description) } ?? .null,
            "nonce": Quantity.json(transaction.nonce), "value": Quantity.json(transaction.value), "gas": Quantity.json(transaction.gasLimit), "gasPrice": Quantity.json(price),
            "input": .string(hex(transaction.data)), "type": Quantity.json(UInt64(transaction.kind.rawValue)), "chainId": Quantity.json(transaction.chainID),
            "r": Quantity.json(transaction.signature.r), "s": Quantity.json(transaction.signature.s),
            "v": Quantity.json(transaction.kind == .legacy ? transaction.chainID * 2 + 35 + recovery : recovery),
            "blockHash": place.map { .string($0.hash.description) } ?? .null, "blockNumber": place.map { Quantity.json($0.number) } ?? .null,
            "transactionIndex": place.map { Quantity.json(UInt64($0.index)) } ?? .null,
        ]
        if transaction.kind != .legacy {
            fields["yParity"] = Quantity.json(recovery)
            fields["accessList"] = .array(transaction.accessList.compactMap { item in
                guard let parts = try? item.items(), parts.count == 2, let address = try? parts[0].string(), let keys = try? parts[1].items() else { return nil }
                return ["address": .string(hex(address)), "storageKeys": .array(keys.compactMap { (try? $0.string()).map { .string(hex($0)) } })]
            })
        }
        if transaction.kind == .dynamicFee {
            fields["maxFeePerGas"] = Quantity.json(transaction.maxFeePerGas)
            fields["maxPriorityFeePerGas"] = Quantity.json(transaction.maxPriorityFeePerGas)
        }
        return .object(fields)
    }

    private static func system(_ receipt: StoredReceipt, _ blockHash: Digest) -> JSON {
        let zero = Address.zero.description
        return [
            "hash": .string(receipt.hash.description), "from": .string(zero), "to": .string(ContractAddress.runs.description), "nonce": "0x0", "value": "0x0", "gas": "0x0", "gasPrice": "0x0", "input": "0x", "type": "0x0",
            "r": "0x0", "s": "0x0", "v": "0x0", "blockHash": .string(blockHash.description), "blockNumber": Quantity.json(receipt.number), "transactionIndex": Quantity.json(UInt64(receipt.place)),
        ]
    }

    static func receipt(_ receipt: StoredReceipt, _ logs: [StoredLog], blockHash: Digest, cumulativeGas: UInt64, chainID: UInt64) -> JSON {
        let transaction = receipt.raw.flatMap { try? Transaction(raw: $0, chainID: chainID) }
        return [
            "transactionHash": .string(receipt.hash.description), "transactionIndex": Quantity.json(UInt64(receipt.place)), "blockHash": .string(blockHash.description), "blockNumber": Quantity.json(receipt.number),
            "from": .string((transaction?.sender ?? .zero).description), "to": transaction.map { $0.to.map { .string($0.description) } ?? .null } ?? .string(ContractAddress.runs.description),
            "cumulativeGasUsed": Quantity.json(cumulativeGas), "gasUsed": Quantity.json(receipt.gasUsed), "effectiveGasPrice": Quantity.json(receipt.price), "contractAddress": .null,
            "logs": .array(logs.map { log($0, blockHash: blockHash, transactionIndex: receipt.place) }), "logsBloom": .string(hex(bloom(logs.map(\.log)))),
            "status": receipt.succeeded ? "0x1" : "0x0", "type": Quantity.json(UInt64(transaction?.kind.rawValue ?? 0)),
        ]
    }

    static func log(_ stored: StoredLog, blockHash: Digest, transactionIndex: Int) -> JSON {
        [
            "address": .string(stored.log.contract.description), "topics": .array(stored.log.topics.map { .string($0.description) }), "data": .string(hex(stored.log.data)),
            "blockNumber": Quantity.json(stored.number), "blockHash": .string(blockHash.description), "transactionHash": .string(stored.transactionHash.description),
            "transactionIndex": Quantity.json(UInt64(transactionIndex)), "logIndex": Quantity.json(UInt64(stored.place)), "removed": false,
        ]
    }

    /// 2048 bits; an address or topic sets the three that the first six bytes of its keccak name (yellow paper, 4.4.1).
    static func bloom(_ logs: [Log]) -> [UInt8] {
        var bits = [UInt8](repeating: 0, count: 256)
        for log in logs {
            for item in [log.contract.bytes] + log.topics.map(\.bytes) {
                let hash = keccak256(item)
                for pair in stride(from: 0, to: 6, by: 2) {
                    let bit = (Int(hash[pair]) << 8 | Int(hash[pair + 1])) & 2_047
                    bits[255 - bit / 8] |= 1 << UInt8(bit % 8)
                }
            }
        }
        return bits
    }
}
