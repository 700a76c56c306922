import AssayCrypto
import AssayLedger
import AssayPrimitives
import Testing

/// The state's root depends on what is there alone, and its proofs say just that.
struct StateTreeTests {
    private static func key(_ number: Int) -> [UInt8] { Array("row \(number)".utf8) }

    /// The tree by its definition, from the whole content at once.
    private static func root(_ leaves: [(key: Digest, value: Digest)], _ depth: Int = 0) -> Digest {
        if leaves.isEmpty { return .zero }
        if leaves.count == 1 { return Digest.sha256([0] + leaves[0].key.bytes + leaves[0].value.bytes) }
        func side(_ leaf: (key: Digest, value: Digest)) -> Bool { leaf.key.bytes[depth / 8] >> UInt8(7 - depth % 8) & 1 == 1 }
        return Digest.sha256([1] + root(leaves.filter { !side($0) }, depth + 1).bytes + root(leaves.filter { side($0) }, depth + 1).bytes)
    }

    @Test func `a tree changed at random has the root and the proofs of its content`() {
        var seed: UInt64 = 7
        func draw(_ bound: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((seed >> 33) % UInt64(bound))
        }
        var tree = StateTree(), model: [[UInt8]: [UInt8]] = [:]
        for round in 0..<120 {
            var changes: [(key: [UInt8], value: [UInt8]?)] = []
            for _ in 0..<draw(6) + 1 {
                let key = StateTreeTests.key(draw(60)), value: [UInt8]? = draw(3) == 0 ? nil : [UInt8(round), UInt8(draw(256))]
                changes.append((key, value))
                model[key] = value
            }
            tree.apply(changes)
            #expect(tree.root == StateTreeTests.root(model.map { (Digest.sha256($0.key), Digest.sha256($0.value)) }))
            for number in 0..<60 where number % 7 == round % 7 {
                let key = StateTreeTests.key(number), value = model[key], proof = tree.proof(for: key)
                #expect(StateTree.verifies(proof, key: key, value: value, root: tree.root))
                #expect(!StateTree.verifies(proof, key: key, value: [1, 2, 3], root: tree.root))
                if value != nil { #expect(!StateTree.verifies(proof, key: key, value: nil, root: tree.root)) }
                #expect(!StateTree.verifies(proof, key: key, value: value, root: Digest.sha256(tree.root.bytes)))
            }
        }
    }
}
