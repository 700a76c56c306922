import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Turns committed leaders into commits: each takes along what is in its history and was not committed before.
public struct Linearizer: Sendable {
    public let committee: Committee
    /// Rounds below the previous leader that a commit still reaches.
    public let gcDepth: UInt64
    /// In this epoch.
    public private(set) var last: Commit?
    /// The last commit of the epoch before: the chain of commits goes on from it, rounds begin anew.
    public let before: Commit?
    private let start: Instant
    private var committed: Set<BlockReference> = []
    /// One block per authority and round enters the ledger, however many there are.
    private var sequenced: Set<Slot> = []

    /// - Parameters:
    ///   - start: ledger time before the first commit.
    ///   - commits: those of this epoch that were kept, the last `gcDepth` rounds' worth of them, in order.
    public init(committee: Committee, gcDepth: UInt64, start: Instant, after before: Commit? = nil, recovering commits: [Commit] = []) {
        (self.committee, self.gcDepth, self.start, self.before) = (committee, gcDepth, start, before)
        for commit in commits { record(commit) }
    }

    /// Blocks at or below this round are not committed any more.
    public var gcRound: Round { last.map { $0.leader.round.lowered(by: gcDepth) } ?? Round(0) }

    public var nextIndex: CommitIndex { (last ?? before)?.index.next ?? CommitIndex(1) }

    /// - Precondition: the leader's history above `gcRound` is in the DAG.
    public mutating func commit(_ leader: BlockReference, _ dag: DAG) -> Commit {
        let floor = gcRound
        var found: [BlockReference] = [], seen: Set<BlockReference> = [leader], stack = [leader]
        while let reference = stack.popLast() {
            guard let block = dag[reference] else { preconditionFailure("commit.history: \(reference) of leader \(leader) is not in the DAG above round \(floor)") }
            found.append(reference)
            for ancestor in block.ancestors where ancestor.round > floor && !committed.contains(ancestor) && seen.insert(ancestor).inserted { stack.append(ancestor) }
        }
        found.sort()
        var slots = sequenced
        // The leader first, so that no sibling of it takes its slot.
        slots.insert(leader.slot)
        let blocks = found.filter { $0 != leader && slots.insert($0.slot).inserted } + [leader]
        let commit = Commit(epoch: committee.epoch, index: nextIndex, previous: (last ?? before)?.digest ?? .zero, timestamp: timestamp(leader, dag), leader: leader, blocks: blocks)
        record(commit)
        return commit
    }

    /// Median of the timestamps of the leader's parents, by stake; never below the commit before.
    private func timestamp(_ leader: BlockReference, _ dag: DAG) -> Instant {
        let before = (last ?? before)?.timestamp ?? start
        var votes: [(Instant, UInt64)] = []
        for parent in dag[leader]?.ancestors ?? [] where parent.round.next == leader.round {
            if let block = dag[parent] { votes.append((block.block.timestamp, committee.stake(parent.author).rawValue)) }
        }
        votes.sort { $0.0 < $1.0 }
        let total = votes.reduce(0 as UInt64) { $0 + $1.1 }
        var sum: UInt64 = 0
        for (time, stake) in votes {
            sum += stake
            if sum > total / 2 { return max(before, time) }
        }
        return before
    }

    private mutating func record(_ commit: Commit) {
        last = commit
        let floor = gcRound
        for block in commit.blocks where block.round > floor {
            committed.insert(block)
            sequenced.insert(block.slot)
        }
        guard commit.index.rawValue.isMultiple(of: 16) else { return }
        committed = committed.filter { $0.round > floor }
        sequenced = sequenced.filter { $0.round > floor }
    }
}
