import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import TestKit
import Testing

/// A whole authority under mutated messages: what decodes is handled, not only decoded.
struct AuthorityFuzzTests {
    @Test(arguments: AuthorityFuzz.all)
    func `no message traps an authority, or makes it answer without measure`(messages: Fuzz) throws { try messages.run(in: AuthorityFuzz.all, short: 4_000) }

    /// One machine through all of it, with its memory of what it was sent.
    @Test func `an authority that is sent mutated messages for long keeps its bounds and goes on`() throws {
        var room = AuthorityFuzz.room, taken = 0
        let corpus = AuthorityFuzz.messages.map(\.canonicalBytes)
        var mutator = Mutator(seed: Fuzz.seed, stream: 0xA17, longest: 4_096)
        for step in 0..<20_000 as Range<UInt64> {
            guard let message = try? AuthorityMessage(canonicalBytes: mutator.mutate(corpus)) else { continue }
            taken += 1
            _ = room.machines[1]!.handle(.received(AuthorityFuzz.signed(message, from: 3), from: AuthorityIndex(3)), now: Instant(room.now + step / 100))
        }
        let machine = room.machines[1]!
        #expect(taken > 2_000)
        #expect(machine.suspendedCount <= Limits.suspendedBlocks && machine.missingCount <= 4 * Limits.suspendedBlocks && !machine.isHalted)
        let before = room.disks[1].commits.count
        room.run(until: room.now + 20_000)
        #expect(room.chainsAgree() && room.disks[1].commits.count > before + 5)
    }
}

enum AuthorityFuzz {
    static let room: Room = {
        guard var room = try? Room(count: 4) else { preconditionFailure("four keys are a room") }
        room.submit([1, 2, 3], to: 2)
        room.run(until: 3_000)
        return room
    }()
    static let messages: [AuthorityMessage] = {
        let blocks = Array(room.disks[3].blocks.suffix(6)), next = room.machines[3]!.proposer
        let block = Block(epoch: Epoch(0), round: next.round, author: AuthorityIndex(3), timestamp: Instant(3_000), ancestors: next.ancestors(room.machines[3]!.dag), transactions: [[9, 9]])
        let signed = SignedBlock(block, by: room.keys[3], genesis: room.verifier.genesis)
        return [.block(signed), .advance(next.round), .fetch(block.ancestors), .fetchRounds(from: Slot(Round(1), AuthorityIndex(2)), to: Round(3)), .blocks(blocks.suffix(3) + [signed]), .recall,
                .recollection(own: signed, highest: blocks[0]), .recollection(own: nil, highest: nil),
                .fetchCommits(from: CommitIndex(1), to: CommitIndex(4)), .commits(room.disks[3].commits.prefix(2).map(\.commit), proof: blocks.map { Attestation($0) }), .noCommits(from: CommitIndex(1), kept: CommitIndex(3)),
                .fetchCommitted(block.ancestors), .committed(blocks)]
    }()

    /// One with nothing, that has heard of a quorum far ahead and asked for what is between.
    static let lagging: Room.Machine = {
        var parameters = Room.Machine.Parameters()
        (parameters.commitSync.threshold, parameters.commitSync.nearby, parameters.commitSync.batchCommits) = (1, 0, 2)
        var machine = Room.Machine(index: AuthorityIndex(1), verifier: room.verifier, key: room.keys[1], start: Instant(0), schedule: .shuffled(seed: room.verifier.genesis), parameters: parameters,
                                   executor: ChainingExecutor(), recovered: .init(reserved: Round(0)), now: Instant(3_000))
        for block in room.disks[3].blocks where block.block.author != AuthorityIndex(1) && block.block.round > Round(4) { _ = machine.handle(.received(.block(block), from: block.block.author), now: Instant(3_000)) }
        precondition(machine.commitSyncStatus != nil, "it lags, so it fetches commits")
        return machine
    }()

    /// With the signature of the authority that sends it, so that more than the signature's check is reached.
    static func signed(_ message: AuthorityMessage, from seat: Int) -> AuthorityMessage {
        func again(_ block: SignedBlock) -> SignedBlock { block.block.author.index == seat ? SignedBlock(block.block, by: room.keys[seat], genesis: room.verifier.genesis) : block }
        return switch message {
        case .block(let block): .block(again(block))
        case .blocks(let blocks): .blocks(blocks.map(again))
        case .recollection(let own, let highest): .recollection(own: own.map(again), highest: highest.map(again))
        default: message
        }
    }

    static let all = [true, false].map { signs in
        Fuzz(signs ? "message as signed to an authority" : "message to an authority", weight: signs ? 0.5 : 1, baseBytes: 2 << 20, factor: 256, values: { messages.map(\.canonicalBytes) }) { input in
            guard let message = try? AuthorityMessage(canonicalBytes: input) else { return false }
            // One in two to an authority that is far behind and has asked for commits.
            var machine = input.count.isMultiple(of: 2) ? room.machines[1]! : lagging
            let effects = machine.handle(.received(signs ? signed(message, from: 3) : message, from: AuthorityIndex(3)), now: Instant(3_010))
            guard effects.count < 1_000 else { throw Fuzz.Broken("\(effects.count) effects of one message") }
            for case .send(let answer, _) in effects where answer.canonicalBytes.count >= Limits.frameBytes { throw Fuzz.Broken("an answer larger than a frame") }
            return true
        }
    }
}
