import AssayCrypto
import AssayPrimitives

/// The state's root: a path-compressed sparse Merkle tree over SHA-256 of the keys. A lone key of a subtree stands for the whole of it.
///
/// leaf = H(0x00 ‖ key hash ‖ value hash), branch = H(0x01 ‖ left ‖ right), empty = 32 zero bytes.
/// Source: Gao, Hu, Wu, "Jellyfish Merkle Tree" (2021), binary, without versions.
public struct StateTree: Sendable {
    private indirect enum Node: Sendable {
        case empty
        case leaf(key: Digest, value: Digest, hash: Digest)
        case branch(Node, Node, hash: Digest)

        var hash: Digest {
            switch self {
            case .empty: .zero
            case .leaf(_, _, let hash), .branch(_, _, let hash): hash
            }
        }
    }
    private var top = Node.empty

    public init() {}
    public var root: Digest { top.hash }

    /// Sets or removes values, in any order: the root depends on what is there alone.
    public mutating func apply(_ changes: [(key: [UInt8], value: [UInt8]?)]) {
        for change in changes {
            let key = Digest.sha256(change.key)
            top = StateTree.updated(top, key.bytes, key, change.value.map { Digest.sha256($0) }, 0)
        }
    }

    private static func leafHash(_ key: Digest, _ value: Digest) -> Digest { Digest.node(0, key, value) }
    private static func branchHash(_ left: Digest, _ right: Digest) -> Digest { Digest.node(1, left, right) }
    private static func bit(_ key: [UInt8], _ depth: Int) -> Bool { key[depth / 8] >> UInt8(7 - depth % 8) & 1 == 1 }
    private static func leaf(_ key: Digest, _ value: Digest) -> Node { .leaf(key: key, value: value, hash: leafHash(key, value)) }

    /// A branch, or what stands for it if it has fewer than two keys.
    private static func join(_ left: Node, _ right: Node) -> Node {
        switch (left, right) {
        case (.empty, .empty): .empty
        case (.leaf, .empty): left
        case (.empty, .leaf): right
        default: .branch(left, right, hash: branchHash(left.hash, right.hash))
        }
    }

    private static func updated(_ node: Node, _ bits: [UInt8], _ key: Digest, _ value: Digest?, _ depth: Int) -> Node {
        switch node {
        case .empty:
            return value.map { leaf(key, $0) } ?? .empty
        case .leaf(let other, let otherValue, _):
            if other == key { return value.map { leaf(key, $0) } ?? .empty }
            guard let value else { return node }
            return split(leaf(other, otherValue), other.bytes, leaf(key, value), bits, depth)
        case .branch(let left, let right, _):
            return bit(bits, depth) ? join(left, updated(right, bits, key, value, depth + 1)) : join(updated(left, bits, key, value, depth + 1), right)
        }
    }

    private static func split(_ a: Node, _ aBits: [UInt8], _ b: Node, _ bBits: [UInt8], _ depth: Int) -> Node {
        switch (bit(aBits, depth), bit(bBits, depth)) {
        case (false, true): .branch(a, b, hash: branchHash(a.hash, b.hash))
        case (true, false): .branch(b, a, hash: branchHash(b.hash, a.hash))
        case (let side, _):
            // Both on one side: an empty sibling beside a branch is kept in the hash.
            { inner in side ? .branch(.empty, inner, hash: branchHash(.zero, inner.hash)) : .branch(inner, .empty, hash: branchHash(inner.hash, .zero)) }(split(a, aBits, b, bBits, depth + 1))
        }
    }

    /// That a key has this value, or none: siblings from the root down, and the leaf that stands where the key would.
    public struct Proof: Hashable, Sendable {
        public let siblings: [Digest]
        public let leaf: Leaf?
        public struct Leaf: Hashable, Sendable {
            public let keyHash: Digest
            public let valueHash: Digest
        }
    }

    public func proof(for key: [UInt8]) -> Proof {
        let bits = Digest.sha256(key).bytes
        var node = top, siblings: [Digest] = []
        while case .branch(let left, let right, _) = node {
            let goesRight = StateTree.bit(bits, siblings.count)
            siblings.append(goesRight ? left.hash : right.hash)
            node = goesRight ? right : left
        }
        if case .leaf(let found, let value, _) = node { return Proof(siblings: siblings, leaf: .init(keyHash: found, valueHash: value)) }
        return Proof(siblings: siblings, leaf: nil)
    }

    /// Whether the state with this root has `value` (nil: nothing) at `key`.
    public static func verifies(_ proof: Proof, key: [UInt8], value: [UInt8]?, root: Digest) -> Bool {
        let keyHash = Digest.sha256(key), bits = keyHash.bytes
        guard proof.siblings.count <= 256 else { return false }
        if let value {
            guard proof.leaf == Proof.Leaf(keyHash: keyHash, valueHash: Digest.sha256(value)) else { return false }
        } else if let leaf = proof.leaf {
            // Another key's leaf stands where ours would: it must share the path that the siblings lead along.
            let other = leaf.keyHash.bytes
            guard leaf.keyHash != keyHash, (0..<proof.siblings.count).allSatisfy({ bit(other, $0) == bit(bits, $0) }) else { return false }
        }
        var hash = proof.leaf.map { leafHash($0.keyHash, $0.valueHash) } ?? .zero
        for depth in proof.siblings.indices.reversed() {
            hash = bit(bits, depth) ? branchHash(proof.siblings[depth], hash) : branchHash(hash, proof.siblings[depth])
        }
        return hash == root
    }
}
