import AssayCrypto
import AssayPrimitives
import Testing

struct HashTests {
    @Test func `sha-256 and keccak-256 of the empty string are the published ones`() {
        #expect(Digest.sha256([]).description == "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(hex(keccak256([])) == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
        #expect(hex(keccak256("abc".utf8)) == "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45")
    }

    /// RFC 4231, test cases 1 and 2; RFC 7914, section 12; NIST SP 800-38A, F.5.1.
    @Test func `hmac, scrypt and aes-ctr give the published answers`() throws {
        #expect(PasswordCipher.hmac(key: [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8)).description == "0xb0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        #expect(PasswordCipher.hmac(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8)).description == "0x5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let stretched = try #require(PasswordCipher.scrypt(password: Array("password".utf8), salt: Array("NaCl".utf8), n: 1024, r: 8, p: 16, count: 64))
        #expect(hex(stretched).hasPrefix("0xfdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"))
        let key = try #require(bytes(hex: "2b7e151628aed2a6abf7158809cf4f3c")), counter = try #require(bytes(hex: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"))
        let hidden = PasswordCipher.aes128ctr(try #require(bytes(hex: "6bc1bee22e409f96e93d7e117393172a")), key: key, counter: counter)
        #expect(hidden.map { hex($0) } == "0x874d6191b620e3261bef6864990db6ce")
    }

    /// The examples of EIP-55.
    @Test(arguments: ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"])
    func `addresses carry EIP-55's checksum and a wrong one is refused`(text: String) {
        #expect(Address(text)?.description == text)
        #expect(Address(text.lowercased()) != nil)
        let swapped = String(text.map { $0.isLowercase ? Character($0.uppercased()) : Character($0.lowercased()) }.drop { $0 == "0" || $0 == "X" })
        #expect(Address("0x" + swapped) == nil)
    }
}

struct KeyTests {
    @Test func `a signature recovers its signer and no other`() throws {
        let key = KeyPair(seed: "a"), other = KeyPair(seed: "b")
        let digest = Digest.sha256(Array("message".utf8))
        let signature = key.sign(digest)
        #expect(try PublicKey.recover(signature, hash: digest.bytes) == key.publicKey)
        #expect(key.publicKey.verifies(signature, hash: digest.bytes))
        #expect(!other.publicKey.verifies(signature, hash: digest.bytes))
        #expect(!key.publicKey.verifies(signature, hash: Digest.sha256([]).bytes))
    }

    @Test func `the malleated twin of a signature is refused`() throws {
        let key = KeyPair(seed: "a")
        let digest = Digest.sha256([1])
        let signature = key.sign(digest)
        let order = try #require(U256("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"))
        let twin = Signature(r: signature.r, s: try order.subtracting(signature.s), recovery: 1 - signature.recovery)
        #expect(throws: KeyError.highS) { try PublicKey.recover(twin, hash: digest.bytes) }
        #expect(!key.publicKey.verifies(twin, hash: digest.bytes))
    }

    @Test func `bytes that are no key are refused`() {
        #expect(throws: KeyError.notAPrivateKey) { try KeyPair(privateBytes: [UInt8](repeating: 0, count: 32)) }
        #expect(throws: KeyError.notAPrivateKey) { try KeyPair(privateBytes: [UInt8](repeating: 255, count: 32)) }
        #expect(throws: KeyError.notAPublicKey) { try PublicKey([UInt8](repeating: 1, count: 64)) }
        #expect(throws: KeyError.notAPublicKey) { try PublicKey([]) }
    }

    /// Private key 1: the address every wallet shows for it.
    @Test func `the address of private key one is the well-known one`() throws {
        let key = try KeyPair(privateBytes: [UInt8](repeating: 0, count: 31) + [1])
        #expect(key.address.description == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf")
    }
}

struct MerkleTreeTests {
    /// The eight leaves that Certificate Transparency's implementations test with.
    private static let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"].map { bytes(hex: $0)! }

    @Test func `roots are RFC 6962's`() {
        #expect(MerkleTree().root == Digest.sha256([]))
        #expect(MerkleTree(leaves: MerkleTreeTests.leaves).root.description == "0x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")
    }

    @Test(arguments: 1...40) func `every leaf is proven, and no proof serves another leaf, index, size or root`(count: Int) {
        let tree = MerkleTree(leaves: (0..<count).map { [UInt8($0)] })
        for index in 0..<count {
            let proof = tree.inclusionProof(of: index)
            let leaf = MerkleTree.leafHash([UInt8(index)])
            func verifies(_ leaf: Digest, _ index: Int, _ size: Int, _ proof: [Digest], _ root: Digest) -> Bool {
                MerkleTree.verifiesInclusion(leafHash: leaf, index: UInt64(index), size: UInt64(size), proof: proof, root: root)
            }
            #expect(verifies(leaf, index, count, proof, tree.root))
            #expect(!verifies(MerkleTree.leafHash([200]), index, count, proof, tree.root))
            #expect(!verifies(leaf, index, count, proof, Digest.zero))
            #expect(!verifies(leaf, index, count, proof + [Digest.zero], tree.root))
            #expect(!verifies(leaf, count, count, proof, tree.root))
            if count > 1 { #expect(!verifies(leaf, (index + 1) % count, count, proof, tree.root)) }
            if let first = proof.first { #expect(!verifies(leaf, index, count, [MerkleTree.leafHash(first.bytes)] + proof.dropFirst(), tree.root)) }
        }
    }

    @Test(arguments: 1...24) func `a tree proves every earlier size of itself, and nothing else`(count: Int) {
        let tree = MerkleTree(leaves: (0..<count).map { [UInt8($0)] })
        for old in 0...count {
            let proof = tree.consistencyProof(from: old)
            func verifies(_ oldRoot: Digest, _ newRoot: Digest, _ proof: [Digest]) -> Bool {
                MerkleTree.verifiesConsistency(old: UInt64(old), oldRoot: oldRoot, new: UInt64(count), newRoot: newRoot, proof: proof)
            }
            #expect(verifies(tree.root(size: old), tree.root, proof))
            #expect(!verifies(Digest.zero, tree.root, proof))
            if old < count, old > 0 { #expect(!verifies(tree.root(size: old), Digest.zero, proof)) }
            #expect(!verifies(tree.root(size: old), tree.root, proof + [Digest.zero]))
        }
    }

    /// The example of RFC 6962, section 2.1.3: seven leaves, nodes named as in its drawing.
    @Test func `proofs in the tree of seven are RFC 6962's`() {
        let d = (0..<7).map { [UInt8($0)] }
        let (a, b, c, dd, e, f, j) = (MerkleTree.leafHash(d[0]), MerkleTree.leafHash(d[1]), MerkleTree.leafHash(d[2]), MerkleTree.leafHash(d[3]), MerkleTree.leafHash(d[4]), MerkleTree.leafHash(d[5]), MerkleTree.leafHash(d[6]))
        let g = MerkleTree.nodeHash(a, b), h = MerkleTree.nodeHash(c, dd), i = MerkleTree.nodeHash(e, f)
        let k = MerkleTree.nodeHash(g, h), l = MerkleTree.nodeHash(i, j)
        let tree = MerkleTree(leaves: d)
        #expect(tree.root == MerkleTree.nodeHash(k, l))
        #expect(tree.inclusionProof(of: 0) == [b, h, l])
        #expect(tree.inclusionProof(of: 3) == [c, g, l])
        #expect(tree.inclusionProof(of: 4) == [f, j, k])
        #expect(tree.inclusionProof(of: 6) == [i, k])
        #expect(tree.consistencyProof(from: 3) == [c, dd, g, l])
        #expect(tree.consistencyProof(from: 4) == [l])
        #expect(tree.consistencyProof(from: 6) == [i, j, k])
    }

    @Test func `a changed byte is found in its chunk`() {
        let content = [UInt8](repeating: 5, count: 3 * Blob.chunkBytes + 10)
        let expected = Blob.tree(content).levels[0]
        var changed = content
        changed[Blob.chunkBytes * 2 + 1] ^= 1
        #expect(Blob.differingChunks(content, expected: expected).isEmpty)
        #expect(Blob.differingChunks(changed, expected: expected) == [2])
        #expect(Blob.differingChunks(Array(content.dropLast(11)), expected: expected) == [2, 3])
        #expect(Blob.root(content) != Blob.root(changed))
    }

    @Test(arguments: 0..<60 as Range<UInt64>) func `a blob's root comes from the outlines of any parts of it, and from no outline that is too long or too short`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let chunk = Blob.chunkBytes, length = [0, 1, chunk - 1, chunk, chunk + 1, 5 * chunk, Int(generator.below(UInt64(6 * chunk)))][Int(seed % 7)]
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 ^ $0 >> 9) }
        // Cuts anywhere, on borders, and twice at one place.
        let cuts = (0..<Int(generator.below(7))).map { _ in
            let place = Int(generator.below(UInt64(length + 1)))
            return generator.below(3) == 0 ? place / chunk * chunk : place
        }
        let places = ([0, length] + cuts + cuts.prefix(1)).sorted(), parts = zip(places, places.dropFirst()).map { $0..<$1 }
        let outlines = parts.map { part in (count: part.count, outline: bytes[part].withUnsafeBytes { Blob.outline($0, from: part.lowerBound) }) }
        #expect(Blob.root(outlines: outlines) == Blob.root(bytes), "seed \(seed): \(places)")
        for (part, outline) in zip(parts, outlines) {
            #expect(outline.outline.count == Blob.outlineBytes(from: part.lowerBound, count: part.count))
            #expect(outline.outline.count < 2 * chunk + 32 * (part.count / chunk + 1))
        }
        for place in outlines.indices {
            var wrong = outlines
            wrong[place].outline.append(0)
            #expect(Blob.root(outlines: wrong) == nil)
        }
    }
}
