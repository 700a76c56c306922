import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Tokens on their way out: slashable until they are withdrawn.
public struct Unbonding: Hashable, Sendable, CanonicalCodable {
    public var amount: U256
    public var available: Instant
    /// In which it was begun: a seat's weight is backed until its epoch ends.
    public var epoch: Epoch
    init(amount: U256, available: Instant, epoch: Epoch) { (self.amount, self.available, self.epoch) = (amount, available, epoch) }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(amount)
        encoder.append(available)
        encoder.append(epoch)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        amount = try decoder.u256()
        available = try decoder.value()
        epoch = try decoder.value()
    }
}

/// A staked identity: its owner's account, the node key that works for it, and its stake.
public struct StakerRecord: Hashable, Sendable, CanonicalCodable {
    public enum Role: UInt8, Sendable { case validator = 1, trainer = 2 }
    public var role: Role
    public var owner: Address
    public var nodeKey: Address
    public var name: String
    public var endpoint: String
    /// Wei, without what is unbonding.
    public var stake: U256
    public var unbonding: [Unbonding]
    /// Validators only.
    public var beaconTip: Digest
    /// Where stake and rewards are paid to; nil for the owner's own account.
    public var withdrawAddress: Address?
    /// It made two blocks for one slot: it is drawn and paid no more.
    public var isTombstoned = false

    static let unbondingEntries = 7

    public init(role: Role, owner: Address, nodeKey: Address, name: String, endpoint: String, stake: U256, beaconTip: Digest = .zero) {
        (self.role, self.owner, self.nodeKey, self.name, self.endpoint, self.stake, self.beaconTip) = (role, owner, nodeKey, name, endpoint, stake, beaconTip)
        unbonding = []
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(role.rawValue)
        encoder.append(owner)
        encoder.append(nodeKey)
        encoder.append(name)
        encoder.append(endpoint)
        encoder.append(stake)
        encoder.append(unbonding)
        encoder.append(beaconTip)
        encoder.append(optional: withdrawAddress)
        encoder.append(isTombstoned)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        role = try decoder.choice("role")
        owner = try decoder.value()
        nodeKey = try decoder.value()
        name = try decoder.text(limit: Limits.nameBytes)
        endpoint = try decoder.text(limit: Limits.endpointBytes)
        stake = try decoder.u256()
        unbonding = try decoder.array(limit: StakerRecord.unbondingEntries)
        beaconTip = try decoder.value()
        withdrawAddress = try decoder.optional()
        isTombstoned = try decoder.bool()
    }
}

/// A validator's other keys, apart from what every duty reads.
struct ValidatorRecord: Hashable, Sendable, CanonicalCodable {
    var consensusKey: PublicKey
    /// SHA-256 of the TLS key's SubjectPublicKeyInfo.
    var networkKey: Digest
    /// Ed25519, for the log's checkpoints; zero for none yet.
    var logKey: Digest
    /// Of what delegators earn, in ten-thousandths.
    var commission: UInt16
    static let commissionLimit: UInt16 = 10_000

    init(consensusKey: PublicKey, networkKey: Digest, logKey: Digest = .zero, commission: UInt16 = 0) {
        (self.consensusKey, self.networkKey, self.logKey, self.commission) = (consensusKey, networkKey, logKey, commission)
    }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(consensusKey)
        encoder.append(networkKey)
        encoder.append(logKey)
        encoder.append(commission)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        consensusKey = try decoder.value()
        networkKey = try decoder.value()
        logKey = try decoder.value()
        commission = try decoder.uint16()
        guard commission <= ValidatorRecord.commissionLimit else { throw .invalidValue(field: "commission", value: UInt64(commission)) }
    }
}

/// Whose a node key is, for ever.
struct IdentityRecord: Hashable, Sendable, CanonicalCodable {
    var owner: Address
    init(owner: Address) { self.owner = owner }
    func encode(into encoder: inout CanonicalEncoder) { encoder.append(owner) }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) { owner = try decoder.value() }
}

/// Who was tombstoned, when, and with how much at stake: what makes the next fault in the same span of time dearer.
struct TombstoneList: Hashable, Sendable, CanonicalCodable {
    struct Entry: Hashable, Sendable, CanonicalCodable {
        var staker: Address
        var time: Instant
        var stake: U256
        init(staker: Address, time: Instant, stake: U256) { (self.staker, self.time, self.stake) = (staker, time, stake) }
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(staker)
            encoder.append(time)
            encoder.append(stake)
        }
        init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            staker = try decoder.value()
            time = try decoder.value()
            stake = try decoder.u256()
        }
    }
    var entries: [Entry] = []
    init() {}
    func encode(into encoder: inout CanonicalEncoder) { encoder.append(entries) }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) { entries = try decoder.array(limit: AddressList.limit) }
}

/// Addresses in the order in which they came.
struct AddressList: Hashable, Sendable, CanonicalCodable {
    var addresses: [Address] = []
    static let limit = 100_000
    init() {}
    func encode(into encoder: inout CanonicalEncoder) { encoder.append(addresses) }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) { addresses = try decoder.array(limit: AddressList.limit) }
}
