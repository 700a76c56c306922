import AssayCrypto
import AssayPrimitives

/// The authorities of one epoch, their keys and their weights. Seats are in the order of the list.
public struct Committee: Hashable, Sendable, CanonicalCodable {
    public struct Member: Hashable, Sendable, CanonicalCodable {
        /// The owner's account: who is paid and slashed.
        public let owner: Address
        public let consensusKey: PublicKey
        /// SHA-256 of the TLS key's SubjectPublicKeyInfo.
        public let networkKey: Digest
        public let stake: Stake

        public init(owner: Address, consensusKey: PublicKey, networkKey: Digest, stake: Stake) {
            self.owner = owner
            self.consensusKey = consensusKey
            self.networkKey = networkKey
            self.stake = stake
        }
        public func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(owner)
            encoder.append(consensusKey)
            encoder.append(networkKey)
            encoder.append(stake)
        }
        public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            owner = try decoder.value()
            consensusKey = try decoder.value()
            networkKey = try decoder.value()
            stake = try decoder.value()
        }
    }

    /// Why a list of members is no committee.
    public enum Invalid: Error, Hashable, Sendable { case empty, tooLarge(Int), stakeOverflow, noStake(AuthorityIndex), sharedKey(AuthorityIndex) }

    public let epoch: Epoch
    public let members: [Member]
    public let totalStake: Stake

    public init(epoch: Epoch, members: [Member]) throws(Invalid) {
        guard !members.isEmpty else { throw .empty }
        guard members.count <= Limits.committeeSize else { throw .tooLarge(members.count) }
        var total: UInt64 = 0
        var keys: Set<PublicKey> = []
        for (index, member) in members.enumerated() {
            guard member.stake.rawValue > 0 else { throw .noStake(AuthorityIndex(index)) }
            guard keys.insert(member.consensusKey).inserted else { throw .sharedKey(AuthorityIndex(index)) }
            let (sum, over) = total.addingReportingOverflow(member.stake.rawValue)
            // A quarter of the range: three times the total must not overflow either.
            guard !over, sum < UInt64.max / 4 else { throw .stakeOverflow }
            total = sum
        }
        self.epoch = epoch
        self.members = members
        totalStake = Stake(total)
    }

    public var size: Int { members.count }
    public var indices: [AuthorityIndex] { members.indices.map { AuthorityIndex($0) } }

    /// More than two thirds: floor(2S/3) + 1.
    public var quorum: Stake { Stake(totalStake.rawValue * 2 / 3 + 1) }
    /// At least one honest authority among any with this much: ceil(S/3).
    public var validity: Stake { Stake((totalStake.rawValue + 2) / 3) }

    /// What events and proofs name it by.
    public var digest: Digest { Digest.tagged("assay/committee/1") { $0.append(self) } }

    /// The seat of an owner; nil for one who has none.
    public func seat(of owner: Address) -> AuthorityIndex? { members.firstIndex { $0.owner == owner }.map { AuthorityIndex($0) } }

    public func contains(_ authority: AuthorityIndex) -> Bool { authority.index < members.count }

    /// - Precondition: `contains(authority)`.
    public func stake(_ authority: AuthorityIndex) -> Stake { members[authority.index].stake }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(epoch)
        encoder.append(members)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        let epoch = try decoder.value(Epoch.self)
        let members = try decoder.array(of: Member.self, limit: Limits.committeeSize)
        do { self = try Committee(epoch: epoch, members: members) } catch { throw .invalidValue(field: "committee", value: UInt64(members.count)) }
    }
}

/// Authorities counted once each, whatever the number of their blocks or votes.
public struct StakeTally: Sendable {
    public private(set) var voters: Set<AuthorityIndex> = []
    public private(set) var stake = Stake(0)
    private let committee: Committee

    public init(_ committee: Committee) { self.committee = committee }

    /// Adds an authority's stake unless it is counted already.
    public mutating func add(_ authority: AuthorityIndex) {
        guard committee.contains(authority), voters.insert(authority).inserted else { return }
        stake = stake.advanced(by: committee.stake(authority).rawValue)
    }
    public var hasQuorum: Bool { stake >= committee.quorum }
    public var hasValidity: Bool { stake >= committee.validity }
}

extension Stake {
    /// Weight of an amount of wei: its whole tokens, at most a share of the range that no committee's total overflows with.
    public init(wholeTokensOf wei: U256) {
        let tokens = (try? wei.dividedBy(U256(1_000_000_000_000_000_000 as UInt64)))?.quotient.uint64 ?? .max
        self.init(min(tokens, UInt64.max / 4 / UInt64(Limits.committeeSize + 1)))
    }
}
