import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// Stakes: how they come, go, and are answered for.
struct StakingTests {
    private static let staking = ContractAddress.staking

    @Test func `a trainer registers with its stake and a key that agrees`() throws {
        var script = try LedgerScript()
        let trainer = script.trainers[0]
        let block = script.commit([script.registration(trainer, name: "anna")])
        #expect(block.signed.map(\.succeeded) == [true])
        let record = try #require(script.ledger.staker(trainer.owner.address))
        #expect(record.stake == LedgerScript.tokens(100) && record.name == "anna" && record.nodeKey == trainer.identity.nodeKey.address)
        #expect(script.ledger.owner(ofNodeKey: record.nodeKey) == trainer.owner.address)
        let event = try #require(script.events("TrainerRegistered").first?.values)
        #expect(event["owner"] == .address(trainer.owner.address) && event["stake"] == .uint(LedgerScript.tokens(100)))
    }

    @Test func `nobody registers another's key, an owner's key, a key twice, or without its consent`() throws {
        var script = try LedgerScript()
        let (first, second) = (script.trainers[0], script.trainers[1]), digest = script.genesis.digest
        script.commit([script.registration(first)])
        let taken = NodeKeyProof.make(first.identity.nodeKey, owner: second.owner.address, genesis: digest)
        expectReverted(script.commit([script.registration(second, nodeKey: first.identity.nodeKey, proof: taken)]), "NodeKeyTaken(address)")
        let fresh = second.identity.nodeKey
        let wrong: [[UInt8]] = [
            [], [UInt8](repeating: 0, count: 65), [UInt8](repeating: 255, count: 65),
            NodeKeyProof.make(fresh, owner: first.owner.address, genesis: digest),              // given to another owner
            NodeKeyProof.make(fresh, owner: second.owner.address, genesis: .zero),              // for another network
            NodeKeyProof.make(second.owner, owner: second.owner.address, genesis: digest),      // by another key
        ]
        for proof in wrong { expectReverted(script.commit([script.registration(second, proof: proof)]), "WrongProof(address,address)") }
        let own = NodeKeyProof.make(second.owner, owner: second.owner.address, genesis: digest)
        expectReverted(script.commit([script.registration(second, nodeKey: second.owner, proof: own)]), "NodeKeyIsOwner(address)")
        let ownersKey = NodeKeyProof.make(first.owner, owner: second.owner.address, genesis: digest)
        expectReverted(script.commit([script.registration(second, nodeKey: first.owner, proof: ownersKey)]), "NodeKeyTaken(address)")
        expectReverted(script.commit([script.registration(second, name: String(repeating: "x", count: 65))]), "NameTooLong(uint256,uint256)")
        #expect(script.commit([script.registration(second, name: String(repeating: "x", count: 64))]).signed[0].succeeded)
    }

    @Test func `stake is added at once, and goes out after the unbonding time`() throws {
        var script = try LedgerScript()
        let owner = script.trainers[0].owner, unit = LedgerScript.token
        script.commit([script.registration(script.trainers[0])])
        script.commit([script.call(owner, StakingTests.staking, "addStake()", value: unit * 50)])
        #expect(script.ledger.staker(owner.address)?.stake == unit * 150)
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(unit * 151))]), "AmountTooLarge(uint256,uint256)")
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(0 as UInt64))]), "AmountTooLarge(uint256,uint256)")
        script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(unit * 30))])
        let begun = script.now
        #expect(script.ledger.staker(owner.address)?.stake == unit * 120)
        script.commit(after: script.genesis.run.unbondingMilliseconds - 200)
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: 199), "NothingToWithdraw(uint64)")
        #expect(script.now == begun.advanced(by: script.genesis.run.unbondingMilliseconds - 1))
        let before = script.ledger.balance(of: owner.address)
        let block = script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: 1)
        #expect(script.ledger.balance(of: owner.address) == before + unit * 30 - Ledger.baseFee * U256(block.signed[0].gasUsed))
        #expect(script.ledger.staker(owner.address)?.unbonding.isEmpty == true)
        #expect(script.events("Withdrawn").map { $0.values["amount"] } == [.uint(unit * 30)])
    }

    @Test func `seven entries unbond at a time, and only those that are due are paid`() throws {
        var script = try LedgerScript()
        let owner = script.trainers[0].owner
        script.commit([script.registration(script.trainers[0])])
        for _ in 0..<7 { #expect(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.token))], after: 1_000).signed[0].succeeded) }
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.token))]), "TooManyUnbonding(uint256)")
        let first = try #require(script.ledger.staker(owner.address)?.unbonding.first?.available)
        script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: first.advanced(by: 2_500).milliseconds(since: script.now))
        #expect(script.ledger.staker(owner.address)?.unbonding.count == 4)
        #expect(script.events("Withdrawn").map { $0.values["amount"] } == [.uint(LedgerScript.tokens(3))])
    }

    /// What genesis bonds is in the contract's account too, so that a validator is not paid out of trainers' stakes.
    @Test func `a validator of genesis takes out what it has above the least, and no more while it sits`() throws {
        var script = try LedgerScript()
        let owner = script.validators[0].owner, unit = LedgerScript.token
        #expect(script.ledger.balance(of: StakingTests.staking) == LedgerScript.tokens(40_000))
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(unit))]), "StakeInUse(uint256,uint256)")
        script.commit([script.call(owner, StakingTests.staking, "addStake()", value: unit * 20)])
        #expect(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(unit * 20))]).signed[0].succeeded)
        script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: script.genesis.run.unbondingMilliseconds)
        #expect(script.ledger.staker(owner.address)?.stake == LedgerScript.tokens(10_000))
        #expect(script.events("Withdrawn").count == 1)
    }

    @Test func `a trainer in the run keeps its least stake until it leaves`() throws {
        var script = try LedgerScript()
        script.joinAll()
        let owner = script.trainers[0].owner, all = ABIValue.uint(LedgerScript.tokens(100))
        expectReverted(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", all)]), "StakeInUse(uint256,uint256)")
        script.commit([script.call(owner, ContractAddress.runs, "leaveRun(bytes32)", .bytes32(script.genesis.runID))])
        #expect(script.commit([script.call(owner, StakingTests.staking, "beginUnstake(uint256)", all)]).signed[0].succeeded)
        expectReverted(script.commit([script.call(owner, ContractAddress.runs, "joinRun(bytes32)", .bytes32(script.genesis.runID))]), "StakeTooLow(uint256,uint256)")
    }

    @Test func `a changed node key works, and the old one no more`() throws {
        var script = try LedgerScript()
        script.joinAll()
        let trainer = script.trainers[0], fresh = KeyPair(seed: "fresh"), genesis = script.genesis
        let old = DutyBuilder(identity: trainer.identity, genesis: genesis), new = DutyBuilder(identity: Identity(owner: trainer.owner.address, nodeKey: fresh), genesis: genesis)
        let proof = NodeKeyProof.make(fresh, owner: trainer.owner.address, genesis: genesis.digest)
        let change = script.call(trainer.owner, StakingTests.staking, "setNodeKey(address,bytes)", .address(fresh.address), .bytes(proof))
        #expect(script.commit([change]).signed[0].succeeded)
        let reveal = Reveal(parametersRoot: .zero, payloadRoot: .zero, trajectoryRoot: .zero, residualIn: .zero, residualOut: .zero, steps: 1, salt: .zero)
        let byOld = try #require(old.commit(Window(0), reveal)), byNew = try #require(new.commit(Window(0), reveal))
        #expect(script.ledger.admission(of: byOld.raw).isRefused)
        #expect(script.commit([byOld]).signed.isEmpty)
        #expect(script.commit([byNew]).signed.map(\.succeeded) == [true])
        // Nor does the old key become free for somebody else.
        let other = script.trainers[1]
        let stolen = NodeKeyProof.make(trainer.identity.nodeKey, owner: other.owner.address, genesis: genesis.digest)
        expectReverted(script.commit([script.call(other.owner, StakingTests.staking, "setNodeKey(address,bytes)", .address(trainer.identity.nodeKey.address), .bytes(stolen))]), "NodeKeyTaken(address)")
    }

    @Test func `stake and rewards go to the account that the owner names`() throws {
        var script = try LedgerScript()
        script.joinAll()
        let (owner, safe) = (script.trainers[0].owner, script.validatorOwners[3]), run = ABIValue.bytes32(script.genesis.runID)
        for wrong in [Address.zero, StakingTests.staking, script.trainers[1].identity.nodeKey.address] {
            expectReverted(script.commit([script.call(owner, StakingTests.staking, "setWithdrawAddress(address)", .address(wrong))]), "WrongPayee(address)")
        }
        #expect(script.commit([script.call(owner, StakingTests.staking, "setWithdrawAddress(address)", .address(safe))]).signed[0].succeeded)
        #expect(script.play { !$0.ledger.claimable(owner.address).isZero })
        let due = script.ledger.claimable(owner.address), before = script.ledger.balance(of: safe)
        script.commit([script.call(owner, ContractAddress.rewards, "claim()")])
        #expect(script.ledger.balance(of: safe) == before + due)
        script.commit([script.call(owner, ContractAddress.runs, "leaveRun(bytes32)", run), script.call(owner, StakingTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.tokens(100)), ahead: 1)])
        script.commit([script.call(owner, StakingTests.staking, "withdraw()")], after: script.genesis.run.unbondingMilliseconds)
        #expect(script.ledger.balance(of: safe) == before + due + LedgerScript.tokens(100))
    }

    @Test func `four missed windows of eight jail a trainer, who comes back when its term is over`() throws {
        var script = try LedgerScript(windows: 40)
        script.joinAll()
        let trainer = script.trainers[0].owner
        let unjail = { (script: LedgerScript) in script.call(trainer, StakingTests.staking, "unjail()") }
        expectReverted(script.commit([unjail(script)]), "NotJailed(address)")
        let absent = Conduct(silent: [.reveal: [trainer.address]])
        #expect(script.play(absent, every: 1_000) { !$0.events("Jailed").isEmpty })
        expectReverted(script.commit([unjail(script)]), "StillJailed(uint64)")
        guard case .uint(let until)? = script.events("Jailed").first?.values["until"], let last = until.uint64 else { return #expect(Bool(false), "a term") }
        #expect(script.play(every: 1_000) { ($0.ledger.runStatus.opened?.rawValue ?? 0) + 1 >= last })
        #expect(script.commit([unjail(script)]).signed[0].succeeded)
        #expect(script.play(every: 1_000) { $0.view(last + 1).contribution(of: trainer.address) != nil })
    }
}
