import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// The real ledger in a simulated world.
extension Ledger: WorldLedger {
    public var worldHead: LedgerHead { LedgerHead(self) }
    public func seats(of epoch: Epoch) -> [Address] { committee(of: epoch)?.members.map(\.owner) ?? [] }
    /// The header has the state's root, its time and its number.
    public var worldDigest: Digest? { headHash }

    public static func eventNames(_ executed: ExecutedBlock) -> [String] {
        executed.transactions.flatMap(\.logs).compactMap { log in log.topics.first.flatMap { names[$0] } }
    }
    private static let names: [Digest: String] = {
        var names: [Digest: String] = [:]
        for contract in interfaces { for event in contract.events { names[event.topic] = "\(contract.name).\(event.name)" } }
        return names
    }()

    /// Everybody bonds a fixed amount in a world, so who has less was slashed.
    public var slashedIdentities: [Address] {
        let validators = registeredValidators.filter { $0.unbonding.reduce($0.stake) { (try? $0.adding($1.amount)) ?? .max } < WorldGenesis.validatorStake }.map(\.owner)
        let trainers = runStatus.trainers.filter { (staker($0)?.stake ?? 0) < genesis.run.trainerMinimumStake }
        return validators + trainers
    }

    /// Invariant supply.conserved: what all have, in whatever form, is what there was at first and what settled windows paid.
    /// Invariant staking.backed: the contract's account holds what is staked and unbonding.
    public var brokenInvariants: [String] {
        let people = genesis.accounts.map(\.address)
        let treasury = Address(number: 0x0AFF)
        var total = balance(of: treasury), staked = U256.zero
        func add(_ amount: U256, to sum: inout U256) { sum = (try? sum.adding(amount)) ?? .max }
        for person in people {
            for amount in [balance(of: person), claimable(person), pendingRewards(person)] { add(amount, to: &total) }
            guard let record = staker(person) else { continue }
            for amount in [record.stake] + record.unbonding.map(\.amount) { add(amount, to: &staked) }
        }
        add(staked, to: &total)
        var expected = genesis.accounts.reduce(U256.zero) { (try? $0.adding($1.balance)) ?? .max }
        for validator in genesis.validators { expected = (try? expected.adding(validator.stake)) ?? .max }
        expected = (try? genesis.run.emission.multiplied(by: U256(runStatus.settled.rawValue)).adding(expected)) ?? .max
        var broken: [String] = []
        if total != expected { broken.append("supply.conserved: there are \(total) wei where \(expected) should be, after block \(head.number)") }
        let held = balance(of: ContractAddress.staking)
        if held != staked { broken.append("staking.backed: the contract holds \(held) wei where \(staked) are staked, after block \(head.number)") }
        return broken
    }
}

extension WorldGenesis {
    /// The owners' transactions with which the candidates become validators, and with which some validators take out all their stake.
    public var registrations: [[UInt8]] {
        let register = ABIFunction("registerValidator(address,bytes,bytes32,bytes32,bytes32,uint16,string,bytes)")
        return validators.indices.dropFirst(genesis.validators.count).map { seat in
            let person = validators[seat], owner = person.owner.address
            let proofs = NodeKeyProof.make(person.identity.nodeKey, owner: owner, genesis: genesis.digest) + ConsensusKeyProof.make(consensusKeys[seat], owner: owner, genesis: genesis.digest)
            return Transaction.dynamicFee(
                chainID: genesis.chainID, nonce: 0, maxFeePerGas: Ledger.baseFee, gasLimit: 600_000, to: ContractAddress.staking, value: WorldGenesis.validatorStake,
                data: register.call(.address(person.identity.nodeKey.address), .bytes(consensusKeys[seat].publicKey.bytes), .bytes32(WorldGenesis.networkKey(seat)), .bytes32(.zero), .bytes32(beacons[seat].tip),
                                    .uint(0), .string("127.0.0.1:\(30_000 + seat)"), .bytes(proofs)), by: person.owner).raw
        }
    }
    public func departure(of seat: Int) -> [UInt8] {
        Transaction.dynamicFee(chainID: genesis.chainID, nonce: 0, maxFeePerGas: Ledger.baseFee, gasLimit: 200_000, to: ContractAddress.staking, value: 0,
                               data: ABIFunction("beginUnstake(uint256)").call(.uint(genesis.validators[seat].stake)), by: validators[seat].owner).raw
    }

    /// The owners' transactions with which all trainers register and join, in order.
    public var joining: [[UInt8]] {
        let register = ABIFunction("registerTrainer(address,string,bytes)"), join = ABIFunction("joinRun(bytes32)")
        return trainers.enumerated().flatMap { index, trainer in
            let proof = NodeKeyProof.make(trainer.identity.nodeKey, owner: trainer.owner.address, genesis: genesis.digest)
            return [
                Transaction.dynamicFee(chainID: genesis.chainID, nonce: 0, maxFeePerGas: Ledger.baseFee, gasLimit: 400_000, to: ContractAddress.staking, value: genesis.run.trainerMinimumStake,
                                       data: register.call(.address(trainer.identity.nodeKey.address), .string("trainer \(index)"), .bytes(proof)), by: trainer.owner).raw,
                Transaction.dynamicFee(chainID: genesis.chainID, nonce: 1, maxFeePerGas: Ledger.baseFee, gasLimit: 400_000, to: ContractAddress.runs,
                                       data: join.call(.bytes32(genesis.runID)), by: trainer.owner).raw,
            ]
        }
    }
}

/// The same two again, since only here the compiler sees world and ledger together and makes one fast machine of them.
extension World where Ledger == AssayLedger.Ledger {
    public mutating func run(limitMilliseconds: UInt64) { finish(limitMilliseconds) }
    public mutating func play(milliseconds: UInt64) { advance(milliseconds) }
}

extension World where Ledger == AssayLedger.Ledger {
    /// A world on the real ledger.
    public init(_ world: WorldGenesis, seed: UInt64, options: Options) {
        var options = options
        options.first = world.joining
        let memory = WorldMemory()
        do {
            var ledger = try AssayLedger.Ledger(genesis: world.genesis)
            ledger.read = memory.read
            let first = ledger
            self.init(world, seed: seed, options: options, memory: memory) { _ in first }
        } catch { preconditionFailure("a world's genesis is a ledger's: \(error)") }
    }
}
