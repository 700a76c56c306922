import AssayConsensus
import AssayPrimitives
import AssayProtocol
import Testing
import TestKit

extension DrawnDAG {
    /// What a committer with seats in turn decides: round 3 is D's, 6 is C's, 9 is B's, 12 is A's.
    func decided(after last: String? = nil, pipelined: Bool = false, leaders: Int = 1) -> String {
        words(Committer.inTurn(committee, pipelined: pipelined, leaders: leaders).tryDecide(dag, after: last.map { slot($0) }))
    }
    func directly(_ name: String) -> String { word(Committer.inTurn(committee).decideDirectly(slot(name), dag)) }
}

extension Committer {
    static func inTurn(_ committee: Committee, waveLength: UInt64 = 3, pipelined: Bool = true, leaders: Int = 1) -> Committer {
        Committer(committee: committee, schedule: .roundRobin, waveLength: waveLength, leadersPerRound: leaders, pipelined: pipelined)
    }
}

/// A leader in every third round. Each test is a scenario of the implementations that came before (Sui, asonnino/mysticeti), with its number in our list.
struct CommitterScenarioTests {
    /// Scenario 1: direct_commit.
    @Test func `a leader with a quorum of certificates is committed, and the next has to wait for its own`() {
        #expect(DrawnDAG("full 1..7").decided() == "D3")
    }

    /// Scenario 2: idempotence.
    @Test func `asking twice gives the same, and asking behind the last decided slot gives what is new`() {
        var drawn = DrawnDAG("full 1..5")
        #expect(drawn.decided() == "D3")
        #expect(drawn.decided() == "D3")
        drawn.draw("full 6..8")
        #expect(drawn.decided(after: "D3") == "C6")
    }

    /// Scenario 3: multiple_direct_commit.
    @Test func `every wave brings exactly one leader`() {
        var drawn = DrawnDAG("full 1..2"), last: String?, all: [String] = []
        for wave in 1...10 {
            drawn.draw("full \(3 * wave)..\(3 * wave + 2)")
            let leader = drawn.decided(after: last)
            #expect(leader == "\(["D", "C", "B", "A"][(wave - 1) % 4])\(3 * wave)")
            last = leader
            all.append(leader)
        }
        #expect(drawn.decided() == all.joined(separator: " "))
    }

    /// Scenario 4: direct_commit_late_call.
    @Test func `a late call decides all waves in order`() {
        #expect(DrawnDAG("full 1..32").decided() == "D3 C6 B9 A12 D15 C18 B21 A24 D27 C30")
    }

    /// Scenario 5: no_genesis_commit.
    @Test func `nothing is decided before the first wave is whole, and genesis never`() {
        var drawn = DrawnDAG()
        #expect(drawn.decided() == "")
        for round in 1..<5 {
            drawn.draw("full \(round)..\(round)")
            #expect(drawn.decided() == "")
        }
    }

    /// Scenario 6: direct_skip_no_leader_votes.
    @Test func `a leader that nobody votes for is skipped`() {
        #expect(DrawnDAG("""
            full 1..3
            A4 B4 C4 D4 <- * -D3
            full 5..5
            """).decided() == "-D3")
    }

    /// Scenario 7: direct_skip_missing_leader_block.
    @Test func `a leader without a block is skipped`() {
        #expect(DrawnDAG("""
            full 1..2
            A3 B3 C3
            full 4..5
            """).decided() == "-D3")
    }

    /// Scenario 8: indirect_commit.
    @Test func `two certificates are not enough by themselves, but the next leader's history holds one`() {
        var drawn = DrawnDAG("""
            full 1..3
            A4 <- * -D3
            B4 C4 D4                  // a quorum of votes
            A5 B5                     // two certificates
            C5 D5 <- A4
            """)
        #expect(drawn.directly("D3") == "?D3")
        #expect(drawn.decided() == "")
        drawn.draw("full 6..8")
        #expect(drawn.directly("D3") == "?D3")
        #expect(drawn.decided() == "D3 C6")
    }

    /// Scenario 9: indirect_skip.
    @Test func `a leader without any certificate in the next leader's history is skipped by it`() {
        let drawn = DrawnDAG("""
            full 1..6
            A7 B7
            C7 D7 <- * -C6            // two for and two against: never certified
            full 8..11
            """)
        #expect(drawn.directly("C6") == "?C6")
        #expect(drawn.decided() == "D3 -C6 B9")
    }

    /// Scenario 10: undecided.
    @Test func `with one vote for and two against, the fourth may still decide it`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4
            B4 C4 <- * -D3
            full 5..5
            """)
        #expect(drawn.directly("D3") == "?D3")
        #expect(drawn.decided() == "")
    }

    /// Scenario 11: byzantine_direct_commit. Protects (T8) `StakeTally.add`, which counts an authority once.
    @Test func `three more blocks of one author against a leader do not outweigh the others' votes`() {
        let drawn = DrawnDAG("""
            full 1..13
            C13' C13'' C13''' <- * -A12
            A14
            B14 <- * -C13 C13'
            C14 <- * -C13 C13''
            D14 <- * -C13 C13'''
            """)
        #expect(drawn.directly("A12") == "A12")
        #expect(drawn.decided() == "D3 C6 B9 A12")
    }

    /// Scenario 12: declarative direct_commit.
    @Test func `exactly a quorum of votes and exactly a quorum of certificates commit`() {
        #expect(DrawnDAG("""
            full 1..3
            A4 B4 C4 <- D3
            D4 <-
            A5 B5 C5 <- A4 B4 C4
            D5 <-
            """).decided() == "D3")
    }

    /// Scenario 13: declarative direct_skip.
    @Test func `exactly a quorum of blames skips`() {
        #expect(DrawnDAG("""
            full 1..3
            A4 <- D3
            B4 C4 D4 <-
            full 5..5
            """).decided() == "-D3")
    }

    /// Scenario 14: declarative direct_undecided.
    @Test func `two votes and two blames decide nothing`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 <- D3
            C4 D4 <-
            full 5..5
            """)
        #expect(drawn.directly("D3") == "?D3")
        #expect(drawn.decided() == "")
    }

    /// Scenario 15: declarative indirect_commit.
    @Test func `one certificate in the anchor's history commits`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 C4 <- D3
            D4 <-
            A5 <- A4 B4 C4            // the only certificate
            B5 C5 D5 <-
            C6 <- A5
            A7 B7 D7 <- C6
            A8 B8 D8 <- A7 B7 D7
            """)
        #expect(drawn.directly("D3") == "?D3")
        #expect(drawn.decided() == "D3 C6")
    }

    /// Scenario 16: equivocating_direct_commit.
    @Test func `an undecided leader is committed when an author's second block brings the missing vote`() {
        var drawn = DrawnDAG("""
            full 1..3
            A4 B4 <-
            C4 D4
            full 5..5
            """)
        #expect(drawn.decided() == "")
        drawn.draw("""
            B4' <- *
            A5' B5' C5' D5' <- * -B4 B4'
            """)
        #expect(drawn.decided() == "D3")
    }

    /// Scenario 17: equivocating_direct_skip.
    @Test func `an undecided leader is skipped when an author's second block brings the missing blame`() {
        var drawn = DrawnDAG("""
            full 1..3
            A4 B4 <-
            C4 D4
            full 5..5
            """)
        #expect(drawn.decided() == "")
        drawn.draw("C4' <-")
        #expect(drawn.decided() == "-D3")
    }

    /// Scenario 20: trailing_skip_not_re_yielded.
    @Test func `a skipped slot at the end is told once`() {
        var drawn = DrawnDAG("""
            full 1..6
            A7 B7 C7 D7 <- * -C6
            full 8..8
            """)
        #expect(drawn.decided() == "D3 -C6")
        #expect(drawn.decided(after: "C6") == "")
        drawn.draw("full 9..11")
        #expect(drawn.decided(after: "C6") == "B9")
    }
}
