import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Who sits in the committee, for one epoch after another.
///
/// At the first commit after an epoch's time is up, the next committee is read from the stakes. The epoch still goes on until blocks by a quorum that have
/// executed that commit are ordered: what waits in them is drained, and the state that names the next committee is attested. The commit that
/// completes the quorum is the epoch's last one.
enum Epochs {
    static let key = StateKey<EpochRecord>("epoch")
    /// With all keys: of the epoch under way, of the next once it is known, and of those whose stakes are still bound.
    static func committeeKey(_ epoch: Epoch) -> StateKey<Committee> { StateKey("committee", U256(epoch.rawValue).bigEndianBytes) }

    static func begin(_ genesis: Genesis, _ committee: Committee, _ state: inout WorldState) {
        state[committeeKey(committee.epoch)] = committee
        state[key] = EpochRecord(committee, after: CommitIndex(0), began: genesis.time)
    }

    static func advance(_ executed: [OrderedCommit.Executed], _ environment: inout Environment) {
        guard environment.genesis.epochMilliseconds > 0, var record = environment.state[key] else { return }
        if var closing = record.closing {
            for vote in executed where vote.index >= closing.at && record.seats.indices.contains(vote.author.index) && !closing.seen.contains(vote.author) { closing.seen.append(vote.author) }
            record.closing = closing
            let seen = closing.seen.reduce(0 as UInt64) { $0 + record.seats[$1.index].stake.rawValue }
            if seen >= record.quorum { change(&record, &environment) }
        } else if environment.block.time >= record.began.advanced(by: environment.genesis.epochMilliseconds) {
            let next = nextCommittee(after: record, environment)
            environment.state[committeeKey(next.epoch)] = next
            record.closing = .init(at: CommitIndex(environment.block.number))
            environment.emit(Staking.epochClosing, from: ContractAddress.staking, .uint(record.epoch.rawValue), .bytes32(next.digest))
        }
        environment.state[key] = record
    }

    private static func change(_ record: inout EpochRecord, _ environment: inout Environment) {
        let epoch = record.epoch.next, time = environment.block.time
        guard let next = environment.state[committeeKey(epoch)] else { preconditionFailure("epoch.next: the committee of epoch \(epoch) was not read") }
        // Who equivocated in an epoch pays while what it had at stake then is bound.
        var past = record.past + [.init(epoch: record.epoch, last: CommitIndex(environment.block.number), ended: time)]
        for ended in past where ended.ended.advanced(by: environment.rules.unbondingMilliseconds) < time { environment.state[committeeKey(ended.epoch)] = nil }
        past.removeAll { $0.ended.advanced(by: environment.rules.unbondingMilliseconds) < time }
        record = EpochRecord(next, after: CommitIndex(environment.block.number), began: time, past: past)
        environment.emit(Staking.epochChanged, from: ContractAddress.staking, .uint(epoch.rawValue), .bytes32(next.digest), .uint(UInt64(next.size)))
    }

    /// Those with the least stake or more and no tombstone; the ones with most where they are too many, in the order in which they registered.
    /// If nobody is left, the committee stays as it is: a ledger without one could never have one again.
    private static func nextCommittee(after record: EpochRecord, _ environment: Environment) -> Committee {
        let registered = (environment.state[Staking.validators]?.addresses ?? []).compactMap { environment.state[Staking.validatorKey($0)] }
        let fit = registered.enumerated().filter { !$1.isTombstoned && $1.stake >= environment.rules.validatorMinimumStake && Stake(wholeTokensOf: $1.stake) > Stake(0) }
        let most = fit.sorted { ($1.element.stake, $0.offset) < ($0.element.stake, $1.offset) }.prefix(Limits.committeeSize).sorted { $0.offset < $1.offset }
        let members = most.compactMap { _, staker in
            environment.state[Staking.keysKey(staker.owner)].map { Committee.Member(owner: staker.owner, consensusKey: $0.consensusKey, networkKey: $0.networkKey, stake: Stake(wholeTokensOf: staker.stake)) }
        }
        if let next = try? Committee(epoch: record.epoch.next, members: members) { return next }
        guard let last = environment.state[committeeKey(record.epoch)], let same = try? Committee(epoch: record.epoch.next, members: last.members) else {
            preconditionFailure("epoch.committee: epoch \(record.epoch) has none")
        }
        return same
    }
}

/// The epoch under way: seats and weights, without the keys, which few ask for.
struct EpochRecord: Hashable, Sendable, CanonicalCodable {
    struct Seat: Hashable, Sendable, CanonicalCodable {
        var owner: Address
        var stake: Stake
        init(owner: Address, stake: Stake) { (self.owner, self.stake) = (owner, stake) }
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(owner)
            encoder.append(stake)
        }
        init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            owner = try decoder.value()
            stake = try decoder.value()
        }
    }
    /// The next committee is known; what is missing is that a quorum knows it.
    struct Closing: Hashable, Sendable, CanonicalCodable {
        var at: CommitIndex
        var seen: [AuthorityIndex]
        init(at: CommitIndex, seen: [AuthorityIndex] = []) { (self.at, self.seen) = (at, seen) }
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(at)
            encoder.append(seen)
        }
        init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            at = try decoder.value()
            seen = try decoder.array(limit: Limits.committeeSize)
        }
    }
    struct Past: Hashable, Sendable, CanonicalCodable {
        var epoch: Epoch
        var last: CommitIndex
        var ended: Instant
        init(epoch: Epoch, last: CommitIndex, ended: Instant) { (self.epoch, self.last, self.ended) = (epoch, last, ended) }
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(epoch)
            encoder.append(last)
            encoder.append(ended)
        }
        init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            epoch = try decoder.value()
            last = try decoder.value()
            ended = try decoder.value()
        }
    }
    var epoch: Epoch
    /// The last commit of the epoch before.
    var after: CommitIndex
    var began: Instant
    var seats: [Seat]
    var closing: Closing?
    /// Epochs whose committees are kept, oldest first.
    var past: [Past]

    init(_ committee: Committee, after: CommitIndex, began: Instant, past: [Past] = []) {
        (epoch, self.after, self.began, self.past) = (committee.epoch, after, began, past)
        seats = committee.members.map { Seat(owner: $0.owner, stake: $0.stake) }
    }
    var total: UInt64 { seats.reduce(0) { $0 + $1.stake.rawValue } }
    /// More than two thirds, as `Committee.quorum`.
    var quorum: UInt64 { total * 2 / 3 + 1 }

    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(epoch)
        encoder.append(after)
        encoder.append(began)
        encoder.append(seats)
        encoder.append(optional: closing)
        encoder.append(past)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        epoch = try decoder.value()
        after = try decoder.value()
        began = try decoder.value()
        seats = try decoder.array(limit: Limits.committeeSize)
        closing = try decoder.optional()
        past = try decoder.array(limit: 1 << 20)
    }
}

extension Environment {
    var epochRecord: EpochRecord {
        guard let record = state[Epochs.key] else { preconditionFailure("epoch.exists: every ledger has the epoch that it began with") }
        return record
    }
    /// The committee's members with their stakes, by seat.
    var validators: [StakerRecord] { epochRecord.seats.compactMap { state[Staking.validatorKey($0.owner)] } }
    /// Those of them that may be drawn, waited for and paid.
    var validatorsAtWork: [StakerRecord] { validators.filter { !$0.isTombstoned } }

    /// Weight in the committee of some of its members; others weigh nothing. It stands for the whole epoch: a tombstoned one counts until the end, that
    /// fewer than a third is faulty holds with it.
    func stake(of members: some Sequence<Address>) -> UInt64 {
        let seats = epochRecord.seats
        return members.reduce(0) { sum, member in sum + (seats.first { $0.owner == member }?.stake.rawValue ?? 0) }
    }
    func isQuorum(_ stake: UInt64) -> Bool { stake >= epochRecord.quorum }
    /// At least a third.
    func isThird(_ stake: UInt64) -> Bool { stake >= (epochRecord.total + 2) / 3 }
}

extension Ledger {
    public var epoch: Epoch { committee.epoch }
    /// The committee that comes after this one, once it is known.
    public var nextCommittee: Committee? { state[Epochs.committeeKey(epoch.next)] }
    /// Of the epoch under way, the next once it is known, and those whose stakes are still bound.
    public func committee(of epoch: Epoch) -> Committee? { state[Epochs.committeeKey(epoch)] }
    public func lastCommit(of epoch: Epoch) -> CommitIndex? { state[Epochs.key]?.past.last { $0.epoch == epoch }?.last }
    /// The last commit of the epoch before this one; 0 in the first.
    public var epochAfter: CommitIndex { state[Epochs.key]?.after ?? CommitIndex(0) }
    /// The commit with which this epoch began to close; nil while it goes on.
    public var closingSince: CommitIndex? { state[Epochs.key]?.closing?.at }
}
