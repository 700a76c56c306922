import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssaySimulator
import AssayStorage
import Foundation
import TestKit
import Testing

/// The database and the blobs, on a real disk.
struct StorageTests {
    private let genesis = WorldGenesis(windows: 2).genesis
    private let folder = FileManager.default.temporaryDirectory.appending(path: "assay-storage-\(UUID().uuidString)")
    private var file: URL { folder.appending(path: "store.sqlite") }

    /// A ledger that executes empty commits, each of which still changes the state.
    private func commits(_ count: Int, blockBytes: Int = 0) throws -> [(OrderedCommit, CommitVote, ExecutedBlock, [(BlockReference, SignedBlock)])] {
        var ledger = try Ledger(genesis: genesis), previous = Digest.zero
        let key = KeyPair(seed: "storage")
        return (1...count).map { number in
            let block = Block(epoch: Epoch(0), round: Round(UInt64(number)), author: AuthorityIndex(0), timestamp: Instant(0), ancestors: [], 
                              transactions: Array(repeating: [UInt8](repeating: UInt8(number & 255), count: 8 << 10), count: blockBytes >> 13))
            let signed = SignedBlock(block, by: key, genesis: genesis.digest)
            let reference = BlockReference(round: block.round, author: block.author, digest: block.digest(genesis: genesis.digest))
            let commit = Commit(epoch: Epoch(0), index: CommitIndex(UInt64(number)), previous: previous, timestamp: genesis.time.advanced(by: UInt64(number) * 100), leader: reference, blocks: [reference])
            previous = commit.digest
            let ordered = OrderedCommit(commit: commit, entries: [])
            let executed: ExecutedBlock = ledger.execute(ordered)
            return (ordered, CommitVote(index: commit.index, commit: commit.digest, stateRoot: executed.header.stateRoot, logRoot: .zero), executed, [(reference, signed)])
        }
    }

    @Test func `what was flushed is there after opening again, roots and all`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let all = try commits(20)
        do {
            let store = try NodeStore(file, genesis: genesis)
            #expect(try store.recover(genesis, gcDepth: 5, reputationPeriod: 5).commits.isEmpty)
            for (ordered, vote, executed, blocks) in all { try store.flush(ordered, vote: vote, executed: executed, blocks: blocks) }
        }
        let recovered = try NodeStore(file, genesis: genesis).recover(genesis, gcDepth: 5, reputationPeriod: 5)
        #expect(recovered.ledger.head == all[19].2.header)
        #expect(recovered.vote == all[19].1)
        #expect(recovered.commits.last == all[19].0.commit)
        #expect(recovered.blocks.count == 5 && recovered.blocks.allSatisfy { $0.block.round > Round(15) })
    }

    @Test func `another network's database is refused before anything is changed, and both digests are named`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let all = try commits(3), other = WorldGenesis(windows: 9).genesis
        do {
            let store = try NodeStore(file, genesis: genesis)
            for (ordered, vote, executed, blocks) in all { try store.flush(ordered, vote: vote, executed: executed, blocks: blocks) }
        }
        let error = #expect(throws: StorageError.self) { try NodeStore(file, genesis: other) }
        #expect(error?.description.contains(genesis.digest.description) == true && error?.description.contains(other.digest.description) == true)
        #expect(try NodeStore(file, genesis: genesis).recover(genesis, gcDepth: 5, reputationPeriod: 5).ledger.head == all[2].2.header)
    }

    @Test(.enabled(if: Python.isThere, "\(Python.absent)"), arguments: [(2, "older"), (99, "newer")])
    func `a store of another format is refused before anything is changed, with what to do`(version: Int, word: String) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        do {
            let store = try NodeStore(file, genesis: genesis)
            for (ordered, vote, executed, blocks) in try commits(2) { try store.flush(ordered, vote: vote, executed: executed, blocks: blocks) }
        }
        _ = try Python.run("store_version.py", arguments: [file.path, "\(version)"])
        let before = try Data(contentsOf: file)
        let error = #expect(throws: StorageError.self) { _ = try NodeStore(file, genesis: genesis) }
        #expect(error?.description.contains("\(word) version of assay (format \(version)") == true)
        #expect(try Data(contentsOf: file) == before)
    }

    @Test func `a full disk stops the flush whole: what was there stays, and more room lets it go on`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let all = try commits(60, blockBytes: 64 << 10)
        var written = 0
        do {
            let store = try NodeStore(file, genesis: genesis, limitMiB: 2)
            let error = #expect(throws: StorageError.self) {
                for (ordered, vote, executed, blocks) in all {
                    try store.flush(ordered, vote: vote, executed: executed, blocks: blocks)
                    written += 1
                }
            }
            #expect(error?.description.contains("the disk is full") == true && error?.description.contains("limit of 2 MiB") == true && error?.description.contains("storeLimitMiB") == true && error?.description.contains(file.path) == true)
        }
        #expect(written > 5 && written < 60)
        let store = try NodeStore(file, genesis: genesis)
        #expect(try store.recover(genesis, gcDepth: 5, reputationPeriod: 5).ledger.head == all[written - 1].2.header)
        for (ordered, vote, executed, blocks) in all[written...] { try store.flush(ordered, vote: vote, executed: executed, blocks: blocks) }
        #expect(try store.recover(genesis, gcDepth: 5, reputationPeriod: 5).ledger.head == all[59].2.header)
    }

    @Test func `a file that is no database, and one that was cut, are named as damaged`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(repeating: 7, count: 8_192).write(to: file)
        let error = #expect(throws: StorageError.self) { try NodeStore(file, genesis: genesis) }
        #expect(error?.description.contains("damaged") == true)
    }

    @Test func `a blob is kept under its root alone, and a byte that changes later is named by its chunk`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try BlobStore(folder)
        let bytes = (0..<3 * Blob.chunkBytes - 5).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(throws: StorageError.self) { try store.put(bytes, root: Digest.sha256([1])) }
        let root = try store.put(bytes)
        #expect(store.get(root) == bytes && store.differingChunks(root) == [])
        let path = folder.appending(path: hex(root.bytes, prefix: false))
        var changed = try Data(contentsOf: path)
        changed[Blob.chunkBytes + 9] ^= 1
        try changed.write(to: path)
        #expect(store.differingChunks(root) == [1])
        #expect(store.chunk(root, 3) == nil && store.chunk(root, -1) == nil && store.chunk(Digest.zero, 0) == nil)
    }

    @Test func `blobs have a limit together, half-written ones are swept away, and what is no longer needed makes room`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        do {
            let store = try BlobStore(folder, limitBytes: 10_000)
            let first = try store.put([UInt8](repeating: 1, count: 6_000))
            #expect(throws: StorageError.self) { try store.put([UInt8](repeating: 2, count: 6_000)) }
            let second = try store.put([UInt8](repeating: 3, count: 3_000))
            store.keep(only: [second])
            #expect(!store.has(first) && store.has(second) && store.bytesUsed == 3_000)
            try store.put([UInt8](repeating: 2, count: 6_000))
        }
        let half = folder.appending(path: "abc.1.part")
        try Data([1, 2, 3]).write(to: half)
        // Counted by the next process as by the one before it.
        #expect(try BlobStore(folder, limitBytes: 10_000).bytesUsed == 9_000)
        #expect(!FileManager.default.fileExists(atPath: half.path))
    }

    @Test func `a blob that comes in pieces is the one that comes whole, parts of it can be read, and one that is given up leaves nothing`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try BlobStore(folder, limitBytes: 4 * Blob.chunkBytes)
        for (number, pieces) in [[0], [3 * Blob.chunkBytes - 9], [Blob.chunkBytes, Blob.chunkBytes], [1, Blob.chunkBytes - 2, 3, 70_000]].enumerated() {
            let length = pieces.reduce(0, +), bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number) }
            let writer = try store.writer(count: length)
            var at = 0
            for piece in pieces {
                try writer.append(Array(bytes[at..<at + piece]))
                at += piece
            }
            let root = try writer.finish()
            #expect(root == Blob.root(bytes) && store.get(root) == bytes && store.differingChunks(root) == [] && store.size(root) == length)
            if length > 9 { #expect(store.get(root, 5..<9) == Array(bytes[5..<9]) && store.get(root, length - 4..<length) == Array(bytes.suffix(4)) && store.get(root, length - 3..<length + 1) == nil) }
            store.keep(only: [])
            #expect(store.bytesUsed == 0 && store.size(root) == nil && store.get(root, 0..<0) == nil)
        }
        do {
            let writer = try store.writer(count: 3 * Blob.chunkBytes)
            try writer.append([1, 2, 3])
            // Its room is taken from the first.
            #expect(throws: StorageError.self) { try store.writer(count: 2 * Blob.chunkBytes) }
        }
        #expect(store.bytesUsed == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        // What is there already is not there twice.
        let root = try store.put([1, 2, 3]), writer = try store.writer(count: 3)
        try writer.append([1, 2, 3])
        #expect(try writer.finish() == root)
        withExtendedLifetime(writer) {}
        #expect(store.get(root) == [1, 2, 3])
    }
}
