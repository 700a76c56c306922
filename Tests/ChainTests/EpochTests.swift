import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

/// The committee's terms, as the ledger keeps them.
struct EpochTests {
    private static let epoch: UInt64 = 60_000
    private static let staking = ContractAddress.staking

    private func script(candidates: Int = 1) throws -> LedgerScript { try LedgerScript(candidates: candidates, epochMilliseconds: EpochTests.epoch) }
    private func owners(_ script: LedgerScript) -> [Address] { script.ledger.committee.members.map(\.owner) }

    /// The term is over; then blocks by three of four say that they know.
    private func changeEpoch(_ script: inout LedgerScript) {
        script.commit(after: EpochTests.epoch)
        let at = script.ledger.head.number
        script.commit(executed: (0..<script.ledger.committee.size).map { ($0, at) })
    }

    @Test func `an epoch closes when its time is up and blocks of a quorum have seen that, not before`() throws {
        var script = try script()
        script.commit(after: EpochTests.epoch - 1)
        #expect(script.ledger.closingSince == nil && script.ledger.nextCommittee == nil)
        script.commit(after: 1)
        let at = script.ledger.head.number
        #expect(script.ledger.closingSince == CommitIndex(at))
        #expect(script.ledger.nextCommittee?.epoch == Epoch(1))
        #expect(script.events("EpochClosing").count == 1)

        // Those who have executed only what was before do not count, nor does one twice, nor a seat that is none.
        script.commit(executed: [(0, at - 1), (1, at - 1), (2, at - 1), (3, at - 1)])
        script.commit(executed: [(0, at), (1, at)])
        script.commit(executed: [(0, at + 1), (1, at + 1), (9, at + 1)])
        #expect(script.ledger.epoch == Epoch(0))
        script.commit(executed: [(2, at + 2)])
        #expect(script.ledger.epoch == Epoch(1) && script.ledger.epochAfter == CommitIndex(script.ledger.head.number))
        #expect(script.ledger.closingSince == nil && script.events("EpochChanged").count == 1)
        #expect(owners(script) == script.validatorOwners.prefix(4) + [])
        #expect(try script.replayed().head == script.ledger.head)
    }

    @Test func `one that registers sits from the next epoch on, one that takes its stake out sits until then`() throws {
        var script = try script()
        let newcomer = script.validators[4].owner.address, leaver = script.validators[1].owner
        let balance = script.ledger.balance(of: newcomer)
        #expect(script.commit(raw: script.world.registrations).signed.map(\.succeeded) == [true])
        let fee = script.blocks.last!.signed.reduce(U256.zero) { $0 + $1.effectiveGasPrice * U256($1.gasUsed) }
        #expect(script.ledger.balance(of: newcomer) == balance - LedgerScript.tokens(10_000) - fee)
        #expect(script.commit([script.call(leaver, EpochTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.tokens(10_000)))]).signed.map(\.succeeded) == [true])
        // Until then it is as it was: also what the leaver's weight is.
        #expect(owners(script) == Array(script.validatorOwners.prefix(4)))
        #expect(script.ledger.runStatus.validators.map(\.owner) == Array(script.validatorOwners.prefix(4)))
        #expect(script.ledger.committee.totalStake == Stake(40_000))

        changeEpoch(&script)
        #expect(owners(script) == [0, 2, 3, 4].map { script.validatorOwners[$0] })
        #expect(script.ledger.committee.members[3].consensusKey == script.world.consensusKeys[4].publicKey)
        #expect(script.ledger.runStatus.validators.map(\.owner) == owners(script))
        // The committee of the epoch before is still known.
        #expect(script.ledger.committee(of: Epoch(0))?.seat(of: leaver.address) == AuthorityIndex(1))
    }

    @Test func `what backs a weight is not withdrawn in its epoch, however short the unbonding time`() throws {
        var script = try script()
        let leaver = script.validators[1].owner
        script.commit([script.call(leaver, EpochTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.tokens(10_000)))])
        // The epoch does not close, since nobody says that he knows.
        script.commit(after: script.genesis.run.unbondingMilliseconds)
        expectReverted(script.commit([script.call(leaver, EpochTests.staking, "withdraw()")]), "StillSeated(uint64)")
        let at = script.ledger.head.number
        script.commit(executed: (0..<4).map { ($0, at) })
        #expect(script.ledger.epoch == Epoch(1))
        #expect(script.commit([script.call(leaver, EpochTests.staking, "withdraw()")]).signed.map(\.succeeded) == [true])
    }

    @Test func `a committee that nobody has the stake for stays as it is`() throws {
        var script = try script()
        for person in script.validators.prefix(4) { script.commit([script.call(person.owner, EpochTests.staking, "beginUnstake(uint256)", .uint(LedgerScript.tokens(1)))]) }
        changeEpoch(&script)
        #expect(script.ledger.epoch == Epoch(1) && owners(script) == Array(script.validatorOwners.prefix(4)))
    }

    @Test func `who equivocated in an epoch that is over pays while its stake is bound, and is out of the next committee`() throws {
        var script = try script()
        changeEpoch(&script)
        let genesis = script.genesis.digest
        func twins(_ seat: Int, _ epoch: Epoch) -> [ABIValue] {
            (0..<2).map { number in
                let block = Block(epoch: epoch, round: Round(7), author: AuthorityIndex(seat), timestamp: Instant(UInt64(number)), ancestors: [])
                return .bytes(Equivocation.Statement(SignedBlock(block, by: script.world.consensusKeys[seat], genesis: genesis)).canonicalBytes)
            }
        }
        let reporter = script.trainers[0].owner
        func report(_ twins: [ABIValue]) -> Transaction { script.call(reporter, EpochTests.staking, "reportEquivocation(bytes,bytes)", twins[0], twins[1]) }
        expectReverted(script.commit([report(twins(2, Epoch(2)))]), "WrongEvidence(string)")
        #expect(script.commit([report(twins(2, Epoch(0)))]).signed.map(\.succeeded) == [true])
        changeEpoch(&script)
        #expect(owners(script) == [0, 1, 3].map { script.validatorOwners[$0] })
        // The first epoch's committee is forgotten once all that was bound then is free.
        for _ in 0..<2 {
            script.commit(after: script.genesis.run.unbondingMilliseconds)
            changeEpoch(&script)
        }
        #expect(script.ledger.committee(of: Epoch(0)) == nil)
        expectReverted(script.commit([report(twins(3, Epoch(0)))]), "WrongEvidence(string)")
    }

    @Test func `a validator registers with keys that agree and are nobody else's`() throws {
        var script = try script(candidates: 2)
        let (first, second) = (script.validators[4], script.validators[5]), digest = script.genesis.digest, keys = script.world.consensusKeys
        func proofs(_ owner: Address, _ node: KeyPair, _ consensus: KeyPair) -> [UInt8] { NodeKeyProof.make(node, owner: owner, genesis: digest) + ConsensusKeyProof.make(consensus, owner: owner, genesis: digest) }
        func registration(_ person: WorldGenesis.Person, consensus: KeyPair, network: Digest, commission: UInt64 = 0, stake: UInt64 = 10_000, proofs: [UInt8]) -> Transaction {
            script.call(person.owner, EpochTests.staking, "registerValidator(address,bytes,bytes32,bytes32,bytes32,uint16,string,bytes)", .address(person.identity.nodeKey.address),
                        .bytes(consensus.publicKey.bytes), .bytes32(network), .bytes32(.zero), .bytes32(.zero), .uint(commission), .string("127.0.0.1:1"), .bytes(proofs), value: LedgerScript.tokens(stake))
        }
        let network = Digest.sha256([4]), owner = first.owner.address
        let right = proofs(owner, first.identity.nodeKey, keys[4])
        expectReverted(script.commit([registration(first, consensus: keys[4], network: network, stake: 9_999, proofs: right)]), "StakeTooLow(uint256,uint256)")
        expectReverted(script.commit([registration(first, consensus: keys[4], network: network, commission: 10_001, proofs: right)]), "CommissionTooHigh(uint256,uint256)")
        expectReverted(script.commit([registration(first, consensus: keys[4], network: .zero, proofs: right)]), "WrongKey(string)")
        for wrong in [[], Array(right.dropLast()), proofs(second.owner.address, first.identity.nodeKey, keys[4]), proofs(owner, first.identity.nodeKey, keys[5]), proofs(owner, keys[4], keys[4])] {
            expectReverted(script.commit([registration(first, consensus: keys[4], network: network, proofs: wrong)]), "WrongProof(address,address)")
        }
        // Another's, with its consent even: one key in two seats would be two votes of one.
        expectReverted(script.commit([registration(first, consensus: keys[0], network: network, proofs: proofs(owner, first.identity.nodeKey, keys[0]))]), "KeyTaken(string)")
        expectReverted(script.commit([registration(first, consensus: keys[4], network: script.genesis.validators[0].networkKey, proofs: right)]), "KeyTaken(string)")
        #expect(script.commit([registration(first, consensus: keys[4], network: network, commission: 500, proofs: right)]).signed.map(\.succeeded) == [true])
        expectReverted(script.commit([registration(first, consensus: keys[4], network: network, stake: 1, proofs: right)]), "AlreadyRegistered(address)")
        expectReverted(script.commit([script.call(second.owner, EpochTests.staking, "renewBeacon(bytes32)", .bytes32(network))]), "NotAValidator(address)")
        #expect(script.commit([script.call(first.owner, EpochTests.staking, "renewBeacon(bytes32)", .bytes32(network))]).signed.map(\.succeeded) == [true])
        #expect(script.ledger.staker(owner)?.beaconTip == network)
    }
}
