import AssayConsensus
import AssayPrimitives
import AssayProtocol
import Foundation
import GRDB

/// Commits for who catches up, and what becomes of them when they are old.
extension NodeStore {
    /// Rounds behind a commit's leader in whose blocks the votes for it are looked for. They come three to five rounds behind it where nothing is amiss.
    private static let votingRounds: UInt64 = 12
    private static let answerBytes = 2 << 20
    private static let votingBytes = 16 << 20

    /// Commits of a range and an epoch without a gap, as many as an answer holds; the blocks of that epoch that may vote for the last of them; and the lowest commit kept.
    public func commits(from: CommitIndex, to: CommitIndex, of epoch: Epoch) throws -> (commits: [Commit], voting: [SignedBlock], kept: CommitIndex) {
        try read { database in
            let kept = try NodeStore.lowestCommit(database)
            guard from >= kept else { return ([], [], kept) }
            var commits: [Commit] = [], bytes = 0
            let cursor = try Row.fetchCursor(database, sql: "SELECT bytes FROM ordered WHERE number BETWEEN ? AND ? ORDER BY number", arguments: [Int64(clamping: from.rawValue), Int64(clamping: to.rawValue)])
            while let row = try cursor.next(), bytes <= NodeStore.answerBytes {
                let data = row["bytes"] as Data
                bytes += data.count
                let commit = try Commit(canonicalBytes: [UInt8](data))
                guard commit.epoch == epoch else { break }
                commits.append(commit)
            }
            guard let round = commits.last?.leader.round else { return ([], [], kept) }
            return (commits, try NodeStore.blocks(database, of: epoch, after: round, through: round.advanced(by: NodeStore.votingRounds), limitBytes: NodeStore.votingBytes), kept)
        }
    }

    private static func blocks(_ database: Database, of epoch: Epoch, after: Round, through: Round, limitBytes: Int) throws -> [SignedBlock] {
        var found: [SignedBlock] = [], bytes = 0
        let cursor = try Row.fetchCursor(database, sql: "SELECT bytes FROM block WHERE epoch = ? AND round > ? AND round <= ? ORDER BY round, author", arguments: [Int64(clamping: epoch.rawValue), Int64(clamping: after.rawValue), Int64(clamping: through.rawValue)])
        while let row = try cursor.next(), bytes <= limitBytes {
            let data = row["bytes"] as Data
            bytes += data.count
            found.append(try SignedBlock(canonicalBytes: [UInt8](data)))
        }
        return found
    }

    /// The first commit that is kept with its blocks.
    public var lowestCommit: CommitIndex { get throws { try read { try NodeStore.lowestCommit($0) } } }

    private static func lowestCommit(_ database: Database) throws -> CommitIndex {
        CommitIndex(UInt64(try Int64.fetchOne(database, sql: "SELECT number FROM ordered ORDER BY number LIMIT 1") ?? 1))
    }

    /// Brings all that waits in the write-ahead log into the database itself, so that the one file is the whole.
    public func checkpoint() throws { try writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") } }

    // MARK: Dropping what is old

    /// Drops a slice of the commits and blocks that are older than the last `keep` commits and than what this node itself goes on from after a restart.
    /// Their room is given back in slices too, so that nothing waits for long.
    ///
    /// Headers, receipts, logs and state are what RPC and audits read; they stay. DAG blocks and commits are read by nobody but validators that catch up.
    /// - Returns: how many rows went; 0 when there is nothing more to do now.
    @discardableResult
    public func prune(keep: UInt64, gcDepth: UInt64, reputationPeriod: UInt64, slice: Int = 400) throws -> Int {
        let removed = try write { database -> Int in
            guard let last = try Int64.fetchOne(database, sql: "SELECT number FROM ordered ORDER BY number DESC LIMIT 1").map({ CommitIndex(UInt64($0)) }) else { return 0 }
            // The leaders' records reach back three periods at the most, from wherever in the epoch they are counted.
            let first = min(last.lowered(by: keep).next, last.lowered(by: 3 * reputationPeriod))
            guard let oldest = try NodeStore.commit(database, first), let newest = try NodeStore.commit(database, last),
                  oldest.epoch < newest.epoch || oldest.leader.round.advanced(by: 2 * gcDepth) < newest.leader.round else { return 0 }
            // A commit reaches so many rounds below the leader before it; recovery looks back twice as far. Rounds begin anew with each epoch.
            let floor = oldest.leader.round.lowered(by: 2 * gcDepth), epoch = Int64(clamping: oldest.epoch.rawValue)
            try database.execute(sql: "DELETE FROM ordered WHERE number IN (SELECT number FROM ordered WHERE number < ? ORDER BY number LIMIT ?)", arguments: [Int64(clamping: first.rawValue), slice])
            var removed = database.changesCount
            // Own last block may be older than all that, if this node was away.
            try database.execute(sql: """
                DELETE FROM block WHERE (epoch, round, author, digest) IN (SELECT epoch, round, author, digest FROM block AS old WHERE epoch < ?
                    OR epoch = ? AND round < ? AND EXISTS (SELECT 1 FROM block AS newer WHERE newer.epoch = old.epoch AND newer.round > old.round AND newer.author = old.author AND newer.round < ?) ORDER BY epoch, round LIMIT ?)
                """, arguments: [epoch, epoch, Int64(clamping: floor.rawValue), Int64(clamping: floor.rawValue), slice])
            removed += database.changesCount
            return removed
        }
        if removed > 0 { try reclaim(pages: 256) }
        return removed
    }

    private static func commit(_ database: Database, _ index: CommitIndex) throws -> Commit? {
        try Data.fetchOne(database, sql: "SELECT bytes FROM ordered WHERE number = ?", arguments: [Int64(clamping: index.rawValue)]).map { try Commit(canonicalBytes: [UInt8]($0)) }
    }

    /// Gives free pages back to the file system. A database that was made before this was possible keeps them for itself, and fills them again.
    private func reclaim(pages: Int) throws {
        try write { database in
            // Each step of the statement frees a page.
            let cursor = try Row.fetchCursor(database, sql: "PRAGMA incremental_vacuum(\(pages))")
            while try cursor.next() != nil {}
        }
    }
}
