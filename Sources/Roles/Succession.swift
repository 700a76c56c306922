import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// The authorities that a node is, epoch after epoch: each orders until its committee's term is over, and hands ledger and waiting transactions on to the next.
///
/// Nodes are known by their owners here, since seats change. Whoever asks for blocks of an epoch that is over, or has no seat, is served from the disk. A node without
/// a seat follows: it takes in what the committee orders, and takes its seat in the epoch that gives it one.
public struct Succession<E: Executor>: Sendable {
    public struct Identity: Sendable {
        public let owner: Address
        public let key: KeyPair
        public init(owner: Address, key: KeyPair) { (self.owner, self.key) = (owner, key) }
    }

    public enum Input: Sendable {
        case started
        case connected(Address)
        case received(Letter, from: Address)
        /// What the shell found for `.load`.
        case loaded([SignedBlock], of: Epoch, for: Address)
        /// What the shell found for `.loadCommits`, with the blocks that may vote for the last of them and the lowest commit that is kept; and for `.loadCommitted`.
        case loadedCommits([Commit], [SignedBlock], kept: CommitIndex, from: CommitIndex, of: Epoch, for: Address)
        case loadedCommitted([SignedBlock], of: Epoch, for: Address)
        case woke
    }

    /// As those of `Authority`, with nodes by their owners, and the epoch said.
    public enum Effect: Sendable {
        case keep([VerifiedBlock])
        case reserve(Reservation)
        case persist(VerifiedBlock)
        case executed(OrderedCommit, CommitVote, E.Executed)
        case send(Letter, to: Address)
        /// To all that are connected, whether or not they have a seat.
        case broadcast(Letter)
        case load([BlockReference], of: Epoch, for: Address)
        case loadRounds(from: Round, to: Round, of: Epoch, for: Address)
        case loadCommits(from: CommitIndex, to: CommitIndex, of: Epoch, for: Address)
        /// As many of these blocks as an answer holds.
        case loadCommitted([BlockReference], of: Epoch, for: Address)
        case wake(at: Instant)
        case evidence(Equivocation)
        /// Seats in it are those of that epoch.
        case note(AuthorityEvent, of: Epoch)
    }

    public let identity: Identity
    public let genesis: Digest
    public let start: Instant
    public let parameters: Authority<E>.Parameters
    private let isSigned: BlockVerifier.SignatureCheck
    public private(set) var authority: Authority<E>
    private var reservation: Reservation
    /// Who has written in this epoch. The others have not entered it, or have not been heard of since.
    private var present: Set<Address> = []

    public var epoch: Epoch { authority.committee.epoch }


    /// - Parameters:
    ///   - committee: of the epoch in which the executor's next commit is.
    ///   - recovered: its `reserved` is not looked at: `reservation` says it; nil where that is lost.
    ///   - store: which database it is: one that is made anew is another.
    public init(identity: Identity, genesis: Digest, start: Instant, committee: Committee, parameters: Authority<E>.Parameters = .init(), executor: E,
                recovered: Authority<E>.Recovered, reservation: Reservation?, store: UInt64 = 0, isSigned: @escaping BlockVerifier.SignatureCheck = BlockVerifier.checkSignature, now: Instant) {
        (self.identity, self.genesis, self.start, self.parameters, self.isSigned) = (identity, genesis, start, parameters, isSigned)
        self.reservation = (reservation ?? .lost(in: committee.epoch)).beside(store)
        var recovered = recovered
        recovered.reserved = self.reservation.round(in: committee.epoch)
        authority = Succession.authority(identity, genesis, start, committee, parameters, executor, recovered, isSigned, now)
    }

    private static func authority(_ identity: Identity, _ genesis: Digest, _ start: Instant, _ committee: Committee, _ parameters: Authority<E>.Parameters, _ executor: E,
                                  _ recovered: Authority<E>.Recovered, _ isSigned: @escaping BlockVerifier.SignatureCheck, _ now: Instant) -> Authority<E> {
        Authority(index: committee.seat(of: identity.owner), verifier: BlockVerifier(committee: committee, genesis: genesis, isSigned: isSigned), key: identity.key, start: start,
                  schedule: .shuffled(genesis: genesis, epoch: committee.epoch), parameters: parameters, executor: executor, recovered: recovered, now: now)
    }

    /// Takes a client's transaction, or says why not.
    public mutating func submit(_ raw: [UInt8], now: Instant) -> (admission: Admission, effects: [Effect]) {
        let (admission, said) = authority.submit(raw, now: now)
        var effects: [Effect] = []
        tell(said, &effects)
        succeed(&effects, now)
        return (admission, effects)
    }

    public mutating func handle(_ input: Input, now: Instant) -> [Effect] {
        var effects: [Effect] = []
        switch input {
        case .started: tell(authority.handle(.started, now: now), &effects)
        case .connected(let peer): greet(peer, &effects, now)
        case .received(let letter, let peer): receive(letter, from: peer, &effects, now)
        case .loaded(let blocks, let epoch, let peer): for answer in AuthorityMessage.answers(blocks) { effects.append(.send(Letter(epoch, answer), to: peer)) }
        case .loadedCommits(let commits, let voting, let kept, let from, let epoch, let peer):
            let committee = epoch == self.epoch ? authority.committee : authority.executor.committee(of: epoch)
            effects.append(.send(Letter(epoch, .commits(commits, provenBy: voting, of: committee, kept: kept, from: from)), to: peer))
        case .loadedCommitted(let blocks, let epoch, let peer): effects.append(.send(Letter(epoch, .committed(blocks)), to: peer))
        case .woke: tell(authority.handle(.woke, now: now), &effects)
        }
        succeed(&effects, now)
        return effects
    }

    private func seat(_ owner: Address) -> AuthorityIndex? { authority.committee.seat(of: owner) }

    /// Says where we are. What was said to a node before it came to this epoch is lost on it.
    private mutating func greet(_ peer: Address, _ effects: inout [Effect], _ now: Instant) {
        guard let seat = seat(peer) else { return effects.append(.send(Letter(epoch, .advance(authority.proposer.round)), to: peer)) }
        tell(authority.handle(.connected(seat), now: now), &effects)
    }

    private mutating func receive(_ letter: Letter, from peer: Address, _ effects: inout [Effect], _ now: Instant) {
        if letter.epoch == epoch, let seat = seat(peer) {
            if present.insert(peer).inserted { greet(peer, &effects, now) }
            return tell(authority.handle(.received(letter.message, from: seat), now: now), &effects)
        }
        if letter.epoch > epoch {
            // It has closed ours, so it has all of it; what it says of later epochs is for later.
            guard let seat = seat(peer) else { return }
            return tell(authority.handle(.ended(seat), now: now), &effects)
        }
        switch letter.message {
        case .fetch(let references): effects.append(.load(Array(Set(references)).sorted(), of: letter.epoch, for: peer))
        case .fetchRounds(let from, let to):
            guard from <= to, from.rawValue > 0 else { return }
            effects.append(.loadRounds(from: from, to: min(to, from.advanced(by: SyncState.rangeRounds)), of: letter.epoch, for: peer))
            tellEnd(letter.epoch, to: peer, &effects)
        case .fetchCommits(let from, let to):
            guard from <= to, from.rawValue > 0 else { return }
            effects.append(.loadCommits(from: from, to: min(to, from.advanced(by: UInt64(Limits.fetchCommits - 1))), of: letter.epoch, for: peer))
        case .fetchCommitted(let references): if !references.isEmpty { effects.append(.loadCommitted(Array(Set(references)).sorted(), of: letter.epoch, for: peer)) }
        case .block, .advance, .recall:
            guard letter.epoch < epoch else { return }
            effects.append(.send(Letter(epoch, .advance(authority.proposer.round)), to: peer))
            tellEnd(letter.epoch, to: peer, &effects)
        case .blocks, .recollection, .commits, .noCommits, .committed, .ended: break
        }
    }

    /// One of an epoch that is over does not know that.
    private func tellEnd(_ epoch: Epoch, to peer: Address, _ effects: inout [Effect]) {
        if epoch < self.epoch, let last = authority.executor.lastCommit(of: epoch) { effects.append(.send(Letter(epoch, .ended(last)), to: peer)) }
    }

    /// Hands over as long as an epoch has ended: one that catches up may go through several.
    private mutating func succeed(_ effects: inout [Effect], _ now: Instant) {
        while authority.isEnded {
            guard let committee = authority.executor.orderedBy, let vote = authority.lastVote, let last = authority.lastCommit else {
                preconditionFailure("epoch.handover: epoch \(epoch) ended without a commit")
            }
            // The leader of its last commit stands above all that was there when our memory was lost, so the epoch was not over then.
            if let above = authority.resumedAbove, last.leader.round > above { reservation = reservation.withoutDoubt() }
            // Who is not certain of its past is not certain in the next epoch either.
            let reserved = authority.isUnsure ? nil : reservation.round(in: committee.epoch)
            var next = Succession.authority(identity, genesis, start, committee, parameters, authority.executor, .init(commits: [last], vote: vote, reserved: reserved), isSigned, now)
            var said: [Authority<E>.Effect] = []
            next.inherit(from: authority, &said)
            authority = next
            present = []
            tell(said + authority.handle(.started, now: now), &effects)
        }
    }

    /// In the words of the network: owners for seats.
    private mutating func tell(_ said: [Authority<E>.Effect], _ effects: inout [Effect]) {
        let committee = authority.committee, epoch = epoch
        func owner(_ seat: AuthorityIndex) -> Address { committee.members[seat.index].owner }
        for effect in said {
            switch effect {
            case .keep(let blocks): effects.append(.keep(blocks))
            case .reserve(let round):
                reservation = reservation.reserving(round, in: epoch)
                effects.append(.reserve(reservation))
            case .persist(let block): effects.append(.persist(block))
            case .executed(let commit, let vote, let executed): effects.append(.executed(commit, vote, executed))
            case .send(let message, let seat): effects.append(.send(Letter(epoch, message), to: owner(seat)))
            case .broadcast(let message): effects.append(.broadcast(Letter(epoch, message)))
            case .load(let references, let seat): effects.append(.load(references, of: epoch, for: owner(seat)))
            case .loadRounds(let from, let to, let seat): effects.append(.loadRounds(from: from, to: to, of: epoch, for: owner(seat)))
            case .loadCommits(let from, let to, let seat): effects.append(.loadCommits(from: from, to: to, of: epoch, for: owner(seat)))
            case .loadCommitted(let references, let seat): effects.append(.loadCommitted(references, of: epoch, for: owner(seat)))
            case .wake(let time): effects.append(.wake(at: time))
            case .evidence(let equivocation): effects.append(.evidence(equivocation))
            case .note(let event):
                if case .recollected = event { reservation = reservation.recollected(in: epoch) }
                effects.append(.note(event, of: epoch))
            }
        }
    }
}
