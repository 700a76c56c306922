import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Foundation
import GRDB

/// A validator's database: DAG blocks, commits, executed blocks, state, log. One SQLite file; each commit is one atomic, durable flush.
public final class NodeStore: Sendable {
    /// 3: blocks by epoch.
    public static let version = 3
    private let queue: DatabaseQueue
    public let path: String
    /// Drawn when it is made: a database that was lost and made anew is another.
    public let id: UInt64
    private let limitMiB: Int?

    /// Opens or makes the store of a network.
    /// - Parameter isDurable: false leaves it to the system when what was written reaches the disk: for measuring alone, never for a network.
    /// - Throws: `StorageError`, before anything is changed, if the file is another network's or a newer program's.
    public init(_ url: URL, genesis: Genesis, limitMiB: Int? = nil, isDurable: Bool = true) throws {
        path = url.path
        self.limitMiB = limitMiB
        do {
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            var configuration = Configuration()
            configuration.label = "store"
            configuration.prepareDatabase { database in
                // Only of one that is made now: to say it again would write into one that may be another network's. See `reclaim`.
                if try Int.fetchOne(database, sql: "PRAGMA page_count") == 0 { try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL") }
                try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = \(isDurable ? "FULL" : "OFF"); PRAGMA wal_autocheckpoint = 2000;")
                if let limitMiB {
                    let page = try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4_096
                    _ = try Int.fetchOne(database, sql: "PRAGMA max_page_count = \(max(1, limitMiB << 20 / page))")
                }
            }
            queue = try DatabaseQueue(path: url.path, configuration: configuration)
            id = try NodeStore.prepare(queue, genesis, url.path)
        } catch { throw NodeStore.explain(error, url.path, limitMiB: limitMiB) }
    }

    /// - Returns: its id.
    private static func prepare(_ queue: DatabaseQueue, _ genesis: Genesis, _ path: String) throws -> UInt64 {
        try queue.write { database -> UInt64 in
            if try database.tableExists("meta") {
                let kept = try Dictionary(uniqueKeysWithValues: Row.fetchAll(database, sql: "SELECT name, value FROM meta").map { ($0["name"] as String, $0["value"] as String) })
                guard kept["genesis"] == genesis.digest.description else {
                    throw StorageError(.otherNetwork, "\(path) belongs to another network: its genesis is \(kept["genesis"] ?? "unknown"), the genesis file's is \(genesis.digest).\n  Give the genesis file of that network, or another home.")
                }
                guard let version = kept["version"].flatMap(Int.init), version <= NodeStore.version else {
                    throw StorageError(.newerVersion, "\(path) was written by a newer version of assay (format \(kept["version"] ?? "unknown"), this one knows \(NodeStore.version)).\n  Use that version.")
                }
                guard version == NodeStore.version else {
                    throw StorageError(.newerVersion, "\(path) was written by an older version of assay (format \(version), this one writes \(NodeStore.version)).\n  Move it away and start the node again: it fetches everything from the others.")
                }
                guard let id = kept["id"].flatMap({ UInt64($0) }) else { throw StorageError(.damaged, "\(path) has lost its id.\n  Move it away and start the node again: it fetches everything from the others.") }
                return id
            }
            try database.execute(sql: """
                CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
                CREATE TABLE block (epoch INTEGER NOT NULL, round INTEGER NOT NULL, author INTEGER NOT NULL, digest BLOB NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (epoch, round, author, digest)) WITHOUT ROWID;
                CREATE TABLE ordered (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL, vote BLOB NOT NULL);
                CREATE TABLE header (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL);
                CREATE TABLE log (number INTEGER NOT NULL, place INTEGER NOT NULL, contract BLOB NOT NULL, topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (number, place)) WITHOUT ROWID;
                CREATE TABLE leaf (place INTEGER PRIMARY KEY, hash BLOB NOT NULL);
                CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
                """)
            try database.execute(sql: executedTable)
            let id = UInt64.random(in: 1...UInt64(Int64.max))
            for (name, value) in [("genesis", genesis.digest.description), ("version", String(NodeStore.version)), ("id", String(id))] {
                try database.execute(sql: "INSERT INTO meta VALUES (?, ?)", arguments: [name, value])
            }
            for entry in try Ledger.genesisEntries(genesis) { try database.execute(sql: "INSERT INTO state VALUES (?, ?)", arguments: [Data(entry.key), Data(entry.value)]) }
            return id
        }
    }

    /// By number and place, so that a commit's rows share pages; by its hash each row would rewrite a page of its own.
    private static let executedTable = """
        CREATE TABLE executed (hash BLOB NOT NULL, number INTEGER NOT NULL, place INTEGER NOT NULL, raw BLOB, succeeded INTEGER NOT NULL, gas INTEGER NOT NULL, price BLOB NOT NULL, revert BLOB NOT NULL, first_log INTEGER NOT NULL, logs INTEGER NOT NULL, PRIMARY KEY (number, place)) WITHOUT ROWID;
        CREATE INDEX executed_hash ON executed (substr(hash, 1, 8));
        """

    // MARK: Writing

    /// A commit as ordering sees it, and what its execution did; nil where execution leaves nothing to serve.
    public struct Flush: Sendable {
        public let ordered: OrderedCommit
        public let vote: CommitVote
        public let executed: ExecutedBlock?
        public init(_ ordered: OrderedCommit, _ vote: CommitVote, _ executed: ExecutedBlock?) { (self.ordered, self.vote, self.executed) = (ordered, vote, executed) }
    }

    /// Blocks, then commits and all that they did: durable when this returns; whole, or not at all.
    public func write(_ blocks: [(BlockReference, SignedBlock)], _ commits: [Flush]) throws {
        guard !blocks.isEmpty || !commits.isEmpty else { return }
        try write { database in
            try NodeStore.insert(blocks, database)
            for commit in commits { try NodeStore.insert(commit, database) }
        }
    }

    public func persist(_ blocks: [(BlockReference, SignedBlock)]) throws { try write(blocks, []) }

    /// A commit and all that it did, with the blocks that wait to be written.
    public func flush(_ ordered: OrderedCommit, vote: CommitVote, executed: ExecutedBlock, blocks: [(BlockReference, SignedBlock)]) throws {
        try write(blocks, [Flush(ordered, vote, executed)])
    }

    private static func insert(_ flush: Flush, _ database: Database) throws {
        let number = Int64(flush.ordered.commit.index.rawValue)
        try database.execute(sql: "INSERT INTO ordered VALUES (?, ?, ?)", arguments: [number, Data(flush.ordered.commit.canonicalBytes), Data(flush.vote.canonicalBytes)])
        guard let executed = flush.executed else { return }
        try database.execute(sql: "INSERT INTO header VALUES (?, ?, ?)", arguments: [number, Data(executed.hash.bytes), Data(executed.header.canonicalBytes)])
        let receipt = try database.cachedStatement(sql: "INSERT INTO executed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        let event = try database.cachedStatement(sql: "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        let leafRow = try database.cachedStatement(sql: "INSERT INTO leaf VALUES (?, ?)")
        let setting = try database.cachedStatement(sql: "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        let removal = try database.cachedStatement(sql: "DELETE FROM state WHERE key = ?")
        var place = 0
        for (index, transaction) in executed.transactions.enumerated() {
            try receipt.execute(arguments: [
                Data(transaction.hash.bytes), number, index, transaction.transaction.map { Data($0.raw) }, transaction.succeeded, Int64(transaction.gasUsed), Data(transaction.effectiveGasPrice.bigEndianBytes),
                Data(transaction.revert), place, transaction.logs.count,
            ])
            for log in transaction.logs {
                let topics = (0..<4).map { $0 < log.topics.count ? Data(log.topics[$0].bytes) : nil }
                try event.execute(arguments: [number, place, Data(log.contract.bytes), topics[0], topics[1], topics[2], topics[3], Data(log.data), Data(transaction.hash.bytes)])
                place += 1
            }
        }
        let first = Int64(executed.header.logSize)
        for (index, leaf) in executed.logLeaves.enumerated() { try leafRow.execute(arguments: [first + Int64(index), Data(leaf.bytes)]) }
        for change in executed.changes {
            if let value = change.value {
                try setting.execute(arguments: [Data(change.key), Data(value)])
            } else {
                try removal.execute(arguments: [Data(change.key)])
            }
        }
    }

    private static func insert(_ blocks: [(BlockReference, SignedBlock)], _ database: Database) throws {
        guard !blocks.isEmpty else { return }
        let row = try database.cachedStatement(sql: "INSERT OR IGNORE INTO block VALUES (?, ?, ?, ?, ?)")
        for (reference, block) in blocks {
            try row.execute(arguments: [Int64(clamping: block.block.epoch.rawValue), Int64(clamping: reference.round.rawValue), reference.author.index, Data(reference.digest.bytes), Data(block.canonicalBytes)])
        }
    }

    // MARK: Recovery

    /// What a node goes on from.
    public struct Recovered: Sendable {
        public var ledger: Ledger
        public var blocks: [SignedBlock]
        public var commits: [Commit]
        public var vote: CommitVote?
    }

    /// - Parameter gcDepth: rounds below the last leader that ordering still needs.
    /// - Throws: `StorageError.damaged` if the state is not the one that the last header stands for.
    public func recover(_ genesis: Genesis, gcDepth: UInt64, reputationPeriod: UInt64) throws -> Recovered {
        try read { database in
            guard let last = try Row.fetchOne(database, sql: "SELECT bytes FROM header ORDER BY number DESC LIMIT 1") else {
                return Recovered(ledger: try Ledger(genesis: genesis), blocks: try NodeStore.blocks(database, "1", []), commits: [], vote: nil)
            }
            let head = try BlockHeader(canonicalBytes: [UInt8](last["bytes"] as Data))
            let entries = try Row.fetchAll(database, sql: "SELECT key, value FROM state").map { (key: [UInt8]($0["key"] as Data), value: [UInt8]($0["value"] as Data)) }
            let leaves = try Data.fetchAll(database, sql: "SELECT hash FROM leaf ORDER BY place").map { Digest(bytes: $0) }
            let ledger = try Ledger(genesis: genesis, entries: entries, head: head, logLeaves: leaves)
            var commits: [Commit] = [], vote: CommitVote?
            let cursor = try Row.fetchCursor(database, sql: "SELECT bytes, vote FROM ordered ORDER BY number DESC")
            while let row = try cursor.next() {
                let commit = try Commit(canonicalBytes: [UInt8](row["bytes"] as Data))
                if vote == nil { vote = try CommitVote(canonicalBytes: [UInt8](row["vote"] as Data)) }
                commits.append(commit)
                // The last one of the epoch before is enough of that; of this epoch as many as ordering looks back to.
                if commit.epoch < ledger.epoch { break }
                if let newest = commits.first, commit.leader.round.advanced(by: 2 * gcDepth) < newest.leader.round,
                   commit.index <= LeaderReputation.firstNeeded(period: reputationPeriod, last: newest.index, after: ledger.epochAfter) {
                    if let before = try Data.fetchOne(database, sql: "SELECT bytes FROM ordered WHERE number = ?", arguments: [Int64(clamping: ledger.epochAfter.rawValue)]) {
                        commits.append(try Commit(canonicalBytes: [UInt8](before)))
                    }
                    break
                }
            }
            let floor = commits.first.flatMap { $0.epoch == ledger.epoch ? $0.leader.round.lowered(by: gcDepth) : nil } ?? Round(0)
            // Own blocks may lie further back, if this node was away.
            let blocks = try NodeStore.blocks(database, "epoch = ? AND round > ?", [Int64(clamping: ledger.epoch.rawValue), Int64(clamping: floor.rawValue)])
            return Recovered(ledger: ledger, blocks: blocks, commits: commits.reversed(), vote: vote)
        }
    }

    /// The last block that an authority is known to have made in an epoch.
    public func lastBlock(of author: AuthorityIndex, in epoch: Epoch) throws -> SignedBlock? {
        try read { try NodeStore.blocks($0, "epoch = ? AND author = ? ORDER BY round DESC LIMIT 1", [Int64(clamping: epoch.rawValue), author.index]).first }
    }

    // MARK: Reading blocks

    public func blocks(_ references: [BlockReference], of epoch: Epoch) throws -> [SignedBlock] {
        try read { database in
            try references.sorted().flatMap { try NodeStore.blocks(database, "epoch = ? AND round = ? AND author = ? AND digest = ?", [Int64(clamping: epoch.rawValue), Int64(clamping: $0.round.rawValue), $0.author.index, Data($0.digest.bytes)]) }
        }
    }

    /// As many of some blocks as the answer's size allows, at least one.
    public func blocks(_ references: [BlockReference], of epoch: Epoch, limitBytes: Int) throws -> [SignedBlock] {
        try read { database in
            let statement = try database.cachedStatement(sql: "SELECT bytes FROM block WHERE epoch = ? AND round = ? AND author = ? AND digest = ?")
            var found: [SignedBlock] = [], bytes = 0
            for reference in references {
                guard let data = try Data.fetchOne(statement, arguments: [Int64(clamping: epoch.rawValue), Int64(clamping: reference.round.rawValue), reference.author.index, Data(reference.digest.bytes)]) else { continue }
                bytes += data.count
                if bytes > limitBytes, !found.isEmpty { break }
                found.append(try SignedBlock(canonicalBytes: [UInt8](data)))
            }
            return found
        }
    }

    /// The blocks from a slot on, by slot, as far as the answer's size allows; at least one.
    public func blocks(from: Slot, to: Round, of epoch: Epoch, limitBytes: Int = 4 << 20) throws -> [SignedBlock] {
        try read { database in
            var found: [SignedBlock] = [], bytes = 0
            let cursor = try Row.fetchCursor(database, sql: "SELECT bytes FROM block WHERE epoch = ? AND round BETWEEN ? AND ? AND (round > ? OR author >= ?) ORDER BY round, author, digest", arguments: [
                Int64(clamping: epoch.rawValue), Int64(clamping: from.round.rawValue), Int64(clamping: to.rawValue), Int64(clamping: from.round.rawValue), from.author.index,
            ])
            while let row = try cursor.next(), found.count < Limits.fetchBlocks {
                let data = row["bytes"] as Data
                bytes += data.count
                if bytes > limitBytes, !found.isEmpty { break }
                found.append(try SignedBlock(canonicalBytes: [UInt8](data)))
            }
            return found
        }
    }

    static func blocks(_ database: Database, _ condition: String, _ arguments: StatementArguments) throws -> [SignedBlock] {
        try Data.fetchAll(database, sql: "SELECT bytes FROM block WHERE \(condition)", arguments: arguments).map { try SignedBlock(canonicalBytes: [UInt8]($0)) }
    }

    // MARK: Access

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do { return try queue.read(body) } catch { throw NodeStore.explain(error, path, limitMiB: limitMiB) }
    }
    func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do { return try queue.write(body) } catch { throw NodeStore.explain(error, path, limitMiB: limitMiB) }
    }

    func writeWithoutTransaction(_ body: (Database) throws -> Void) throws {
        do { try queue.writeWithoutTransaction(body) } catch { throw NodeStore.explain(error, path, limitMiB: limitMiB) }
    }

    /// Puts a name and a remedy to what SQLite says.
    static func explain(_ error: any Error, _ path: String, limitMiB: Int?) -> StorageError {
        if let error = error as? StorageError { return error }
        if let error = error as? DatabaseError {
            switch error.resultCode {
            case .SQLITE_FULL:
                let folder = URL(filePath: path).deletingLastPathComponent().path
                guard let limitMiB else { return StorageError(.full, "cannot write \(path): the disk is full.\n  Nothing was lost: make room in \(folder) and start the node again.") }
                return StorageError(.full, "cannot write \(path): its limit of \(limitMiB) MiB is reached, or the disk is full.\n  Nothing was lost: raise `storeLimitMiB` in \(folder)/node.json or make room in \(folder), and start the node again.")
            case .SQLITE_CORRUPT, .SQLITE_NOTADB: return StorageError(.damaged, "\(path) is damaged: \(error.message ?? "not a database").\n  Move it away and start the node again: it fetches everything from the others.")
            case .SQLITE_BUSY, .SQLITE_LOCKED: return StorageError(.system, "\(path) is in use by another process.\n  Is this node running already?")
            default: return StorageError(.system, "\(path): \(error.message ?? "SQLite error") (\(error.resultCode))")
            }
        }
        return StorageError(.damaged, "\(path): \(error)")
    }
}
