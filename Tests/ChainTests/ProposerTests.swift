import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import TestKit
import Testing

/// The pull pacemaker: A is the authority that proposes, leaders go round, B1, C2, D3, A4.
struct ProposerTests {
    private let pacing = Proposer.Parameters(busyDelayMilliseconds: 50, idleDelayMilliseconds: 500, leaderTimeoutMilliseconds: 600)
    private func proposer(_ drawn: DrawnDAG, last: String, now: UInt64 = 0) -> Proposer {
        Proposer(author: AuthorityIndex(0), committer: Committer(committee: drawn.committee, schedule: .roundRobin), parameters: pacing, last: drawn[last],
                 earlier: [], now: Instant(now))
    }
    private func enter(_ proposer: inout Proposer, _ drawn: DrawnDAG, at now: UInt64) -> Bool { proposer.enter(drawn.dag, now: Instant(now)) }
    private func jump(_ proposer: inout Proposer, _ drawn: DrawnDAG, past gcDepth: UInt64) -> Bool { proposer.jump(past: gcDepth, drawn.dag) }
    private func decide(_ proposer: Proposer, _ drawn: DrawnDAG, at now: UInt64, busy: Bool = true) -> Proposer.Decision { proposer.decide(drawn.dag, busy: busy, now: Instant(now)) }

    @Test func `A1: a round is entered, once, when a quorum of the round before is there`() {
        var drawn = DrawnDAG("A1 B1")
        var proposer = proposer(DrawnDAG("A1"), last: "A1")
        #expect(!enter(&proposer, drawn, at: 10))
        #expect(decide(proposer, drawn, at: 10_000) == .blocked)
        drawn.draw("C1")
        #expect(enter(&proposer, drawn, at: 20))
        #expect(!enter(&proposer, drawn, at: 21))
    }

    @Test func `C1: with the leader before there, a block comes after the least delay, sooner when something waits`() {
        let drawn = DrawnDAG("full 1..1")
        var proposer = proposer(drawn, last: "A1")
        #expect(enter(&proposer, drawn, at: 0))
        #expect(decide(proposer, drawn, at: 49) == .wait(until: Instant(50)))
        #expect(decide(proposer, drawn, at: 50) == .create(.leadersSeen))
        #expect(decide(proposer, drawn, at: 50, busy: false) == .wait(until: Instant(500)))
    }

    @Test func `C2: without the leader's block it waits for the time-out`() {
        let drawn = DrawnDAG("A1 C1 D1")
        var proposer = proposer(drawn, last: "A1")
        #expect(enter(&proposer, drawn, at: 100))
        #expect(decide(proposer, drawn, at: 700) == .wait(until: Instant(750)))
        #expect(decide(proposer, drawn, at: 750) == .create(.timeout))
    }

    @Test func `L2: the leader two rounds back must have its votes, or its blame`() {
        var voted = DrawnDAG("""
            full 1..1
            A2 C2 <- * -B1
            B2 <- *
            """)
        var proposer = proposer(voted, last: "A2")
        #expect(enter(&proposer, voted, at: 0))
        #expect(decide(proposer, voted, at: 60) == .wait(until: Instant(650)), "one vote, two blames")
        voted.draw("D2 <- * -B1")
        #expect(decide(proposer, voted, at: 60) == .create(.leadersSeen), "three blames are a skip")
    }

    @Test func `C3: where a quorum of the round is there already, it does not wait at all`() {
        let drawn = DrawnDAG("""
            full 1..1
            B2 C2 D2 <- A1 B1 C1
            """)
        var proposer = proposer(drawn, last: "A1")
        #expect(enter(&proposer, drawn, at: 0))
        #expect(decide(proposer, drawn, at: 0) == .create(.quorumAhead))
    }

    /// T1: whoever sees a high round does not jump to it; it fills its rounds one by one, and jumps only past garbage collection.
    @Test func `an authority that lags fills every round, and jumps only where its blocks would be forgotten anyway`() {
        let drawn = DrawnDAG("""
            full 1..1
            B2 C2 D2 <- B1 C1 D1
            B3 C3 D3 <- B2 C2 D2
            B4 C4 D4 <- B3 C3 D3
            B5 C5 D5 <- B4 C4 D4
            """)
        var proposer = proposer(drawn, last: "A1")
        #expect(!jump(&proposer, drawn, past: 60))
        #expect(proposer.round == Round(2))
        #expect(jump(&proposer, drawn, past: 2))
        #expect(proposer.round == Round(6))
    }

    /// T1: the highest round may be one block's; how far behind an authority is, a quorum says.
    @Test func `a single block ahead of the others is no reason to jump`() {
        let drawn = DrawnDAG("""
            full 1..1
            B2 C2 D2 <- B1 C1 D1
            B3 C3 D3 <- B2 C2 D2
            B4 C4 D4 <- B3 C3 D3
            D5 <- B4 C4 D4
            """)
        var proposer = proposer(drawn, last: "A1")
        #expect(!jump(&proposer, drawn, past: 2))
        #expect(proposer.round == Round(2))
    }

    @Test func `a block refers to its own last block first and to each other author's latest only once`() {
        let drawn = DrawnDAG("""
            full 1..1
            A2 B2 C2 <- *
            """)
        var proposer = proposer(drawn, last: "A2")
        #expect(proposer.ancestors(drawn.dag) == ["A2", "B2", "C2", "D1"].map { drawn[$0] })
        // D has been idle: it is not referred to again.
        var more = drawn
        #expect(enter(&proposer, more, at: 0))
        more.add("A3", on: proposer.ancestors(more.dag))
        proposer.proposed(more.dag[more["A3"]]!, now: Instant(50))
        more.draw("B3 C3 <- A2 B2 C2")
        #expect(proposer.ancestors(more.dag) == ["A3", "B3", "C3"].map { more[$0] })
    }

    @Test func `leaders follow the stake, are the same for all, and none leads long`() {
        let committee = DrawnDAG.committee([10, 20, 30, 40])
        let schedule = LeaderSchedule.shuffled(seed: Digest.sha256([3]))
        var led = [0, 0, 0, 0], running = 0, longest = 0, last: AuthorityIndex?
        for round in 1...4_000 as ClosedRange<UInt64> {
            let leader = schedule.leader(of: Round(round), in: committee)
            #expect(leader == LeaderSchedule.shuffled(seed: Digest.sha256([3])).leader(of: Round(round), in: committee))
            led[leader.index] += 1
            running = leader == last ? running + 1 : 1
            longest = max(longest, running)
            last = leader
        }
        // Four standard deviations of a binomial are below 130.
        for (seat, share) in [400, 800, 1_200, 1_600].enumerated() { #expect(abs(led[seat] - share) < 130, "\(led)") }
        #expect(longest < 16)
        let several = (0..<4).map { schedule.leader(of: Round(9), offset: $0, in: committee) }
        #expect(Set(several).count == 4)
    }
}
