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
    public private(set) var executor: E
    public internal(set) var dag: DAG
    public private(set) var linearizer: Linearizer
    public private(set) var proposer: Proposer
    public internal(set) var isHalted = false
    /// The epoch's last commit was executed.
    public private(set) var isEnded = false
    var manager = BlockManager()
    private(set) var pool = TransactionPool()
    var sync = SyncState()
    package internal(set) var commitSync: CommitSync
    private(set) var reputation: LeaderReputation
    var votes = VoteLedger()
    private let key: KeyPair
    var lastDecided: Slot?
    /// The DAG's insertions when nothing more could be decided.
    private var triedAt: UInt64?
    private var vote: CommitVote?
    public var lastVote: CommitVote? { vote }
    /// Of commits executed since our last block, for the next one: nearly every commit so gets votes of a quorum, which prove it to who catches up.
    private var unsaid: [CommitVote] = []
    /// Accepted blocks with transactions that no commit has ordered yet: while there are some, rounds go by quickly.
    private(set) var unordered: Set<BlockReference> = []
    private var ownLast: VerifiedBlock?
    /// Our round when an author's equivocation was last shown to the ledger.
    private var accusedAt: [AuthorityIndex: Round] = [:]
    private static var remindMilliseconds: UInt64 { 2_000 }
    private var remindedAt: (round: Round, at: Instant)?
    private var reserved: Round
    /// Nil once it is certain which rounds of our own are free.
    private var recollection: Recollection?

    public var committee: Committee { verifier.committee }
    public var lastCommit: Commit? { linearizer.last ?? linearizer.before }
    /// The last round of our own that is known; nil if there is none.
    public var lastOwnRound: Round? { ownLast?.round }
    /// Its own past is not certain: it makes no block before the others were asked.
    public var isUnsure: Bool { recollection != nil }
    public var suspendedCount: Int { manager.suspendedCount }
    public var missingCount: Int { manager.missingCount }
    public var poolCount: Int { pool.count }
    private var isBusy: Bool { pool.isWaiting || !unordered.isEmpty }
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
        let isCertain = recovered.reserved.map { reserved in
            reserved == Round(0) || own.map { $0.round.advanced(by: Self.reserveRounds + 1) >= reserved } ?? false
        } ?? false
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

    // MARK: Receiving

    private mutating func receive(_ message: AuthorityMessage, from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        switch message {
        case .block(let signed):
            // A stream carries its own author's blocks; others come as answers.
            guard signed.block.author == peer else { return effects.append(.note(.refused(peer, nil))) }
            sync.heard(peer, signed.block.round)
            if commitSync.isOn { return observe(signed, from: peer, &effects) }
            accept([signed], from: peer, &effects, now)
        case .advance(let round):
            sync.heard(peer, round.lowered(by: 1))
        case .ended(let last):
            sync.heard(peer, Round(.max))
            votes.heard(peer, executed: last.lowered(by: Self.unprovenCommits))
        case .fetch(let references):
            // What is held goes out at once, whatever else was asked for; only what the DAG has forgotten can be on the disk alone.
            // Each once, however often it is asked for.
            let wanted = Set(references).sorted()
            for answer in AuthorityMessage.answers(wanted.compactMap { dag[$0]?.signed }) { effects.append(.send(answer, to: peer)) }
            let forgotten = wanted.filter { $0.round <= dag.evictedRound }
            if !forgotten.isEmpty { effects.append(.load(forgotten, for: peer)) }
        case .fetchRounds(let from, let to):
            guard from <= to, from.rawValue > 0 else { return effects.append(.note(.refused(peer, nil))) }
            effects.append(.loadRounds(from: from, to: min(to, from.advanced(by: SyncState.rangeRounds)), for: peer))
        case .recall:
            // Who is not sure of its own past vouches for nobody's.
            guard recollection == nil else { return }
            let own = dag.latest(of: peer, below: dag.highestRound.next, above: dag.evictedRound).flatMap { dag[$0]?.signed }
            let highest = dag.references(at: dag.highestRound).first.flatMap { dag[$0]?.signed }
            effects.append(.send(.recollection(own: own, highest: highest), to: peer))
        case .recollection(let own, let highest):
            recollect(own, highest, from: peer, &effects, now)
        case .blocks(let blocks):
            // Late ones: their histories come by commits now.
            if commitSync.isOn { return }
            accept(blocks, from: peer, &effects, now)
            sync.answered(peer, with: blocks.lazy.map(\.block.round), highest: dag.highestRound, now: now)
        case .fetchCommits, .commits, .noCommits, .fetchCommitted, .committed:
            receiveCommits(message, from: peer, &effects, now)
        }
    }

    /// Far behind, a streamed block is worth its votes alone: kept, it would only wait for its history.
    private mutating func observe(_ signed: SignedBlock, from peer: AuthorityIndex, _ effects: inout [Effect]) {
        do { votes.observe(try verifier.verify(signed).block) } catch { effects.append(.note(.refused(peer, error))) }
    }

    private mutating func accept(_ blocks: [SignedBlock], from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        var verified: [VerifiedBlock] = []
        for signed in blocks {
            // What is known already is not worth a signature's check, however often it is sent.
            let reference = verifier.reference(of: signed)
            guard !dag.contains(reference), !manager.isSuspended(reference) else { continue }
            // Nor is one more twin of an author that was accused just now, if nobody's history needs it.
            if isAccused(reference.author), !manager.isMissing(reference), !dag.references(in: reference.slot).isEmpty { continue }
            do { verified.append(try verifier.verify(signed, as: reference)) } catch { effects.append(.note(.refused(peer, error))) }
        }
        accept(verified, from: peer, &effects, now)
    }

    private mutating func accept(_ verified: [VerifiedBlock], from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        var accepted: [VerifiedBlock] = []
        for block in verified where !dag.contains(block.reference) && !manager.isSuspended(block.reference) {
            votes.observe(block.block)
            let outcome = manager.add(block, to: &dag)
            accepted += outcome.accepted
            for pair in outcome.equivocations {
                effects.append(.note(.equivocated(pair.author, pair.round)))
                guard !isAccused(pair.author) else { continue }
                accusedAt[pair.author] = proposer.round
                effects.append(.evidence(pair))
            }
            if !outcome.missing.isEmpty { sync.pull(from: peer, at: now.advanced(by: parameters.pullDelayMilliseconds)) }
        }
        take(accepted, &effects)
    }

    /// One accusation settles an author, and who signs twins without end shall not make us sign as many. After some rounds it may be needed again.
    private func isAccused(_ author: AuthorityIndex) -> Bool { accusedAt[author].map { proposer.round < $0.advanced(by: Self.reserveRounds) } ?? false }

    mutating func take(_ accepted: [VerifiedBlock], _ effects: inout [Effect]) {
        guard !accepted.isEmpty else { return }
        effects.append(.keep(accepted))
        for block in accepted {
            if !block.block.transactions.isEmpty { unordered.insert(block.reference) }
            if block.author == index { remember(block, &effects) }
            for vote in block.block.commitVotes {
                guard votes.add(vote, by: block.author, committee) else { continue }
                checkAgreement(vote.index, &effects)
            }
        }
    }

    // MARK: After a loss of the disk

    /// A block of ours that we do not remember: this memory is older than what we did with another.
    private mutating func remember(_ block: VerifiedBlock, _ effects: inout [Effect]) {
        if recollection != nil { return recollection!.found(block) }
        if block.round >= proposer.round {
            recollection = Recollection(committee, of: block.author, atLeast: block.round, own: block, trustsFewer: parameters.trustsFewer)
            effects.append(.reserve(Reservation.unsure))
        } else if block.round > proposer.lastProposed.round {
            // One that nobody had shown, in a round that was left out for its sake: the next block stands on it.
            proposer.resume(above: Round(0), last: block)
            ownLast = block
        }
    }

    private mutating func recollect(_ own: SignedBlock?, _ highest: SignedBlock?, from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        guard recollection != nil else { return }
        if let own, own.block.author != index { return effects.append(.note(.refused(peer, nil))) }
        do {
            let shown = try own.map { signed throws(BlockError) in try verifier.verify(signed) }, last = try highest.map { signed throws(BlockError) in try verifier.verify(signed) }
            recollection?.answer(peer, own: shown, highest: last?.round ?? Round(0))
            // Our own block goes the way of all others: with its history, fetched from whoever showed it.
            if !commitSync.isOn { accept([shown, last].compactMap { $0 }, from: peer, &effects, now) }
        } catch { effects.append(.note(.refused(peer, error))) }
    }

    /// Resumes once enough have answered and our last block stands in the DAG, which our next one refers to.
    private mutating func resume(_ effects: inout [Effect], _ now: Instant) {
        guard let asking = recollection else { return }
        if asking.isEnough, asking.own.map({ dag.contains($0.reference) }) ?? true {
            (recollection, reserved) = (nil, Round(0))
            ownLast = asking.own
            // One more: the highest block that was shown may be the parent of one of ours that nobody shows. Who trusts fewer goes on behind
            // its last block that is known, since the others may be unable to go on without it.
            let above = parameters.trustsFewer ? asking.own?.round ?? Round(0) : asking.highest.next
            proposer.resume(above: above, last: asking.own)
            return effects.append(.note(.recollected(above)))
        }
        // It was shown while its history came by commits.
        if asking.isEnough, !commitSync.isOn, let own = asking.own { accept([own], from: own.author, &effects, now) }
        guard !asking.isEnough, asking.askedAt.map({ now >= $0.advanced(by: parameters.retryMilliseconds) }) ?? true else { return }
        recollection?.askedAt = now
        effects.append(.broadcast(.recall))
        effects.append(.wake(at: now.advanced(by: parameters.retryMilliseconds)))
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

    private mutating func decide(_ effects: inout [Effect]) {
        // A message without a new block decides nothing, however many come.
        while !isHalted, !isEnded, triedAt != dag.insertions {
            let statuses = proposer.committer.tryDecide(dag, after: lastDecided)
            guard !statuses.isEmpty else {
                triedAt = dag.insertions
                return
            }
            for status in statuses {
                lastDecided = status.slot
                if !proposer.committer.decideDirectly(status.slot, dag).isDecided { effects.append(.note(.decidedIndirectly(status.slot))) }
                guard case .commit(let leader) = status else {
                    effects.append(.note(.leaderSkipped(status.slot.author, status.slot.round)))
                    continue
                }
                let isChanged = execute(leader, &effects)
                // What was decided after the last commit is nobody's: the next committee orders it anew.
                if isHalted || isEnded { return }
                if isChanged {
                    effects.append(.note(.leadersChanged(absent: reputation.swaps.tables.last?.absent ?? [])))
                    break
                }
            }
        }
    }

    /// True if other leaders are in turn from here on.
    /// - Parameter proven: the commit that a quorum has made of this leader, if that is known.
    mutating func execute(_ leader: BlockReference, as proven: Commit? = nil, _ effects: inout [Effect]) -> Bool {
        let commit = linearizer.commit(leader, dag)
        // Invariant commit.same: from the same history everybody makes the same commit.
        if let proven, commit != proven { return halt(commit, proven, &effects) }
        let entries = commit.blocks.flatMap { reference in
            (dag[reference]?.block.transactions ?? []).map { OrderedCommit.Entry(author: reference.author, transaction: $0) }
        }
        let ordered = OrderedCommit(commit: commit, entries: entries, executed: attested(commit))
        let (vote, executed) = executor.execute(ordered)
        self.vote = vote
        unsaid = unsaid.suffix(Limits.commitVotes - 1) + [vote]
        effects.append(.executed(ordered, vote, executed))
        effects.append(.note(.committed(leader, commit.index)))
        for block in commit.blocks { unordered.remove(block) }
        let executor = executor
        let returned = pool.committed(entries.lazy.map(\.transaction), blocks: commit.blocks, gcRound: linearizer.gcRound) { executor.nextNonce(of: $0) }
        if returned > 0 { effects.append(.note(.resubmitted(returned))) }
        if commit.index.rawValue.isMultiple(of: 8) {
            pool.prune(isStale: { executor.isStale($0) }, nextNonce: { executor.nextNonce(of: $0) })
        }
        if linearizer.gcRound > dag.evictedRound {
            dag.evict(through: linearizer.gcRound)
            unordered = unordered.filter { $0.round > linearizer.gcRound }
            take(manager.release(below: &dag).accepted, &effects)
        }
        votes.executed(vote)
        checkAgreement(vote.index, &effects)
        let isChanged = reputation.add(commit)
        proposer.committer.swaps = reputation.swaps
        if let next = executor.orderedBy, next.epoch != committee.epoch {
            isEnded = true
            effects.append(.note(.epochEnded(committee.epoch)))
        }
        return isChanged
    }

    /// By seat, the last commit that its blocks in this one say it has executed.
    private func attested(_ commit: Commit) -> [OrderedCommit.Executed] {
        var last = [CommitIndex?](repeating: nil, count: committee.size)
        for reference in commit.blocks { for vote in dag[reference]?.block.commitVotes ?? [] { last[reference.author.index] = max(last[reference.author.index] ?? vote.index, vote.index) } }
        return committee.indices.compactMap { seat in last[seat.index].map { .init(author: seat, index: $0) } }
    }

    /// What waits for a block, or for a commit of one, goes on in the next epoch.
    mutating func inherit(from earlier: Authority, _ effects: inout [Effect]) {
        pool = earlier.pool
        let returned = pool.putBackAll()
        if returned > 0 { effects.append(.note(.resubmitted(returned))) }
        let executor = executor
        pool.prune(isStale: { executor.isStale($0) }, nextNonce: { executor.nextNonce(of: $0) })
    }

    /// Roots that a quorum attested and ours are one, or this node stops: it must not go on from a state that nobody shares.
    private mutating func checkAgreement(_ index: CommitIndex, _ effects: inout [Effect]) {
        guard let (ours, theirs) = votes.disagreement(at: index, committee) else { return }
        isHalted = true
        effects.append(.note(.diverged(ours: ours, quorum: theirs)))
    }

    private mutating func propose(_ effects: inout [Effect], _ now: Instant) {
        while true {
            if proposer.jump(past: parameters.gcDepth, dag) { effects.append(.note(.jumped(to: proposer.round))) }
            if proposer.enter(dag, now: now) { effects.append(.broadcast(.advance(proposer.round))) }
            switch proposer.decide(dag, busy: isBusy, now: now) {
            case .blocked: return remind(&effects, now)
            case .wait(let until): return effects.append(.wake(at: until))
            case .create(let reason): create(reason, &effects, now)
            }
            decide(&effects)
            if isHalted || isEnded { return }
        }
    }

    /// The others' blocks are missing: they may lack ours, if a message was lost. So it is sent again now and then while nothing moves.
    private mutating func remind(_ effects: inout [Effect], _ now: Instant) {
        guard let ownLast, !dag.hasQuorum(at: proposer.round.lowered(by: 1)) else { return }
        if remindedAt?.round != proposer.round { remindedAt = (proposer.round, now) }
        if let last = remindedAt, now >= last.at.advanced(by: Self.remindMilliseconds) {
            remindedAt = (proposer.round, now)
            effects.append(.broadcast(.block(ownLast.signed)))
        }
        if let last = remindedAt { effects.append(.wake(at: last.at.advanced(by: Self.remindMilliseconds))) }
    }

    private mutating func create(_ reason: Proposer.Reason, _ effects: inout [Effect], _ now: Instant) {
        guard let index else { preconditionFailure("own.seat: a block is due, but there is no seat in epoch \(committee.epoch)") }
        let executor = executor
        let (digests, transactions) = pool.take { executor.nextNonce(of: $0) }
        let commitVotes = unsaid
        unsaid = []
        let block = Block(
            epoch: committee.epoch, round: proposer.round, author: index, timestamp: max(now, ownLast?.block.timestamp ?? now), ancestors: proposer.ancestors(dag),
            transactions: transactions, commitVotes: commitVotes)
        let signed = SignedBlock(block, by: key, genesis: verifier.genesis)
        let verified: VerifiedBlock
        do { verified = try verifier.verify(signed) } catch { preconditionFailure("own.valid: the block proposed for round \(block.round) is refused: \(error)") }
        precondition(dag.references(in: block.slot).isEmpty, "own.single: a block of ours for round \(block.round) is there already")
        dag.insert(verified)
        if !transactions.isEmpty { unordered.insert(verified.reference) }
        pool.propose(digests, in: verified.reference)
        proposer.proposed(verified, now: now)
        ownLast = verified
        if block.round > reserved {
            reserved = block.round.advanced(by: Self.reserveRounds)
            effects.append(.reserve(reserved))
        }
        effects.append(.persist(verified))
        effects.append(.broadcast(.block(signed)))
        effects.append(.note(.proposed(block.round, reason)))
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
