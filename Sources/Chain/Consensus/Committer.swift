import AssayPrimitives
import AssayProtocol

/// What became of a leader's slot.
public enum LeaderStatus: Hashable, Sendable {
    case commit(BlockReference)
    case skip(Slot)
    case undecided(Slot)

    public var isDecided: Bool { if case .undecided = self { false } else { true } }
    public var slot: Slot {
        switch self {
        case .commit(let reference): reference.slot
        case .skip(let slot), .undecided(let slot): slot
        }
    }
}

/// The Mysticeti commit rule, a pure function of the DAG and the last decided slot.
///
/// Source: Babel et al., "Mysticeti" (arXiv 2310.14821), section III, with waves of `waveLength` rounds and, when pipelined, a leader in every round.
public struct Committer: Sendable {
    public let committee: Committee
    public let schedule: LeaderSchedule
    /// L: propose, vote …, decide.
    public let waveLength: UInt64
    public let leadersPerRound: Int
    /// A leader in every round; otherwise in every L-th.
    public let pipelined: Bool
    /// Changes with what was committed: see `LeaderReputation`.
    public var swaps = LeaderSwaps()

    public init(committee: Committee, schedule: LeaderSchedule, waveLength: UInt64 = 3, leadersPerRound: Int = 1, pipelined: Bool = true) {
        precondition(waveLength >= 3, "a wave proposes, votes and decides: at least 3 rounds, not \(waveLength)")
        precondition((1...committee.size).contains(leadersPerRound), "\(leadersPerRound) leaders a round in a committee of \(committee.size)")
        (self.committee, self.schedule, self.waveLength, self.leadersPerRound, self.pipelined) = (committee, schedule, waveLength, leadersPerRound, pipelined)
    }

    public func leaders(of round: Round) -> [Slot] {
        guard round > Round(0), pipelined || round.rawValue.isMultiple(of: waveLength) else { return [] }
        let scheduled = (0..<leadersPerRound).map { schedule.leader(of: round, offset: $0, in: committee) }
        return swaps.leaders(scheduled, of: round, seed: schedule.seed).map { Slot(round, $0) }
    }

    /// The longest run of decided slots that follows the last decided one, in slot order. Idempotent; the caller keeps the last.
    public func tryDecide(_ dag: DAG, after last: Slot?) -> [LeaderStatus] {
        let firstRound = last.map(\.round) ?? Round(1)
        guard dag.highestRound.rawValue >= 2 else { return [] }
        var statuses: [LeaderStatus] = []
        var round = dag.highestRound.lowered(by: 2)
        while round >= firstRound, round > Round(0) {
            var slots = leaders(of: round)
            if let last, round == last.round {
                // The cohort may have been cut in the middle: go on behind the slot decided last.
                guard let position = slots.firstIndex(of: last) else { break }
                slots.removeFirst(position + 1)
            }
            for slot in slots.reversed() {
                var status = decideDirectly(slot, dag)
                if !status.isDecided { status = decideIndirectly(slot, dag, later: statuses) }
                statuses.insert(status, at: 0)
            }
            round = round.lowered(by: 1)
        }
        return Array(statuses.prefix(while: \.isDecided))
    }

    // MARK: The direct rule

    public func decideDirectly(_ slot: Slot, _ dag: DAG) -> LeaderStatus {
        let proposals = dag.references(in: slot)
        if isSkipped(slot, proposals, dag) { return .skip(slot) }
        let decision = slot.round.advanced(by: waveLength - 1)
        let committed = proposals.filter { proposal in
            var certifiers = StakeTally(committee)
            for reference in dag.references(at: decision) where !certifiers.voters.contains(reference.author) {
                if isCertificate(reference, for: proposal, dag) { certifiers.add(reference.author) }
            }
            return certifiers.hasQuorum
        }
        precondition(committed.count <= 1, "commit.unique: \(committed) are both certified by a quorum: more than a third of the stake is faulty")
        return committed.first.map { .commit($0) } ?? .undecided(slot)
    }

    /// A quorum at the first voting round does not support any proposal that is known: then none can ever be certified, the unseen included,
    /// since blame and certificate quorums share an honest authority with one block in that round.
    private func isSkipped(_ slot: Slot, _ proposals: [BlockReference], _ dag: DAG) -> Bool {
        let voters = dag.references(at: slot.round.advanced(by: waveLength - 2))
        if proposals.isEmpty {
            var blames = StakeTally(committee)
            for voter in voters { blames.add(voter.author) }
            return blames.hasQuorum
        }
        let supports = voters.map { support(of: $0, in: slot, dag) }
        return proposals.allSatisfy { proposal in
            var blames = StakeTally(committee)
            for (voter, supported) in zip(voters, supports) where supported != proposal { blames.add(voter.author) }
            return blames.hasQuorum
        }
    }

    // MARK: The indirect rule

    /// By the first later slot, at least a wave away, that was not skipped.
    /// - Parameter later: the statuses of all later slots, in slot order.
    private func decideIndirectly(_ slot: Slot, _ dag: DAG, later: [LeaderStatus]) -> LeaderStatus {
        let reach = slot.round.advanced(by: waveLength)
        for status in later where status.slot.round >= reach {
            switch status {
            case .skip: continue
            case .undecided: return .undecided(slot)
            case .commit(let anchor): return decide(slot, by: anchor, dag)
            }
        }
        return .undecided(slot)
    }

    private func decide(_ slot: Slot, by anchor: BlockReference, _ dag: DAG) -> LeaderStatus {
        let deciders = history(of: anchor, at: slot.round.advanced(by: waveLength - 1), dag)
        let certified = dag.references(in: slot).filter { proposal in deciders.contains { isCertificate($0, for: proposal, dag) } }
        precondition(certified.count <= 1, "commit.unique: \(certified) are both certified: more than a third of the stake is faulty")
        return certified.first.map { .commit($0) } ?? .skip(slot)
    }

    /// The blocks of a round in a block's history.
    private func history(of block: BlockReference, at round: Round, _ dag: DAG) -> [BlockReference] {
        var found: Set<BlockReference> = [], seen: Set<BlockReference> = [block], stack = [block]
        while let next = stack.popLast() {
            if next.round == round {
                found.insert(next)
                continue
            }
            for ancestor in dag[next]?.ancestors ?? [] where ancestor.round >= round && seen.insert(ancestor).inserted { stack.append(ancestor) }
        }
        return found.sorted()
    }

    // MARK: Votes

    /// Whether votes of a quorum for the proposal are among the block's direct ancestors.
    func isCertificate(_ block: BlockReference, for proposal: BlockReference, _ dag: DAG) -> Bool {
        let voting = proposal.round.advanced(by: waveLength - 2)
        var votes = StakeTally(committee)
        for ancestor in dag[block]?.ancestors ?? [] where ancestor.round == voting && support(of: ancestor, in: proposal.slot, dag) == proposal { votes.add(ancestor.author) }
        return votes.hasQuorum
    }

    /// The block of the slot that this one supports: the first that a walk through the ancestors, in their order, meets.
    /// An author's own previous block comes first, so an honest author never changes its support.
    func support(of block: BlockReference, in slot: Slot, _ dag: DAG) -> BlockReference? {
        guard let ancestors = dag[block]?.ancestors else { return nil }
        for ancestor in ancestors {
            if ancestor.slot == slot { return ancestor }
            if ancestor.round <= slot.round { continue }
            if let found = support(of: ancestor, in: slot, dag) { return found }
        }
        return nil
    }
}
