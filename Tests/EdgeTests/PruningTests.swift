import AssayCrypto
import AssayLedger
import AssayNode
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import AssayStorage
import Foundation
import Testing

/// What is dropped of a store that keeps its last commits only, and what must not be.
struct PruningTests {
    private let genesis = WorldGenesis(windows: 2).genesis
    private let folder = FileManager.default.temporaryDirectory.appending(path: "assay-pruning-\(UUID().uuidString)")
    private var file: URL { folder.appending(path: "store.sqlite") }
    private let gcDepth: UInt64 = 5, period: UInt64 = 10

    /// One block of some kilobytes and one commit a round.
    private struct Chain {
        var ledger: Ledger
        var previous = Digest.zero
        var number: UInt64 = 0
        /// Rounds begin anew with each epoch, commits go on.
        var epoch = Epoch(0), round: UInt64 = 0
        let genesis: Genesis
        let key = KeyPair(seed: "pruning")
        init(_ genesis: Genesis) throws { (self.genesis, ledger) = (genesis, try Ledger(genesis: genesis)) }

        mutating func extend(_ store: NodeStore, by count: UInt64, prunes: (() throws -> Void)? = nil) throws {
            for _ in 0..<count {
                number += 1
                round += 1
                let vote = CommitVote(index: CommitIndex(number - 1), commit: previous, stateRoot: .zero, logRoot: .zero)
                let block = Block(epoch: epoch, round: Round(round), author: AuthorityIndex(Int(number % 4)), timestamp: Instant(number), ancestors: [], transactions: [[UInt8](repeating: 7, count: 4_096)],
                                  commitVotes: number > 1 ? [vote] : [])
                let signed = SignedBlock(block, by: key, genesis: genesis.digest)
                let reference = BlockReference(round: block.round, author: block.author, digest: block.digest(genesis: genesis.digest))
                let commit = Commit(epoch: epoch, index: CommitIndex(number), previous: previous, timestamp: genesis.time.advanced(by: number * 100), leader: reference, blocks: [reference])
                previous = commit.digest
                let ordered = OrderedCommit(commit: commit, entries: [])
                let executed: ExecutedBlock = ledger.execute(ordered)
                try store.flush(ordered, vote: CommitVote(index: commit.index, commit: commit.digest, stateRoot: executed.header.stateRoot, logRoot: .zero), executed: executed, blocks: [(reference, signed)])
                try prunes?()
            }
        }
    }
    private func size(_ store: NodeStore) throws -> Int {
        try store.checkpoint()
        return try #require(try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int)
    }

    @Test func `the file shrinks when old commits are dropped, stays as large as the kept ones while more come, and a restart goes on from it`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var chain = try Chain(genesis)
        do {
            let store = try NodeStore(file, genesis: genesis, isDurable: false)
            try chain.extend(store, by: 600)
            let before = try size(store)
            var slices = 0
            while try store.prune(keep: 100, gcDepth: gcDepth, reputationPeriod: period, slice: 50) > 0 { slices += 1 }
            #expect(slices >= 10, "in slices, none of which is long")
            let after = try size(store)
            #expect(after * 2 < before, "\(before) bytes, then \(after)")
            #expect(try store.lowestCommit == CommitIndex(501))
            try chain.extend(store, by: 600) { _ = try store.prune(keep: 100, gcDepth: gcDepth, reputationPeriod: period, slice: 50) }
            let later = try size(store)
            #expect(later < after + after / 2, "\(after) bytes, then \(later) with 600 commits more")
            #expect(try store.header(number: 1) != nil && store.receipts(number: 1).count == 1, "what RPC and audits read stays")
        }
        let store = try NodeStore(file, genesis: genesis)
        let recovered = try store.recover(genesis, gcDepth: gcDepth, reputationPeriod: period)
        #expect(recovered.ledger.head == chain.ledger.head && recovered.commits.last?.index == CommitIndex(1_200))
        #expect(recovered.blocks.count == Int(gcDepth))
    }

    @Test func `what recovery and the leaders' records need is never dropped, however little is to be kept`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var chain = try Chain(genesis)
        let store = try NodeStore(file, genesis: genesis, isDurable: false)
        try chain.extend(store, by: 95)
        while try store.prune(keep: 1, gcDepth: gcDepth, reputationPeriod: period) > 0 {}
        #expect(try store.lowestCommit == CommitIndex(65), "three periods")
        let recovered = try store.recover(genesis, gcDepth: gcDepth, reputationPeriod: period)
        #expect(recovered.commits.first?.index == CommitIndex(71) && recovered.commits.last?.index == CommitIndex(95))
        // With each author's last block, however old it is.
        for seat in 0..<4 { #expect(try store.lastBlock(of: AuthorityIndex(seat), in: Epoch(0)) != nil) }
    }

    @Test func `an epoch that is over goes once nothing kept is in it, and low rounds of the next one stay while they are new`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var chain = try Chain(genesis)
        let store = try NodeStore(file, genesis: genesis, isDurable: false)
        func prune() throws { while try store.prune(keep: 60, gcDepth: gcDepth, reputationPeriod: period, slice: 25) > 0 {} }
        func voting(_ number: UInt64, in epoch: Epoch) throws -> [UInt64] {
            try store.commits(from: CommitIndex(number), to: CommitIndex(number), of: epoch).voting.map { $0.block.round.rawValue }
        }
        try chain.extend(store, by: 200)
        (chain.epoch, chain.round) = (Epoch(1), 0)
        try chain.extend(store, by: 20)
        try prune()
        // 161 … 220 are kept, forty of them of the epoch that is over.
        #expect(try store.lowestCommit == CommitIndex(161))
        #expect(try store.commits(from: CommitIndex(161), to: CommitIndex(220), of: Epoch(0)).commits.count == 40)
        #expect(try voting(201, in: Epoch(1)).first == 2, "round 2 of the new epoch, though it is below 161")
        for seat in 0..<4 { #expect(try store.lastBlock(of: AuthorityIndex(seat), in: Epoch(0)) != nil) }

        try chain.extend(store, by: 80)
        try prune()
        #expect(try store.lowestCommit == CommitIndex(241))
        for seat in 0..<4 {
            #expect(try store.lastBlock(of: AuthorityIndex(seat), in: Epoch(0)) == nil)
            #expect(try store.lastBlock(of: AuthorityIndex(seat), in: Epoch(1)) != nil)
        }
        #expect(try store.commits(from: CommitIndex(241), to: CommitIndex(300), of: Epoch(1)).commits.count == 60)
    }

    @Test func `commits of a range come without a gap with the blocks that vote for the last, and a store that has dropped them says from where it keeps them`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var chain = try Chain(genesis)
        let store = try NodeStore(file, genesis: genesis, isDurable: false)
        try chain.extend(store, by: 300)
        let found = try store.commits(from: CommitIndex(11), to: CommitIndex(20), of: Epoch(0))
        #expect(found.commits.map(\.index) == (11...20).map { CommitIndex($0) } && found.kept == CommitIndex(1))
        #expect(found.voting.contains { $0.block.commitVotes.contains { $0.index == CommitIndex(20) && $0.commit == found.commits[9].digest } })
        #expect(try store.commits(from: CommitIndex(301), to: CommitIndex(400), of: Epoch(0)).commits.isEmpty)
        while try store.prune(keep: 100, gcDepth: gcDepth, reputationPeriod: period) > 0 {}
        let gone = try store.commits(from: CommitIndex(11), to: CommitIndex(20), of: Epoch(0))
        #expect(gone.commits.isEmpty && gone.kept == CommitIndex(201))
        #expect(try store.commits(from: CommitIndex(201), to: CommitIndex(400), of: Epoch(0)).commits.count == 100)
        // Blocks by name, as many as fit, at least one.
        let names = found.commits.flatMap(\.blocks)
        #expect(try store.blocks(names, of: Epoch(0), limitBytes: 1).isEmpty, "dropped")
        let kept = try store.commits(from: CommitIndex(201), to: CommitIndex(220), of: Epoch(0)).commits.flatMap(\.blocks)
        #expect(try store.blocks(kept, of: Epoch(0), limitBytes: 1).count == 1)
        #expect(try store.blocks(kept, of: Epoch(0), limitBytes: 1 << 20).count == 20)
    }
}

/// `assay bench catchup` and `bench disk`: that they do what they measure, not how fast.
@Suite(.serialized) struct SyncBenchTests {
    @Test(.timeLimit(.minutes(5))) func `a node without anything catches up over real connections from three that go on`() async throws {
        var options = CatchUpBench.Options()
        (options.commits, options.liveSeconds) = (800, 0)
        let report = try await CatchUpBench.run(options) { _ in }
        #expect(report.finalCommit >= 800 && report.catchUpCommitsPerSecond > 0 && report.storeBytes > 0)
        _ = try JSONEncoder().encode(report)
    }

    @Test(.timeLimit(.minutes(5))) func `a store that drops old commits grows by less than one that keeps all`() async throws {
        var options = DiskBench.Options()
        (options.commits, options.kept) = (4_000, 1_000)
        let lines = try await DiskBench.run(options) { _ in }.lines
        #expect(lines.count == 4)
        for (all, some) in [(lines[0], lines[1]), (lines[2], lines[3])] {
            #expect(some.bytesPerDay < all.bytesPerDay / 2, "\(some.bytesPerDay) against \(all.bytesPerDay)")
            #expect(some.finalBytes < all.finalBytes && some.lowestCommit > 2_000 && all.lowestCommit == 1)
        }
    }

    @Test func `options that make no sense are refused by name`() {
        var catchUp = CatchUpBench.Options(), disk = DiskBench.Options()
        catchUp.commits = 10
        disk.kept = 10
        #expect(throws: Failure.self) { try catchUp.check() }
        #expect(throws: Failure.self) { try disk.check() }
    }
}
