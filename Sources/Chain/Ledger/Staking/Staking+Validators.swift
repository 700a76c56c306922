import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// How a validator comes, and what it may change. It sits from the next epoch on, if it has the least stake.
extension Staking {
    @Sendable static func registerValidator(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        let owner = environment.sender, nodeKey = arguments[0].asAddress, networkKey = arguments[2].asDigest, endpoint = arguments[6].asString, proofs = arguments[7].asBytes
        guard environment.staker(owner) == nil else { throw Revert("AlreadyRegistered(address)", .address(owner)) }
        guard environment.value >= environment.rules.validatorMinimumStake else { throw Revert("StakeTooLow(uint256,uint256)", .uint(environment.value), .uint(environment.rules.validatorMinimumStake)) }
        guard endpoint.utf8.count <= Limits.endpointBytes else { throw Revert("EndpointTooLong(uint256,uint256)", .uint(UInt64(endpoint.utf8.count)), .uint(UInt64(Limits.endpointBytes))) }
        guard let consensusKey = try? PublicKey(arguments[1].asBytes) else { throw Revert("WrongKey(string)", .string("the consensus key is no compressed secp256k1 point")) }
        guard networkKey != .zero else { throw Revert("WrongKey(string)", .string("there is no network key")) }
        guard proofs.count == 130 else { throw Revert("WrongProof(address,address)", .address(.zero), .address(nodeKey)) }
        let commission = try commission(arguments[5])
        try takeNodeKey(nodeKey, for: owner, proof: Array(proofs.prefix(65)), &environment)
        let signer = ConsensusKeyProof.signer(Array(proofs.suffix(65)), owner: owner, genesis: environment.domain)
        guard signer == consensusKey else { throw Revert("WrongProof(address,address)", .address(signer?.address ?? .zero), .address(consensusKey.address)) }
        guard environment.state[consensusIdentityKey(consensusKey)] == nil else { throw Revert("KeyTaken(string)", .string("consensus")) }
        guard environment.state[networkIdentityKey(networkKey)] == nil else { throw Revert("KeyTaken(string)", .string("network")) }
        var list = environment.state[validators] ?? AddressList()
        guard list.addresses.count < AddressList.limit else { throw Revert("RegistryFull(uint256)", .uint(UInt64(AddressList.limit))) }

        environment.state[consensusIdentityKey(consensusKey)] = IdentityRecord(owner: owner)
        environment.state[networkIdentityKey(networkKey)] = IdentityRecord(owner: owner)
        environment.state[keysKey(owner)] = ValidatorRecord(consensusKey: consensusKey, networkKey: networkKey, logKey: arguments[3].asDigest, commission: commission)
        environment.state[validatorKey(owner)] = StakerRecord(
            role: .validator, owner: owner, nodeKey: nodeKey, name: "", endpoint: endpoint, stake: environment.value, beaconTip: arguments[4].asDigest)
        list.addresses.append(owner)
        environment.state[validators] = list
        environment.emit(validatorRegistered, from: contract.address, .address(owner), .address(nodeKey), arguments[1], arguments[2], arguments[3], arguments[4], arguments[5], .string(endpoint), .uint(environment.value))
        return []
    }

    /// A chain that is used up gets a new one. Not while a beacon is being made that waits for a link of the old one: who has seen the others' links
    /// could choose what comes of them.
    @Sendable static func renewBeacon(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try ownRecord(environment)
        let run = environment.state[Runs.key]
        for number in (run?.settled ?? 0)..<max(run?.settled ?? 0, min(run?.openings ?? 0, environment.lastWindowCount)) {
            guard let window = environment.state[Windows.key(Window(number))], window[.hold].isOpen, !window.attests.contains(where: { $0.validator == record.owner }) else { continue }
            throw Revert("BeaconInUse(uint64)", .uint(number))
        }
        record.beaconTip = arguments[0].asDigest
        environment.setStaker(record)
        environment.emit(beaconRenewed, from: contract.address, .address(record.owner), arguments[0])
        return []
    }

    @Sendable static func setCommission(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        let owner = try ownRecord(environment).owner
        environment.state[keysKey(owner)]?.commission = try commission(arguments[0])
        environment.emit(commissionChanged, from: contract.address, .address(owner), arguments[0])
        return []
    }

    private static func ownRecord(_ environment: Environment) throws -> StakerRecord {
        guard let record = environment.state[validatorKey(environment.sender)] else { throw Revert("NotAValidator(address)", .address(environment.sender)) }
        return record
    }
    private static func commission(_ value: ABIValue) throws -> UInt16 {
        guard value.asUInt64 <= UInt64(ValidatorRecord.commissionLimit) else { throw Revert("CommissionTooHigh(uint256,uint256)", .uint(value.asUInt64), .uint(UInt64(ValidatorRecord.commissionLimit))) }
        return UInt16(value.asUInt64)
    }
}
