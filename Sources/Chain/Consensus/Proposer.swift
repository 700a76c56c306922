import AssayPrimitives
import AssayProtocol

/// When to create the next block, and on what: the pull pacemaker, which never skips a round of its own.
///
/// Rules (after the Bluestreak pacemaker): a round is entered when the DAG holds a quorum of the round before and our own block of it (A1, A2).
/// A block of the round is created when the leader before it is there and the leader before that is decided by votes or blame (C1),
/// or the time-out has passed (C2), or a quorum of the round is there already (C3).
public struct Proposer: Sendable {
    public struct Parameters: Hashable, Sendable {
        /// Least time between own blocks while something waits to be ordered, and while nothing does.
        public var busyDelayMilliseconds: UInt64
        public var idleDelayMilliseconds: UInt64
        /// C2, on top of the delay.
        public var leaderTimeoutMilliseconds: UInt64
        public init(busyDelayMilliseconds: UInt64 = 50, idleDelayMilliseconds: UInt64 = 500, leaderTimeoutMilliseconds: UInt64 = 600) {
            (self.busyDelayMilliseconds, self.idleDelayMilliseconds, self.leaderTimeoutMilliseconds) = (busyDelayMilliseconds, idleDelayMilliseconds, leaderTimeoutMilliseconds)
        }
    }
    /// Why there is a block now, or what it waits for.
    public enum Decision: Hashable, Sendable {
        case create(Reason)
        case wait(until: Instant)
        /// Only a block from others changes that.
        case blocked
    }
    public enum Reason: Hashable, Sendable, CaseIterable { case leadersSeen, timeout, quorumAhead }

    public let author: AuthorityIndex
    public var committer: Committer
    public let parameters: Parameters
    public private(set) var lastProposed: BlockReference
    private var lastProposedAt: Instant
    /// When the current round was entered; nil before.
    private var enteredAt: Instant?
    /// Last round of each seat that our blocks have referred to.
    private var included: [Round]

    /// - Parameters:
    ///   - last: own last block; the genesis block if there is none.
    ///   - earlier: own blocks that are kept, whose ancestors are not referred to again.
    public init(author: AuthorityIndex, committer: Committer, parameters: Parameters, last: BlockReference, earlier: [Block], now: Instant) {
        (self.author, self.committer, self.parameters, lastProposed) = (author, committer, parameters, last)
        included = [Round](repeating: Round(0), count: committer.committee.size)
        round = last.round.next
        lastProposedAt = now
        for block in earlier { include(block.ancestors) }
    }

    private mutating func include(_ ancestors: [BlockReference]) {
        for ancestor in ancestors { included[ancestor.author.index] = max(included[ancestor.author.index], ancestor.round) }
    }

    /// The round of the block to create next.
    public private(set) var round: Round

    /// Recovery's one exception to A2: blocks for rounds this far back would fall under the others' garbage collection anyway.
    /// True if rounds were left out.
    public mutating func jump(past gcDepth: UInt64, _ dag: DAG) -> Bool {
        // After commits were fetched the blocks that ours would stand on may be gone a little earlier.
        let isGone = dag.evictedRound > Round(0) && dag.evictedRound.next >= round, reach = isGone ? round : round.advanced(by: gcDepth)
        guard dag.highestRound > reach else { return false }
        var target = dag.highestRound
        while target > round, !dag.hasQuorum(at: target) { target = target.lowered(by: 1) }
        guard target > reach else { return false }
        (round, enteredAt) = (target.next, nil)
        return true
    }

    /// After a loss of the disk: no block at or below a round, since ours may be there.
    public mutating func resume(above highest: Round, last: VerifiedBlock?) {
        if let last {
            lastProposed = last.reference
            include(last.ancestors)
        }
        (round, enteredAt) = (max(round, highest.next), nil)
    }

    /// Enters the round if A1 allows; true the first time, when others are told.
    public mutating func enter(_ dag: DAG, now: Instant) -> Bool {
        guard enteredAt == nil, dag.hasQuorum(at: round.lowered(by: 1)) else { return false }
        enteredAt = now
        return true
    }

    public func decide(_ dag: DAG, busy: Bool, now: Instant) -> Decision {
        guard let enteredAt else { return .blocked }
        if dag.hasQuorum(at: round) { return .create(.quorumAhead) }
        let delay = busy ? parameters.busyDelayMilliseconds : parameters.idleDelayMilliseconds
        let earliest = lastProposedAt.advanced(by: delay), timeout = enteredAt.advanced(by: delay + parameters.leaderTimeoutMilliseconds)
        if now >= timeout { return .create(.timeout) }
        if leadersSeen(dag) { return now >= earliest ? .create(.leadersSeen) : .wait(until: earliest) }
        return .wait(until: timeout)
    }

    /// L1: the leaders of the round before are there. L2: those of the round before that have votes or blame of a quorum.
    private func leadersSeen(_ dag: DAG) -> Bool {
        guard round.rawValue >= 2 else { return true }
        for slot in committer.leaders(of: round.lowered(by: 1)) where dag.references(in: slot).isEmpty { return false }
        for slot in committer.leaders(of: round.lowered(by: 2)) {
            if case .skip = committer.decideDirectly(slot, dag) { continue }
            let supported = dag.references(in: slot).contains { proposal in
                var votes = StakeTally(committer.committee)
                for voter in dag.references(at: round.lowered(by: 1)) where committer.support(of: voter, in: slot, dag) == proposal { votes.add(voter.author) }
                return votes.hasQuorum
            }
            if !supported { return false }
        }
        return true
    }

    /// Own previous block first, then of every other seat the latest block that ours have not referred to yet.
    public func ancestors(_ dag: DAG) -> [BlockReference] {
        [lastProposed] + committer.committee.indices.filter { $0 != author }.compactMap { dag.latest(of: $0, below: round, above: included[$0.index]) ?? genesis($0, dag) }
    }
    /// The first round stands on genesis.
    private func genesis(_ seat: AuthorityIndex, _ dag: DAG) -> BlockReference? { round == Round(1) ? dag.references(at: Round(0)).first { $0.author == seat } : nil }

    public mutating func proposed(_ block: VerifiedBlock, now: Instant) {
        precondition(block.author == author && block.round == round, "own.single: proposed \(block.reference) where \(author)\(round) was due")
        include(block.ancestors)
        (lastProposed, lastProposedAt, enteredAt, round) = (block.reference, now, nil, block.round.next)
    }
}
