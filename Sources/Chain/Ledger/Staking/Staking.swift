import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Who has tokens at stake, and who works for them. Law: `Contracts/Staking`.
enum Staking {
    static func validatorKey(_ owner: Address) -> StateKey<StakerRecord> { StateKey("validator", owner.bytes) }
    static func trainerKey(_ owner: Address) -> StateKey<StakerRecord> { StateKey("trainer", owner.bytes) }
    /// A validator's keys besides its node key.
    static func keysKey(_ owner: Address) -> StateKey<ValidatorRecord> { StateKey("validator-keys", owner.bytes) }
    /// Whose a consensus key or a network key is, for ever: one key in two seats would be two votes of one, or two that cannot be told apart.
    static func consensusIdentityKey(_ key: PublicKey) -> StateKey<IdentityRecord> { StateKey("consensus-identity", key.bytes) }
    static func networkIdentityKey(_ key: Digest) -> StateKey<IdentityRecord> { StateKey("network-identity", key.bytes) }
    static func identityKey(_ nodeKey: Address) -> StateKey<IdentityRecord> { StateKey("identity", nodeKey.bytes) }
    static let validators = StateKey<AddressList>("validators")
    static let trainers = StateKey<AddressList>("trainers")
    static let tombstones = StateKey<TombstoneList>("tombstones")

    static let validatorRegistered = EventSignature("ValidatorRegistered(address indexed owner, address indexed nodeKey, bytes consensusKey, bytes32 networkKey, bytes32 logKey, bytes32 beaconTip, uint16 commissionBps, string endpoint, uint256 stake)")
    static let commissionChanged = EventSignature("CommissionChanged(address indexed owner, uint16 commissionBps)")
    static let beaconRenewed = EventSignature("BeaconRenewed(address indexed owner, bytes32 tip)")
    static let epochClosing = EventSignature("EpochClosing(uint64 indexed epoch, bytes32 nextCommittee)")
    static let epochChanged = EventSignature("EpochChanged(uint64 indexed epoch, bytes32 committee, uint256 members)")
    static let trainerRegistered = EventSignature("TrainerRegistered(address indexed owner, address indexed nodeKey, string name, uint256 stake)")
    static let nodeKeyChanged = EventSignature("NodeKeyChanged(address indexed owner, address indexed nodeKey)")
    static let withdrawAddressChanged = EventSignature("WithdrawAddressChanged(address indexed owner, address indexed to)")
    static let stakeAdded = EventSignature("StakeAdded(address indexed staker, uint256 amount, uint256 stake)")
    static let unstakeBegun = EventSignature("UnstakeBegun(address indexed staker, uint256 amount, uint64 available)")
    static let withdrawn = EventSignature("Withdrawn(address indexed staker, uint256 amount)")
    static let jailed = EventSignature("Jailed(address indexed staker, uint16 indexed rule, uint64 indexed window, uint64 until)")
    static let unjailed = EventSignature("Unjailed(address indexed staker, uint64 indexed window)")
    static let tombstoned = EventSignature("Tombstoned(address indexed staker, uint16 indexed rule, uint64 epoch, uint64 round)")
    static let slashed = EventSignature("Slashed(address indexed staker, uint16 indexed rule, uint64 indexed window, bytes32 run, uint256 amount, bytes32 evidence)")

    static let contract = NativeContract(
        "Staking", ContractAddress.staking,
        functions: [
            NativeFunction("registerValidator(address nodeKey,bytes consensusKey,bytes32 networkKey,bytes32 logKey,bytes32 beaconTip,uint16 commissionBps,string endpoint,bytes proofs)", payable: true, gas: 200_000, registerValidator),
            NativeFunction("renewBeacon(bytes32 tip)", gas: 20_000, renewBeacon),
            NativeFunction("setCommission(uint16 commissionBps)", gas: 20_000, setCommission),
            NativeFunction("registerTrainer(address nodeKey,string name,bytes proof)", payable: true, gas: 100_000, registerTrainer),
            NativeFunction("setNodeKey(address nodeKey,bytes proof)", gas: 50_000, setNodeKey),
            NativeFunction("setEndpoint(string endpoint)", gas: 20_000, setEndpoint),
            NativeFunction("setWithdrawAddress(address to)", gas: 20_000, setWithdrawAddress),
            NativeFunction("unjail()", gas: 30_000, unjail),
            NativeFunction("addStake()", payable: true, gas: 20_000, addStake),
            NativeFunction("beginUnstake(uint256 amount)", gas: 30_000, beginUnstake),
            NativeFunction("withdraw()", gas: 30_000, withdraw),
            NativeFunction("reportEquivocation(bytes first,bytes second)", gas: 100_000, reportEquivocation),
            NativeFunction("validator(address owner)(address nodeKey,uint256 stake,bytes32 beaconTip,string endpoint)", view: true) { environment, arguments in
                guard let record = environment.state[validatorKey(arguments[0].asAddress)] else { throw Revert("NotRegistered(address)", arguments[0]) }
                return [.address(record.nodeKey), .uint(record.stake), .bytes32(record.beaconTip), .string(record.endpoint)]
            },
            NativeFunction("trainer(address owner)(address nodeKey,uint256 stake,string name,uint64 jailedUntil)", view: true) { environment, arguments in
                guard let record = environment.state[trainerKey(arguments[0].asAddress)] else { throw Revert("NotRegistered(address)", arguments[0]) }
                let member = environment.state[Runs.memberKey(record.owner)]
                return [.address(record.nodeKey), .uint(record.stake), .string(record.name), .uint(member?.jailedUntil?.rawValue ?? 0)]
            },
            NativeFunction("stakeOf(address staker)(uint256 stake)", view: true) { environment, arguments in [.uint(environment.staker(arguments[0].asAddress)?.stake ?? 0)] },
            NativeFunction("withdrawAddressOf(address staker)(address to)", view: true) { environment, arguments in [.address(environment.payee(arguments[0].asAddress))] },
            NativeFunction("unbonding(address staker)(uint256[] amounts,uint64[] available)", view: true) { environment, arguments in
                let entries = environment.staker(arguments[0].asAddress)?.unbonding ?? []
                return [.array(entries.map { .uint($0.amount) }), .array(entries.map { .uint($0.available.rawValue) })]
            },
            NativeFunction("validators(uint256 cursor,uint256 limit)(address[] owners)", view: true) { environment, arguments in page(environment.state[validators], arguments) },
            NativeFunction("trainers(uint256 cursor,uint256 limit)(address[] owners)", view: true) { environment, arguments in page(environment.state[trainers], arguments) },
            NativeFunction("totalStake()(uint256 stake)", view: true) { environment, _ in
                [.uint(try (environment.state[validators]?.addresses ?? []).reduce(U256.zero) { try $0.adding(environment.state[validatorKey($1)]?.stake ?? 0) })]
            },
            NativeFunction("epoch()(uint64 epoch)", view: true) { environment, _ in [.uint(environment.epochRecord.epoch.rawValue)] },
            NativeFunction("committee()(uint64 epoch,address[] owners,uint256[] weights)", view: true) { environment, _ in
                let record = environment.epochRecord
                return [.uint(record.epoch.rawValue), .array(record.seats.map { .address($0.owner) }), .array(record.seats.map { .uint($0.stake.rawValue) })]
            },
        ],
        events: [validatorRegistered, commissionChanged, beaconRenewed, epochClosing, epochChanged, trainerRegistered, nodeKeyChanged, withdrawAddressChanged, stakeAdded, unstakeBegun, withdrawn, jailed, unjailed, tombstoned, slashed],
        errors: [
            "AlreadyRegistered(address owner)", "NotRegistered(address owner)", "NodeKeyTaken(address nodeKey)", "NodeKeyIsOwner(address nodeKey)", "WrongProof(address signer, address nodeKey)",
            "StakeTooLow(uint256 sent, uint256 minimum)", "NameTooLong(uint256 bytes, uint256 limit)", "EndpointTooLong(uint256 bytes, uint256 limit)", "AmountTooLarge(uint256 amount, uint256 stake)", "NothingToWithdraw(uint64 next)",
            "TooManyUnbonding(uint256 limit)", "RegistryFull(uint256 limit)", "StakeInUse(uint256 rest, uint256 minimum)", "WrongPayee(address to)", "NotJailed(address staker)", "StillJailed(uint64 until)", "WrongEvidence(string reason)", "KeyTaken(string key)", "WrongKey(string key)", "CommissionTooHigh(uint256 commissionBps, uint256 limit)", "NotAValidator(address sender)", "StillSeated(uint64 epoch)", "BeaconInUse(uint64 window)", "AlreadyTombstoned(address staker)", "UnknownFunction(bytes4 selector)", "NotPayable(uint256 value)", "WrongArguments(string reason)", "Arithmetic(string reason)",
        ])

    static func page(_ list: AddressList?, _ arguments: [ABIValue]) -> [ABIValue] {
        let all = list?.addresses ?? []
        let cursor = Int(min(arguments[0].asUInt64, UInt64(all.count))), limit = Int(min(arguments[1].asUInt64, 100))
        return [.array(all[cursor..<min(all.count, cursor + limit)].map { .address($0) })]
    }

    /// The validators that the network begins with.
    static func bond(_ validator: Genesis.Validator, _ state: inout WorldState) {
        state[validatorKey(validator.owner)] = StakerRecord(
            role: .validator, owner: validator.owner, nodeKey: validator.nodeKey, name: "", endpoint: validator.endpoint, stake: validator.stake, beaconTip: validator.beaconTip)
        state[keysKey(validator.owner)] = ValidatorRecord(consensusKey: validator.consensusKey, networkKey: validator.networkKey)
        state[consensusIdentityKey(validator.consensusKey)] = IdentityRecord(owner: validator.owner)
        state[networkIdentityKey(validator.networkKey)] = IdentityRecord(owner: validator.owner)
        state[identityKey(validator.nodeKey)] = IdentityRecord(owner: validator.owner)
        var list = state[validators] ?? AddressList()
        list.addresses.append(validator.owner)
        state[validators] = list
        // Invariant staking.backed: the contract's account holds what is staked and unbonding, to the unit.
        var account = state[Account.key(contract.address)] ?? Account()
        account.balance = (try? account.balance.adding(validator.stake)) ?? .max
        state[Account.key(contract.address)] = account
    }

    // MARK: Functions

    @Sendable private static func registerTrainer(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        let owner = environment.sender, nodeKey = arguments[0].asAddress, name = arguments[1].asString
        guard environment.staker(owner) == nil else { throw Revert("AlreadyRegistered(address)", .address(owner)) }
        guard environment.value >= environment.rules.trainerMinimumStake else { throw Revert("StakeTooLow(uint256,uint256)", .uint(environment.value), .uint(environment.rules.trainerMinimumStake)) }
        guard name.utf8.count <= Limits.nameBytes else { throw Revert("NameTooLong(uint256,uint256)", .uint(UInt64(name.utf8.count)), .uint(UInt64(Limits.nameBytes))) }
        try takeNodeKey(nodeKey, for: owner, proof: arguments[2].asBytes, &environment)
        environment.state[trainerKey(owner)] = StakerRecord(role: .trainer, owner: owner, nodeKey: nodeKey, name: name, endpoint: "", stake: environment.value)
        var list = environment.state[trainers] ?? AddressList()
        guard list.addresses.count < AddressList.limit else { throw Revert("RegistryFull(uint256)", .uint(UInt64(AddressList.limit))) }
        list.addresses.append(owner)
        environment.state[trainers] = list
        environment.emit(trainerRegistered, from: contract.address, .address(owner), .address(nodeKey), .string(name), .uint(environment.value))
        return []
    }

    @Sendable private static func setNodeKey(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.ownStake()
        try takeNodeKey(arguments[0].asAddress, for: record.owner, proof: arguments[1].asBytes, &environment)
        record.nodeKey = arguments[0].asAddress
        environment.setStaker(record)
        environment.emit(nodeKeyChanged, from: contract.address, .address(record.owner), arguments[0])
        return []
    }

    /// A key belongs to one identity for ever: jail is not dodged by changing keys, and nobody squats another's.
    static func takeNodeKey(_ nodeKey: Address, for owner: Address, proof: [UInt8], _ environment: inout Environment) throws {
        guard nodeKey != owner else { throw Revert("NodeKeyIsOwner(address)", .address(nodeKey)) }
        guard environment.state[identityKey(nodeKey)] == nil, environment.staker(nodeKey) == nil else { throw Revert("NodeKeyTaken(address)", .address(nodeKey)) }
        let signer = NodeKeyProof.signer(proof, owner: owner, genesis: environment.domain) ?? .zero
        guard signer == nodeKey else { throw Revert("WrongProof(address,address)", .address(signer), .address(nodeKey)) }
        environment.state[identityKey(nodeKey)] = IdentityRecord(owner: owner)
    }

    @Sendable private static func setEndpoint(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.ownStake()
        let endpoint = arguments[0].asString
        guard endpoint.utf8.count <= Limits.endpointBytes else { throw Revert("EndpointTooLong(uint256,uint256)", .uint(UInt64(endpoint.utf8.count)), .uint(UInt64(Limits.endpointBytes))) }
        record.endpoint = endpoint
        environment.setStaker(record)
        return []
    }

    /// Never to a contract or a node key: neither could spend it.
    @Sendable private static func setWithdrawAddress(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.ownStake()
        let to = arguments[0].asAddress
        guard to != .zero, NativeContract.at(to) == nil, environment.state[identityKey(to)] == nil else { throw Revert("WrongPayee(address)", arguments[0]) }
        record.withdrawAddress = to == record.owner ? nil : to
        environment.setStaker(record)
        environment.emit(withdrawAddressChanged, from: contract.address, .address(record.owner), arguments[0])
        return []
    }

    /// A trainer whose time is up says so: its term ends by itself, and this clears it from its record.
    @Sendable private static func unjail(_ environment: inout Environment, _: [ABIValue]) throws -> [ABIValue] {
        let owner = environment.sender
        guard var member = environment.state[Runs.memberKey(owner)], let until = member.jailedUntil else { throw Revert("NotJailed(address)", .address(owner)) }
        let next = Window(environment.state[Runs.key]?.openings ?? 0)
        guard !member.isJailed(at: next) else { throw Revert("StillJailed(uint64)", .uint(until.rawValue)) }
        member.jailedUntil = nil
        environment.state[Runs.memberKey(owner)] = member
        environment.emit(unjailed, from: contract.address, .address(owner), .uint(next.rawValue))
        return []
    }

    @Sendable private static func addStake(_ environment: inout Environment, _: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.ownStake()
        record.stake = try record.stake.adding(environment.value)
        environment.setStaker(record)
        environment.emit(stakeAdded, from: contract.address, .address(record.owner), .uint(environment.value), .uint(record.stake))
        return []
    }

    @Sendable private static func beginUnstake(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.ownStake()
        let amount = arguments[0].asUInt
        guard !amount.isZero, amount <= record.stake else { throw Revert("AmountTooLarge(uint256,uint256)", .uint(amount), .uint(record.stake)) }
        guard record.unbonding.count < StakerRecord.unbondingEntries else { throw Revert("TooManyUnbonding(uint256)", .uint(UInt64(StakerRecord.unbondingEntries))) }
        let available = environment.block.time.advanced(by: environment.rules.unbondingMilliseconds)
        record.stake = try record.stake.subtracting(amount)
        // Who trains in the run answers for it with its stake; first it leaves. A validator with too little is out of the next committee, and
        // what it takes out is bound until then.
        if let minimum = environment.minimumStake(of: record), record.stake < minimum { throw Revert("StakeInUse(uint256,uint256)", .uint(record.stake), .uint(minimum)) }
        record.unbonding.append(Unbonding(amount: amount, available: available, epoch: environment.epochRecord.epoch))
        environment.setStaker(record)
        environment.emit(unstakeBegun, from: contract.address, .address(record.owner), .uint(amount), .uint(available.rawValue))
        return []
    }

    @Sendable private static func withdraw(_ environment: inout Environment, _: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.ownStake()
        let now = environment.block.time, epoch = environment.epochRecord.epoch
        func isReady(_ entry: Unbonding) -> Bool { entry.available <= now && (entry.epoch < epoch || !isSeated || environment.genesis.epochMilliseconds == 0) }
        let isSeated = record.role == .validator && environment.epochRecord.seats.contains { $0.owner == record.owner }
        let ready = record.unbonding.filter(isReady)
        guard !ready.isEmpty else {
            if record.unbonding.contains(where: { $0.available <= now }) { throw Revert("StillSeated(uint64)", .uint(epoch.rawValue)) }
            throw Revert("NothingToWithdraw(uint64)", .uint(record.unbonding.map(\.available.rawValue).min() ?? 0))
        }
        let amount = try ready.reduce(U256.zero) { try $0.adding($1.amount) }
        record.unbonding.removeAll(where: isReady)
        environment.setStaker(record)
        try environment.debit(contract.address, amount)
        try environment.credit(environment.payee(record.owner), amount)
        environment.emit(withdrawn, from: contract.address, .address(record.owner), .uint(amount))
        return []
    }
}

extension Environment {
    func staker(_ owner: Address) -> StakerRecord? { state[Staking.validatorKey(owner)] ?? state[Staking.trainerKey(owner)] }
    mutating func setStaker(_ record: StakerRecord) {
        state[record.role == .validator ? Staking.validatorKey(record.owner) : Staking.trainerKey(record.owner)] = record
    }
    /// Whose account a staker's tokens go to.
    func payee(_ owner: Address) -> Address { staker(owner)?.withdrawAddress ?? owner }
    /// What a staker answers with: bonded, and unbonding until it is withdrawn.
    func slashable(_ owner: Address) -> U256 {
        guard let record = staker(owner) else { return 0 }
        return record.unbonding.reduce(record.stake) { (try? $0.adding($1.amount)) ?? $0 }
    }
    /// What a staker at work may not go below by its own will; nil for one that is not at work.
    func minimumStake(of record: StakerRecord) -> U256? {
        switch record.role {
        // Where the committee never changes, who sits in it keeps the least stake.
        case .validator: genesis.epochMilliseconds == 0 && !record.isTombstoned && validators.contains { $0.owner == record.owner } ? rules.validatorMinimumStake : nil
        case .trainer: isMember(record.owner) && state[Runs.key]?.isOver == false ? rules.trainerMinimumStake : nil
        }
    }
    func ownStake() throws -> StakerRecord {
        guard let record = staker(sender) else { throw Revert("NotRegistered(address)", .address(sender)) }
        return record
    }

    /// Takes tokens from a staker, bonded ones first, then unbonding; no more than there are. They go to the treasury.
    /// - Returns: what was taken.
    @discardableResult
    mutating func slash(_ owner: Address, _ amount: U256, rule: UInt16, window: Window, evidence: Digest) -> U256 {
        guard var record = staker(owner) else { return 0 }
        var rest = amount
        func take(_ from: inout U256) {
            let part = min(from, rest)
            from = (try? from.subtracting(part)) ?? 0
            rest = (try? rest.subtracting(part)) ?? 0
        }
        take(&record.stake)
        for index in record.unbonding.indices { take(&record.unbonding[index].amount) }
        let taken = (try? amount.subtracting(rest)) ?? 0
        setStaker(record)
        do { try debit(ContractAddress.staking, taken) } catch { preconditionFailure("staking.backed: \(taken) were staked by \(owner) and are not there") }
        Rewards.toTreasury(taken, &self)
        emit(Staking.slashed, from: ContractAddress.staking, .address(owner), .uint(UInt64(rule)), .uint(window.rawValue), .bytes32(run), .uint(taken), .bytes32(evidence))
        return taken
    }
}

/// That a node key agrees to work for an owner: its EIP-191 signature over keccak("assay/node-key" ‖ genesis digest ‖ owner).
public enum NodeKeyProof {
    /// What a wallet's `personal_sign` is given.
    public static func message(owner: Address, genesis: Digest) -> [UInt8] { keccak256(Array("assay/node-key".utf8) + genesis.bytes + owner.bytes) }

    public static func make(_ key: KeyPair, owner: Address, genesis: Digest) -> [UInt8] {
        let signature = key.sign(hash: personal(message(owner: owner, genesis: genesis)))
        return Array(signature.bytes.dropLast()) + [27 + signature.recovery]
    }
    static func signer(_ proof: [UInt8], owner: Address, genesis: Digest) -> Address? { signer(proof, of: message(owner: owner, genesis: genesis))?.address }

    fileprivate static func signer(_ proof: [UInt8], of message: [UInt8]) -> PublicKey? {
        guard proof.count == 65, let v = proof.last, v < 2 || v == 27 || v == 28 else { return nil }
        return try? PublicKey.recover(Signature(bytes: proof.dropLast() + [v >= 27 ? v - 27 : v]), hash: personal(message))
    }
    fileprivate static func personal(_ message: [UInt8]) -> [UInt8] { keccak256(Array("\u{19}Ethereum Signed Message:\n\(message.count)".utf8) + message) }
}

/// That a consensus key agrees to sign an owner's blocks: as `NodeKeyProof`, over keccak("assay/consensus-key" ‖ genesis digest ‖ owner).
public enum ConsensusKeyProof {
    static func message(owner: Address, genesis: Digest) -> [UInt8] { keccak256(Array("assay/consensus-key".utf8) + genesis.bytes + owner.bytes) }

    public static func make(_ key: KeyPair, owner: Address, genesis: Digest) -> [UInt8] {
        let signature = key.sign(hash: NodeKeyProof.personal(message(owner: owner, genesis: genesis)))
        return Array(signature.bytes.dropLast()) + [27 + signature.recovery]
    }
    static func signer(_ proof: [UInt8], owner: Address, genesis: Digest) -> PublicKey? { NodeKeyProof.signer(proof, of: message(owner: owner, genesis: genesis)) }
}
