import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// What was earned: pending from settlement, mature some windows later, then to be claimed. Law: `Contracts/Rewards`.
enum Rewards {
    /// Why a reward is paid.
    enum Reason { static let aggregated: UInt16 = 1, next: UInt16 = 2, duties: UInt16 = 3, treasury: UInt16 = 4 }

    static let treasury = Address(number: 0x0AFF)
    static func key(_ identity: Address) -> StateKey<RewardRecord> { StateKey("reward", identity.bytes) }

    static let pending = EventSignature("RewardPending(address indexed identity, bytes32 indexed run, uint64 indexed window, uint256 amount, uint16 reason)")
    static let matured = EventSignature("RewardMatured(address indexed identity, bytes32 indexed run, uint64 indexed window, uint256 amount)")
    static let forfeited = EventSignature("RewardForfeited(address indexed identity, bytes32 indexed run, uint64 indexed window, uint256 amount, uint16 rule)")
    static let claimed = EventSignature("Claimed(address indexed identity, uint256 amount)")

    static let contract = NativeContract(
        "Rewards", ContractAddress.rewards,
        functions: [
            NativeFunction("claim()", gas: 40_000, claim),
            NativeFunction("claimable(address identity)(uint256 amount)", view: true) { environment, arguments in [.uint(environment.state[key(arguments[0].asAddress)]?.claimable ?? 0)] },
            NativeFunction("rewardsOf(address identity,uint256 cursor,uint256 limit)(uint64[] windows,uint256[] amounts,uint64[] matures)", view: true) { environment, arguments in
                let entries = environment.state[key(arguments[0].asAddress)]?.pending ?? []
                let cursor = Int(min(arguments[1].asUInt64, UInt64(entries.count))), limit = Int(min(arguments[2].asUInt64, 100))
                let page = entries[cursor..<min(entries.count, cursor + limit)]
                return [.array(page.map { .uint($0.window.rawValue) }), .array(page.map { .uint($0.amount) }), .array(page.map { .uint($0.matures.rawValue) })]
            },
        ],
        events: [pending, matured, forfeited, claimed], errors: ["NothingToClaim(address identity)"])

    @Sendable private static func claim(_ environment: inout Environment, _: [ABIValue]) throws -> [ABIValue] {
        guard var record = environment.state[key(environment.sender)], !record.claimable.isZero else { throw Revert("NothingToClaim(address)", .address(environment.sender)) }
        let amount = record.claimable
        record.claimable = 0
        environment.state[key(environment.sender)] = record
        try environment.credit(environment.payee(environment.sender), amount)
        environment.emit(claimed, from: contract.address, .address(environment.sender), .uint(amount))
        return []
    }

    /// - Returns: the amount, for sums.
    @discardableResult
    static func add(_ identity: Address, _ amount: U256, _ reason: UInt16, _ window: Window, _ environment: inout Environment) -> U256 {
        guard !amount.isZero else { return 0 }
        if identity == treasury {
            toTreasury(amount, &environment)
        } else {
            var record = environment.state[key(identity)] ?? RewardRecord()
            record.pending.append(.init(window: window, matures: window.advanced(by: UInt64(environment.rules.maturity)), amount: amount))
            environment.state[key(identity)] = record
        }
        environment.emit(pending, from: contract.address, .address(identity), .bytes32(environment.run), .uint(window.rawValue), .uint(amount), .uint(UInt64(reason)))
        return amount
    }

    static func toTreasury(_ amount: U256, _ environment: inout Environment) { try? environment.credit(treasury, amount) }

    /// Turns what is due into claimable tokens. A trainer's rewards wait for its first clean replay.
    static func mature(through window: Window, _ environment: inout Environment) {
        let identities = (environment.state[Staking.trainers]?.addresses ?? []) + (environment.state[Staking.validators]?.addresses ?? [])
        for identity in identities {
            guard var record = environment.state[key(identity)], !record.pending.isEmpty else { continue }
            if let member = environment.state[Runs.memberKey(identity)], member.cleanReplays == 0 { continue }
            let due = record.pending.filter { $0.matures <= window }
            guard !due.isEmpty else { continue }
            record.pending.removeAll { $0.matures <= window }
            for entry in due {
                record.claimable = (try? record.claimable.adding(entry.amount)) ?? record.claimable
                environment.emit(matured, from: contract.address, .address(identity), .bytes32(environment.run), .uint(entry.window.rawValue), .uint(entry.amount))
            }
            environment.state[key(identity)] = record
        }
    }
    /// When the run is over nothing is left to wait for.
    static func matureAll(_ environment: inout Environment) { mature(through: Window(.max), &environment) }

    /// Takes all that is pending back, to the treasury.
    /// - Returns: the largest single reward among it.
    @discardableResult
    static func forfeit(_ identity: Address, rule: UInt16, window: Window, _ environment: inout Environment) -> U256 {
        guard var record = environment.state[key(identity)], !record.pending.isEmpty else { return 0 }
        let entries = record.pending
        record.pending = []
        environment.state[key(identity)] = record
        for entry in entries {
            toTreasury(entry.amount, &environment)
            environment.emit(forfeited, from: contract.address, .address(identity), .bytes32(environment.run), .uint(entry.window.rawValue), .uint(entry.amount), .uint(UInt64(rule)))
        }
        return entries.map(\.amount).max() ?? 0
    }
}

struct RewardRecord: Hashable, Sendable, CanonicalCodable {
    struct Pending: Hashable, Sendable, CanonicalCodable {
        var window: Window
        var matures: Window
        var amount: U256
        init(window: Window, matures: Window, amount: U256) { (self.window, self.matures, self.amount) = (window, matures, amount) }
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(window)
            encoder.append(matures)
            encoder.append(amount)
        }
        init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            window = try decoder.value()
            matures = try decoder.value()
            amount = try decoder.u256()
        }
    }
    var claimable: U256 = 0
    var pending: [Pending] = []
    init() {}
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(claimable)
        encoder.append(pending)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        claimable = try decoder.u256()
        pending = try decoder.array(limit: 1_000_000)
    }
}
