import AssayCrypto
import AssayPrimitives
import AssayProtocol
import Foundation
import Synchronization

/// Blobs by content address, a file each, with the hashes of their chunks beside them, so that a byte that changes later can be named.
public final class BlobStore: Sendable {
    public let folder: URL
    private let limitBytes: Int
    private let used: Mutex<Int>

    /// - Parameter limitBytes: of all blobs together.
    public init(_ folder: URL, limitBytes: Int = 64 << 30) throws {
        (self.folder, self.limitBytes) = (folder, limitBytes)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: [.fileSizeKey])
            for file in files where file.pathExtension == "part" { try FileManager.default.removeItem(at: file) }
            used = Mutex(files.filter(\.pathExtension.isEmpty).reduce(0) { $0 + ((try? $1.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0) })
        } catch { throw StorageError(.system, "cannot open the blobs in \(folder.path): \(error.localizedDescription)") }
    }

    private func file(_ root: Digest) -> URL { folder.appending(path: hex(root.bytes, prefix: false)) }
    private func chunkFile(_ root: Digest) -> URL { file(root).appendingPathExtension("chunks") }

    public func has(_ root: Digest) -> Bool { FileManager.default.fileExists(atPath: chunkFile(root).path) }

    @discardableResult
    public func put(_ bytes: [UInt8]) throws -> Digest {
        let tree = Blob.tree(bytes)
        try write(bytes, tree)
        return tree.root
    }

    /// Keeps bytes that came from somebody else.
    /// - Throws: `StorageError.damaged` if they are not what the root stands for.
    public func put(_ bytes: [UInt8], root: Digest) throws {
        let tree = Blob.tree(bytes)
        guard tree.root == root else { throw StorageError(.damaged, "these \(bytes.count) bytes are not the blob \(root): theirs is \(tree.root)") }
        try write(bytes, tree)
    }

    private func write(_ bytes: [UInt8], _ tree: MerkleTree) throws {
        let root = tree.root
        guard !has(root) else { return }
        try takeRoom(bytes.count)
        do {
            // The hashes last: a blob without them was not written whole.
            try replace(file(root), with: bytes)
            try replace(chunkFile(root), with: tree.levels[0].flatMap(\.bytes))
        } catch {
            used.withLock { $0 -= bytes.count }
            throw cannotWrite(file(root), error)
        }
    }

    /// Room is taken before bytes are written, so that two writers together do not pass the limit.
    private func takeRoom(_ count: Int) throws {
        guard count <= Limits.blobBytes else { throw StorageError(.tooLarge, "a blob of \(count) bytes is above the limit of \(Limits.blobBytes)") }
        let hasRoom = used.withLock { used -> Bool in
            guard used + count <= limitBytes else { return false }
            used += count
            return true
        }
        guard hasRoom else { throw StorageError(.full, "the blobs in \(folder.path) have reached their limit of \(limitBytes) bytes.\n  Nothing was lost: blobs of settled windows may be removed.") }
    }
    private func cannotWrite(_ file: URL, _ error: any Error) -> StorageError { StorageError(.system, "cannot write \(file.path): \(error.localizedDescription)\n  Is the disk full?") }

    /// A blob that comes in pieces and is never in memory as a whole. What is not finished leaves nothing behind.
    public final class Writer {
        private let store: BlobStore
        private let part: URL
        private let handle: FileHandle
        private let count: Int
        private var tree = MerkleTree()
        /// Of the chunk that is not whole yet.
        private var open: [UInt8] = []
        private var written = 0, isFinished = false

        /// - Parameter count: bytes that will come.
        fileprivate init(_ store: BlobStore, count: Int) throws {
            (self.store, self.count) = (store, count)
            part = store.folder.appending(path: "\(UInt64.random(in: 0...UInt64.max)).part")
            do {
                try Data().write(to: part)
                handle = try FileHandle(forWritingTo: part)
            } catch { throw store.cannotWrite(part, error) }
        }
        deinit {
            try? handle.close()
            guard !isFinished else { return }
            try? FileManager.default.removeItem(at: part)
            store.used.withLock { $0 -= count }
        }
        public func append(_ bytes: [UInt8]) throws {
            precondition(written + bytes.count <= count, "a blob of \(count) bytes got \(written + bytes.count)")
            do { try handle.write(contentsOf: bytes) } catch { throw store.cannotWrite(part, error) }
            written += bytes.count
            var rest = bytes[...]
            while !rest.isEmpty {
                let taken = rest.prefix(Blob.chunkBytes - open.count)
                open += taken
                rest = rest.dropFirst(taken.count)
                if open.count == Blob.chunkBytes { close() }
            }
        }
        private func close() {
            tree.append(leafHash: MerkleTree.leafHash(open))
            open.removeAll(keepingCapacity: true)
        }
        /// - Returns: the root of what came, which is now in the store.
        public func finish() throws -> Digest {
            precondition(written == count, "a blob of \(count) bytes got \(written)")
            if !open.isEmpty || count == 0 { close() }
            let root = tree.root
            if store.has(root) { return root }
            do {
                guard rename(part.path, store.file(root).path) == 0 else { throw CocoaError(.fileWriteUnknown) }
                try store.replace(store.chunkFile(root), with: tree.levels[0].flatMap(\.bytes))
            } catch { throw store.cannotWrite(store.file(root), error) }
            isFinished = true
            return root
        }
    }
    public func writer(count: Int) throws -> Writer {
        try takeRoom(count)
        do { return try Writer(self, count: count) } catch {
            used.withLock { $0 -= count }
            throw error
        }
    }

    /// A part of the bytes as they are on the disk, unchecked; nil if the blob is not there or has no such part.
    public func get(_ root: Digest, _ range: Range<Int>) -> [UInt8]? {
        guard has(root), let handle = try? FileHandle(forReadingFrom: file(root)) else { return nil }
        defer { try? handle.close() }
        guard (try? handle.seek(toOffset: UInt64(range.lowerBound))) != nil, let data = try? handle.read(upToCount: range.count), data.count == range.count else { return nil }
        return Array(data)
    }
    /// Bytes of a blob; nil if it is not there.
    public func size(_ root: Digest) -> Int? {
        guard has(root) else { return nil }
        return try? file(root).resourceValues(forKeys: [.fileSizeKey]).fileSize
    }

    private func replace(_ url: URL, with bytes: [UInt8]) throws {
        let part = url.appendingPathExtension("\(UInt64.random(in: 0...UInt64.max)).part")
        try Data(bytes).write(to: part)
        guard rename(part.path, url.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// The bytes as they are on the disk, unchecked: see `verified`.
    public func get(_ root: Digest) -> [UInt8]? {
        guard has(root), let data = try? Data(contentsOf: file(root)) else { return nil }
        return Array(data)
    }

    /// The hashes of the chunks as they were when the blob was written.
    public func chunkHashes(_ root: Digest) -> [Digest]? {
        guard let data = try? Data(contentsOf: chunkFile(root)), data.count.isMultiple(of: 32) else { return nil }
        return stride(from: 0, to: data.count, by: 32).map { Digest(bytes: data.dropFirst($0).prefix(32)) }
    }

    /// Chunks that are no longer what was written; empty if the blob is whole, nil if it is not there.
    public func differingChunks(_ root: Digest) -> [Int]? {
        guard let bytes = get(root), let hashes = chunkHashes(root) else { return nil }
        return Blob.differingChunks(bytes, expected: hashes)
    }

    /// One chunk and its proof.
    public func chunk(_ root: Digest, _ index: Int) -> (bytes: [UInt8], count: Int, proof: [Digest])? {
        guard let hashes = chunkHashes(root), index >= 0, index < hashes.count, let handle = try? FileHandle(forReadingFrom: file(root)) else { return nil }
        defer { try? handle.close() }
        guard (try? handle.seek(toOffset: UInt64(index * Blob.chunkBytes))) != nil, let data = try? handle.read(upToCount: Blob.chunkBytes) else { return nil }
        return (Array(data), hashes.count, MerkleTree(leafHashes: hashes).inclusionProof(of: index))
    }

    /// Removes all blobs but these.
    public func keep(only roots: Set<Digest>) {
        guard let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: [.fileSizeKey]) else { return }
        for file in files where file.pathExtension.isEmpty {
            guard let root = Digest(hex: file.lastPathComponent), !roots.contains(root) else { continue }
            let size = (try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
            try? FileManager.default.removeItem(at: chunkFile(root))
            if (try? FileManager.default.removeItem(at: file)) != nil { used.withLock { $0 -= size } }
        }
    }

    public var bytesUsed: Int { used.withLock { $0 } }
}
