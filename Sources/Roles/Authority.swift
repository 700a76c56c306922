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
}

extension Executor {
    public mutating func admit(_ transaction: [UInt8]) -> Admission { admission(of: transaction) }
}

/// The ordering part of a validator: proposes blocks, decides leaders, hands commits to the ledger.
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
        /// The last commits, in order, back to that round and to `LeaderReputation.firstNeeded`.
        public var commits: [Commit]
        public var vote: CommitVote?
        /// Own rounds up to this one were reserved by `.reserve`; nil if that is not known any more.
        public var reserved: Round?
        public init(blocks: [SignedBlock] = [], commits: [Commit] = [], vote: CommitVote? = nil, reserved: Round?) {
            (self.blocks, self.commits, self.vote, self.reserved) = (blocks, commits, vote, reserved)
        }
    }
    /// So many rounds are reserved at a time.
    static var reserveRounds: UInt64 { 64 }
    /// A reservation that no memory fulfils: kept while it is not certain which rounds of our own are free.
    static var unsure: Round { Round(.max) }

    public enum Input: Sendable {
        case started
        case connected(AuthorityIndex)
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

    public let index: AuthorityIndex
    public let verifier: BlockVerifier
    public let parameters: Parameters
    public private(set) var executor: E
    public internal(set) var dag: DAG
    public private(set) var linearizer: Linearizer
    public private(set) var proposer: Proposer
    public internal(set) var isHalted = false
    var manager = BlockManager()
    private(set) var pool = TransactionPool()
    var sync = SyncState()
    package internal(set) var commitSync: CommitSync
    private(set) var reputation: LeaderReputation
    private(set) var votes = VoteLedger()
    private let key: KeyPair
    var lastDecided: Slot?
    /// Of commits executed since our last block, for the next one: nearly every commit so gets votes of a quorum, which prove it to who catches up.
    private var unsaid: [CommitVote] = []
    /// Accepted blocks with transactions that no commit has ordered yet: while there are some, rounds go by quickly.
    private var unordered: Set<BlockReference> = []
    private var ownLast: SignedBlock?
    private static var remindMilliseconds: UInt64 { 2_000 }
    private var remindedAt: (round: Round, at: Instant)?
    private var reserved: Round
    /// Nil once it is certain which rounds of our own are free.
    private var recollection: Recollection?

    public var committee: Committee { verifier.committee }
    public var lastCommit: Commit? { linearizer.last }
    public var suspendedCount: Int { manager.suspendedCount }
    public var missingCount: Int { manager.missingCount }
    public var poolCount: Int { pool.count }
    private var isBusy: Bool { pool.isWaiting || !unordered.isEmpty }
    public var pendingTransactions: [[UInt8]] { pool.transactions }

    public init(index: AuthorityIndex, verifier: BlockVerifier, key: KeyPair, start: Instant, schedule: LeaderSchedule, parameters: Parameters = Parameters(),
                executor: E, recovered: Recovered, now: Instant) {
        (self.index, self.verifier, self.key, self.parameters, self.executor) = (index, verifier, key, parameters, executor)
        let committee = verifier.committee
        dag = DAG(committee: committee, genesisBlocks: verifier.genesisBlocks)
        linearizer = Linearizer(committee: committee, gcDepth: parameters.gcDepth, start: start, recovering: recovered.commits)
        dag.evict(through: linearizer.gcRound)
        lastDecided = linearizer.last?.leader.slot
        commitSync = CommitSync(verifier, parameters.commitSync)
        var ordered = Set(recovered.commits.flatMap(\.blocks))
        for signed in recovered.blocks.sorted(by: { ($0.block.round, $0.block.author) < ($1.block.round, $1.block.author) }) {
            let block = verifier.trust(signed)
            _ = manager.add(block, to: &dag, kept: true)
            if !block.block.transactions.isEmpty, ordered.insert(block.reference).inserted { unordered.insert(block.reference) }
        }
        let own = recovered.blocks.filter { $0.block.author == index }.max { $0.block.round < $1.block.round }
        ownLast = own
        if let vote = recovered.vote, own?.block.commitVotes.contains(vote) != true { unsaid = [vote] }
        var included = [Round](repeating: Round(0), count: committee.size)
        for block in recovered.blocks where block.block.author == index {
            for ancestor in block.block.ancestors { included[ancestor.author.index] = max(included[ancestor.author.index], ancestor.round) }
        }
        reputation = LeaderReputation(committee, period: parameters.reputationPeriod)
        if let last = recovered.commits.last {
            let needed = LeaderReputation.firstNeeded(period: parameters.reputationPeriod, last: last.index)
            precondition(recovered.commits[0].index <= needed, "commits.kept: commit \(needed) and later ones are needed, the first one kept is \(recovered.commits[0].index)")
            for commit in recovered.commits where commit.index >= needed { _ = reputation.add(commit) }
        }
        var committer = Committer(committee: committee, schedule: schedule)
        committer.swaps = reputation.swaps
        let last = own.map { verifier.trust($0).reference } ?? verifier.genesisBlocks[index.index]
        proposer = Proposer(author: index, committer: committer, parameters: parameters.pacing, last: last, included: included, now: now)
        reserved = recovered.reserved ?? Round(0)
        // A reservation is at most so far above the block before it: a database that has none so high is not the one that was written.
        let isCertain = recovered.reserved.map { reserved in
            reserved == Round(0) || own.map { $0.block.round.advanced(by: Self.reserveRounds + 1) >= reserved } ?? false
        } ?? false
        if !isCertain {
            recollection = Recollection(committee, atLeast: last.round, own: own.map { .init(signed: $0, reference: verifier.reference(of: $0)) }, trustsFewer: parameters.trustsFewer)
        }
    }

    /// Why no block is made although its time has come; nil if nothing is in the way.
    public var obstacle: String? {
        if isHalted { return "halted: the roots here are not those of a quorum" }
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
            if recollection != nil { effects.append(.reserve(Self.unsure)) }
            if let ownLast { effects.append(.broadcast(.block(ownLast))) }
        case .connected(let peer):
            if let ownLast { effects.append(.send(.block(ownLast), to: peer)) }
            if recollection != nil { effects.append(.send(.recall, to: peer)) }
            effects.append(.send(.advance(proposer.round), to: peer))
        case .received(let message, let peer):
            guard committee.contains(peer), peer != index else { return [] }
            receive(message, from: peer, &effects, now)
        case .loaded(let blocks, let peer):
            for answer in AuthorityMessage.answers(blocks) { effects.append(.send(answer, to: peer)) }
        case .loadedCommits(let commits, let blocks, let kept, let from, let peer):
            effects.append(.send(answer(commits, blocks, kept: kept, from: from), to: peer))
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
        var accepted: [VerifiedBlock] = []
        for signed in blocks {
            // What is known already is not worth a signature's check, however often it is sent.
            let reference = verifier.reference(of: signed)
            guard !dag.contains(reference), !manager.isSuspended(reference) else { continue }
            let block: VerifiedBlock
            do { block = try verifier.verify(signed, as: reference) } catch {
                effects.append(.note(.refused(peer, error)))
                continue
            }
            votes.observe(block.block)
            let outcome = manager.add(block, to: &dag)
            accepted += outcome.accepted
            for pair in outcome.equivocations {
                effects.append(.note(.equivocated(pair.author, pair.round)))
                effects.append(.evidence(pair))
            }
            if !outcome.missing.isEmpty { sync.pull(from: peer, at: now.advanced(by: parameters.pullDelayMilliseconds)) }
        }
        take(accepted, &effects)
    }

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
        let own = Recollection.VerifiedOwn(signed: block.signed, reference: block.reference)
        if recollection != nil { return recollection!.found(own) }
        if block.round >= proposer.round {
            recollection = Recollection(committee, atLeast: block.round, own: own, trustsFewer: parameters.trustsFewer)
            effects.append(.reserve(Self.unsure))
        } else if block.round > proposer.lastProposed.round {
            // One that nobody had shown, in a round that was left out for its sake: the next block stands on it.
            proposer.resume(above: Round(0), last: block)
            ownLast = block.signed
        }
    }

    private mutating func recollect(_ own: SignedBlock?, _ highest: SignedBlock?, from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        guard recollection != nil else { return }
        var shown: Recollection.VerifiedOwn?, round = Round(0)
        do {
            if let own {
                guard own.block.author == index else { return effects.append(.note(.refused(peer, nil))) }
                shown = .init(signed: own, reference: try verifier.verify(own).reference)
            }
            if let highest { round = try verifier.verify(highest).round }
        } catch { return effects.append(.note(.refused(peer, error))) }
        recollection?.answer(peer, own: shown, highest: round)
        // Our own block goes the way of all others: with its history, fetched from whoever showed it.
        if !commitSync.isOn { accept([own, highest].compactMap { $0 }, from: peer, &effects, now) }
    }

    /// Resumes once enough have answered and our last block stands in the DAG, which our next one refers to.
    private mutating func resume(_ effects: inout [Effect], _ now: Instant) {
        guard let asking = recollection else { return }
        if asking.isEnough, asking.own.map({ dag.contains($0.reference) }) ?? true {
            (recollection, reserved) = (nil, Round(0))
            let last = asking.own.map { verifier.trust($0.signed) }
            ownLast = asking.own?.signed
            // One more: the highest block that was shown may be the parent of one of ours that nobody shows. Who trusts fewer goes on behind
            // its last block that is known, since the others may be unable to go on without it.
            let above = parameters.trustsFewer ? asking.own?.reference.round ?? Round(0) : asking.highest.next
            proposer.resume(above: above, last: last)
            return effects.append(.note(.recollected(above)))
        }
        // It was shown while its history came by commits.
        if asking.isEnough, !commitSync.isOn, let own = asking.own, !manager.isSuspended(own.reference) { accept([own.signed], from: own.reference.author, &effects, now) }
        guard !asking.isEnough, asking.askedAt.map({ now >= $0.advanced(by: parameters.retryMilliseconds) }) ?? true else { return }
        recollection?.askedAt = now
        effects.append(.broadcast(.recall))
        effects.append(.wake(at: now.advanced(by: parameters.retryMilliseconds)))
    }

    // MARK: Going on

    /// Decides what can be decided, proposes what can be proposed, asks for what is missing, and says when to be woken.
    private mutating func goOn(_ effects: inout [Effect], _ now: Instant) {
        guard !isHalted else { return }
        if catchUp(&effects, now) { return resume(&effects, now) }
        decide(&effects)
        resume(&effects, now)
        if recollection == nil { propose(&effects, now) }
        pull(&effects, now)
    }

    private mutating func decide(_ effects: inout [Effect]) {
        while !isHalted {
            let statuses = proposer.committer.tryDecide(dag, after: lastDecided)
            guard !statuses.isEmpty else { return }
            for status in statuses {
                lastDecided = status.slot
                if !proposer.committer.decideDirectly(status.slot, dag).isDecided { effects.append(.note(.decidedIndirectly(status.slot))) }
                guard case .commit(let leader) = status else {
                    effects.append(.note(.leaderSkipped(status.slot.author, status.slot.round)))
                    continue
                }
                if execute(leader, &effects) {
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
        let ordered = OrderedCommit(commit: commit, entries: entries)
        let (vote, executed) = executor.execute(ordered)
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
        return isChanged
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
            if isHalted { return }
        }
    }

    /// The others' blocks are missing: they may lack ours, if a message was lost. So it is sent again now and then while nothing moves.
    private mutating func remind(_ effects: inout [Effect], _ now: Instant) {
        guard let ownLast, !dag.hasQuorum(at: proposer.round.lowered(by: 1)) else { return }
        if remindedAt?.round != proposer.round { remindedAt = (proposer.round, now) }
        if let last = remindedAt, now >= last.at.advanced(by: Self.remindMilliseconds) {
            remindedAt = (proposer.round, now)
            effects.append(.broadcast(.block(ownLast)))
        }
        if let last = remindedAt { effects.append(.wake(at: last.at.advanced(by: Self.remindMilliseconds))) }
    }

    private mutating func create(_ reason: Proposer.Reason, _ effects: inout [Effect], _ now: Instant) {
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
        ownLast = signed
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
        for request in sync.requests(missing: { manager.missing(of: $0, limit: Limits.fetchReferences) }, isMissing: manager.missingCount > 0, highest: dag.highestRound, evicted: dag.evictedRound, peers: peers,
                                     retry: parameters.retryMilliseconds, now: now) {
            effects.append(.send(request.message, to: request.peer))
        }
        if let time = sync.nextWake(missing: manager.missingCount > 0, retry: parameters.retryMilliseconds) { effects.append(.wake(at: max(time, now.advanced(by: 1)))) }
    }
}

/// Facts about ordering, for logs and metrics.
public enum AuthorityEvent: Hashable, Sendable {
    case proposed(Round, Proposer.Reason)
    case committed(BlockReference, CommitIndex)
    case leaderSkipped(AuthorityIndex, Round)
    /// Committed or skipped by a later leader, since the votes for it alone did not settle it.
    case decidedIndirectly(Slot)
    /// A block, or a request that makes no sense.
    case refused(AuthorityIndex, BlockError?)
    case equivocated(AuthorityIndex, Round)
    case resubmitted(Int)
    case jumped(to: Round)
    /// A period of commits is over: others lead for these seats until the next one is.
    case leadersChanged(absent: [AuthorityIndex])
    /// The disk was lost; the others have said up to which round blocks of ours may exist.
    case recollected(Round)
    /// Our roots are not those of a quorum: this node has halted.
    case diverged(ours: CommitVote, quorum: CommitVote)
    /// A quorum is far ahead: what is between is fetched as commits.
    case syncing(from: CommitIndex, to: CommitIndex)
    /// Near enough to a quorum, or nobody was of help: blocks are followed again.
    case live(at: CommitIndex, behind: UInt64)
    case refusedCommits(AuthorityIndex, CommitSync.Fault)
    /// A peer keeps commits from this one on only.
    case pruned(AuthorityIndex, kept: CommitIndex)
    /// From the history of a commit that a quorum has voted for we made another, or our last commit is not in its chain: this node has halted.
    case commitDiffers(CommitIndex, ours: Digest, quorum: Digest)

    /// The case's name, for counting.
    public var kind: String {
        switch self {
        case .proposed(_, let reason): "proposed: \(reason)"
        case .committed: "committed"
        case .leaderSkipped: "leader skipped"
        case .decidedIndirectly: "decided indirectly"
        case .refused: "refused"
        case .equivocated: "equivocated"
        case .resubmitted: "resubmitted"
        case .jumped: "jumped"
        case .leadersChanged: "leaders changed"
        case .recollected: "recollected"
        case .diverged: "diverged"
        case .syncing: "syncing by commits"
        case .live: "live again"
        case .refusedCommits: "refused commits"
        case .pruned: "told of pruned commits"
        case .commitDiffers: "commit differs"
        }
    }
    public static let kinds = Proposer.Reason.allCases.map { "proposed: \($0)" } + ["committed", "leader skipped", "decided indirectly", "refused", "equivocated", "resubmitted", "jumped", "leaders changed", "recollected", "diverged", "syncing by commits", "live again",
                                                                                            "refused commits", "told of pruned commits", "commit differs"]
}
