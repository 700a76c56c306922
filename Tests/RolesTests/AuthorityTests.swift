import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// A ledger that only chains what it is given.
struct ChainingExecutor: Executor {
    var digest = Digest.zero
    var executed: Set<[UInt8]> = []
    /// Transactions [0xEE, sender, nonce] are executed in the order of their nonces only; all others as they come.
    var nonces: [UInt8: UInt64] = [:]
    var inOrder: [[UInt8]] = []
    mutating func execute(_ commit: OrderedCommit) -> (vote: CommitVote, executed: [[UInt8]]) {
        var fresh: [[UInt8]] = []
        for transaction in commit.entries.map(\.transaction) where !executed.contains(transaction) {
            if let (sender, nonce) = ChainingExecutor.numbered(transaction) {
                guard nonce == nonces[sender, default: 0] else { continue }
                nonces[sender] = nonce + 1
            }
            executed.insert(transaction)
            fresh.append(transaction)
        }
        inOrder += fresh
        digest = Digest.tagged("test") { encoder in
            encoder.append(digest)
            encoder.append(commit.digest)
            for transaction in fresh { encoder.append(counted: transaction) }
        }
        return (CommitVote(index: commit.commit.index, commit: commit.digest, stateRoot: digest, logRoot: .zero), fresh)
    }
    private static func numbered(_ transaction: [UInt8]) -> (sender: UInt8, nonce: UInt64)? {
        transaction.count >= 3 && transaction[0] == 0xEE ? (transaction[1], UInt64(transaction[2])) : nil
    }
    func admission(of transaction: [UInt8]) -> Admission {
        if transaction.isEmpty { return .refused("empty") }
        guard let (sender, nonce) = ChainingExecutor.numbered(transaction) else { return .paid(tip: 1, by: Address(bytes: Digest.sha256(transaction).bytes.prefix(20)), nonce: 0) }
        return .paid(tip: U256(UInt64(transaction.count > 3 ? transaction[3] : 1)), by: Address(number: UInt64(sender)), nonce: nonce)
    }
    func nextNonce(of sender: Address) -> UInt64? { sender.bytes.prefix(19).allSatisfy { $0 == 0 } ? nonces[sender.bytes[19], default: 0] : nil }
    func isStale(_ transaction: [UInt8]) -> Bool { executed.contains(transaction) }
}

/// Authorities in one thread with a fixed delay between them, and disks that keep what they are given.
struct Room {
    typealias Machine = Authority<ChainingExecutor>
    struct Disk {
        var blocks: [SignedBlock] = []
        var commits: [OrderedCommit] = []
        var executor = ChainingExecutor()
        var vote: CommitVote?
        var reserved: Round? = Round(0)
    }
    enum What { case message(AuthorityMessage, from: Int), wake, connected(Int) }
    struct Due { var time: UInt64; var number: Int; var to: Int; var what: What }

    let verifier: BlockVerifier
    let keys: [KeyPair]
    var machines: [Machine?] = []
    var disks: [Disk]
    var queue: [Due] = []
    var now: UInt64 = 1_000
    var number = 0
    var delay: UInt64 = 20
    var events: [AuthorityEvent] = []
    var trustsFewer = false
    /// Commits below are served by nobody.
    var kept = CommitIndex(1)
    /// Cut off from all others.
    var away: Set<Int> = []
    var parameters = Machine.Parameters()
    /// Of every block that authority 0 has seen committed: its round, whether it led, and the time from its creation.
    var latencies: [(round: Round, leads: Bool, milliseconds: UInt64)] = []

    init(count: Int, delay: UInt64 = 20, parameters: Machine.Parameters = .init()) throws {
        (self.delay, self.parameters) = (delay, parameters)
        keys = (0..<count).map { KeyPair(seed: "authority \($0)") }
        let members = keys.map { Committee.Member(owner: $0.address, consensusKey: $0.publicKey, networkKey: .zero, stake: Stake(1)) }
        verifier = BlockVerifier(committee: try Committee(epoch: Epoch(0), members: members), genesis: Digest.sha256([1]))
        disks = Array(repeating: Disk(), count: count)
        machines = Array(repeating: nil, count: count)
        for index in 0..<count { start(index) }
    }

    mutating func start(_ index: Int) {
        let disk = disks[index]
        var parameters = parameters
        parameters.trustsFewer = trustsFewer
        machines[index] = Machine(
            index: AuthorityIndex(index), verifier: verifier, key: keys[index], start: Instant(0), schedule: .shuffled(seed: verifier.genesis), parameters: parameters,
            executor: disk.executor, recovered: .init(blocks: disk.blocks, commits: disk.commits.map(\.commit), vote: disk.vote, reserved: disk.reserved), now: Instant(now))
        perform(machines[index]!.handle(.started, now: Instant(now)), of: index)
        for peer in machines.indices where peer != index && machines[peer] != nil {
            greet(index, peer)
        }
    }
    /// A new connection between two.
    mutating func greet(_ one: Int, _ other: Int) {
        send(.connected(one), to: other, after: delay)
        send(.connected(other), to: one, after: delay)
    }
    mutating func crash(_ index: Int) {
        machines[index] = nil
        queue.removeAll { $0.to == index }
    }
    mutating func submit(_ raw: [UInt8], to index: Int) {
        let result = machines[index]!.submit(raw, now: Instant(now))
        perform(result.effects, of: index)
    }
    mutating func run(until end: UInt64) {
        while let next = queue.indices.min(by: { (queue[$0].time, queue[$0].number) < (queue[$1].time, queue[$1].number) }), queue[next].time <= end {
            let due = queue.remove(at: next)
            now = max(now, due.time)
            guard machines[due.to] != nil else { continue }
            let input: Machine.Input = switch due.what {
            case .message(let message, let from): .received(message, from: AuthorityIndex(from))
            case .wake: .woke
            case .connected(let peer): .connected(AuthorityIndex(peer))
            }
            perform(machines[due.to]!.handle(input, now: Instant(now)), of: due.to)
        }
        now = end
    }
    private mutating func send(_ what: What, to: Int, after: UInt64) {
        number += 1
        queue.append(Due(time: now + after, number: number, to: to, what: what))
    }
    private mutating func perform(_ effects: [Machine.Effect], of index: Int) {
        for effect in effects {
            switch effect {
            case .keep(let blocks): disks[index].blocks += blocks.map(\.signed)
            case .reserve(let round): disks[index].reserved = round
            case .evidence: break
            case .persist(let block): disks[index].blocks.append(block.signed)
            case .executed(let commit, let vote, _):
                for reference in index == 0 ? commit.commit.blocks : [] {
                    guard let block = disks[0].blocks.last(where: { $0.block.slot == reference.slot })?.block ?? machines[0]?.dag[reference]?.block else { continue }
                    latencies.append((block.round, reference == commit.commit.leader, now - block.timestamp.rawValue))
                }
                disks[index].commits.append(commit)
                disks[index].vote = vote
                disks[index].executor = machines[index]!.executor
            case .send(let message, let peer): if !away.contains(index), !away.contains(peer.index) { send(.message(message, from: index), to: peer.index, after: delay) }
            case .broadcast(let message): for peer in machines.indices where peer != index && !away.contains(index) && !away.contains(peer) { send(.message(message, from: index), to: peer, after: delay) }
            case .load(let references, let peer):
                let wanted = Set(references)
                let found = disks[index].blocks.filter { wanted.contains(BlockReference(round: $0.block.round, author: $0.block.author, digest: $0.block.digest(genesis: verifier.genesis))) }
                perform(machines[index]!.handle(.loaded(found, for: peer), now: Instant(now)), of: index)
            case .loadRounds(let from, let to, let peer):
                let found = disks[index].blocks.filter { $0.block.slot >= from && $0.block.round <= to }.sorted { $0.block.slot < $1.block.slot }.prefix(Limits.fetchBlocks)
                perform(machines[index]!.handle(.loaded(Array(found), for: peer), now: Instant(now)), of: index)
            case .loadCommits(let from, let to, let peer):
                let chain = disks[index].commits.map(\.commit).filter { $0.index >= from && $0.index <= to && $0.index >= kept }
                let round = chain.last?.leader.round ?? Round(0)
                let voting = disks[index].blocks.filter { $0.block.round > round && $0.block.round <= round.advanced(by: 12) }
                perform(machines[index]!.handle(.loadedCommits(chain, chain.isEmpty ? [] : voting, kept: kept, from: from, for: peer), now: Instant(now)), of: index)
            case .loadCommitted(let references, let peer):
                let wanted = Set(references), slots = Set(references.map(\.slot))
                let found = disks[index].blocks.filter { slots.contains($0.block.slot) && wanted.contains(verifier.reference(of: $0)) }
                perform(machines[index]!.handle(.loadedCommitted(found, for: peer), now: Instant(now)), of: index)
            case .wake(let time):
                // One that comes earlier asks for the next by itself.
                let at = max(time.rawValue, now + 1)
                let isEnough = queue.contains { if case .wake = $0.what { $0.to == index && $0.time > now && $0.time <= at } else { false } }
                if !isEnough { queue.append(Due(time: at, number: 0, to: index, what: .wake)) }
            case .note(let event): events.append(event)
            }
        }
    }

    /// All chains are prefixes of the longest.
    func chainsAgree() -> Bool {
        let longest = disks.map(\.commits).max { $0.count < $1.count } ?? []
        return disks.allSatisfy { disk in zip(disk.commits, longest).allSatisfy { $0.digest == $1.digest } }
    }
}

struct AuthorityTests {
    @Test func `four authorities commit every leader, with transactions, in one chain`() throws {
        var room = try Room(count: 4)
        room.submit([1, 2, 3], to: 2)
        room.run(until: 1_400)
        #expect(room.disks.allSatisfy { $0.executor.executed.contains([1, 2, 3]) })
        room.run(until: 20_000)
        #expect(room.chainsAgree())
        #expect(room.disks.map(\.commits.count).min()! >= 30)
        #expect(!room.events.contains { if case .leaderSkipped = $0 { true } else { false } })
        #expect(Set(room.machines.map { $0!.executor.digest }).count <= 2)
    }

    @Test func `without one of four the others go on, and it catches up after its restart`() throws {
        var room = try Room(count: 4)
        room.run(until: 5_000)
        room.crash(3)
        for second in 6..<90 {
            room.submit([UInt8(second)], to: second % 3)
            room.run(until: UInt64(second) * 1_000)
        }
        let before = room.disks[0].commits.count
        #expect(before > 80)
        #expect(room.disks[0].executor.executed.count == 84)
        room.start(3)
        room.run(until: 110_000)
        #expect(room.chainsAgree())
        #expect(room.disks[3].commits.count > before)
        #expect(room.disks[3].executor.executed.count == 84)
        #expect(room.machines.allSatisfy { !$0!.isHalted })
        // It proposes again, and the others commit what it proposes.
        room.submit([200], to: 3)
        room.run(until: 115_000)
        #expect(room.disks[0].executor.executed.contains([200]))
    }

    @Test func `after a restart of all, the chain goes on where it was`() throws {
        var room = try Room(count: 4)
        room.run(until: 8_000)
        let before = room.disks.map(\.commits.count).max()!
        for index in 0..<4 { room.crash(index) }
        for index in 0..<4 { room.start(index) }
        room.run(until: 16_000)
        #expect(room.chainsAgree())
        #expect(room.disks.map(\.commits.count).min()! > before)
        #expect(!room.events.contains { if case .equivocated = $0 { true } else { false } })
    }

    @Test func `messages survive their encoding, and mutated ones never trap`() throws {
        var room = try Room(count: 4)
        room.run(until: 2_000)
        let blocks = Array(room.disks[0].blocks.prefix(5))
        let messages: [AuthorityMessage] = [.block(blocks[0]), .advance(Round(9)), .fetch(blocks[4].block.ancestors), .fetchRounds(from: Slot(Round(1), AuthorityIndex(2)), to: Round(3)), .blocks(blocks)]
        var generator = SeededGenerator(seed: 4)
        for message in messages {
            #expect(try AuthorityMessage(canonicalBytes: message.canonicalBytes) == message)
            for _ in 0..<500 {
                var bytes = message.canonicalBytes
                for _ in 0...generator.below(4) { bytes[Int(generator.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: generator.next()) }
                guard let mutated = try? AuthorityMessage(canonicalBytes: Array(bytes.prefix(Int(generator.below(UInt64(bytes.count) + 1))))) else { continue }
                _ = room.machines[1]!.handle(.received(mutated, from: AuthorityIndex(0)), now: Instant(3_000))
            }
        }
        room.run(until: 6_000)
        #expect(room.chainsAgree())
    }

    @Test func `transactions of one sender are executed in the order of their nonces, whatever order and tips they came with, and a gap waits`() throws {
        var room = try Room(count: 4)
        room.run(until: 2_000)
        for nonce in [5, 2, 0, 4, 3, 1, 8] as [UInt8] { room.submit([0xEE, 7, nonce, nonce % 3], to: 0) }
        for nonce in [1, 0] as [UInt8] { room.submit([0xEE, 9, nonce, 200], to: 1) }
        room.run(until: 6_000)
        for machine in room.machines.compactMap({ $0 }) {
            #expect(machine.executor.inOrder.filter { $0[1] == 7 }.map { $0[2] } == [0, 1, 2, 3, 4, 5])
            #expect(machine.executor.inOrder.filter { $0[1] == 9 }.map { $0[2] } == [0, 1])
        }
        #expect(room.machines[0]?.poolCount == 1, "the one after the gap")
        room.submit([0xEE, 7, 6], to: 2)
        room.submit([0xEE, 7, 7], to: 3)
        room.run(until: 12_000)
        #expect(room.machines[1]?.executor.inOrder.filter { $0[1] == 7 }.map { $0[2] } == [0, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(room.machines.allSatisfy { $0?.poolCount == 0 })
    }

    @Test func `another transaction for a nonce takes its place for a higher tip only`() throws {
        var room = try Room(count: 4)
        #expect(room.machines[0]!.submit([0xEE, 7, 1, 5], now: Instant(room.now)).admission != .refused("replacement transaction underpriced"))
        #expect(room.machines[0]!.submit([0xEE, 7, 1, 5, 0], now: Instant(room.now)).admission == .refused("replacement transaction underpriced"))
        #expect(room.machines[0]!.submit([0xEE, 7, 1, 6], now: Instant(room.now)).admission != .refused("replacement transaction underpriced"))
        #expect(room.machines[0]!.pendingTransactions == [[0xEE, 7, 1, 6]])
    }

    @Test(arguments: [Round?.none, Round(65)]) func `an authority that lost its disk asks a quorum of the others before it makes a block, and makes none twice`(reserved: Round?) throws {
        var room = try Room(count: 4)
        room.run(until: 5_000)
        let before = try #require(room.disks[1].blocks.filter { $0.block.author == AuthorityIndex(1) }.map(\.block.round).max())
        room.crash(1)
        room.crash(3)
        room.disks[1] = Room.Disk(reserved: reserved)
        room.start(1)
        room.run(until: 8_000)
        // Two answers of three are no quorum: it waits, and says why.
        #expect(room.machines[1]?.obstacle?.contains("2 of the others") == true)
        #expect(!room.disks[1].blocks.contains { $0.block.author == AuthorityIndex(1) && $0.block.round > before })
        // Crashed again while it waits: blocks of its own that it got from the others are no memory.
        #expect(room.disks[1].blocks.contains { $0.block.author == AuthorityIndex(1) })
        room.crash(1)
        room.start(1)
        room.run(until: 9_000)
        #expect(room.machines[1]?.obstacle?.contains("2 of the others") == true)
        room.start(3)
        room.run(until: 20_000)
        #expect(room.machines[1]?.obstacle == nil)
        #expect(room.events.contains { if case .recollected(let round) = $0 { round >= before } else { false } })
        #expect(!room.events.contains { if case .equivocated = $0 { true } else { false } })
        let own = room.disks[0].blocks.filter { $0.block.author == AuthorityIndex(1) }.map(\.block.round)
        #expect(Set(own).count == own.count && own.max()! > before)
        #expect(room.machines[1]?.lastCommit?.index == room.machines[0]?.lastCommit?.index || room.machines[1]!.lastCommit!.index.rawValue + 2 >= room.machines[0]!.lastCommit!.index.rawValue)
    }

    @Test func `with the operator's leave a third of the stake is enough`() throws {
        var room = try Room(count: 4)
        room.run(until: 5_000)
        room.crash(1)
        room.crash(3)
        room.disks[1] = Room.Disk(reserved: Round(65))
        room.trustsFewer = true
        room.start(1)
        room.run(until: 9_000)
        #expect(room.machines[1]?.obstacle == nil)
        room.start(3)
        room.run(until: 20_000)
        #expect(!room.events.contains { if case .equivocated = $0 { true } else { false } })
    }

    @Test func `an authority whose disk is an old copy notices by its own blocks, and asks before it makes another`() throws {
        var room = try Room(count: 4)
        room.run(until: 3_000)
        let old = room.disks[1]
        room.run(until: 6_000)
        let before = try #require(room.disks[0].blocks.filter { $0.block.author == AuthorityIndex(1) }.map(\.block.round).max())
        room.crash(1)
        room.disks[1] = old
        // The others first tell what they hold, as they do over any new connection.
        room.start(1)
        room.run(until: 15_000)
        #expect(room.events.contains { if case .recollected(let round) = $0 { round >= before } else { false } })
        #expect(room.machines[1]?.obstacle == nil)
    }
}
