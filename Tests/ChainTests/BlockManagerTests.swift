import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import TestKit
import Testing

struct BlockManagerTests {
    /// A node that knows nothing yet of a drawing.
    private struct Node {
        let drawn: DrawnDAG
        var dag: DAG
        var manager = BlockManager()
        init(_ drawn: DrawnDAG) {
            self.drawn = drawn
            dag = DAG(committee: drawn.committee, genesisBlocks: drawn.verifier.genesisBlocks)
        }
        mutating func receive(_ name: String) -> BlockManager.Outcome { manager.add(drawn.dag[drawn[name]]!, to: &dag) }
        func missing(of author: Int, limit: Int = 100) -> [String] { manager.missing(of: AuthorityIndex(author), limit: limit).map { "\($0.slot)" } }
    }
    private func names(_ blocks: [VerifiedBlock]) -> [String] { blocks.map { "\($0.reference.slot)" } }

    @Test func `a block whose ancestors are missing waits, says which, and is accepted in cascade with what waited for it`() {
        var node = Node(DrawnDAG("full 1..3"))
        #expect(node.receive("A3").missing.map { "\($0.slot)" } == ["A2", "B2", "C2", "D2"])
        #expect(node.receive("A2").missing.map { "\($0.slot)" } == ["A1", "B1", "C1", "D1"])
        for name in ["B2", "C2", "D2"] { #expect(node.receive(name).accepted.isEmpty) }
        for name in ["A1", "B1", "C1"] { #expect(names(node.receive(name).accepted) == [name]) }
        #expect(names(node.receive("D1").accepted).sorted() == ["A2", "A3", "B2", "C2", "D1", "D2"])
        #expect(node.manager.suspendedCount == 0 && node.manager.missingCount == 0)
    }

    @Test func `a known block, and one told twice, change nothing`() {
        var node = Node(DrawnDAG("full 1..2"))
        _ = node.receive("A1")
        #expect(node.receive("A1").ignored)
        _ = node.receive("A2")
        #expect(node.receive("A2").ignored)
        #expect(node.manager.suspendedCount == 1)
    }

    @Test func `when old rounds are forgotten, what waited only for them is accepted, and what lies in them is dropped`() {
        var node = Node(DrawnDAG("full 1..4"))
        for name in ["A3", "B2", "A4", "B3", "C3", "D3"] { _ = node.receive(name) }
        #expect(node.manager.suspendedCount == 6)
        node.dag.evict(through: Round(2))
        #expect(names(node.manager.release(below: &node.dag).accepted).sorted() == ["A3", "A4", "B3", "C3", "D3"])
        #expect(node.manager.suspendedCount == 0 && node.manager.missingCount == 0)
    }

    @Test func `a second block of a slot is evidence at once, and is taken only where somebody builds on it`() {
        let drawn = DrawnDAG("""
            full 1..1
            D2 D2' <- *
            A2 B2 C2 <- *
            A3 <- A2 B2 C2 D2'
            """)
        var node = Node(drawn)
        for name in ["A1", "B1", "C1", "D1", "A2", "B2", "C2", "D2"] { _ = node.receive(name) }
        let refused = node.receive("D2'")
        #expect(refused.ignored && refused.equivocations.count == 1)
        #expect(refused.equivocations.first?.first.header == drawn.dag[drawn["D2"]]?.block.header)
        #expect(refused.equivocations.first?.second.header == drawn.dag[drawn["D2'"]]?.block.header)
        #expect(node.receive("A3").missing == [drawn["D2'"]])
        let wanted = node.receive("D2'")
        #expect(names(wanted.accepted).sorted() == ["A3", "D2"] && wanted.equivocations.count == 1)
    }

    /// T6: also when a peer's blocks refer to blocks that do not exist.
    @Test func `whatever one author sends, it takes its share of the room and no more, and the lowest rounds stay`() {
        var drawn = DrawnDAG("full 1..1")
        let share = Limits.suspendedBlocks / 4
        let invented = (0..<4).map { BlockReference(round: Round(1), author: AuthorityIndex($0), digest: Digest.sha256([UInt8($0)])) }
        var node = Node(drawn)
        node.dag = drawn.dag
        let ahead = 400
        for round in 2..<ahead + 2 { drawn.add("D\(round)", on: invented) }
        for round in 2..<ahead + 2 { for twin in 1...4 { drawn.add("D\(round)" + String(repeating: "'", count: twin), on: invented) } }
        node = Node(drawn)
        for name in ["A1", "B1", "C1", "D1"] { _ = node.receive(name) }
        for block in drawn.drawn.dropFirst(4).reversed() { _ = node.manager.add(block, to: &node.dag) }
        #expect(node.manager.suspendedCount == ahead, "one block a slot, as long as nobody builds on another")
        #expect(node.manager.suspendedCount <= share)
        #expect(node.manager.missingCount <= 4)
    }

    @Test func `the room of one author is bounded even for slots without end`() {
        var manager = BlockManager()
        let drawn = DrawnDAG("full 1..1")
        var dag = drawn.dag
        let key = KeyPair(seed: "drawn 3")
        for step in 0..<3_000 as Range<UInt64> {
            // Each builds on the one before, which was sent before it, so each is asked for.
            let round = 2 + step % 500
            let invented = (0..<4).map { BlockReference(round: Round(round - 1), author: AuthorityIndex($0), digest: Digest.tagged("none") { $0.append(step) }) }
            let block = Block(epoch: Epoch(0), round: Round(round), author: AuthorityIndex(3), timestamp: Instant(step), ancestors: invented)
            _ = manager.add(drawn.verifier.trust(SignedBlock(block, by: key, genesis: drawn.verifier.genesis)), to: &dag)
        }
        #expect(manager.suspendedCount <= Limits.suspendedBlocks / 4)
        #expect(manager.missingCount <= Limits.suspendedBlocks)
    }

    /// T6: in a committee of twenty a share is 250 blocks, which one block a slot can overfill.
    @Test func `a full share gives up its block furthest ahead, and takes none further ahead`() {
        let drawn = DrawnDAG(authorities: 20, "full 1..1"), share = Limits.suspendedBlocks / 20
        var manager = BlockManager(), dag = drawn.dag
        let blocks = (0..<share + 50).map { hidden(drawn, by: 3, round: 2 + UInt64($0)) }
        func add(_ block: VerifiedBlock) -> Bool { !manager.add(block, to: &dag).ignored }
        func isThere(_ block: VerifiedBlock) -> Bool { manager.isSuspended(block.reference) }
        for block in blocks.dropFirst(10).prefix(share) { #expect(add(block)) }
        let ahead = add(blocks[share + 10])
        #expect(!ahead && manager.suspendedCount == share)
        let low = add(blocks[0]), lowThere = isThere(blocks[0]), furthestThere = isThere(blocks[share + 9])
        #expect(low && lowThere && !furthestThere && manager.suspendedCount == share)
        // Another author's share is its own.
        #expect(add(hidden(drawn, by: 4, round: 2)))
    }

    @Test func `what another author's block waits for has room before what nobody asked for, however far ahead it is`() {
        let drawn = DrawnDAG(authorities: 20, "full 1..1"), share = Limits.suspendedBlocks / 20
        var manager = BlockManager(), dag = drawn.dag
        let flood = (0..<share).map { hidden(drawn, by: 3, round: 2 + UInt64($0)) }, asked = hidden(drawn, by: 3, round: 400)
        let asking = trusted(Block(epoch: Epoch(0), round: Round(401), author: AuthorityIndex(5), timestamp: Instant(0), ancestors: [drawn["F1"], asked.reference]), drawn)
        for block in flood { _ = manager.add(block, to: &dag) }
        #expect(manager.add(asking, to: &dag).missing == [asked.reference])
        let outcome = manager.add(asked, to: &dag), last = flood[share - 1].reference
        #expect(outcome.missing == asked.ancestors, "what it waits for is asked for in turn")
        var kept = (asked: manager.isSuspended(asked.reference), last: manager.isSuspended(last))
        #expect(kept.asked && !kept.last && manager.suspendedCount == share + 1)
        // And what nobody asked for does not push it out again.
        let again = manager.add(flood[share - 1], to: &dag)
        kept.asked = manager.isSuspended(asked.reference)
        #expect(again.ignored && kept.asked)
    }

    /// A block on one that does not exist.
    private func hidden(_ drawn: DrawnDAG, by seat: Int, round: UInt64, variant: UInt64 = 0) -> VerifiedBlock {
        let invented = BlockReference(round: Round(round - 1), author: AuthorityIndex(seat), digest: Digest.tagged("none") { $0.append(variant) })
        return trusted(Block(epoch: Epoch(0), round: Round(round), author: AuthorityIndex(seat), timestamp: Instant(variant), ancestors: [invented]), drawn)
    }
    private func trusted(_ block: Block, _ drawn: DrawnDAG) -> VerifiedBlock {
        drawn.verifier.trust(SignedBlock(block: block, signature: Signature(bytes: [UInt8](repeating: 0, count: 65))))
    }

    @Test func `blocks too far ahead are not kept`() {
        var drawn = DrawnDAG("full 1..1")
        drawn.add("A600", on: [drawn["A1"]])
        var node = Node(drawn)
        for name in ["A1", "B1", "C1", "D1"] { _ = node.receive(name) }
        #expect(node.receive("A600").ignored)
    }

    /// Found by a simulated flooder: among its references to blocks that do not exist, those that do were never asked for.
    @Test func `an author is asked only for what its own blocks wait for, so inventions hide nothing`() {
        var drawn = DrawnDAG("full 1..4")
        let invented = (0..<4).map { BlockReference(round: Round(1), author: AuthorityIndex($0), digest: Digest.sha256([UInt8($0)])) }
        for round in 5..<60 { drawn.add("D\(round)", on: invented) }
        drawn.draw("A5 <- A4 B4 C4")
        var node = Node(drawn)
        for name in ["A1", "B1", "C1", "D1", "A2", "B2", "C2", "D2"] { _ = node.receive(name) }
        for round in 5..<60 { _ = node.receive("D\(round)") }
        for name in ["A5", "A4", "B4"] { _ = node.receive(name) }
        #expect(node.missing(of: 0) == ["A3", "B3", "C3", "D3", "C4"])
        #expect(node.missing(of: 1) == ["A3", "B3", "C3", "D3"])
        #expect(node.missing(of: 3) == ["A1", "B1", "C1", "D1"])
        #expect(node.missing(of: 2) == [])
        #expect(node.missing(of: 0, limit: 2) == ["A3", "B3"])
    }
}
