import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import TestKit
import Testing

/// Leaders by their record: everybody swaps the same ones at the same commit, whenever it decides.
struct LeaderReputationTests {
    private static let schedule = LeaderSchedule.shuffled(seed: Digest.sha256([9]))
    private static let period: UInt64 = 5

    /// A node that decides, commits and swaps.
    private struct Node {
        var dag: DAG
        var manager = BlockManager()
        var committer: Committer
        var linearizer: Linearizer
        var reputation: LeaderReputation
        var decided: [LeaderStatus] = []
        var commits: [Commit] = []

        init(_ drawn: DrawnDAG) {
            dag = DAG(committee: drawn.committee, genesisBlocks: drawn.verifier.genesisBlocks)
            committer = Committer(committee: drawn.committee, schedule: LeaderReputationTests.schedule)
            linearizer = Linearizer(committee: drawn.committee, gcDepth: 60, start: Instant(0))
            reputation = LeaderReputation(drawn.committee, period: LeaderReputationTests.period)
        }
        mutating func receive(_ block: VerifiedBlock) { _ = manager.add(block, to: &dag) }
        /// What is decided above a swap is decided again, unless the trap is to be shown.
        mutating func decide(keepsOld: Bool = false) {
            again: while true {
                let statuses = committer.tryDecide(dag, after: decided.last?.slot)
                guard !statuses.isEmpty else { return }
                for status in statuses {
                    decided.append(status)
                    guard case .commit(let leader) = status else { continue }
                    commits.append(linearizer.commit(leader, dag))
                    let isChanged = reputation.add(commits[commits.count - 1])
                    committer.swaps = reputation.swaps
                    if isChanged, !keepsOld { continue again }
                }
            }
        }
    }

    @Test(arguments: UInt64(0)..<60)
    func `P9: nodes that decide early, late and in other orders swap the same leaders at the same commits`(seed: UInt64) {
        let size = 4 + Int(seed % 7), dead: [AuthorityIndex: UInt64] = seed % 3 == 0 ? [:] : [AuthorityIndex(Int(seed) % size): 5 + seed % 20]
        let drawn = DrawnDAG.random(authorities: size, rounds: 80, seed: seed, missing: seed % 4 * 8, dead: dead, leaderLinked: 30 + seed % 5 * 15, schedule: Self.schedule)
        var chance = SeededGenerator(seed: seed, stream: 1)
        var nodes: [Node] = []
        // After every block, after every seventh, and once at the end.
        for every in [1, 7, .max] {
            var node = Node(drawn), blocks = drawn.drawn
            for start in stride(from: 0, to: blocks.count, by: 30) {
                var chunk = Array(blocks[start..<min(blocks.count, start + 30)])
                chance.shuffle(&chunk)
                blocks.replaceSubrange(start..<start + chunk.count, with: chunk)
            }
            for (place, block) in blocks.enumerated() {
                node.receive(block)
                if place % every == every - 1 { node.decide() }
            }
            node.decide()
            nodes.append(node)
        }
        for node in nodes.dropFirst() {
            #expect(node.decided == nodes[0].decided && node.commits.map(\.digest) == nodes[0].commits.map(\.digest))
            #expect(node.reputation.swaps == nodes[0].reputation.swaps)
        }
        #expect(nodes[0].commits.count > 15)
    }

    // MARK: T4, decisions made under an old leader schedule

    /// Guard: `Authority.decide`, what follows `isChanged`: the rest of what was decided in one go is thrown away and decided anew under the new leaders.
    /// Without it whoever decides many rounds at once goes on by the old ones, and parts from whoever decided round after round.
    @Test func `T4: a node that keeps what it decided under the old leaders parts from the others, and one that decides anew does not`() {
        var parted = 0
        for seed in UInt64(0)..<20 {
            let dead = [AuthorityIndex(Int(seed) % 4): 5 + seed % 20]
            let drawn = DrawnDAG.random(authorities: 4, rounds: 80, seed: seed, missing: 0, dead: dead, leaderLinked: 90, schedule: Self.schedule)
            var early = Node(drawn), late = Node(drawn), trapped = Node(drawn)
            for block in drawn.drawn {
                early.receive(block)
                early.decide()
                late.receive(block)
                trapped.receive(block)
            }
            late.decide()
            trapped.decide(keepsOld: true)
            #expect(late.decided == early.decided)
            if trapped.decided != early.decided { parted += 1 }
        }
        #expect(parted > 10, "the trap shows in \(parted) of 20")
    }

    @Test func `a seat that falls silent leads no more after a period, and leads again when its blocks come in time`() throws {
        let dead = AuthorityIndex(2)
        let drawn = DrawnDAG.random(authorities: 4, rounds: 90, seed: 3, missing: 0, dead: [dead: 20], leaderLinked: 100, schedule: Self.schedule)
        var node = Node(drawn)
        for block in drawn.drawn { node.receive(block) }
        node.decide()
        let skipped = node.decided.compactMap { if case .skip(let slot) = $0 { slot } else { nil } }
        #expect(skipped.allSatisfy { $0.author == dead } && (1...8).contains(skipped.count), "skipped only until it was noticed: \(skipped)")
        #expect(skipped.allSatisfy { $0.round.rawValue < 40 } && node.decided.count > 80)
        #expect(try #require(node.reputation.swaps.tables.last).absent == [dead])

        // A period in which all are in time gives it its rounds back.
        var reputation = node.reputation, changed = false
        let first = try #require(node.commits.last)
        for step in 1...UInt64(10) {
            let round = Round(first.leader.round.rawValue + step), index = CommitIndex(first.index.rawValue + step)
            let blocks = drawn.committee.indices.map { BlockReference(round: round, author: $0, digest: .zero) }
            if reputation.add(Commit(epoch: Epoch(0), index: index, previous: .zero, timestamp: Instant(0), leader: blocks[0], blocks: blocks)) { changed = true }
        }
        #expect(changed && reputation.swaps.tables.last?.absent == [])
    }

    @Test func `a node that starts again knows the swaps from the commits that it must keep`() throws {
        let drawn = DrawnDAG.random(authorities: 7, rounds: 90, seed: 11, missing: 10, dead: [AuthorityIndex(1): 15, AuthorityIndex(5): 40], leaderLinked: 90, schedule: Self.schedule)
        var node = Node(drawn)
        for block in drawn.drawn { node.receive(block) }
        node.decide()
        var followed = LeaderReputation(drawn.committee, period: Self.period)
        for (place, commit) in node.commits.enumerated() {
            _ = followed.add(commit)
            let needed = LeaderReputation.firstNeeded(period: Self.period, last: commit.index)
            var again = LeaderReputation(drawn.committee, period: Self.period)
            for kept in node.commits[...place] where kept.index >= needed { _ = again.add(kept) }
            #expect(again.swaps == followed.swaps, "after commit \(commit.index)")
        }
        #expect(followed.swaps.tables.last.map { !$0.absent.isEmpty } == true)
    }

    @Test func `absent are fewer than a third of the stake, and leaders of a round stay different`() {
        let drawn = DrawnDAG(authorities: 10)
        var reputation = LeaderReputation(drawn.committee, period: 4)
        // Five of ten are never in time.
        for index in UInt64(1)...4 {
            let blocks = (0..<5).map { BlockReference(round: Round(index), author: AuthorityIndex($0), digest: .zero) }
            _ = reputation.add(Commit(epoch: Epoch(0), index: CommitIndex(index), previous: .zero, timestamp: Instant(0), leader: blocks[0], blocks: blocks))
        }
        #expect(reputation.swaps.tables.last?.absent.count == 3)
        var committer = Committer(committee: drawn.committee, schedule: Self.schedule, leadersPerRound: 4)
        committer.swaps = reputation.swaps
        for round in UInt64(5)..<200 {
            let leaders = committer.leaders(of: Round(round)).map(\.author)
            #expect(leaders.count == 4 && Set(leaders).count == 4)
        }
    }
}
