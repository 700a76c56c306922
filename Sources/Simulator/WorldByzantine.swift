import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// What an authority does that is not honest. Its machine is the honest one; the lie is in what leaves it.
public enum ByzantineHabit: String, CaseIterable, Sendable {
    /// Signs two blocks for a slot and shows each to a half of the others.
    case equivocator
    /// Keeps the blocks of the rounds that it leads to itself.
    case silentLeader
    /// Shows each block to some of the others only.
    case selective
    /// Sends blocks for rounds far ahead and on ancestors that do not exist, and asks for everything.
    case flooder
    /// Answers questions with broken, other, or no blocks.
    case badServer
    /// Attests roots of its own making.
    case falseVoter
    /// Loses its disk with every crash, and goes on as if there had been nothing on it.
    case amnesiac
    /// Its disk lies: with a crash the last flushes are gone, of which it had said that they were durable.
    case lyingDisk
    /// Makes its blocks as soon as it may, waits for no leader, and keeps the blocks of the rounds that it leads to itself: with a network that is
    /// slow to the next leader this makes rounds go by without commits where the pacemaker jumps after them.
    case rusher
    /// Signs many blocks for a slot and shows each to everybody.
    case spammer
    /// Serves commits with broken chains, without or with false proof, too many or none, and other blocks than theirs.
    case badCommitServer

    /// As it is counted.
    public var deed: String {
        switch self {
        case .equivocator: "equivocated"
        case .silentLeader: "kept its leader block"
        case .selective: "chose whom to show"
        case .flooder: "flooded"
        case .badServer: "served badly"
        case .falseVoter: "voted falsely"
        case .amnesiac: "forgot and went on"
        case .lyingDisk: "lost what was durable"
        case .rusher: "rushed"
        case .spammer: "equivocated at length"
        case .badCommitServer: "served commits badly"
        }
    }
}

extension World {
    /// What leaves a Byzantine authority instead of what its machine says.
    mutating func twisted(_ effects: [Machine.Effect], of index: Int, _ habit: ByzantineHabit) -> [Machine.Effect] {
        effects.flatMap { effect -> [Machine.Effect] in
            switch effect {
            case .broadcast(let letter): if case .block(let signed) = letter.message { return shown(signed, instead: effect, by: index, habit) }
            case .send(let letter, let peer):
                switch (habit, letter.message) {
                case (.badServer, .blocks(let blocks)): return served(blocks, letter.epoch, to: peer, by: index)
                case (.badCommitServer, .commits(let commits, let proof)): return badCommits(commits, proof, by: index).map { .send(Letter(letter.epoch, $0), to: peer) }
                case (.badCommitServer, .committed(let blocks)): return [.send(Letter(letter.epoch, .committed(badBlocks(blocks, by: index))), to: peer)]
                default: break
                }
            default: break
            }
            return [effect]
        }
    }

    /// What becomes of an own block that all should see.
    private mutating func shown(_ signed: SignedBlock, instead effect: Machine.Effect, by index: Int, _ habit: ByzantineHabit) -> [Machine.Effect] {
        let block = signed.block, epoch = block.epoch
        let sent: [Machine.Effect]
        switch habit {
        case .equivocator where chance.chance(2, in: 3):
            let twin = signedAgain(block, by: index, timestamp: block.timestamp.advanced(by: 1), ancestors: block.ancestors)
            let turn = Int(chance.below(2))
            sent = others(index).enumerated().map { .send(Letter(epoch, .block(($0 + turn).isMultiple(of: 2) ? signed : twin)), to: $1) }
        case .spammer:
            let twins = (1...options.spam).map { signedAgain(block, by: index, timestamp: block.timestamp.advanced(by: UInt64($0)), ancestors: block.ancestors) }
            sent = ([signed] + twins).map { .broadcast(Letter(epoch, .block($0))) }
        case .silentLeader where leader(of: block.round, as: index, sees: epoch) == index, .rusher where leader(of: block.round, as: index, sees: epoch) == index: sent = []
        case .selective: sent = others(index).filter { _ in chance.chance(1, in: 2) }.map { .send(Letter(epoch, .block(signed)), to: $0) }
        case .flooder: sent = [effect] + flood(behind: block, by: index)
        case .falseVoter where !block.commitVotes.isEmpty:
            let votes = block.commitVotes.map { CommitVote(index: $0.index, commit: $0.commit, stateRoot: $0.logRoot, logRoot: $0.stateRoot) }
            let lie = Block(epoch: epoch, round: block.round, author: block.author, timestamp: block.timestamp, ancestors: block.ancestors, transactions: block.transactions, commitVotes: votes)
            sent = [.broadcast(Letter(epoch, .block(SignedBlock(lie, by: world.consensusKeys[index], genesis: genesis))))]
        default: return [effect]
        }
        checks.count("byzantine: \(habit.deed)")
        return sent
    }

    private mutating func served(_ blocks: [SignedBlock], _ epoch: Epoch, to peer: Address, by index: Int) -> [Machine.Effect] {
        checks.count("byzantine: \(ByzantineHabit.badServer.deed)")
        let lie: [SignedBlock]
        switch chance.below(4) {
        case 0: return []
        case 1: lie = blocks.map { SignedBlock(block: $0.block, signature: Signature(bytes: $0.signature.bytes.reversed())) }
        case 2: lie = [signedAgain(blocks[0].block, by: index, timestamp: Instant(1), ancestors: blocks[0].block.ancestors)]
        default: lie = Array(repeating: blocks[0], count: Limits.fetchBlocks)
        }
        return [.send(Letter(epoch, .blocks(lie)), to: peer)]
    }

    func pacing(of index: Int) -> Proposer.Parameters {
        options.byzantine[index] == .rusher ? Proposer.Parameters(busyDelayMilliseconds: 0, idleDelayMilliseconds: 0, leaderTimeoutMilliseconds: 0)
            : Proposer.Parameters(busyDelayMilliseconds: 100, idleDelayMilliseconds: 500)
    }

    /// Who leads a round, whatever the leaders' records say; nil where the node is in another epoch.
    func leader(of round: Round, as index: Int, sees epoch: Epoch) -> Int? {
        guard let committee = nodes[index].authority?.committee, committee.epoch == epoch else { return nil }
        let seat = LeaderSchedule.shuffled(genesis: genesis, epoch: epoch).leader(of: round, in: committee)
        return places[committee.members[seat.index].owner]
    }

    private func others(_ index: Int) -> [Address] { nodes.indices.filter { $0 != index }.map(owner) }

    func signedAgain(_ block: Block, by index: Int, timestamp: Instant, ancestors: [BlockReference], round: Round? = nil) -> SignedBlock {
        let again = Block(epoch: block.epoch, round: round ?? block.round, author: block.author, timestamp: timestamp, ancestors: ancestors, commitVotes: block.commitVotes)
        return SignedBlock(again, by: world.consensusKeys[index], genesis: genesis)
    }

    private mutating func flood(behind block: Block, by index: Int) -> [Machine.Effect] {
        let peers = others(index), epoch = block.epoch, seats = (nodes[index].authority?.committee.indices ?? []).filter { $0 != block.author }
        let invented = (0..<4).map { _ in Digest.tagged("world/invented") { $0.append(chance.next()) } }
        var sent: [Machine.Effect] = []
        for step in 0..<6 * options.flood {
            // Near ahead, on invented parents; far ahead, where nobody will be for long; and in the past.
            let round = step < 4 ? block.round.advanced(by: 1 + chance.below(40)) : block.round.advanced(by: Limits.roundsAhead + chance.below(1 << 40))
            let parent = step.isMultiple(of: 2) ? round.lowered(by: 1) : block.round.lowered(by: chance.below(30))
            let ancestors = [block.author] + seats
            let references = ancestors.enumerated().map { BlockReference(round: $0.offset == 0 ? round.lowered(by: 1) : max(Round(1), parent), author: $0.element, digest: invented[$0.offset % 4]) }
            sent.append(.broadcast(Letter(epoch, .block(signedAgain(block, by: index, timestamp: block.timestamp, ancestors: references, round: round)))))
        }
        let peer = peers[Int(chance.below(UInt64(peers.count)))]
        sent.append(.send(Letter(epoch, .fetchRounds(from: Slot(Round(chance.below(block.round.rawValue) + 1), AuthorityIndex(0)), to: Round(.max))), to: peer))
        sent.append(.send(Letter(epoch, .fetch((0..<Limits.fetchReferences).map { BlockReference(round: block.round, author: block.author, digest: Digest.sha256([UInt8($0)])) })), to: peer))
        sent.append(.send(Letter(epoch, .fetchRounds(from: Slot(Round(0), AuthorityIndex(0)), to: Round(0))), to: peer))
        return sent
    }
}
