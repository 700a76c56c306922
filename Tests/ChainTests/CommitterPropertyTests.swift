import AssayConsensus
import AssayPrimitives
import AssayProtocol
import AssaySimulator
import TestKit
import Testing

/// What must hold of the committer on every DAG. Each seed is a DAG; a failure names it.
struct CommitterPropertyTests {
    private static let schedule = LeaderSchedule.roundRobin
    private func committer(_ drawn: DrawnDAG) -> Committer { Committer(committee: drawn.committee, schedule: Self.schedule) }
    private func drawn(_ seed: UInt64, rounds: UInt64) -> DrawnDAG {
        DrawnDAG.random(authorities: 4 + Int(seed % 6), rounds: rounds, seed: seed, missing: seed % 3 * 12, leaderLinked: 30 + seed % 5 * 15, schedule: Self.schedule)
    }

    /// A node that is handed blocks in some order.
    private struct Node {
        var dag: DAG
        var manager = BlockManager()
        var decided: [LeaderStatus] = []
        let committer: Committer
        init(_ drawn: DrawnDAG, _ committer: Committer) {
            dag = DAG(committee: drawn.committee, genesisBlocks: drawn.verifier.genesisBlocks)
            self.committer = committer
        }
        mutating func receive(_ block: VerifiedBlock) { _ = manager.add(block, to: &dag) }
        mutating func decide() { decided += committer.tryDecide(dag, after: decided.last?.slot) }
    }

    @Test(arguments: UInt64(0)..<100)
    func `P1: two nodes that receive the same blocks in other orders and chunks decide the same sequence, and nothing stays suspended`(seed: UInt64) {
        let drawn = drawn(seed, rounds: 60), committer = committer(drawn)
        var chance = SeededGenerator(seed: seed, stream: 1)
        var results: [[LeaderStatus]] = []
        for _ in 0..<2 {
            var node = Node(drawn, committer), blocks = drawn.drawn
            // Chunks of neighbours in a random order, so that children come before their ancestors.
            var start = 0
            while start < blocks.count {
                let end = min(blocks.count, start + 1 + Int(chance.below(40)))
                var chunk = Array(blocks[start..<end])
                chance.shuffle(&chunk)
                blocks.replaceSubrange(start..<end, with: chunk)
                start = end
            }
            for (place, block) in blocks.enumerated() {
                node.receive(block)
                if place % 7 == 0 { node.decide() }
            }
            node.decide()
            #expect(node.manager.suspendedCount == 0 && node.manager.missingCount == 0)
            #expect(node.dag.count == drawn.drawn.count)
            results.append(node.decided)
        }
        #expect(results[0] == results[1])
        #expect(results[0].count > 10)
    }

    @Test(arguments: UInt64(0)..<20)
    func `P2: where everybody always links the leader, every round up to the last but two is committed directly`(seed: UInt64) {
        let drawn = DrawnDAG.random(authorities: 4 + Int(seed % 6), rounds: 40, seed: seed, missing: 0, leaderLinked: 100, schedule: Self.schedule)
        let committer = committer(drawn)
        let statuses = committer.tryDecide(drawn.dag, after: nil)
        #expect(statuses.count == 38)
        for status in statuses { #expect(committer.decideDirectly(status.slot, drawn.dag) == status) }
        #expect(statuses.allSatisfy { if case .commit = $0 { true } else { false } })
    }

    @Test(arguments: UInt64(0)..<100)
    func `P4 and P5: whatever block comes next, the sequence only grows, and nothing in doubt is in it`(seed: UInt64) {
        let drawn = drawn(seed, rounds: 25), committer = committer(drawn)
        var dag = DAG(committee: drawn.committee, genesisBlocks: drawn.verifier.genesisBlocks), before: [LeaderStatus] = []
        for block in drawn.drawn {
            dag.insert(block)
            let now = committer.tryDecide(dag, after: nil)
            #expect(now.starts(with: before))
            #expect(now.allSatisfy { $0.isDecided })
            before = now
        }
        #expect(before.count > 3)
    }

    @Test(arguments: UInt64(0)..<100)
    func `P7: the rule written out plainly agrees on every DAG, with equivocations too`(seed: UInt64) {
        var drawn = drawn(seed, rounds: 25)
        var chance = SeededGenerator(seed: seed, stream: 2)
        // One authority shows some of its blocks twice, and others build on either.
        if seed.isMultiple(of: 2) {
            let twins = drawn.drawn.filter { $0.author == AuthorityIndex(0) && $0.round.rawValue > 1 && chance.chance(1, in: 3) }
            for block in twins { drawn.add("\(block.reference.slot)'", on: Array(block.ancestors.dropFirst(Int(chance.below(2)))) + [], timestamp: 9_000) }
            for twin in twins where chance.chance(1, in: 2) && twin.round.rawValue < 25 {
                let base = drawn.drawn.first { $0.round == twin.round.next && $0.author != twin.author }
                guard let base else { continue }
                drawn.add("\(base.reference.slot)''", on: base.ancestors.map { $0 == twin.reference ? drawn["\(twin.reference.slot)'"] : $0 }, timestamp: 9_500)
            }
        }
        for length in [drawn.drawn.count / 2, drawn.drawn.count * 3 / 4, drawn.drawn.count] {
            let blocks = Array(drawn.drawn.prefix(length))
            var dag = DAG(committee: drawn.committee, genesisBlocks: drawn.verifier.genesisBlocks)
            for block in blocks { dag.insert(block) }
            let reference = ReferenceCommitter(drawn.committee, blocks).statuses { Self.schedule.leader(of: $0, in: drawn.committee) }
            #expect(committer(drawn).tryDecide(dag, after: nil) == Array(reference.prefix(while: \.isDecided)))
        }
    }

    @Test(arguments: UInt64(0)..<100)
    func `P6: commits chain, their floor never falls, no slot is committed twice, and evicting old rounds changes nothing`(seed: UInt64) {
        let drawn = drawn(seed, rounds: 40), committer = committer(drawn)
        var whole = Linearizer(committee: drawn.committee, gcDepth: 6, start: Instant(0)), evicting = whole
        var dag = DAG(committee: drawn.committee, genesisBlocks: drawn.verifier.genesisBlocks), thin = dag
        var last: Slot?, seen: Set<Slot> = [], floor = Round(0), commits: [Commit] = []
        for block in drawn.drawn {
            dag.insert(block)
            thin.insert(block)
            for status in committer.tryDecide(thin, after: last) {
                last = status.slot
                guard case .commit(let leader) = status else { continue }
                let commit = whole.commit(leader, dag)
                #expect(evicting.commit(leader, thin) == commit)
                #expect(commit.previous == commits.last?.digest ?? .zero)
                #expect(commit.timestamp >= commits.last?.timestamp ?? Instant(0))
                #expect(commit.blocks.last == leader)
                for block in commit.blocks { #expect(block.round > floor && seen.insert(block.slot).inserted) }
                #expect(whole.gcRound >= floor)
                floor = whole.gcRound
                commits.append(commit)
                thin.evict(through: evicting.gcRound)
            }
        }
        #expect(commits.count > 5)
    }
}
