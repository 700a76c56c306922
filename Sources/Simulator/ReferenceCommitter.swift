import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// The commit rule once more, straight from its definition, to judge the one that nodes run: without cache, early exit or shared code, for one
/// leader a round and waves of three. Worlds ask it about each slot that an honest node decides, tests about drawn DAGs.
///
/// Source: Babel et al., "Mysticeti" (arXiv 2310.14821), section III; a slot is skipped if for every known block of it a quorum of the next round's
/// authors has a block that does not vote for it.
public struct ReferenceCommitter: Sendable {
    public let committee: Committee
    private var blocks: [BlockReference: VerifiedBlock] = [:]
    private var rounds: [UInt64: [VerifiedBlock]] = [:]

    public init(_ committee: Committee, _ blocks: some Sequence<VerifiedBlock> = []) {
        self.committee = committee
        for block in blocks { insert(block) }
    }

    public mutating func insert(_ block: VerifiedBlock) {
        guard blocks.updateValue(block, forKey: block.reference) == nil else { return }
        rounds[block.round.rawValue, default: []].append(block)
    }

    /// Slots below a round are not asked about any more.
    public mutating func forget(below round: Round) {
        for old in rounds.keys where old < round.rawValue { for block in rounds.removeValue(forKey: old) ?? [] { blocks[block.reference] = nil } }
    }

    public var highest: Round { Round(rounds.keys.max() ?? 0) }
    public func blocks(of round: Round) -> [VerifiedBlock] { rounds[round.rawValue] ?? [] }

    // MARK: the rule

    /// - Parameter leader: who leads a round, as far as it is known when this slot is decided.
    public func status(of slot: Slot, leader: (Round) -> AuthorityIndex) -> LeaderStatus {
        let direct = direct(slot)
        return direct.isDecided ? direct : statuses(from: slot.round, leader: leader).first ?? direct
    }

    /// Of all slots from a round up to the highest but two: each by its own votes, or else by those after it, so from the top down.
    public func statuses(from first: Round = Round(1), leader: (Round) -> AuthorityIndex) -> [LeaderStatus] {
        var later: [LeaderStatus] = []
        var round = highest.lowered(by: 2)
        while round >= first, round > Round(0) {
            let slot = Slot(round, leader(round)), direct = direct(slot)
            later.insert(direct.isDecided ? direct : indirect(slot, later), at: 0)
            round = round.lowered(by: 1)
        }
        return later
    }

    private func direct(_ slot: Slot) -> LeaderStatus {
        let proposals = proposals(slot), voters = blocks(of: slot.round.advanced(by: 1)), deciders = blocks(of: slot.round.advanced(by: 2))
        if proposals.isEmpty ? isQuorum(voters) : proposals.allSatisfy({ proposal in isQuorum(voters.filter { !votes($0, for: proposal) }) }) { return .skip(slot) }
        for proposal in proposals where isQuorum(deciders.filter { certifies($0, proposal) }) { return .commit(proposal.reference) }
        return .undecided(slot)
    }

    /// By the first slot three rounds later or more that is not skipped: what it has seen certified is committed.
    private func indirect(_ slot: Slot, _ later: [LeaderStatus]) -> LeaderStatus {
        let anchor = later.first { status in
            if case .skip = status { return false }
            return status.slot.round >= slot.round.advanced(by: 3)
        }
        guard case .commit(let leader) = anchor else { return .undecided(slot) }
        let seen = history(leader, downTo: slot.round.advanced(by: 2))
        for proposal in proposals(slot) where blocks(of: slot.round.advanced(by: 2)).contains(where: { seen.contains($0.reference) && certifies($0, proposal) }) { return .commit(proposal.reference) }
        return .skip(slot)
    }

    private func proposals(_ slot: Slot) -> [VerifiedBlock] { blocks(of: slot.round).filter { $0.author == slot.author } }
    private func votes(_ voter: VerifiedBlock, for proposal: VerifiedBlock) -> Bool { voter.ancestors.contains(proposal.reference) }
    private func certifies(_ decider: VerifiedBlock, _ proposal: VerifiedBlock) -> Bool {
        isQuorum(decider.ancestors.filter { $0.round == proposal.round.next }.compactMap { blocks[$0] }.filter { votes($0, for: proposal) })
    }
    /// More than two thirds of the stake, each author once.
    private func isQuorum(_ blocks: [VerifiedBlock]) -> Bool {
        var authors: Set<AuthorityIndex> = [], stake: UInt64 = 0
        for block in blocks where authors.insert(block.author).inserted { stake += committee.stake(block.author).rawValue }
        return stake * 3 > committee.totalStake.rawValue * 2
    }
    private func history(_ block: BlockReference, downTo round: Round) -> Set<BlockReference> {
        var seen: Set<BlockReference> = [], stack = [block]
        while let next = stack.popLast() {
            if next.round >= round, seen.insert(next).inserted { stack += blocks[next]?.ancestors ?? [] }
        }
        return seen
    }
}
