import AssayConsensus
import AssayPrimitives
import AssayProtocol
import Testing
import TestKit

/// The worked example of the Mysticeti paper (arXiv 2310.14821, appendix A; also informalsystems/mysticeti-spec in Quint): four leaders a round.
/// A name is round and rank: `4b` is the second leader of round 4. Which seat has which rank does not matter, so the seats take turns.
struct CommitterPaperTests {
    private static let figure = """
        1a 1b 1c 1d
        2d <- 1a 1b 1c
        2a <- 1a 1b 1d
        2b <- 1a 1c 1d
        2c <- 1a 1c 1d
        3c <- 2d 2a 2b
        3d <- 2d 2a 2c
        3b <- 2d 2a 2b 2c
        4d 4a 4b 4c <- 3c 3d 3b
        5c 5a 5b <- 4d 4b 4c
        5d <- 4d 4a 4b 4c
        6b <- 5c 5d 5a 5b
        6c 6d <- 5d 5a 5b
        """

    /// `4b` becomes the block of the seat whose turn is second in round 4.
    private static func seats(_ text: String) -> String {
        text.split(separator: "\n").map { line in
            line.split(separator: " ").map { word -> String in
                guard let round = Int(word.prefix(1)), let rank = word.utf8.last else { return String(word) }
                return "\(AuthorityIndex((round + Int(rank) - 97) % 4))\(round)"
            }.joined(separator: " ")
        }.joined(separator: "\n")
    }
    private static func drawn() -> DrawnDAG { DrawnDAG(seats(figure)) }
    private static func statuses(_ drawn: DrawnDAG, after last: String? = nil) -> String {
        drawn.words(Committer.inTurn(drawn.committee, leaders: 4).tryDecide(drawn.dag, after: last.map { drawn.slot(seats($0)) }))
    }

    @Test func `the direct rule decides what the figure says`() {
        let drawn = CommitterPaperTests.drawn(), committer = Committer.inTurn(drawn.committee, leaders: 4)
        func direct(_ names: String) -> String { drawn.words(CommitterPaperTests.seats(names).split(separator: " ").map { committer.decideDirectly(drawn.slot(String($0)), drawn.dag) }) }
        func all(_ names: String, _ sign: String = "") -> String { CommitterPaperTests.seats(names).split(separator: " ").map { sign + $0 }.joined(separator: " ") }
        #expect(direct("6a 6b 6c 6d 5a 5b 5c 5d") == all("6a 6b 6c 6d 5a 5b 5c 5d", "?"))
        #expect(direct("4b 4c 4d") == all("4b 4c 4d"))
        #expect(direct("4a 3a") == all("4a 3a", "-"))
        #expect(direct("3b 3c 3d 2d 2a 1a") == all("3b 3c 3d 2d 2a 1a"))
        #expect(direct("2b 2c 1b 1c 1d") == all("2b 2c 1b 1c 1d", "?"))
    }

    /// 4b is the anchor of round 1, since 4a is skipped: it has a certificate of 1c and 1d in its history, and none of 1b. Behind 2a everything
    /// waits for 5a, the undecided anchor of 2b.
    @Test func `the leaders are committed in the figure's order`() {
        let s = CommitterPaperTests.seats
        #expect(CommitterPaperTests.statuses(CommitterPaperTests.drawn()) == "\(s("1a")) -\(s("1b")) \(s("1c")) \(s("1d")) \(s("2a"))")
        #expect(CommitterPaperTests.statuses(CommitterPaperTests.drawn(), after: "1c") == s("1d 2a"))
    }

    /// Lemma 7: two nodes that see different later blocks decide prefixes of one sequence.
    @Test(arguments: UInt64(0)..<100)
    func `whoever sees one of two more blocks decides a prefix of what both together decide`(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        let start = CommitterPaperTests.drawn()
        func later(_ drawn: inout DrawnDAG, _ seat: AuthorityIndex, _ links: [BlockReference]) { drawn.add(seat, Round(7), ancestors: links) }
        let authors = chance.sample(start.committee.indices, count: 2)
        let links = authors.map { _ in
            var links = start.dag.references(at: Round(6))
            chance.shuffle(&links)
            return links + start.dag.references(at: Round(5)).filter { _ in chance.chance(1, in: 2) }
        }
        var first = start, second = start, both = start
        later(&first, authors[0], links[0])
        later(&second, authors[1], links[1])
        for index in 0..<2 { later(&both, authors[index], links[index]) }
        let whole = CommitterPaperTests.statuses(both)
        #expect(whole.hasPrefix(CommitterPaperTests.statuses(start)))
        #expect(whole.hasPrefix(CommitterPaperTests.statuses(first)))
        #expect(whole.hasPrefix(CommitterPaperTests.statuses(second)))
    }
}
