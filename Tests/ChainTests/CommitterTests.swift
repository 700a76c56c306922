import AssayConsensus
import AssayPrimitives
import AssayProtocol
import TestKit
import Testing

/// The published scenarios for the Mysticeti commit rule, by the names their authors gave them. Four authorities of equal stake; waves of
/// three rounds; the leader of round r is authority r mod 4, so D3, C6, B9, A12 where only every third round has one.
struct CommitterTests {
    private func committer(_ drawn: DrawnDAG, pipelined: Bool = false, leaders: Int = 1) -> Committer {
        Committer(committee: drawn.committee, schedule: .roundRobin, leadersPerRound: leaders, pipelined: pipelined)
    }
    private func decide(_ drawn: DrawnDAG, after last: String? = nil, pipelined: Bool = false) -> [String] {
        words(committer(drawn, pipelined: pipelined).tryDecide(drawn.dag, after: last.map(DrawnDAG.slot)))
    }
    private func words(_ statuses: [LeaderStatus]) -> [String] {
        statuses.map { status in
            switch status {
            case .commit(let leader): "commit \(leader.slot)"
            case .skip(let slot): "skip \(slot)"
            case .undecided(let slot): "undecided \(slot)"
            }
        }
    }
    private func direct(_ name: String, _ drawn: DrawnDAG) -> String { words([committer(drawn).decideDirectly(DrawnDAG.slot(name), drawn.dag)])[0] }

    @Test func `1 direct_commit: a leader with a quorum of certificates is committed, and the next not before its wave ends`() {
        #expect(decide(DrawnDAG("full 1..7")) == ["commit D3"])
    }

    @Test func `2 idempotence: the same call twice gives the same, and what was decided does not come again`() {
        var drawn = DrawnDAG("full 1..5")
        #expect(decide(drawn) == ["commit D3"])
        #expect(decide(drawn) == ["commit D3"])
        drawn.draw("full 6..8")
        #expect(decide(drawn, after: "D3") == ["commit C6"])
    }

    @Test func `3 multiple_direct_commit: each wave brings one leader`() {
        var drawn = DrawnDAG("full 1..2"), last: String?
        for wave in 1...10 as ClosedRange<UInt64> {
            drawn.draw("full \(wave * 3)..\(wave * 3 + 2)")
            let leader = Slot(Round(wave * 3), AuthorityIndex(Int(wave * 3 % 4)))
            #expect(decide(drawn, after: last) == ["commit \(leader)"])
            last = "\(leader)"
        }
    }

    @Test func `4 direct_commit_late_call: one call decides ten waves in order`() {
        let leaders = (1...10).map { "commit \(AuthorityIndex($0 * 3 % 4))\($0 * 3)" }
        #expect(decide(DrawnDAG("full 1..32")) == leaders)
    }

    @Test func `5 no_genesis_commit: nothing is decided before the first wave ends`() {
        var drawn = DrawnDAG()
        for round in 1...4 {
            drawn.draw("full \(round)..\(round)")
            #expect(decide(drawn) == [])
        }
    }

    @Test func `6 direct_skip_no_leader_votes: a leader that nobody votes for is skipped`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 C4 D4 <- * -D3
            full 5..5
            """)
        #expect(decide(drawn) == ["skip D3"])
    }

    @Test func `7 direct_skip_missing_leader_block: a leader that made no block is skipped`() {
        let drawn = DrawnDAG("""
            full 1..2
            A3 B3 C3
            full 4..5
            """)
        #expect(decide(drawn) == ["skip D3"])
    }

    /// Three votes and two certificates: too few for the direct rule, enough for C6 to find one.
    static let indirectCommit = """
        full 1..3
        A4 <- * -D3
        B4 C4 D4 <- *
        A5 B5 <- *
        C5 D5 <- A4
        full 6..8
        """
    @Test func `8 indirect_commit: a later leader that sees a certificate commits an earlier one`() {
        let drawn = DrawnDAG(Self.indirectCommit)
        #expect(direct("D3", drawn) == "undecided D3")
        #expect(decide(drawn) == ["commit D3", "commit C6"])
    }

    @Test func `9 indirect_skip: a later leader that sees no certificate skips an earlier one`() {
        let drawn = DrawnDAG("""
            full 1..6
            A7 B7 <- *
            C7 D7 <- * -C6
            full 8..11
            """)
        #expect(direct("C6", drawn) == "undecided C6")
        #expect(decide(drawn) == ["commit D3", "skip C6", "commit B9"])
    }

    @Test func `10 undecided: one vote, two blames and an absent author decide nothing`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 <- *
            B4 C4 <- * -D3
            A5 B5 C5 <- *
            """)
        #expect(decide(drawn) == [])
    }

    @Test func `11 byzantine_direct_commit: an authority that votes four ways is counted once`() {
        let drawn = DrawnDAG("""
            full 1..12
            full 13..13
            C13' C13'' C13''' <- * -A12
            A14 <- *
            B14 <- A13 B13 C13' D13
            C14 <- A13 B13 C13'' D13
            D14 <- A13 B13 C13''' D13
            """)
        #expect(decide(drawn) == ["commit D3", "commit C6", "commit B9", "commit A12"])
    }

    @Test func `12 declared direct_commit: a bare quorum of votes and of certificates suffices`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 C4 <- D3
            D4 <-
            A5 B5 C5 <- A4 B4 C4
            D5 <-
            """)
        #expect(direct("D3", drawn) == "commit D3")
    }

    @Test func `13 declared direct_skip: one vote and three blames skip`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 <- D3
            B4 C4 D4 <-
            full 5..5
            """)
        #expect(direct("D3", drawn) == "skip D3")
    }

    @Test func `14 declared direct_undecided: two votes and two blames decide nothing`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 <- D3
            C4 D4 <-
            full 5..5
            """)
        #expect(direct("D3", drawn) == "undecided D3")
    }

    @Test func `15 declared indirect_commit: one certificate in the anchor's history is enough`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 C4 <- D3
            D4 <-
            A5 <- A4 B4 C4
            B5 C5 D5 <-
            C6 <- A5
            A7 B7 D7 <- C6
            A8 B8 D8 <- A7 B7 D7
            """)
        #expect(direct("D3", drawn) == "undecided D3")
        #expect(direct("C6", drawn) == "commit C6")
        #expect(decide(drawn) == ["commit D3", "commit C6"])
    }

    /// Two votes, two blames.
    static let split = """
        full 1..3
        A4 B4 <-
        C4 D4 <- *
        full 5..5
        """
    @Test func `16 equivocating_direct_commit: a second block that votes makes a quorum with those of others`() {
        var drawn = DrawnDAG(Self.split)
        #expect(direct("D3", drawn) == "undecided D3")
        drawn.draw("""
            B4' <- *
            A5' B5' C5' D5' <- B4' C4 D4
            """)
        #expect(direct("D3", drawn) == "commit D3")
    }

    @Test func `17 equivocating_direct_skip: a second block that blames makes a quorum with those of others`() {
        var drawn = DrawnDAG(Self.split)
        #expect(direct("D3", drawn) == "undecided D3")
        drawn.draw("C4' <-")
        #expect(direct("D3", drawn) == "skip D3")
    }

    @Test func `20 trailing_skip_not_re_yielded: a skip at the end comes once`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 C4 D4 <- * -D3
            full 5..5
            """)
        #expect(decide(drawn) == ["skip D3"])
        #expect(decide(drawn, after: "D3") == [])
    }
}

/// Scenario 18: the same with a leader in every round.
struct PipelinedCommitterTests {
    private func decide(_ drawn: DrawnDAG, after last: String? = nil) -> [String] {
        Committer(committee: drawn.committee, schedule: .roundRobin).tryDecide(drawn.dag, after: last.map(DrawnDAG.slot)).map { status in
            switch status {
            case .commit(let leader): "\(leader.slot)"
            case .skip(let slot): "-\(slot)"
            case .undecided(let slot): "?\(slot)"
            }
        }
    }
    private func leaders(_ rounds: ClosedRange<Int>) -> [String] { rounds.map { "\(AuthorityIndex($0 % 4))\($0)" } }

    @Test func `18.1 direct_commit: every round up to the last but two has its leader`() { #expect(decide(DrawnDAG("full 1..5")) == leaders(1...3)) }

    @Test func `18.2 idempotence`() {
        var drawn = DrawnDAG("full 1..5")
        #expect(decide(drawn) == leaders(1...3))
        #expect(decide(drawn, after: "D3") == [])
        drawn.draw("full 6..6")
        #expect(decide(drawn, after: "D3") == leaders(4...4))
    }

    @Test func `18.3 multiple_direct_commit: each round brings one leader`() {
        var drawn = DrawnDAG("full 1..2"), last: String?
        for round in 1...10 {
            drawn.draw("full \(round + 2)..\(round + 2)")
            #expect(decide(drawn, after: last) == leaders(round...round))
            last = leaders(round...round)[0]
        }
    }

    @Test func `18.4 direct_commit_late_call`() { #expect(decide(DrawnDAG("full 1..32")) == leaders(1...30)) }

    @Test func `18.5 no_genesis_commit`() {
        var drawn = DrawnDAG()
        for round in 1...2 {
            drawn.draw("full \(round)..\(round)")
            #expect(decide(drawn) == [])
        }
    }

    @Test func `18.6 direct_skip_no_leader_votes`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 C4 D4 <- * -D3
            full 5..5
            """)
        #expect(decide(drawn) == ["B1", "C2", "-D3"])
    }

    @Test func `18.7 direct_skip_missing_leader_block`() {
        let drawn = DrawnDAG("""
            full 1..2
            A3 B3 C3
            full 4..5
            """)
        #expect(decide(drawn) == ["B1", "C2", "-D3"])
    }

    @Test func `18.8 indirect_commit: the anchor is the first leader three rounds on`() {
        let drawn = DrawnDAG(CommitterTests.indirectCommit)
        #expect(decide(drawn) == ["B1", "C2", "D3", "A4", "B5", "C6"])
    }

    @Test func `18.9 indirect_skip: the anchor sees no certificate`() {
        let drawn = DrawnDAG("""
            full 1..6
            A7 B7 <- *
            C7 D7 <- * -C6
            full 8..11
            """)
        #expect(decide(drawn) == ["B1", "C2", "D3", "A4", "B5", "-C6", "D7", "A8", "B9"])
    }

    @Test func `18.10 undecided: a slot in doubt holds back all that follow`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 <- *
            B4 C4 <- * -D3
            A5 B5 C5 <- *
            """)
        #expect(decide(drawn) == ["B1", "C2"])
    }

    @Test func `18.11 byzantine_direct_commit`() {
        let drawn = DrawnDAG("""
            full 1..13
            C13' C13'' C13''' <- * -A12
            A14 <- *
            B14 <- A13 B13 C13' D13
            C14 <- A13 B13 C13'' D13
            D14 <- A13 B13 C13''' D13
            """)
        #expect(decide(drawn) == leaders(1...12))
    }

    @Test func `18 direct_skip_enough_blame: two blocks of one slot are both blamed by whoever votes for neither`() {
        let drawn = DrawnDAG("""
            full 1..3
            D3' <- *
            A4 B4 C4 <- * -D3
            D4 <- *
            full 5..5
            """)
        #expect(decide(drawn) == ["B1", "C2", "-D3"])
    }

    @Test func `an equivocating leader is committed in the one block that a quorum votes for`() {
        let drawn = DrawnDAG("""
            full 1..3
            D3' <- *
            A4 B4 C4 <- A3 B3 C3 D3'
            D4 <- *
            full 5..5
            """)
        let statuses = Committer(committee: drawn.committee, schedule: .roundRobin).tryDecide(drawn.dag, after: nil)
        #expect(statuses.last == .commit(drawn["D3'"]))
    }

    /// T9: the indirect rule may not read past a later slot that is in doubt.
    @Test func `an anchor in doubt leaves the slot in doubt, even where a leader after it is certain`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 <- * -D3
            C4 D4 <- *
            full 5..6
            A7 B7 <- * -C6
            C7 D7 <- *
            full 8..9
            """)
        let committer = Committer(committee: drawn.committee, schedule: .roundRobin)
        #expect(committer.decideDirectly(DrawnDAG.slot("D7"), drawn.dag) == .commit(drawn["D7"]))
        #expect(committer.decideDirectly(DrawnDAG.slot("C6"), drawn.dag) == .undecided(DrawnDAG.slot("C6")))
        #expect(decide(drawn) == ["B1", "C2"])
    }
}
