import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import TestKit
import Testing

/// The checkers by what they must catch: each is shown a validator that does what none may do.
struct NodeWatchTests {
    private func watch(_ drawn: DrawnDAG) -> NodeWatch {
        var watch = NodeWatch(drawn.committee, schedule: .roundRobin, reputationPeriod: 10)
        watch.accepted(drawn.drawn)
        return watch
    }
    /// What an honest linearizer makes of these leaders.
    private func commits(_ drawn: DrawnDAG, _ leaders: String...) -> [Commit] {
        var linearizer = Linearizer(committee: drawn.committee, gcDepth: 60, start: Instant(0))
        return leaders.map { linearizer.commit(drawn[$0], drawn.dag) }
    }

    @Test func `who decides by the rule is not objected to, restarts or not`() {
        let drawn = DrawnDAG("full 1..8"), commits = commits(drawn, "B1", "C2", "D3", "A4")
        var watch = watch(drawn)
        for commit in commits.prefix(2) { #expect(watch.executed(commit) == []) }
        watch.restarted(drawn.committee, genesis: .zero, blocks: drawn.drawn, commits: Array(commits.prefix(2)))
        for commit in commits.dropFirst(2) { #expect(watch.executed(commit) == []) }
        // A lost disk: from the beginning again, and the same.
        watch.restarted(drawn.committee, genesis: .zero, blocks: [], commits: [])
        watch.accepted(drawn.drawn)
        for commit in commits { #expect(watch.executed(commit) == []) }
    }

    @Test func `a committer that lies is caught: it skips what is certified, commits what is blamed, or decides what is in doubt`() {
        let certified = DrawnDAG("full 1..4")
        var watch = watch(certified)
        #expect(watch.skipped(DrawnDAG.slot("B1")).map(\.checker) == ["reference committer"])
        let blamed = DrawnDAG("""
            full 1..1
            A2 C2 D2 <- * -B1
            B2 <- *
            full 3..4
            """)
        watch = self.watch(blamed)
        #expect(watch.executed(commits(blamed, "B1")[0]).map(\.checker) == ["reference committer"])
        let young = DrawnDAG("full 1..2")
        watch = self.watch(young)
        #expect(watch.executed(commits(young, "B1")[0]).map(\.checker) == ["reference committer"])
        // Indirectly: one of four certifies B1, and the anchor A4 has seen that.
        let indirect = DrawnDAG("""
            full 1..1
            A2 B2 C2 <- *
            D2 <- * -B1
            A3 <- A2 B2 C2
            B3 C3 D3 <- B2 C2 D2
            full 4..6
            """)
        watch = self.watch(indirect)
        #expect(watch.skipped(DrawnDAG.slot("B1")).map(\.checker) == ["reference committer"])
        watch = self.watch(indirect)
        #expect(watch.executed(commits(indirect, "B1")[0]) == [])
    }

    @Test func `a slot left out, and a leader who does not lead, are caught`() {
        let drawn = DrawnDAG("full 1..6"), commits = commits(drawn, "C2", "D3")
        var watch = watch(drawn)
        #expect(!watch.executed(commits[0]).isEmpty)
        watch = self.watch(drawn)
        #expect(!watch.skipped(DrawnDAG.slot("A1")).isEmpty)
    }

    @Test func `a commit that is another one than before, or comes out of its turn, is caught across restarts`() {
        let drawn = DrawnDAG("full 1..6"), commits = commits(drawn, "B1", "C2")
        var watch = watch(drawn)
        _ = watch.executed(commits[0])
        watch.restarted(drawn.committee, genesis: .zero, blocks: drawn.drawn, commits: [])
        let other = Commit(epoch: Epoch(0), index: CommitIndex(1), previous: .zero, timestamp: Instant(9), leader: drawn["B1"], blocks: [drawn["B1"]])
        #expect(watch.executed(other).map(\.checker) == ["monotone prefixes"])
        watch = self.watch(drawn)
        watch.restarted(drawn.committee, genesis: .zero, blocks: drawn.drawn, commits: [commits[0]])
        #expect(watch.executed(Commit(epoch: Epoch(0), index: CommitIndex(3), previous: .zero, timestamp: Instant(9), leader: drawn["C2"], blocks: [drawn["C2"]])).map(\.checker) == ["monotone prefixes"])
    }

    @Test func `two blocks of a round that leave one honest authority are caught, the same one twice is not`() {
        let key = KeyPair(seed: "watched"), drawn = DrawnDAG()
        func block(_ time: UInt64) -> SignedBlock { SignedBlock(Block(epoch: Epoch(0), round: Round(1), author: AuthorityIndex(0), timestamp: Instant(time), ancestors: drawn.verifier.genesisBlocks), by: key, genesis: .zero) }
        var watch = watch(drawn)
        #expect(watch.sent(block(1)) == [] && watch.sent(block(1)) == [])
        watch.restarted(drawn.committee, genesis: .zero, blocks: [], commits: [])
        #expect(watch.sent(block(2)).map(\.checker) == ["equivocation"])
    }

    @Test func `other roots than the first who executed, and containers beyond their bounds, are violations`() {
        var checks = WorldChecks()
        let vote = CommitVote(index: CommitIndex(1), commit: .zero, stateRoot: .zero, logRoot: .zero)
        checks.agree(vote, by: 0)
        checks.agree(vote, by: 1)
        checks.bound(AuthoritySizes(), committee: 4, gcDepth: 60, 1)
        #expect(checks.violations.isEmpty)
        checks.agree(CommitVote(index: CommitIndex(1), commit: .zero, stateRoot: Digest.sha256([1]), logRoot: .zero), by: 2)
        #expect(checks.violations.map(\.checker) == ["equal execution"])
        for container in [\AuthoritySizes.suspended, \.missing, \.blocks, \.rounds, \.unordered, \.votes, \.pool, \.sync] {
            var checks = WorldChecks(), sizes = AuthoritySizes()
            sizes[keyPath: container] = 1_000_000
            checks.bound(sizes, committee: 4, gcDepth: 60, 1)
            #expect(checks.violations.map(\.checker) == ["bounded memory"], "\(container)")
        }
    }

    @Test func `validators that stand still with nothing amiss are caught before the run's limit`() {
        var options = World<Ledger>.Options()
        (options.faults.delay, options.faults.until) = (500_000, 0)
        var world = World(WorldGenesis(trainers: 3, windows: 4), seed: 1, options: options)
        world.play(milliseconds: 45_000)
        #expect(Set(world.checks.violations.map(\.checker)) == ["liveness"])
        #expect(Set(world.checks.violations.compactMap(\.node)) == [0, 1, 2, 3])
    }

    @Test func `every slot that honest validators decide is judged by the rule written out`() {
        var world = World(WorldGenesis(trainers: 3, windows: 4), seed: 1, options: World<Ledger>.Options())
        world.run(limitMilliseconds: 900_000)
        let decided = ["committed", "leader skipped"].map { world.checks.seen["authority: \($0)"] ?? 0 }.reduce(0, +)
        #expect(decided > 400 && world.checks.decisions == UInt64(decided))
    }
}
