import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// What one peer's words may cost an authority. Both were found by a flood in simulation.
struct AuthorityBoundsTests {
    private typealias Machine = Authority<ChainingExecutor>

    private func machine(_ room: Room) -> Machine {
        var machine = Machine(index: AuthorityIndex(0), verifier: room.verifier, key: room.keys[0], start: Instant(0), schedule: .roundRobin, executor: ChainingExecutor(), recovered: .init(reserved: Round(0)), now: Instant(1_000))
        _ = machine.handle(.started, now: Instant(1_000))
        return machine
    }
    private func block(_ room: Room, time: UInt64 = 1, votes: [CommitVote] = []) -> SignedBlock {
        let genesis = room.verifier.genesisBlocks
        return SignedBlock(Block(epoch: Epoch(0), round: Round(1), author: AuthorityIndex(1), timestamp: Instant(time), ancestors: [genesis[1], genesis[0], genesis[2], genesis[3]], commitVotes: votes), by: room.keys[1], genesis: room.verifier.genesis)
    }

    @Test func `an authority says one thing about a commit: more words of it are not kept`() throws {
        let room = try Room(count: 4)
        var machine = machine(room)
        let words = (0..<Limits.commitVotes).map { CommitVote(index: CommitIndex(UInt64($0 / 50 + 1)), commit: Digest.sha256([UInt8($0)]), stateRoot: .zero, logRoot: .zero) }
        _ = machine.handle(.received(.block(block(room, votes: words)), from: AuthorityIndex(1)), now: Instant(1_001))
        #expect(machine.dag.count == 1 && machine.sizes.votes == 2)
    }

    @Test func `who signs twins without end is accused once, and no more of them is looked at`() throws {
        let room = try Room(count: 4)
        var machine = machine(room), accusations = 0, noted = 0
        for time in 1...50 as ClosedRange<UInt64> {
            for effect in machine.handle(.received(.block(block(room, time: time)), from: AuthorityIndex(1)), now: Instant(1_001)) {
                if case .evidence(let pair) = effect {
                    accusations += 1
                    try pair.check(room.verifier.committee, genesis: room.verifier.genesis)
                }
                if case .note(.equivocated) = effect { noted += 1 }
            }
        }
        #expect(accusations == 1 && noted == 1 && machine.dag.count == 1)
    }
}
