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
