import AssayPrimitives

/// A Merkle tree after RFC 6962, section 2.1: leaf = H(0x00 ‖ data), node = H(0x01 ‖ left ‖ right), empty = H("").
public struct MerkleTree: Hashable, Sendable {
    /// Complete subtrees by level; level 0 holds the leaves' hashes. Appending only ever adds at the ends.
    public private(set) var levels: [[Digest]] = [[]]

    public init() {}
    public init(leaves: some Sequence<[UInt8]>) { for leaf in leaves { append(leaf) } }
    public init(leafHashes: some Sequence<Digest>) { for hash in leafHashes { append(leafHash: hash) } }

    public var count: Int { levels[0].count }

    public static func leafHash(_ data: some Collection<UInt8>) -> Digest {
        let hasher = SHA256Hasher()
        hasher.update([0])
        hasher.update(data)
        return hasher.finish()
    }
    public static func nodeHash(_ left: Digest, _ right: Digest) -> Digest { Digest.node(1, left, right) }

    public mutating func append(_ data: [UInt8]) { append(leafHash: MerkleTree.leafHash(data)) }
    public mutating func append(leafHash: Digest) {
        var hash = leafHash
        var level = 0
        while true {
            levels[level].append(hash)
            guard levels[level].count.isMultiple(of: 2) else { return }
            hash = MerkleTree.nodeHash(levels[level][levels[level].count - 2], hash)
            level += 1
            if level == levels.count { levels.append([]) }
        }
    }

    public var root: Digest { subtreeRoot(from: 0, count: count) }

    /// The root when the tree had `size` leaves.
    public func root(size: Int) -> Digest {
        precondition(size <= count, "the tree has \(count) leaves, not \(size)")
        return subtreeRoot(from: 0, count: size)
    }

    /// PATH(index, D[size]) of RFC 6962, 2.1.1: siblings from the leaf upwards.
    public func inclusionProof(of index: Int, size: Int? = nil) -> [Digest] {
        let size = size ?? count
        precondition(index < size && size <= count, "leaf \(index) of \(size), in a tree of \(count)")
        var proof: [Digest] = []
        var start = 0, end = size
        while end - start > 1 {
            let split = start + MerkleTree.split(end - start)
            if index < split {
                proof.append(subtreeRoot(from: split, count: end - split))
                end = split
            } else {
                proof.append(subtreeRoot(from: start, count: split - start))
                start = split
            }
        }
        return proof.reversed()
    }

    /// PROOF(old, D[size]) of RFC 6962, 2.1.2: that the first `old` leaves are still the first.
    public func consistencyProof(from old: Int, to size: Int? = nil) -> [Digest] {
        let size = size ?? count
        precondition(old <= size && size <= count, "sizes \(old) and \(size), in a tree of \(count)")
        guard old > 0, old < size else { return [] }
        var proof: [Digest] = []
        var start = 0, end = size, whole = true
        while old != end {
            let split = start + MerkleTree.split(end - start)
            if old <= split {
                proof.append(subtreeRoot(from: split, count: end - split))
                end = split
            } else {
                proof.append(subtreeRoot(from: start, count: split - start))
                start = split
                whole = false
            }
        }
        if !whole { proof.append(subtreeRoot(from: start, count: end - start)) }
        return proof.reversed()
    }

    /// Whether `leafHash` is leaf `index` of the tree with this size and root.
    public static func verifiesInclusion(leafHash: Digest, index: UInt64, size: UInt64, proof: [Digest], root: Digest) -> Bool {
        guard index < size else { return false }
        var (node, last, hash) = (index, size - 1, leafHash)
        for sibling in proof {
            guard last > 0 else { return false }
            if node & 1 == 1 || node == last {
                hash = nodeHash(sibling, hash)
                while node & 1 == 0, node != 0 {
                    node >>= 1
                    last >>= 1
                }
            } else {
                hash = nodeHash(hash, sibling)
            }
            node >>= 1
            last >>= 1
        }
        return last == 0 && hash == root
    }

    /// Whether the tree of size `new` begins with the tree of size `old` (RFC 9162, 2.1.4.2).
    public static func verifiesConsistency(old: UInt64, oldRoot: Digest, new: UInt64, newRoot: Digest, proof: [Digest]) -> Bool {
        guard old <= new else { return false }
        if old == new { return proof.isEmpty && oldRoot == newRoot }
        if old == 0 { return proof.isEmpty && oldRoot == Digest.sha256([]) }
        var path = proof[...]
        if old & (old - 1) == 0 { path = ([oldRoot] + proof)[...] }
        guard let seed = path.popFirst() else { return false }
        var (node, last) = (old - 1, new - 1)
        while node & 1 == 1 {
            node >>= 1
            last >>= 1
        }
        var (oldHash, newHash) = (seed, seed)
        for sibling in path {
            guard last > 0 else { return false }
            if node & 1 == 1 || node == last {
                oldHash = nodeHash(sibling, oldHash)
                newHash = nodeHash(sibling, newHash)
                while node & 1 == 0, node != 0 {
                    node >>= 1
                    last >>= 1
                }
            } else {
                newHash = nodeHash(newHash, sibling)
            }
            node >>= 1
            last >>= 1
        }
        return last == 0 && oldHash == oldRoot && newHash == newRoot
    }

    /// The largest power of two below `count`.
    private static func split(_ count: Int) -> Int { 1 << (Int.bitWidth - 1 - (count - 1).leadingZeroBitCount) }

    private func subtreeRoot(from start: Int, count: Int) -> Digest {
        if count == 0 { return Digest.sha256([]) }
        if count & (count - 1) == 0 { return levels[count.trailingZeroBitCount][start >> count.trailingZeroBitCount] }
        let split = MerkleTree.split(count)
        return MerkleTree.nodeHash(subtreeRoot(from: start, count: split), subtreeRoot(from: start + split, count: count - split))
    }
}
