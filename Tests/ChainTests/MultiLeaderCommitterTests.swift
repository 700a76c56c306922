import AssayConsensus
import AssayPrimitives
import AssayProtocol
import TestKit
import Testing

/// Scenario 19: several leaders a round. In round 3 they are D, A and B, in this order, since offsets count on from the round's number.
struct MultiLeaderCommitterTests {
    private func decide(_ drawn: DrawnDAG, leaders: Int = 3, after last: String? = nil, pipelined: Bool = false) -> [String] {
        let committer = Committer(committee: drawn.committee, schedule: .roundRobin, leadersPerRound: leaders, pipelined: pipelined)
        return committer.tryDecide(drawn.dag, after: last.map(DrawnDAG.slot)).map { status in
            switch status {
            case .commit(let leader): "\(leader.slot)"
            case .skip(let slot): "-\(slot)"
            case .undecided(let slot): "?\(slot)"
            }
        }
    }

    @Test func `19 direct_commit: a round's leaders are committed at once, in the order of their offsets`() {
        let drawn = DrawnDAG("full 1..5")
        #expect(decide(drawn) == ["D3", "A3", "B3"])
        #expect(decide(drawn, leaders: 2, pipelined: true) == ["B1", "C1", "C2", "D2", "D3", "A3"])
    }

    @Test func `19 direct_commit_partial_round: behind the first leader of a round the others are still to come`() {
        let drawn = DrawnDAG("full 1..5")
        #expect(decide(drawn, after: "D3") == ["A3", "B3"])
        #expect(decide(drawn, after: "A3") == ["B3"])
        #expect(decide(drawn, after: "B3") == [])
    }

    @Test func `19 no_leader: a leader without a block is skipped in its place`() {
        let drawn = DrawnDAG("""
            full 1..2
            B3 C3 D3
            full 4..5
            """)
        #expect(decide(drawn) == ["D3", "-A3", "B3"])
    }

    @Test func `19 a leader in doubt holds back those behind it in its round, and those before it not`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 B4 <- *
            C4 D4 <- * -A3
            full 5..5
            """)
        let committer = Committer(committee: drawn.committee, schedule: .roundRobin)
        #expect(committer.decideDirectly(DrawnDAG.slot("B3"), drawn.dag) == .commit(drawn["B3"]))
        #expect(decide(drawn) == ["D3"])
    }

    /// The cohort's first leader is skipped at its anchor's place, so the second is the anchor.
    @Test func `19 an anchor is the first leader of its round that was not skipped`() {
        let drawn = DrawnDAG("""
            full 1..3
            A4 <- * -D3
            B4 C4 D4 <- *
            A5 B5 <- *
            C5 D5 <- A4
            full 6..6
            A7 B7 C7 D7 <- * -C6
            full 8..8
            """)
        #expect(decide(drawn, leaders: 2) == ["D3", "A3", "-C6", "D6"])
    }
}
