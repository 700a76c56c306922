import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// Duties: free of charge, once each, in their phase, by the key that was named for them.
struct DutyLaneTests {
    private static let reveal = Reveal(parametersRoot: .zero, payloadRoot: .zero, trajectoryRoot: .zero, residualIn: .zero, residualOut: .zero, steps: 1, salt: .zero)

    private static func opened() throws -> (LedgerScript, [DutyBuilder]) {
        var script = try LedgerScript()
        script.joinAll()
        #expect(script.ledger.runStatus.opened == Window(0))
        return (script, script.trainers.map { DutyBuilder(identity: $0.identity, genesis: script.genesis) })
    }
    /// A call by a node key under any nonce.
    private static func signed(_ script: LedgerScript, _ key: KeyPair, _ nonce: UInt64, _ to: Address, _ data: [UInt8], value: U256 = 0) -> Transaction {
        .dynamicFee(chainID: script.genesis.chainID, nonce: nonce, maxFeePerGas: 0, gasLimit: 2_000_000, to: to, value: value, data: data, by: key)
    }
    private static func commitData(_ script: LedgerScript, _ window: UInt64, _ content: Digest = .zero) -> [UInt8] {
        DutyFunction.commit.call(.bytes32(script.genesis.runID), .uint(window), .bytes32(content))
    }

    @Test func `a duty costs nothing, and its author is the owner`() throws {
        var (script, builders) = try DutyLaneTests.opened()
        let commit = try #require(builders[0].commit(Window(0), DutyLaneTests.reveal)), before = script.trainerOwners.map { script.ledger.balance(of: $0) }
        #expect(script.ledger.admission(of: commit.raw) == .duty)
        let block = script.commit([commit])
        #expect(block.signed.map(\.succeeded) == [true] && block.signed[0].gasUsed == 0 && block.header.gasUsed == 0)
        #expect(script.trainerOwners.map { script.ledger.balance(of: $0) } == before)
        #expect(script.events("Committed").map { $0.values["trainer"] } == [.address(script.trainerOwners[0])])
    }

    @Test func `a duty is done once, however often and in whatever words it is sent`() throws {
        var (script, builders) = try DutyLaneTests.opened()
        let key = script.trainers[0].identity.nodeKey, commit = try #require(builders[0].commit(Window(0), DutyLaneTests.reveal))
        #expect(script.commit([commit, commit]).signed.count == 1)
        let other = DutyLaneTests.signed(script, key, commit.nonce, ContractAddress.windows, DutyLaneTests.commitData(script, 0, Digest.sha256([1])))
        for again in [commit, other] {
            #expect(script.ledger.admission(of: again.raw).isRefused)
            #expect(script.commit([again]).signed.isEmpty)
        }
        #expect(script.events("Committed").count == 1)
    }

    @Test func `a nonce names one duty: run, window, kind and index`() throws {
        var (script, _) = try DutyLaneTests.opened()
        let key = script.trainers[0].identity.nodeKey, windows = ContractAddress.windows, data = DutyLaneTests.commitData(script, 0)
        let right = try #require(Duty(.commit, Window(0)).nonce(runIndex: 0))
        let void = DutyFunction.void.call(.bytes32(script.genesis.runID), .uint(0 as UInt64))
        let wrong: [(String, Transaction)] = [
            ("another window", DutyLaneTests.signed(script, key, try #require(Duty(.commit, Window(1)).nonce(runIndex: 0)), windows, data)),
            ("another kind", DutyLaneTests.signed(script, key, try #require(Duty(.reveal, Window(0)).nonce(runIndex: 0)), windows, data)),
            ("another index", DutyLaneTests.signed(script, key, try #require(Duty(.commit, Window(0), index: 3).nonce(runIndex: 0)), windows, data)),
            ("another run", DutyLaneTests.signed(script, key, try #require(Duty(.commit, Window(0)).nonce(runIndex: 1)), windows, data)),
            ("no kind", DutyLaneTests.signed(script, key, 0, windows, data)),
            ("another contract", DutyLaneTests.signed(script, key, right, ContractAddress.scores, data)),
            ("tokens", DutyLaneTests.signed(script, key, right, windows, data, value: 1)),
            ("a paid call", DutyLaneTests.signed(script, key, right, ContractAddress.staking, ABIFunction("addStake()").call())),
            ("another number's void", DutyLaneTests.signed(script, key, try #require(Duty(.void, Window(7)).nonce(runIndex: 0)), windows, void)),
        ]
        for (name, transaction) in wrong {
            #expect(script.ledger.admission(of: transaction.raw).isRefused, "\(name)")
            #expect(script.commit([transaction]).signed.isEmpty, "\(name)")
        }
        #expect(script.commit([DutyLaneTests.signed(script, key, right, windows, data)]).signed.count == 1)
    }

    @Test func `a duty outside its phase leaves no trace, and can be done when the phase is there`() throws {
        var (script, builders) = try DutyLaneTests.opened()
        let reveal = try #require(builders[0].reveal(Window(0), DutyLaneTests.reveal))
        #expect(script.ledger.admission(of: reveal.raw).isRefused)
        #expect(script.commit([reveal]).signed.isEmpty)
        script.commit(try builders.map { try #require($0.commit(Window(0), DutyLaneTests.reveal)) })
        #expect(script.ledger.windowView(Window(0))?[.reveal].isOpen == true)
        #expect(script.commit([reveal]).signed.map(\.succeeded) == [true])
    }

    @Test func `who is not drawn, not a member or not a validator does no duty`() throws {
        var (script, builders) = try DutyLaneTests.opened()
        let validator = DutyBuilder(identity: script.validators[0].identity, genesis: script.genesis)
        let stranger = DutyBuilder(identity: Identity(owner: script.trainerOwners[0], nodeKey: KeyPair(seed: "stranger")), genesis: script.genesis)
        let wrong = [validator.commit(Window(0), DutyLaneTests.reveal), stranger.commit(Window(0), DutyLaneTests.reveal),
                     builders[0].attest(Window(0), held: [], refused: [], custody: .zero, preimage: .zero), builders[0].serve(Window(0), stateRoot: .zero, residualRoot: .zero)]
        for transaction in wrong {
            let transaction = try #require(transaction)
            #expect(script.ledger.admission(of: transaction.raw).isRefused)
            #expect(script.commit([transaction]).signed.isEmpty)
        }
    }

    @Test func `a withdrawn window is withdrawn once`() throws {
        var (script, builders) = try DutyLaneTests.opened()
        script.commit([try #require(builders[0].commit(Window(0), DutyLaneTests.reveal))])
        let void = try #require(builders[0].void(Window(0)))
        #expect(script.commit([void]).signed.map(\.succeeded) == [true])
        #expect(script.commit([void]).signed.isEmpty)
        #expect(script.events("Voided").count == 1)
        // By the owner, who pays for the call, no more than by its key.
        expectReverted(script.commit([script.call(script.trainers[0].owner, ContractAddress.windows, "void(bytes32,uint64)", .bytes32(script.genesis.runID), .uint(0 as UInt64))]), "AlreadyVoided(address)")
    }
}
