import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A witness beside one honest validator: it sees what the machine accepts, decides and sends, in that order, and objects where the rules say
/// something else. It outlives crashes, and disks.
///
/// Invariant reference.agrees: each slot is decided as the rule written out decides it, on the blocks that the node had accepted by then. What one
/// node's decision was found right by says nothing about another that had other blocks, so each is judged by itself.
/// Invariant commits.extend: a node's commits only ever get more; executed again, after a restart or a loss of the disk, they are the same.
/// Invariant own.single: of an honest authority one block of a round leaves, whatever it forgot in between.
package struct NodeWatch: Sendable {
    package struct Objection: Hashable, Sendable {
        package let checker, message: String
        package let round: Round
    }
    private let reputationPeriod: UInt64
    /// False if rounds long decided are forgotten: then nothing old can be drawn.
    private let keepsAll: Bool
    package private(set) var reference: ReferenceCommitter
    private var leaders: Committer
    private var reputation: LeaderReputation
    /// Every commit that was ever executed here.
    private var chain: [Digest] = []
    private var executedIndex = CommitIndex(0)
    private var lastDecided = Round(0)
    /// What a quorum has voted for comes as commits: nothing is decided here meanwhile.
    private var isSyncing = false
    package private(set) var decided: [LeaderStatus] = []
    private var sent: [Epoch: [UInt64: Signature]] = [:]
    private static let keptRounds: UInt64 = 40

    package init(_ committee: Committee, schedule: LeaderSchedule, reputationPeriod: UInt64, keepsAll: Bool = false) {
        (self.reputationPeriod, self.keepsAll) = (reputationPeriod, keepsAll)
        reference = ReferenceCommitter(committee)
        leaders = Committer(committee: committee, schedule: schedule)
        reputation = LeaderReputation(committee, period: reputationPeriod)
    }

    package func leader(of round: Round) -> AuthorityIndex { leaders.leaders(of: round).first?.author ?? AuthorityIndex(0) }
    /// What became of a round's leader.
    package func status(of round: Round) -> LeaderStatus { decided.last { $0.slot.round == round } ?? .undecided(Slot(round, leader(of: round))) }

    /// Another committee orders from here on, in a DAG of its own.
    package mutating func enter(_ committee: Committee, genesis: Digest) {
        reference = ReferenceCommitter(committee)
        leaders = Committer(committee: committee, schedule: .shuffled(genesis: genesis, epoch: committee.epoch))
        reputation = LeaderReputation(committee, period: reputationPeriod, after: executedIndex)
        (lastDecided, decided, isSyncing) = (Round(0), [], false)
    }

    /// The process begins, with what was on its disk.
    /// - Parameters:
    ///   - committee: of the epoch in which the next commit is.
    ///   - blocks: of that epoch.
    ///   - commits: of all epochs.
    package mutating func restarted(_ committee: Committee, genesis: Digest, blocks: some Sequence<VerifiedBlock>, commits: [Commit]) {
        executedIndex = commits.last { $0.epoch < committee.epoch }?.index ?? CommitIndex(0)
        if reference.committee.epoch != committee.epoch { enter(committee, genesis: genesis) }
        if keepsAll { for block in blocks { reference.insert(block) } } else { reference = ReferenceCommitter(committee, blocks) }
        reputation = LeaderReputation(committee, period: reputationPeriod, after: executedIndex)
        (lastDecided, isSyncing) = (Round(0), false)
        for commit in commits where commit.epoch == committee.epoch {
            _ = reputation.add(commit)
            (executedIndex, lastDecided) = (commit.index, commit.leader.round)
        }
        leaders.swaps = reputation.swaps
        decided.removeAll { $0.slot.round > lastDecided }
    }

    package mutating func accepted(_ blocks: [VerifiedBlock]) { for block in blocks { reference.insert(block) } }

    package mutating func syncs(_ isSyncing: Bool) { self.isSyncing = isSyncing }

    package mutating func executed(_ commit: Commit) -> [Objection] {
        var objections = isSyncing ? proven(commit) : decided(.commit(commit.leader))
        func object(_ message: String) { objections.append(Objection(checker: "monotone prefixes", message: message, round: commit.leader.round)) }
        if commit.index != executedIndex.next { object("commit \(commit.index) is executed behind commit \(executedIndex)") }
        let place = Int(commit.index.rawValue) - 1, digest = commit.digest
        if chain.indices.contains(place), chain[place] != digest { object("commit \(commit.index) is another one than when it was executed first") }
        if place == chain.count { chain.append(digest) }
        executedIndex = commit.index
        _ = reputation.add(commit)
        leaders.swaps = reputation.swaps
        return objections
    }

    /// The rounds between were decided by those who voted.
    private mutating func proven(_ commit: Commit) -> [Objection] {
        lastDecided = commit.leader.round
        decided.append(.commit(commit.leader))
        forget(below: commit.leader.round)
        return []
    }

    package mutating func skipped(_ slot: Slot) -> [Objection] { decided(.skip(slot)) }

    private mutating func decided(_ status: LeaderStatus) -> [Objection] {
        let slot = status.slot, leader = leader(of: slot.round)
        var objections: [Objection] = []
        func object(_ message: String) { objections.append(Objection(checker: "reference committer", message: message, round: slot.round)) }
        if slot.round != lastDecided.next { object("round \(slot.round) is decided after round \(lastDecided)") }
        if slot.author != leader { object("\(slot) is decided, where \(leader) leads") }
        let right = reference.status(of: slot) { self.leader(of: $0) }
        if right != status { object("\(NodeWatch.words(status)), where the rule written out says: \(NodeWatch.words(right))") }
        lastDecided = slot.round
        decided.append(status)
        if slot.round.rawValue.isMultiple(of: 16) { forget(below: slot.round) }
        return objections
    }

    private mutating func forget(below round: Round) {
        guard !keepsAll else { return }
        reference.forget(below: round.lowered(by: NodeWatch.keptRounds))
        decided.removeFirst(max(0, decided.count - Int(NodeWatch.keptRounds)))
    }

    /// A block of its own goes out. Signatures are deterministic, so equal ones are of equal blocks.
    package mutating func sent(_ own: SignedBlock) -> [Objection] {
        let round = own.block.round
        if let first = sent[own.block.epoch, default: [:]].updateValue(own.signature, forKey: round.rawValue), first != own.signature {
            return [Objection(checker: "equivocation", message: "honest \(own.block.author) sends two blocks of round \(round)", round: round)]
        }
        return []
    }

    private static func words(_ status: LeaderStatus) -> String {
        switch status {
        case .commit(let leader): "\(leader.slot) is committed (\(leader.digest.short))"
        case .skip(let slot): "\(slot) is skipped"
        case .undecided(let slot): "\(slot) is undecided"
        }
    }
}
