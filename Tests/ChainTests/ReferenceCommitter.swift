import AssayConsensus
import AssayPrimitives
import AssayProtocol
import TestKit

/// The commit rule once more, straight from its definition, without indices, caches or early exits: for one leader a round and waves of three.
struct ReferenceCommitter {
    let drawn: DrawnDAG
    let schedule: LeaderSchedule
    private var blocks: [BlockReference: VerifiedBlock] = [:]

    init(_ drawn: DrawnDAG, blocks: [VerifiedBlock], schedule: LeaderSchedule) {
        (self.drawn, self.schedule) = (drawn, schedule)
        for block in blocks { self.blocks[block.reference] = block }
    }

    private func stake(_ blocks: [BlockReference]) -> UInt64 { Set(blocks.map(\.author)).reduce(0) { $0 + drawn.committee.stake($1).rawValue } }
    private var quorum: UInt64 { drawn.committee.totalStake.rawValue * 2 / 3 + 1 }
    private func at(_ round: UInt64) -> [BlockReference] { blocks.keys.filter { $0.round.rawValue == round } }
    private func votes(_ voter: BlockReference, for proposal: BlockReference) -> Bool { blocks[voter]!.ancestors.contains(proposal) }
    private func certifies(_ block: BlockReference, _ proposal: BlockReference) -> Bool {
        stake(blocks[block]!.ancestors.filter { $0.round.rawValue == proposal.round.rawValue + 1 && blocks[$0] != nil && votes($0, for: proposal) }) >= quorum
    }
    private func history(_ block: BlockReference) -> Set<BlockReference> {
        var seen: Set<BlockReference> = [], stack = [block]
        while let next = stack.popLast() {
            guard seen.insert(next).inserted else { continue }
            stack += blocks[next]?.ancestors ?? []
        }
        return seen
    }

    /// Statuses of all rounds from 1 to the highest but two.
    func statuses() -> [LeaderStatus] {
        guard let highest = blocks.keys.map(\.round.rawValue).max(), highest >= 3 else { return [] }
        var later: [UInt64: LeaderStatus] = [:]
        for round in stride(from: highest - 2, through: 1, by: -1) {
            let slot = Slot(Round(round), schedule.leader(of: Round(round), in: drawn.committee))
            let proposals = at(round).filter { $0.author == slot.author }
            let voters = at(round + 1)
            var status = LeaderStatus.undecided(slot)
            let blamed = proposals.allSatisfy { proposal in stake(voters.filter { !votes($0, for: proposal) }) >= quorum }
            let certified = proposals.filter { proposal in stake(at(round + 2).filter { certifies($0, proposal) }) >= quorum }
            if proposals.isEmpty ? stake(voters) >= quorum : blamed {
                status = .skip(slot)
            } else if let certified = certified.first {
                status = .commit(certified)
            } else if let anchor = later.keys.filter({ $0 >= round + 3 }).sorted().first(where: { if case .skip = later[$0]! { false } else { true } }), case .commit(let leader) = later[anchor]! {
                let seen = history(leader)
                let found = proposals.filter { proposal in at(round + 2).contains { seen.contains($0) && certifies($0, proposal) } }
                status = found.first.map { .commit($0) } ?? .skip(slot)
            }
            later[round] = status
        }
        return later.keys.sorted().map { later[$0]! }
    }
    /// The statuses up to the first in doubt.
    func decided() -> [LeaderStatus] { Array(statuses().prefix(while: \.isDecided)) }
}
