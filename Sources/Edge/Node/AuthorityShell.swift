import AssayConsensus
import AssayLedger
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayStorage

/// Does what a node's authorities say, in the order they say it: writes to the store, then sends what relies on it.
///
/// It belongs to one actor, which hands in what happened and takes care of the outcome.
struct AuthorityShell<E: Executor>: Sendable {
    /// What is left for the actor to do.
    struct Outcome: Sendable {
        var executed: [(ordered: OrderedCommit, vote: CommitVote, executed: E.Executed)] = []
        var proposed: [Block] = []
        /// Seats in an event are those of its epoch.
        var events: [(event: AuthorityEvent, epoch: Epoch)] = []
        var evidence: [Equivocation] = []
        /// The earliest time at which the authority wants to be woken.
        var wakeAt: Instant?
    }

    private(set) var machine: Succession<E>
    var authority: Authority<E> { machine.authority }
    let store: NodeStore
    let network: PeerNetwork
    /// What the store keeps of an executed commit.
    let kept: @Sendable (E.Executed) -> ExecutedBlock?
    /// Makes a reservation of own rounds durable before it returns.
    let reserve: @Sendable (Reservation) throws -> Void
    /// To be written: blocks with whatever must be durable next, commits before the next effect that leaves this node.
    private var blocks: [(BlockReference, SignedBlock)] = []
    private var commits: [NodeStore.Flush] = []
    private var mustWrite = false
    /// Commits that are kept with their blocks; nil for all.
    let keptCommits: UInt64?
    private var unpruned = 0
    /// Commits between two looks at what may be dropped, and rows of one slice.
    private static var pruneEvery: Int { 50 }
    private static var pruneSlice: Int { 400 }

    init(_ machine: Succession<E>, store: NodeStore, network: PeerNetwork, keptCommits: UInt64? = nil, reserve: @escaping @Sendable (Reservation) throws -> Void, kept: @escaping @Sendable (E.Executed) -> ExecutedBlock?) {
        (self.machine, self.store, self.network, self.reserve, self.kept, self.keptCommits) = (machine, store, network, reserve, kept, keptCommits)
    }

    /// - Throws: `StorageError`; nothing that relies on what could not be written has been sent then.
    mutating func handle(_ input: Succession<E>.Input, now: Instant) throws -> Outcome {
        var outcome = Outcome()
        try perform(machine.handle(input, now: now), now, &outcome)
        try prune(after: outcome.executed.count)
        return outcome
    }

    mutating func submit(_ raw: [UInt8], now: Instant) throws -> (admission: Admission, outcome: Outcome) {
        let (admission, effects) = machine.submit(raw, now: now)
        var outcome = Outcome()
        try perform(effects, now, &outcome)
        return (admission, outcome)
    }

    private mutating func perform(_ effects: [Succession<E>.Effect], _ now: Instant, _ outcome: inout Outcome) throws {
        for effect in effects {
            switch effect {
            case .keep(let accepted): blocks += accepted.map { ($0.reference, $0.signed) }
            case .reserve(let reservation): try reserve(reservation)
            case .evidence(let equivocation): outcome.evidence.append(equivocation)
            case .persist(let own):
                blocks.append((own.reference, own.signed))
                mustWrite = true
                outcome.proposed.append(own.block)
            case .executed(let ordered, let vote, let executed):
                commits.append(NodeStore.Flush(ordered, vote, kept(executed)))
                mustWrite = true
                outcome.executed.append((ordered, vote, executed))
            case .send(let letter, let peer):
                try write()
                network.send(frame(letter), to: peer)
            case .broadcast(let letter):
                try write()
                network.broadcast(frame(letter))
            case .load(let references, let epoch, let peer):
                try write(all: true)
                try perform(machine.handle(.loaded(try store.blocks(references, of: epoch), of: epoch, for: peer), now: now), now, &outcome)
            case .loadRounds(let from, let to, let epoch, let peer):
                try write(all: true)
                try perform(machine.handle(.loaded(try store.blocks(from: from, to: to, of: epoch), of: epoch, for: peer), now: now), now, &outcome)
            case .loadCommits(let from, let to, let epoch, let peer):
                try write(all: true)
                let (commits, voting, lowest) = try store.commits(from: from, to: to, of: epoch)
                try perform(machine.handle(.loadedCommits(commits, voting, kept: lowest, from: from, of: epoch, for: peer), now: now), now, &outcome)
            case .loadCommitted(let references, let epoch, let peer):
                try write(all: true)
                try perform(machine.handle(.loadedCommitted(try store.blocks(references, of: epoch, limitBytes: AuthorityMessage.answerBytes), of: epoch, for: peer), now: now), now, &outcome)
            case .wake(let time): outcome.wakeAt = min(outcome.wakeAt ?? time, time)
            case .note(let event, let epoch): outcome.events.append((event, epoch))
            }
        }
        try write()
    }

    /// As much as came in goes out, and as much again, so that a backlog goes too; never much at once.
    private mutating func prune(after executed: Int) throws {
        guard let keptCommits else { return }
        unpruned += executed
        guard unpruned >= Self.pruneEvery else { return }
        let slices = unpruned * (authority.committee.size + 1) * 2 / Self.pruneSlice + 1
        unpruned = 0
        for _ in 0..<slices {
            guard try store.prune(keep: keptCommits, gcDepth: authority.parameters.gcDepth, reputationPeriod: authority.parameters.reputationPeriod, slice: Self.pruneSlice) > 0 else { return }
        }
    }

    /// One flush for all that waits, so several effects in a row cost one.
    private mutating func write(all: Bool = false) throws {
        guard mustWrite || all else { return }
        try store.write(blocks, commits)
        (blocks, commits, mustWrite) = ([], [], false)
    }

    private func frame(_ letter: Letter) -> Frame { Frame(kind: consensusFrameKind, bytes: letter.canonicalBytes) }
}

/// Of frames that carry a `Letter`.
let consensusFrameKind: UInt8 = 1
