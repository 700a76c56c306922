import AssayConsensus
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssaySimulator
import TestKit
import Testing

struct DAGPictureTests {
    private static let drawn = DrawnDAG("""
        full 1..1
        A2 <- A1 B1 C1
        B2 C2 <- *
        B2' <- B1 C1 D1
        A3 <- A2 B2' C2
        C3 <- A2 B2 C2
        D4 <- C3 A3
        """)
    private static func picture(_ drawn: DrawnDAG = drawn) -> DAGPicture {
        DAGPicture("A & B", committeeSize: drawn.committee.size, rounds: 1...4, blocks: drawn.drawn,
                   leaders: [.commit(drawn["B1"]), .commit(drawn["B2'"]), .skip(DrawnDAG.slot("D3")), .undecided(DrawnDAG.slot("A4"))])
    }

    @Test func `a DAG as text: links by letter, leaders in brackets, second blocks by a prime`() {
        #expect(DAGPictureTests.picture().text == """
            A & B

            round leader            A       B       C      D
                1 B      committed  ABCD   [ABCD]   ABCD   ABCD
                2 B      committed  ABC·    ABCD    ABCD   –
                                           ['·BCD]
                3 D      skipped    AB'C·   –       ABC·  (–)
                4 A      undecided ?–?      –       –      A·C·

            [ ] leader, committed   ( ) leader, skipped   ? ? leader, undecided   – no block   ' a second block of its author
            A letter is a link to that authority's block of the round before, · is none.

            """)
    }

    @Test func `a large committee is drawn by numbers`() {
        let drawn = DrawnDAG(authorities: 10, "full 1..2\nA3 <- A2 B2 C2 D2 E2 F2 G2")
        let picture = DAGPicture("many", committeeSize: 10, rounds: 2...3, blocks: drawn.drawn, leaders: [.commit(drawn["B2"]), .skip(DrawnDAG.slot("C3"))])
        let lines = picture.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines[2] == ["2", "B", "committed", "10", "[10]"] + Array(repeating: "10", count: 8))
        #expect(lines[3] == ["3", "C", "skipped", "7+", "–", "(–)"] + Array(repeating: "–", count: 7))
    }

    @Test func `the image is well-formed, needs nothing beside itself, and shows every block, leader and link`() throws {
        let svg = DAGPictureTests.picture().svg
        // Tags nest, quotes close and nothing is left bare: what any reader of XML asks first.
        var open: [Substring] = [], rest = svg[...]
        while let start = rest.firstIndex(of: "<") {
            #expect(!rest[..<start].contains(">") || rest[..<start].contains("{"), "a bare > before \(rest[start...].prefix(40))")
            let end = try #require(rest[start...].firstIndex(of: ">")), tag = rest[rest.index(after: start)..<end]
            #expect(tag.filter { $0 == "\"" }.count.isMultiple(of: 2) && !tag.contains("<") && !tag.contains("&"))
            let name = tag.drop { $0 == "/" }.prefix { $0.isLetter }
            if tag.hasPrefix("/") { #expect(open.popLast() == name) } else if !tag.hasSuffix("/") { open.append(name) }
            rest = rest[rest.index(after: end)...]
        }
        #expect(open == [] && svg.contains("A &amp; B") && !svg.contains("A & B"))
        #expect(!svg.contains("href") && !svg.contains("@import") && !svg.contains("url("))
        #expect(svg.contains("prefers-color-scheme: dark"))
        #expect(svg.split(separator: "<g class=\"block", omittingEmptySubsequences: false).count - 1 == 11 + 4, "eleven blocks and four signs of the legend")
        #expect(svg.split(separator: "<line", omittingEmptySubsequences: false).count - 1 == 3 + 4 + 4 + 3 + 3 + 3 + 2)
        #expect(svg.contains("B2' (") && svg.contains("refers to B, C, D"))
        #expect(svg.split(separator: "class=\"block committed", omittingEmptySubsequences: false).count - 1 == 2 + 1)
    }

    @Test func `a world is drawn as a validator has it: the last rounds, or those around one`() {
        var options = World<Ledger>.Options()
        options.keepsHistory = true
        var world = World(WorldGenesis(trainers: 3, windows: 2), seed: 1, options: options)
        world.run(limitMilliseconds: 900_000)
        let early = world.picture(of: 2, around: Round(20)), last = world.picture()
        #expect(early.rounds == 14...27 && early.caption.hasPrefix("Validator C"))
        #expect(last.rounds.count == 14 && last.rounds.upperBound >= world.checks.rounds - 1)
        for round in early.rounds {
            #expect(early.leaders.contains { $0.slot.round.rawValue == round && $0.isDecided })
            for seat in 0..<4 { #expect(early.blocks(Slot(Round(round), AuthorityIndex(seat))).count == 1) }
        }
        #expect(last.leaders.last?.isDecided == false)
    }

    @Test func `what is violated is drawn where it was seen, and the command that brings it back names the faults`() {
        var options = World<Ledger>.Options()
        (options.keepsHistory, options.stopsAtViolation) = (true, true)
        (options.faults.delay, options.faults.until) = (500_000, 0)
        var world = World(WorldGenesis(trainers: 3, windows: 4), seed: 1, options: options)
        world.run(limitMilliseconds: 900_000)
        #expect(world.checks.violations.count >= 1 && world.picture().caption.hasPrefix("Validator A, epoch 0, liveness: "))
        var report = SimulationReport(faults: "crash,disk")
        report.add(seed: 7, world.checks)
        #expect(report.violations.first?.command == "swift run assay simulate --seed 7 --faults crash,disk")
        #expect(SimulationReport.command(seed: 7) == "swift run assay simulate --seed 7")
    }
}
