import AssayConsensus
import AssayPrimitives
import AssayProtocol
import Testing
import TestKit

/// The same with a leader in every round (scenario 18), in the order B1 C2 D3 A4 B5 …, and with several leaders a round (scenario 19).
struct CommitterPipelinedTests {
    private static func leaders(_ rounds: ClosedRange<Int>) -> String { rounds.map { "\(["A", "B", "C", "D"][$0 % 4])\($0)" }.joined(separator: " ") }

    /// Scenario 18.1: pipelined direct_commit.
    @Test func `every round but the last two has its leader committed`() {
        #expect(DrawnDAG("full 1..7").decided(pipelined: true) == "B1 C2 D3 A4 B5")
    }

    /// Scenario 18.2: pipelined idempotence.
    @Test func `asking twice gives the same, round by round too`() {
        var drawn = DrawnDAG("full 1..5")
        #expect(drawn.decided(pipelined: true) == "B1 C2 D3")
        #expect(drawn.decided(pipelined: true) == "B1 C2 D3")
        drawn.draw("full 6..8")
        #expect(drawn.decided(after: "D3", pipelined: true) == "A4 B5 C6")
    }

    /// Scenario 18.3: pipelined multiple_direct_commit.
    @Test func `every round brings exactly one leader`() {
        var drawn = DrawnDAG("full 1..2"), last: String?
        for round in 3...12 {
            drawn.draw("full \(round)..\(round)")
            let leader = drawn.decided(after: last, pipelined: true)
            #expect(leader == CommitterPipelinedTests.leaders(round - 2...round - 2))
            last = leader
        }
    }

    /// Scenario 18.4: pipelined direct_commit_late_call.
    @Test func `a late call decides all rounds in order`() {
        #expect(DrawnDAG("full 1..32").decided(pipelined: true) == CommitterPipelinedTests.leaders(1...30))
    }

    /// Scenario 18.5: pipelined no_genesis_commit.
    @Test func `nothing is decided in the first two rounds`() {
        var drawn = DrawnDAG()
        for round in 1..<3 {
            drawn.draw("full \(round)..\(round)")
            #expect(drawn.decided(pipelined: true) == "")
        }
    }

    /// Scenario 18.6: pipelined direct_skip_no_leader (votes for none), and enough_blame (votes of one).
    @Test(arguments: ["A4 B4 C4 D4 <- * -D3", "A4; B4 C4 D4 <- * -D3"])
    func `a leader that a quorum does not vote for is skipped between two that are committed`(round4: String) {
        #expect(DrawnDAG("full 1..3; \(round4); full 5..6").decided(pipelined: true) == "B1 C2 -D3 A4")
    }

    /// Scenario 18.7: pipelined direct_skip_missing_leader_block.
    @Test func `a leader without a block is skipped between two that are committed`() {
        #expect(DrawnDAG("full 1..2; A3 B3 C3; full 4..6").decided(pipelined: true) == "B1 C2 -D3 A4")
    }

    /// Scenario 18.8: pipelined indirect_commit.
    @Test func `the first anchor three rounds on commits a leader with two certificates`() {
        var drawn = DrawnDAG("""
            full 1..3
            A4 <- * -D3
            B4 C4 D4
            A5 B5
            C5 D5 <- A4
            full 6..7
            """)
        #expect(drawn.decided(pipelined: true) == "B1 C2")     // A4 and B5 are decided, but stand behind D3
        #expect(drawn.directly("A4") == "A4")
        drawn.draw("full 8..8")
        #expect(drawn.decided(pipelined: true) == "B1 C2 D3 A4 B5 C6")
    }

    /// Scenario 18.9: pipelined indirect_skip.
    @Test func `the first anchor three rounds on skips a leader without certificates`() {
        let drawn = DrawnDAG("""
            full 1..6
            A7 B7
            C7 D7 <- * -C6
            full 8..11
            """)
        #expect(drawn.directly("C6") == "?C6")
        #expect(drawn.decided(pipelined: true) == "B1 C2 D3 A4 B5 -C6 D7 A8 B9")
    }

    /// Scenario 18.10: pipelined undecided.
    @Test func `what is decided behind an undecided slot waits for it`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4
            B4 C4 <- * -D3
            full 5..6
            """)
        #expect(drawn.directly("A4") == "A4")
        #expect(drawn.decided(pipelined: true) == "B1 C2")
    }

    /// Scenario 18.11: pipelined byzantine_direct_commit.
    @Test func `a pipelined leader is committed against three more blocks of one author`() {
        #expect(DrawnDAG("""
            full 1..13
            C13' C13'' C13''' <- * -A12
            A14
            B14 <- * -C13 C13'
            C14 <- * -C13 C13''
            D14 <- * -C13 C13'''
            """).decided(pipelined: true) == CommitterPipelinedTests.leaders(1...12))
    }

    /// Protects (T9) the `.undecided` case of `Committer.decideIndirectly`: past an undecided anchor nobody may look, for it may yet be committed.
    @Test func `an undecided anchor decides nothing, though a committed leader stands behind it`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4
            C4 D4 <- * -D3            // D3: two for, two against
            full 5..6
            A7 B7
            C7 D7 <- * -C6            // C6, its anchor: the same
            full 8..10
            """)
        #expect(drawn.directly("D7") == "D7")
        #expect(drawn.directly("A8") == "A8")
        #expect(drawn.decided(pipelined: true) == "B1 C2")
    }

    // MARK: Several leaders a round

    /// Scenario 19: direct_commit and direct_commit_partial_round.
    @Test func `three leaders a round are decided in the order of their offsets, from the middle of a cohort too`() {
        let drawn = DrawnDAG("full 1..5")
        #expect(drawn.decided(leaders: 3) == "D3 A3 B3")
        #expect(drawn.decided(after: "D3", leaders: 3) == "A3 B3")
        #expect(drawn.decided(after: "B3", leaders: 3) == "")
        #expect(drawn.decided(pipelined: true, leaders: 2) == "B1 C1 C2 D2 D3 A3")
    }

    /// Scenario 19: an undecided slot in front truncates its cohort.
    @Test func `an undecided leader holds back those behind it in its round`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4
            C4 D4 <- * -A3
            full 5..5
            """)
        #expect(drawn.directly("B3") == "B3")
        #expect(drawn.decided(leaders: 3) == "D3")
    }

    /// Scenario 19: no_leader.
    @Test func `a missing leader is skipped in its place`() {
        #expect(DrawnDAG("full 1..2; B3 C3 D3; full 4..5").decided(leaders: 3) == "D3 -A3 B3")
    }

    /// Two leaders of one slot: only the one with the certificates is committed.
    @Test func `of an equivocating leader's blocks the certified one is committed`() {
        let drawn = DrawnDAG("""
            full 1..3
            D3' <- * -A2
            A4 B4 C4 <- * -D3 D3'
            D4
            full 5..5
            """)
        #expect(drawn.decided() == "D3'")
    }
}
