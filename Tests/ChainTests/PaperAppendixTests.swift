import AssayConsensus
import AssayPrimitives
import AssayProtocol
import TestKit
import Testing

/// The example of the Mysticeti paper's appendix A as its formal model has it (informalsystems/mysticeti-spec): four leaders a round, a to d.
/// The schedule here gives rank k of round r to authority (r + k) mod 4, so 1a is B1, 1b C1, and so on.
struct PaperAppendixTests {
    private static func name(_ rank: String) -> String {
        let round = Int(rank.dropLast())!, place = Int(rank.unicodeScalars.last!.value) - 97
        return "\(AuthorityIndex((round + place) % 4))\(round)"
    }
    private func example() -> DrawnDAG {
        var drawn = DrawnDAG()
        for line in """
            1a 1b 1c 1d <- 0a 0b 0c 0d
            2d <- 1a 1b 1c
            2a <- 1a 1b 1d
            2b <- 1a 1c 1d
            2c <- 1a 1c 1d
            3c <- 2d 2a 2b
            3d <- 2d 2a 2c
            3b <- 2d 2a 2b 2c
            4a 4b 4c 4d <- 3c 3d 3b
            5c 5a 5b <- 4d 4b 4c
            5d <- 4d 4a 4b 4c
            6b <- 5c 5d 5a 5b
            6c 6d <- 5d 5a 5b
            """.split(separator: "\n") {
            drawn.draw(line.split(separator: " ").map { $0 == "<-" ? "<-" : Self.name(String($0)) }.joined(separator: " "))
        }
        return drawn
    }
    private func committer(_ drawn: DrawnDAG) -> Committer { Committer(committee: drawn.committee, schedule: .roundRobin, leadersPerRound: 4) }

    @Test func `the direct rule decides what the paper says, and nothing else`() {
        let drawn = example(), committer = committer(drawn)
        func direct(_ rank: String) -> LeaderStatus { committer.decideDirectly(DrawnDAG.slot(Self.name(rank)), drawn.dag) }
        func commit(_ rank: String) -> LeaderStatus { .commit(drawn[Self.name(rank)]) }
        func slot(_ rank: String) -> Slot { DrawnDAG.slot(Self.name(rank)) }
        for rank in ["4b", "4c", "4d", "3b", "3c", "3d", "2d", "2a", "1a"] { #expect(direct(rank) == commit(rank), "\(rank)") }
        #expect(direct("4a") == .skip(slot("4a")))
        for rank in ["5a", "5b", "5c", "5d", "6b", "6c", "6d", "2b", "2c", "1b", "1c", "1d"] { #expect(direct(rank) == .undecided(slot(rank)), "\(rank)") }
    }

    @Test func `1c and 1d are committed and 1b is skipped by way of 4b, and the order is 1a 1c 1d 2a`() {
        let drawn = example()
        let decided = committer(drawn).tryDecide(drawn.dag, after: nil)
        #expect(decided == [
            .commit(drawn[Self.name("1a")]), .skip(DrawnDAG.slot(Self.name("1b"))), .commit(drawn[Self.name("1c")]), .commit(drawn[Self.name("1d")]),
            .commit(drawn[Self.name("2a")]),
        ])
    }

    /// The paper's lemma 7: two nodes that each know more decide the same as far as both decide.
    @Test(arguments: UInt64(0)..<64)
    func `whatever a seventh round adds, each result is a prefix of the result with all of it`(seed: UInt64) {
        var chance = SeededGenerator(seed: seed, stream: 7)
        let parents = ["6b", "6c", "6d"].map(Self.name)
        let lines = ["7a", "7b"].map { rank in "\(Self.name(rank)) <- \(chance.sample(parents, count: 2 + Int(chance.below(2))).joined(separator: " "))" }
        func result(_ added: [String]) -> [LeaderStatus] {
            var drawn = example()
            for line in added { drawn.draw(line) }
            return committer(drawn).tryDecide(drawn.dag, after: nil)
        }
        let both = result(lines)
        #expect(both.starts(with: result([lines[0]])))
        #expect(both.starts(with: result([lines[1]])))
        #expect(both.starts(with: result([])))
    }
}
