import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// The ledger, as ordering sees it.
public protocol Executor: Sendable {
    /// What the shell keeps of an executed commit.
    associatedtype Executed: Sendable
    mutating func execute(_ commit: OrderedCommit) -> (vote: CommitVote, executed: Executed)
    func admission(of transaction: [UInt8]) -> Admission
    /// The same, of one that is about to wait for a block: what was found out about it need not be found out again.
    mutating func admit(_ transaction: [UInt8]) -> Admission
    /// The nonce that is executed next for a sender; nil where transactions have no order.
    func nextNonce(of sender: Address) -> UInt64?
    /// It was executed, or can never be executed now.
    func isStale(_ transaction: [UInt8]) -> Bool
    /// Who orders the next commit; nil where that never changes.
    var orderedBy: Committee? { get }
    /// The committee of an epoch, and its last commit; nil if that is not known.
    func committee(of epoch: Epoch) -> Committee?
    func lastCommit(of epoch: Epoch) -> CommitIndex?
    /// The last commit of the epoch before; 0 in the first.
    var epochAfter: CommitIndex { get }
}

extension Executor {
    public var orderedBy: Committee? { nil }
    public func committee(of epoch: Epoch) -> Committee? { nil }
    public func lastCommit(of epoch: Epoch) -> CommitIndex? { nil }
    public var epochAfter: CommitIndex { CommitIndex(0) }
    public mutating func admit(_ transaction: [UInt8]) -> Admission { admission(of: transaction) }
}

/// The ordering part of a validator, for one epoch: proposes blocks, decides leaders, hands commits to the ledger. One without a seat follows and proposes nothing.
///
/// It has no clock, disk or socket: it is told what happened and answers what to do. The shell obeys in the order of the list,
/// so what is persisted stands on the disk before anything that relies on it is sent.
public struct Authority<E: Executor>: Sendable {
    public struct Parameters: Sendable {
        public var pacing = Proposer.Parameters()
        /// Δ: how long to wait for a missing block before it is asked for.
        public var pullDelayMilliseconds: UInt64 = 50
        /// Until the next peer is asked.
        public var retryMilliseconds: UInt64 = 500
        public var gcDepth: UInt64 = 60
        /// Commits after which the leaders' records are looked at.
        public var reputationPeriod: UInt64 = 300
        /// After a loss of the disk, answers of a third of the stake are enough instead of a quorum's: the operator's risk.
        public var trustsFewer = false
        public var commitSync = CommitSyncParameters()
        public init() {}
    }

    /// What a node finds on its disk.
    public struct Recovered: Sendable {
        /// All blocks kept above the garbage-collection round, own ones included.
        public var blocks: [SignedBlock]
        /// The last commits, in order, back to that round and to `LeaderReputation.firstNeeded`; of the epoch before at least its last one.
        public var commits: [Commit]
        public var vote: CommitVote?
        /// Own rounds of this epoch up to this one were reserved by `.reserve`; nil if that is not known any more.
        public var reserved: Round?
        public init(blocks: [SignedBlock] = [], commits: [Commit] = [], vote: CommitVote? = nil, reserved: Round?) {
            (self.blocks, self.commits, self.vote, self.reserved) = (blocks, commits, vote, reserved)
        }
    }
    /// So many rounds are reserved at a time.
    static var reserveRounds: UInt64 { 64 }
    /// The last commits of an epoch may have no votes in its blocks: these are followed by blocks.
    static var unprovenCommits: UInt64 { 8 }

    public enum Input: Sendable {
        case started
        case connected(AuthorityIndex)
        /// A peer has closed this epoch, so it has all blocks that there are of it.
        case ended(AuthorityIndex)
        case received(AuthorityMessage, from: AuthorityIndex)
        /// What the shell found for `.load`.
        case loaded([SignedBlock], for: AuthorityIndex)
        /// For `.loadCommits`: what is there of the range without a gap, lowest first; blocks of the rounds after the last of them; the lowest commit kept.
        case loadedCommits([Commit], [SignedBlock], kept: CommitIndex, from: CommitIndex, for: AuthorityIndex)
        case loadedCommitted([SignedBlock], for: AuthorityIndex)
        case woke
    }

    public enum Effect: Sendable {
        /// Others' blocks: to be written with whatever is persisted next.
        case keep([VerifiedBlock])
        /// From now on own blocks may go up to this round: durable, beside the database, before the next effect.
        case reserve(Round)
        /// Own block: durable before the next effect.
        case persist(VerifiedBlock)
        /// State after a commit: durable, whole, before the next effect.
        case executed(OrderedCommit, CommitVote, E.Executed)
        case send(AuthorityMessage, to: AuthorityIndex)
        case broadcast(AuthorityMessage)
        /// Answer with `.loaded` for this peer: blocks by name, or all of some rounds.
        case load([BlockReference], for: AuthorityIndex)
        case loadRounds(from: Round, to: Round, for: AuthorityIndex)
        /// Answer with `.loadedCommits`, and with `.loadedCommitted`: as much as an answer holds.
        case loadCommits(from: CommitIndex, to: CommitIndex, for: AuthorityIndex)
        case loadCommitted([BlockReference], for: AuthorityIndex)
        case wake(at: Instant)
        /// Two blocks of one authority for one slot: to be shown to the ledger.
        case evidence(Equivocation)
        case note(AuthorityEvent)
    }

    /// Nil without a seat in this epoch.
    public let index: AuthorityIndex?
    public let verifier: BlockVerifier
    public let parameters: Parameters
    public internal(set) var executor: E
    public internal(set) var dag: DAG
    public internal(set) var linearizer: Linearizer
    public internal(set) var proposer: Proposer
    public internal(set) var isHalted = false
    /// The epoch's last commit was executed.
    public internal(set) var isEnded = false
    var manager = BlockManager()
    var pool = TransactionPool()
    var sync = SyncState()
    package internal(set) var commitSync: CommitSync
    var reputation: LeaderReputation
    var votes = VoteLedger()
    let key: KeyPair
    var lastDecided: Slot?
    /// The DAG's insertions when nothing more could be decided.
    var triedAt: UInt64?
    var vote: CommitVote?
    public var lastVote: CommitVote? { vote }
    /// Of commits executed since our last block, for the next one: nearly every commit so gets votes of a quorum, which prove it to who catches up.
    var unsaid: [CommitVote] = []
    /// Accepted blocks with transactions that no commit has ordered yet: while there are some, rounds go by quickly.
    var unordered: Set<BlockReference> = []
    var ownLast: VerifiedBlock?
    /// Our round when an author's equivocation was last shown to the ledger.
    var accusedAt: [AuthorityIndex: Round] = [:]
    static var remindMilliseconds: UInt64 { 2_000 }
    var remindedAt: (round: Round, at: Instant)?
    var reserved: Round
    /// After a quorum's answers: no block above this round was there when our memory was lost, since it stands on blocks made after the answers.
    var resumedAbove: Round?
    /// Nil once it is certain which rounds of our own are free.
    var recollection: Recollection?

    public var committee: Committee { verifier.committee }
    public var lastCommit: Commit? { linearizer.last ?? linearizer.before }
    /// The last round of our own that is known; nil if there is none.
    public var lastOwnRound: Round? { ownLast?.round }
    /// Its own past is not certain: it makes no block before the others were asked.
    public var isUnsure: Bool { recollection != nil }
    public var suspendedCount: Int { manager.suspendedCount }
    public var missingCount: Int { manager.missingCount }
    public var poolCount: Int { pool.count }
    var isBusy: Bool { pool.isWaiting || !unordered.isEmpty }
    public var pendingTransactions: [[UInt8]] { pool.transactions }

    public init(index: AuthorityIndex?, verifier: BlockVerifier, key: KeyPair, start: Instant, schedule: LeaderSchedule, parameters: Parameters = Parameters(),
                executor: E, recovered: Recovered, now: Instant) {
        (self.index, self.verifier, self.key, self.parameters, self.executor) = (index, verifier, key, parameters, executor)
        let committee = verifier.committee
        dag = DAG(committee: committee, genesisBlocks: verifier.genesisBlocks)
        let commits = recovered.commits.filter { $0.epoch == committee.epoch }
        let before = recovered.commits.last { $0.epoch < committee.epoch }
        linearizer = Linearizer(committee: committee, gcDepth: parameters.gcDepth, start: start, after: before, recovering: commits)
        dag.evict(through: linearizer.gcRound)
        lastDecided = linearizer.last?.leader.slot
        commitSync = CommitSync(verifier, parameters.commitSync)
        vote = recovered.vote
        var ordered = Set(commits.flatMap(\.blocks))
        for signed in recovered.blocks.sorted(by: { ($0.block.round, $0.block.author) < ($1.block.round, $1.block.author) }) {
            let block = verifier.trust(signed)
            _ = manager.add(block, to: &dag, kept: true)
            if !block.block.transactions.isEmpty, ordered.insert(block.reference).inserted { unordered.insert(block.reference) }
        }
        let earlier = recovered.blocks.filter { $0.block.author == index }
        let own = earlier.max { $0.block.round < $1.block.round }.map { verifier.trust($0) }
        ownLast = own
        if let vote { votes.executed(vote) }
        if let vote, own?.block.commitVotes.contains(vote) != true { unsaid = [vote] }
        reputation = LeaderReputation(committee, period: parameters.reputationPeriod, after: executor.epochAfter)
        if let last = commits.last {
            let needed = LeaderReputation.firstNeeded(period: parameters.reputationPeriod, last: last.index, after: reputation.before)
            precondition(commits[0].index <= needed, "commits.kept: commit \(needed) and later ones are needed, the first one kept is \(commits[0].index)")
            for commit in commits where commit.index >= needed { _ = reputation.add(commit) }
        }
        var committer = Committer(committee: committee, schedule: schedule)
        committer.swaps = reputation.swaps
        // Without a seat nothing is ever proposed, and whose turn it is comes to the same for all.
        let last = own?.reference ?? verifier.genesisBlocks[index?.index ?? 0]
        proposer = Proposer(author: index ?? last.author, committer: committer, parameters: parameters.pacing, last: last, earlier: earlier.map(\.block), now: now)
        reserved = recovered.reserved ?? Round(0)
        // A reservation is at most so far above the block before it: a database that has none so high is not the one that was written.
        let isCertain = recovered.reserved.map { reserved in reserved == Round(0) || (own?.round ?? Round(0)).advanced(by: Self.reserveRounds + 1) >= reserved } ?? false
        if !isCertain, let index { recollection = Recollection(committee, of: index, atLeast: last.round, own: own, trustsFewer: parameters.trustsFewer) }
    }

    /// Why no block is made although its time has come; nil if nothing is in the way.
    public var obstacle: String? {
        if isHalted { return "halted: the roots here are not those of a quorum" }
        if index == nil { return "no seat in epoch \(committee.epoch): it follows the others" }
        if let lag = lagObstacle { return lag }
        guard let recollection else {
            let parents = dag.tally(at: proposer.round.lowered(by: 1))
            return parents.hasQuorum ? nil : "blocks of round \(proposer.round.lowered(by: 1)) are here from \(parents.voters.count) of \(committee.size) validators; a quorum is needed"
        }
        return recollection.isEnough
            ? "the disk was lost: fetching the last block of its own that others hold"
            : "the disk was lost: \(recollection.answers) of the others have said which blocks of its own they hold; a quorum of them must"
    }

    /// The highest commit that a quorum stands behind.
    public var quorumCommit: CommitIndex { votes.quorumIndex(committee) }
    /// The last round that an authority spoke of.
    public func heardRound(of peer: AuthorityIndex) -> Round { sync.heardRound(of: peer) }

    /// Takes a client's transaction, or says why not.
    public mutating func submit(_ raw: [UInt8], now: Instant) -> (admission: Admission, effects: [Effect]) {
        if pool.contains(raw) { return (.refused("already known"), []) }
        let admission = executor.admit(raw)
        if case .refused = admission { return (admission, []) }
        let wasBusy = isBusy
        switch pool.add(raw, admission) {
        case .taken: break
        case .full: return (.refused("txpool is full"), [])
        case .underpriced: return (.refused("replacement transaction underpriced"), [])
        }
        var effects: [Effect] = []
        // A busy authority waits for its next block already, and one more transaction changes nothing else.
        if !wasBusy { goOn(&effects, now) }
        return (admission, effects)
    }

    public mutating func handle(_ input: Input, now: Instant) -> [Effect] {
        var effects: [Effect] = []
        switch input {
        case .started:
            // What comes from the others now may look like a memory of our own; only a new reservation says that it is one.
            if recollection != nil { effects.append(.reserve(Reservation.unsure)) }
            if let ownLast { effects.append(.broadcast(.block(ownLast.signed))) }
        case .connected(let peer):
            if let ownLast { effects.append(.send(.block(ownLast.signed), to: peer)) }
            if recollection != nil { effects.append(.send(.recall, to: peer)) }
            if index != nil { effects.append(.send(.advance(proposer.round), to: peer)) }
        case .ended(let peer):
            guard committee.contains(peer), peer != index else { return [] }
            sync.heard(peer, Round(.max))
        case .received(let message, let peer):
            guard committee.contains(peer), peer != index else { return [] }
            receive(message, from: peer, &effects, now)
        case .loaded(let blocks, let peer):
            for answer in AuthorityMessage.answers(blocks) { effects.append(.send(answer, to: peer)) }
        case .loadedCommits(let commits, let blocks, let kept, let from, let peer):
            effects.append(.send(.commits(commits, provenBy: blocks, of: committee, kept: kept, from: from), to: peer))
        case .loadedCommitted(let blocks, let peer):
            effects.append(.send(.committed(blocks), to: peer))
        case .woke:
            break
        }
        goOn(&effects, now)
        return effects
    }

    // MARK: Going on

    /// Decides what can be decided, proposes what can be proposed, asks for what is missing, and says when to be woken.
    private mutating func goOn(_ effects: inout [Effect], _ now: Instant) {
        guard !isHalted, !isEnded else { return }
        if catchUp(&effects, now) { return isEnded ? () : resume(&effects, now) }
        decide(&effects)
        guard !isEnded else { return }
        resume(&effects, now)
        if recollection == nil, index != nil { propose(&effects, now) }
        pull(&effects, now)
    }

    // MARK: Asking for what is missing

    private mutating func pull(_ effects: inout [Effect], _ now: Instant) {
        let peers = committee.indices.filter { $0 != index }
        let manager = manager
        for request in sync.requests(missing: { manager.missing(of: $0, limit: Limits.fetchReferences) }, isMissing: manager.missingCount > 0, highest: dag.highestRound, undecided: lastDecided?.round.next ?? Round(1), evicted: dag.evictedRound, peers: peers,
                                     retry: parameters.retryMilliseconds, now: now) {
            effects.append(.send(request.message, to: request.peer))
        }
        if let time = sync.nextWake(missing: manager.missingCount > 0, retry: parameters.retryMilliseconds) { effects.append(.wake(at: max(time, now.advanced(by: 1)))) }
    }
}
