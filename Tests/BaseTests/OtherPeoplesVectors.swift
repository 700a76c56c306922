import AssayCrypto
import AssayPrimitives
import AssayProtocol
import Foundation
import TestKit
import Testing

/// Held to eth-account, eth-abi, eth-utils and pymerkle, by way of Tests/Python/base_vectors.py.
@Suite(.enabled(if: Python.isThere, "\(Python.absent)"))
struct OtherPeoplesVectors {
    private static let chainID: UInt64 = 77
    private static let keys = (0..<5).map { KeyPair(seed: "vector \($0)") }
    private static let lengths = [0, 1, 135, 136, 137, 271, 272, 1_000]

    private static func made(_ index: Int) -> Transaction {
        .dynamicFee(chainID: chainID, nonce: UInt64(index), maxPriorityFeePerGas: U256(UInt64(index)), maxFeePerGas: 3_000_000_000, gasLimit: 50_000,
                    to: Address(number: 0x0a01), value: U256(UInt64(index) * 1_000), data: [UInt8](repeating: 7, count: index * 20), by: keys[index])
    }

    /// One run of the script answers all tests.
    private static let answerBytes = Result { () throws -> Data in
        let input: [String: Any] = [
            "chainId": chainID,
            "dynamicFee": keys.indices.map { index -> [String: Any] in
                ["key": hex(keys[index].privateBytes), "fields": [
                    "type": 2, "chainId": chainID, "nonce": index, "maxPriorityFeePerGas": index, "maxFeePerGas": 3_000_000_000, "gas": 50_000,
                    "to": Address(number: 0x0a01).description, "value": index * 1_000, "data": hex([UInt8](repeating: 7, count: index * 20)),
                ] as [String: Any]]
            },
            "keccak": lengths.map { hex((0..<$0).map { UInt8(truncatingIfNeeded: $0) }, prefix: false) },
        ]
        return try Python.run("base_vectors.py", input: JSONSerialization.data(withJSONObject: input))
    }
    private static func answer(_ key: String) throws -> Any? {
        (try JSONSerialization.jsonObject(with: answerBytes.get()) as? [String: Any])?[key]
    }

    @Test func `transactions by eth-account are read as they were meant`() throws {
        let rows = try #require(try OtherPeoplesVectors.answer("transactions") as? [[String: Any]])
        #expect(rows.count == 60)
        for row in rows {
            let read = try Transaction(raw: try #require(bytes(hex: row["raw"] as! String)), chainID: OtherPeoplesVectors.chainID)
            #expect(Int(read.kind.rawValue) == row["kind"] as? Int)
            #expect(hex(read.hash.bytes, prefix: false) == (row["hash"] as! String).replacingOccurrences(of: "0x", with: ""))
            #expect(read.sender.description == row["sender"] as? String)
            #expect(read.to?.description == row["to"] as? String)
            #expect(String(read.nonce) == row["nonce"] as? String)
            #expect(read.value.description == row["value"] as? String)
            #expect(hex(read.data, prefix: false) == row["data"] as? String)
        }
    }

    @Test func `a transaction signed here has the bytes that eth-account gives it`() throws {
        let rows = try #require(try OtherPeoplesVectors.answer("dynamicFee") as? [String])
        for (index, row) in rows.enumerated() { #expect(hex(OtherPeoplesVectors.made(index).raw, prefix: false) == row) }
        #expect(rows.count == OtherPeoplesVectors.keys.count)
    }

    @Test func `the ABI codes values as eth-abi does`() throws {
        let types = ["uint256", "bool", "int64", "bytes", "bytes32", "string", "uint64[]", "(uint64,bytes)[]"].map { ABIType($0)! }
        let rows = try #require(try OtherPeoplesVectors.answer("abi") as? [[String: Any]])
        #expect(rows.count == 60)
        for row in rows {
            func raw(_ key: String) -> [UInt8] { bytes(hex: row[key] as! String)! }
            let values: [ABIValue] = [
                .uint(U256(row["number"] as! String)!), .bool(row["flag"] as! Bool), .int(Int64(row["small"] as! String)!), .bytes(raw("blob")),
                .fixedBytes(raw("word")), .string(row["text"] as! String), .array((row["numbers"] as! [String]).map { .uint(U256($0)!) }),
                .array((row["blobs"] as! [String]).map { .tuple([.uint(7), .bytes(bytes(hex: $0)!)]) }),
            ]
            #expect(hex(ABI.encode(values), prefix: false) == row["encoded"] as? String)
            #expect(try ABI.decode(types, raw("encoded")) == values)
        }
    }

    @Test func `keccak-256 is eth-utils'`() throws {
        let rows = try #require(try OtherPeoplesVectors.answer("keccak") as? [String])
        for (length, row) in zip(OtherPeoplesVectors.lengths, rows) { #expect(hex(keccak256((0..<length).map { UInt8(truncatingIfNeeded: $0) }), prefix: false) == row) }
        #expect(rows.count == OtherPeoplesVectors.lengths.count)
    }

    @Test func `roots and proofs are pymerkle's`() throws {
        let merkle = try #require(try OtherPeoplesVectors.answer("merkle") as? [String: Any])
        let roots = try #require(merkle["roots"] as? [String])
        let tree = MerkleTree(leaves: roots.indices.map { Array("leaf \($0)".utf8) })
        for (index, root) in roots.enumerated() { #expect(hex(tree.root(size: index + 1).bytes, prefix: false) == root) }
        // pymerkle lists more of a path than RFC 6962 does (it begins with the leaf itself); our siblings are all in it.
        for (index, path) in try #require(merkle["inclusion"] as? [[String]]).enumerated() {
            for digest in tree.inclusionProof(of: index) { #expect(path.contains(hex(digest.bytes, prefix: false))) }
        }
    }
}
