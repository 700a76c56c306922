import AssayPrimitives

/// Large bytes by content address: cut into chunks of 256 KiB, addressed by the RFC 6962 root over them, so that a chunk proves itself.
/// Parameters, payloads, optimizer states and residuals are all blobs.
public enum Blob {
    public static let chunkBytes = 256 * 1024

    /// The root of the bytes. No bytes are one empty chunk.
    public static func root(_ bytes: [UInt8]) -> Digest { tree(bytes).root }
    public static func root(_ bytes: UnsafeRawBufferPointer) -> Digest { tree(bytes).root }

    public static func tree(_ bytes: [UInt8]) -> MerkleTree { bytes.withUnsafeBytes { tree($0) } }
    public static func tree(_ bytes: UnsafeRawBufferPointer) -> MerkleTree {
        var tree = MerkleTree()
        var start = 0
        repeat {
            let end = min(start + chunkBytes, bytes.count)
            tree.append(leafHash: MerkleTree.leafHash(bytes[start..<end]))
            start = end
        } while start < bytes.count
        return tree
    }

    public static func chunkCount(bytes: Int) -> Int { max(1, (bytes + chunkBytes - 1) / chunkBytes) }

    /// Which chunks of `found` are not those of the tree of leaf hashes `expected`: where a changed byte is.
    public static func differingChunks(_ found: [UInt8], expected: [Digest]) -> [Int] {
        let hashes = tree(found).levels[0]
        return (0..<max(hashes.count, expected.count)).filter { $0 >= hashes.count || $0 >= expected.count || hashes[$0] != expected[$0] }
    }
}

/// The root of bytes that no one place holds: each part's outline is small, and all of them in order give the root.
///
/// An outline of the bytes from `start` on: those before the first border of chunks as they are, the leaf hashes of whole chunks, the bytes after the last
/// border as they are. Their numbers follow from where the part begins and how long it is.
extension Blob {
    private static func places(_ start: Int, _ count: Int) -> (before: Int, chunks: Int, after: Int) {
        let before = min(count, (chunkBytes - start % chunkBytes) % chunkBytes), chunks = (count - before) / chunkBytes
        return (before, chunks, count - before - chunks * chunkBytes)
    }
    public static func outlineBytes(from start: Int, count: Int) -> Int {
        let (before, chunks, after) = places(start, count)
        return before + 32 * chunks + after
    }
    /// - Parameter start: where in the blob these bytes lie.
    public static func outline(_ bytes: UnsafeRawBufferPointer, from start: Int) -> [UInt8] {
        let (before, chunks, after) = places(start, bytes.count)
        return Array(bytes[..<before]) + (0..<chunks).flatMap { MerkleTree.leafHash(bytes[(before + $0 * chunkBytes)..<(before + ($0 + 1) * chunkBytes)]).bytes } + Array(bytes.suffix(after))
    }

    /// The root from the outlines of consecutive parts, each of so many bytes; nil if an outline has not the length that it must have.
    public static func root(outlines: [(count: Int, outline: [UInt8])]) -> Digest? {
        var tree = MerkleTree(), open: [UInt8] = [], start = 0
        for (count, outline) in outlines {
            let (before, chunks, after) = places(start, count)
            guard outline.count == before + 32 * chunks + after else { return nil }
            open += outline[..<before]
            start += count
            if open.count == chunkBytes {
                tree.append(leafHash: MerkleTree.leafHash(open))
                open = []
            }
            for chunk in 0..<chunks { tree.append(leafHash: Digest(bytes: outline[(before + 32 * chunk)..<(before + 32 * (chunk + 1))])) }
            open += outline.suffix(after)
        }
        if !open.isEmpty || start == 0 { tree.append(leafHash: MerkleTree.leafHash(open)) }
        return tree.root
    }
}
