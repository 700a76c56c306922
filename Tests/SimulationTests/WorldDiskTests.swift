import AssayConsensus
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import TestKit
import Testing

/// What a simulated disk promises, which is what the node's database promises.
struct WorldDiskTests {
    private let drawn = DrawnDAG("full 1..6")
    private func names(_ disk: WorldDisk) -> String { disk.written.map { "\($0.reference.slot)" }.joined(separator: " ") }
    private func block(_ name: String) -> VerifiedBlock { drawn.drawn.first { $0.reference == drawn[name] }! }
    private func commit(_ leaders: String...) -> (OrderedCommit, CommitVote) {
        var linearizer = Linearizer(committee: drawn.committee, gcDepth: 60, start: Instant(0))
        let commit = leaders.map { linearizer.commit(drawn[$0], drawn.dag) }.last!
        return (OrderedCommit(commit: commit, entries: []), CommitVote(index: commit.index, commit: commit.digest, stateRoot: .zero, logRoot: .zero))
    }

    @Test func `a flush is whole or not at all, and others' blocks wait for one`() {
        var disk = WorldDisk()
        disk.keep([block("B1"), block("C1")])
        #expect(!disk.isDue && disk.isWaiting)
        disk.crash()
        #expect(names(disk) == "" && !disk.isWaiting)
        disk.keep([block("B1")])
        disk.persist(block("A1"))
        let (ordered, vote) = commit("B1")
        disk.executed(ordered, vote)
        #expect(disk.isDue && names(disk) == "")
        disk.crash()
        #expect(names(disk) == "" && disk.votes.isEmpty)
        disk.keep([block("B1")])
        disk.persist(block("A1"))
        disk.executed(ordered, vote)
        disk.flush()
        disk.crash()
        #expect(names(disk) == "B1 A1" && disk.votes == [vote])
    }

    @Test func `a disk that lies goes back by whole flushes, blocks, commits and, if it goes too, the file beside them`() {
        var disk = WorldDisk()
        disk.persist(block("A1"))
        disk.flush()
        disk.reserved = Reservation(epoch: Epoch(0), round: Round(64))
        disk.keep([block("B1"), block("C1")])
        disk.persist(block("A2"))
        disk.flush()
        let (ordered, vote) = commit("B1")
        disk.executed(ordered, vote)
        disk.flush()
        var other = disk
        #expect(disk.lose(flushes: 1, withFile: true) && disk.votes.isEmpty && names(disk) == "A1 B1 C1 A2" && disk.reserved?.round == Round(64))
        #expect(other.lose(flushes: 2, withFile: false) && names(other) == "A1" && other.reserved?.round == Round(64))
        #expect(other.blocks([drawn["A2"], drawn["A1"]]).count == 1 && other.blocks(from: Slot(Round(1), AuthorityIndex(0)), to: Round(9), of: Epoch(0), limit: 10).count == 1)
        #expect(disk.lose(flushes: 9, withFile: true) && names(disk) == "" && !disk.lose(flushes: 1, withFile: true))
    }

    @Test func `rounds are read in the order of their authors, and a restart finds what ordering still needs`() {
        var disk = WorldDisk()
        for name in ["D1", "B1", "A1", "C1", "B2", "A2"] { disk.keep([block(name)]) }
        disk.persist(block("A3"))
        disk.flush()
        #expect(disk.blocks(from: Slot(Round(1), AuthorityIndex(0)), to: Round(.max), of: Epoch(0), limit: 5).map { "\($0.block.slot)" } == ["A1", "B1", "C1", "D1", "A2"])
        #expect(disk.blocks(from: Slot(Round(1), AuthorityIndex(2)), to: Round(.max), of: Epoch(0), limit: 3).map { "\($0.block.slot)" } == ["C1", "D1", "A2"])
        let (ordered, vote) = commit("B1", "C2", "D3", "A4")
        disk.executed(ordered, vote)
        disk.flush()
        let found = disk.recovered(drawn.committee, of: drawn.committee.members[3].owner, gcDepth: 2, reputationPeriod: 10)
        // Its own last block, however old.
        #expect(found.blocks.map { "\($0.block.slot)" } == ["A3", "D1"] && found.vote == vote && found.commits.count == 1)
    }
}
