import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// The known traps that need a whole authority; the others are in ChainTests/KnownTrapsTests.
struct KnownTrapsAuthorityTests {
    /// Guard: `Authority.propose`, the `while true` around its steps: after a block of its own an authority looks again whether the next round can be
    /// entered, since that block may be the one that makes the quorum.
    @Test func `T5: one's own block that completes a quorum opens the next round at once, without a message from anybody`() throws {
        let room = try Room(count: 4), genesis = room.verifier.genesisBlocks
        var machine = Authority(index: AuthorityIndex(0), verifier: room.verifier, key: room.keys[0], start: Instant(0), schedule: .roundRobin, executor: ChainingExecutor(), recovered: .init(reserved: Round(0)), now: Instant(1_000))
        var now: UInt64 = 1_000
        _ = machine.handle(.started, now: Instant(now))
        // Two of three before its own delay is over.
        for seat in 1...2 {
            let block = Block(epoch: Epoch(0), round: Round(1), author: AuthorityIndex(seat), timestamp: Instant(now), ancestors: [genesis[seat]] + genesis.filter { $0.author.index != seat })
            _ = machine.handle(.received(.block(SignedBlock(block, by: room.keys[seat], genesis: room.verifier.genesis)), from: AuthorityIndex(seat)), now: Instant(now + 1))
        }
        var effects: [Authority<ChainingExecutor>.Effect] = []
        for _ in 0..<200 where machine.proposer.round == Round(1) {
            now += 10
            effects = machine.handle(.woke, now: Instant(now))
        }
        let own = try #require(effects.firstIndex { if case .persist(let block) = $0 { block.block.round == Round(1) } else { false } })
        let entered = effects.firstIndex { if case .broadcast(.advance(let round)) = $0 { round == Round(2) } else { false } }
        #expect(entered.map { $0 > own } == true, "round 2 is not entered with the block that opens it")
        #expect(effects.contains { if case .wake = $0 { true } else { false } }, "nothing wakes it for round 2")
    }

    /// Found by reading for the fuzzing of messages: an answer of 32 blocks could be larger than any frame, and the connection was closed for it.
    @Test func `blocks that are asked for come in answers that fit a frame, each once`() throws {
        let key = KeyPair(seed: "answers")
        let blocks = (1...12).map { round in
            SignedBlock(Block(epoch: Epoch(0), round: Round(UInt64(round)), author: AuthorityIndex(0), timestamp: Instant(1), ancestors: [],
                              transactions: Array(repeating: [UInt8](repeating: 7, count: Limits.transactionBytes), count: 127)), by: key, genesis: .zero)
        }
        let answers = AuthorityMessage.answers(blocks)
        #expect(answers.count > 2)
        #expect(answers.allSatisfy { $0.canonicalBytes.count < Limits.frameBytes - 1 })
        #expect(answers.flatMap { answer -> [SignedBlock] in if case .blocks(let part) = answer { part } else { [] } } == blocks)
        let small = SignedBlock(Block(epoch: Epoch(0), round: Round(1), author: AuthorityIndex(0), timestamp: Instant(1), ancestors: []), by: key, genesis: .zero)
        #expect(AuthorityMessage.answers(Array(repeating: small, count: Limits.fetchBlocks + 1)).count == 2)
        #expect(AuthorityMessage.answers([]).isEmpty)

        // The same reference many times over is one block.
        var room = try Room(count: 4)
        room.run(until: 3_000)
        let block = try #require(room.disks[0].blocks.last { $0.block.author == AuthorityIndex(1) })
        let sent = room.machines[0]!.handle(.received(.fetch(Array(repeating: room.verifier.reference(of: block), count: Limits.fetchReferences)), from: AuthorityIndex(2)), now: Instant(3_001))
        let answered = sent.flatMap { effect -> [SignedBlock] in if case .send(.blocks(let found), _) = effect { found } else { [] } }
        #expect(answered.count <= 1, "\(answered.count) blocks for one name")
    }
}
