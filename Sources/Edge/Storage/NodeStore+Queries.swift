import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Foundation
import GRDB

/// What wallets and auditors ask for.
extension NodeStore {
    public func header(number: UInt64) throws -> BlockHeader? {
        try read { try Data.fetchOne($0, sql: "SELECT bytes FROM header WHERE number = ?", arguments: [Int64(clamping: number)]).map { try BlockHeader(canonicalBytes: [UInt8]($0)) } }
    }
    public func header(hash: Digest) throws -> BlockHeader? {
        try read { try Data.fetchOne($0, sql: "SELECT bytes FROM header WHERE hash = ?", arguments: [Data(hash.bytes)]).map { try BlockHeader(canonicalBytes: [UInt8]($0)) } }
    }
    public func receipt(_ hash: Digest) throws -> StoredReceipt? {
        try read { try Row.fetchOne($0, sql: "SELECT * FROM executed WHERE substr(hash, 1, 8) = ? AND hash = ?", arguments: [Data(hash.bytes.prefix(8)), Data(hash.bytes)]).map(NodeStore.receipt) }
    }
    public func receipts(number: UInt64) throws -> [StoredReceipt] {
        try read { try Row.fetchAll($0, sql: "SELECT * FROM executed WHERE number = ? ORDER BY place", arguments: [Int64(clamping: number)]).map(NodeStore.receipt) }
    }

    /// Logs of a range, by contract and topics: for each place of a topic the ones allowed, none for any.
    public func logs(from: UInt64, to: UInt64, contracts: [Address], topics: [[Digest]], limit: Int) throws -> [StoredLog] {
        var conditions = ["number BETWEEN ? AND ?"], arguments: [any DatabaseValueConvertible] = [Int64(clamping: from), Int64(clamping: to)]
        func allow(_ column: String, _ values: [[UInt8]]) {
            guard !values.isEmpty else { return }
            conditions.append("\(column) IN (\(values.map { _ in "?" }.joined(separator: ", ")))")
            arguments += values.map { Data($0) }
        }
        allow("contract", contracts.map(\.bytes))
        for (place, allowed) in topics.prefix(4).enumerated() { allow("topic\(place)", allowed.map(\.bytes)) }
        return try read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM log WHERE \(conditions.joined(separator: " AND ")) ORDER BY number, place LIMIT \(limit)", arguments: StatementArguments(arguments)).map { row in
                let topics = (0..<4).compactMap { row["topic\($0)"] as Data? }.map { Digest(bytes: $0) }
                let log = Log(contract: Address(bytes: row["contract"] as Data), topics: topics, data: [UInt8](row["data"] as Data))
                return StoredLog(number: UInt64(row["number"] as Int64), place: row["place"], log: log, transactionHash: Digest(bytes: row["hash"] as Data))
            }
        }
    }

    private static func receipt(_ row: Row) -> StoredReceipt {
        StoredReceipt(hash: Digest(bytes: row["hash"] as Data), number: UInt64(row["number"] as Int64), place: row["place"], raw: (row["raw"] as Data?).map { [UInt8]($0) }, succeeded: row["succeeded"],
                gasUsed: UInt64(row["gas"] as Int64), price: U256(bigEndianBytes: row["price"] as Data), revert: [UInt8](row["revert"] as Data), firstLog: row["first_log"], logCount: row["logs"])
    }
}
