import AssayConsensus
import AssayPrimitives
import AssayProtocol
import TestKit
import Testing

struct LinearizerTests {
    private func linearizer(_ drawn: DrawnDAG, gcDepth: UInt64 = 60) -> Linearizer { Linearizer(committee: drawn.committee, gcDepth: gcDepth, start: Instant(0)) }
    private func names(_ commit: Commit) -> [String] { commit.blocks.map { "\($0.slot)" } }

    @Test func `a commit is the leader's history not committed before, by round and author, the leader last`() {
        let drawn = DrawnDAG("full 1..4")
        var linearizer = linearizer(drawn)
        #expect(names(linearizer.commit(drawn["B1"], drawn.dag)) == ["B1"])
        #expect(names(linearizer.commit(drawn["C2"], drawn.dag)) == ["A1", "C1", "D1", "C2"])
        let third = linearizer.commit(drawn["D3"], drawn.dag)
        #expect(names(third) == ["A2", "B2", "D2", "D3"])
        #expect(third.index == CommitIndex(3) && linearizer.last == third)
    }

    @Test func `gc_simple: of a long hidden chain only what is above the floor is committed`() {
        let drawn = DrawnDAG("""
            full 1..1
            A2 B2 C2 <- A1 B1 C1
            D2 <- D1
            A3 B3 C3 <- A2 B2 C2
            D3 <- D2
            A4 B4 C4 <- A3 B3 C3
            D4 <- D3
            A5 B5 C5 <- A4 B4 C4
            D5 <- D4
            A6 <- A5 B5 C5 D5
            """)
        var linearizer = linearizer(drawn, gcDepth: 3)
        #expect(names(linearizer.commit(drawn["A5"], drawn.dag)).contains("D1") == false)
        #expect(linearizer.gcRound == Round(2))
        // D1 and D2 are at or below the floor; D3 to D5 were hidden, and come now.
        #expect(names(linearizer.commit(drawn["A6"], drawn.dag)) == ["D3", "D4", "B5", "C5", "D5", "A6"])
    }

    @Test func `below_highest_committed_round: a late orphan of a low round is committed while it is above the floor`() {
        let drawn = DrawnDAG("""
            full 1..1
            A2 B2 C2 <- A1 B1 C1
            A3 B3 C3 <- A2 B2 C2
            A4 <- A3 B3 C3 D1
            """)
        var linearizer = linearizer(drawn)
        #expect(!names(linearizer.commit(drawn["B3"], drawn.dag)).contains("D1"))
        #expect(names(linearizer.commit(drawn["A4"], drawn.dag)) == ["D1", "A3", "C3", "A4"])
    }

    /// T8.
    @Test func `of two blocks in one slot at most one is ever committed`() {
        let drawn = DrawnDAG("""
            full 1..1
            D2 D2' <- *
            A2 B2 C2 <- *
            A3 <- A2 B2 C2 D2
            B3 <- A2 B2 C2 D2'
            C4 <- A3 B3
            A5 <- C4
            """)
        var linearizer = linearizer(drawn)
        let commit = linearizer.commit(drawn["C4"], drawn.dag)
        #expect(names(commit).filter { $0 == "D2" } == ["D2"])
        // In a later commit neither.
        var other = self.linearizer(drawn)
        #expect(names(other.commit(drawn["A3"], drawn.dag)).contains("D2"))
        #expect(!names(other.commit(drawn["C4"], drawn.dag)).contains("D2"))
    }

    @Test func `an equivocating leader's slot is taken by the block that leads`() {
        let drawn = DrawnDAG("""
            full 1..1
            A2 A2' <- *
            B3 <- A2
            A4 <- B3 A2'
            """)
        var linearizer = linearizer(drawn)
        #expect(linearizer.commit(drawn["A2'"], drawn.dag).blocks.last == drawn["A2'"])
        #expect(!linearizer.commit(drawn["A4"], drawn.dag).blocks.contains(drawn["A2"]))
    }

    /// T10.
    @Test func `a block that is known but not in the leader's history is not committed`() {
        let drawn = DrawnDAG("""
            full 1..1
            A2 B2 C2 <- A1 B1 C1
            D2 <- *
            A3 <- A2 B2 C2
            """)
        var linearizer = linearizer(drawn)
        let commit = linearizer.commit(drawn["A3"], drawn.dag)
        #expect(!commit.blocks.contains(drawn["D2"]) && !commit.blocks.contains(drawn["D1"]))
    }

    @Test func `ledger time is the median of the parents by stake, and never goes back`() {
        var drawn = DrawnDAG(DrawnDAG.committee([1, 1, 1, 5]))
        let genesis = ["A0", "B0", "C0", "D0"].map { drawn[$0] }
        for (name, time) in [("A1", 100), ("B1", 200), ("C1", 90_000), ("D1", 400)] as [(String, UInt64)] { drawn.add(name, on: genesis, timestamp: time) }
        let parents = ["A1", "B1", "C1", "D1"].map { drawn[$0] }
        drawn.add("A2", on: parents)
        drawn.add("B2", on: Array(parents.prefix(3)))
        var linearizer = linearizer(drawn)
        #expect(linearizer.commit(drawn["A2"], drawn.dag).timestamp == Instant(400))
        // Without D the middle one of three is B's 200: but time has been 400.
        #expect(linearizer.commit(drawn["B2"], drawn.dag).timestamp == Instant(400))
    }

    @Test func `a linearizer that goes on from kept commits commits the same`() {
        let drawn = DrawnDAG("full 1..12")
        var whole = linearizer(drawn, gcDepth: 4), commits: [Commit] = []
        for round in 1...10 { commits.append(whole.commit(drawn["\(AuthorityIndex(round % 4))\(round)"], drawn.dag)) }
        var again = Linearizer(committee: drawn.committee, gcDepth: 4, start: Instant(0), recovering: Array(commits.suffix(6)))
        #expect(again.last == whole.last && again.gcRound == whole.gcRound)
        #expect(again.commit(drawn["D11"], drawn.dag) == whole.commit(drawn["D11"], drawn.dag))
    }
}
