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
        case .badCommitServer: "served commits badly"
        }
    }
}

extension World {
    /// What leaves a Byzantine authority instead of what its machine says.
    mutating func twisted(_ effects: [Machine.Effect], of index: Int, _ habit: ByzantineHabit) -> [Machine.Effect] {
        effects.flatMap { effect -> [Machine.Effect] in
            switch (habit, effect) {
            case (.equivocator, .broadcast(.block(let signed))) where chance.chance(2, in: 3):
                checks.count("byzantine: \(habit.deed)")
                let twin = signedAgain(signed.block, by: index, timestamp: signed.block.timestamp.advanced(by: 1), ancestors: signed.block.ancestors)
                let turn = Int(chance.below(2))
                return others(index).map { .send(.block(($0.index + turn).isMultiple(of: 2) ? signed : twin), to: $0) }
            case (.silentLeader, .broadcast(.block(let signed))) where LeaderSchedule.shuffled(seed: verifier.genesis).leader(of: signed.block.round, in: verifier.committee).index == index:
                checks.count("byzantine: \(habit.deed)")
                return []
            case (.selective, .broadcast(.block(let signed))):
                checks.count("byzantine: \(habit.deed)")
                return others(index).filter { _ in chance.chance(1, in: 2) }.map { .send(.block(signed), to: $0) }
            case (.flooder, .broadcast(.block(let signed))):
                checks.count("byzantine: \(habit.deed)")
                return [effect] + flood(behind: signed.block, by: index)
            case (.badServer, .send(.blocks(let blocks), let peer)):
                checks.count("byzantine: \(habit.deed)")
                switch chance.below(4) {
                case 0: return []
                case 1: return [.send(.blocks(blocks.map { SignedBlock(block: $0.block, signature: Signature(bytes: $0.signature.bytes.reversed())) }), to: peer)]
                case 2: return [.send(.blocks([signedAgain(blocks[0].block, by: index, timestamp: Instant(1), ancestors: blocks[0].block.ancestors)]), to: peer)]
                default: return [.send(.blocks(Array(repeating: blocks[0], count: Limits.fetchBlocks)), to: peer)]
                }
            case (.falseVoter, .broadcast(.block(let signed))) where !signed.block.commitVotes.isEmpty:
                checks.count("byzantine: \(habit.deed)")
                let votes = signed.block.commitVotes.map { CommitVote(index: $0.index, commit: $0.commit, stateRoot: $0.logRoot, logRoot: $0.stateRoot) }
                let block = Block(epoch: signed.block.epoch, round: signed.block.round, author: signed.block.author, timestamp: signed.block.timestamp,
                                  ancestors: signed.block.ancestors, transactions: signed.block.transactions, commitVotes: votes)
                return [.broadcast(.block(SignedBlock(block, by: world.consensusKeys[index], genesis: verifier.genesis)))]
            case (.badCommitServer, .send(.commits(let commits, let proof), let peer)):
                checks.count("byzantine: \(habit.deed)")
                return badCommits(commits, proof, by: index).map { .send($0, to: peer) }
            case (.badCommitServer, .send(.committed(let blocks), let peer)):
                checks.count("byzantine: \(habit.deed)")
                return [.send(.committed(badBlocks(blocks, by: index)), to: peer)]
            default: return [effect]
            }
        }
    }

    private func others(_ index: Int) -> [AuthorityIndex] { nodes.indices.filter { $0 != index }.map { AuthorityIndex($0) } }

    func signedAgain(_ block: Block, by index: Int, timestamp: Instant, ancestors: [BlockReference], round: Round? = nil) -> SignedBlock {
        let again = Block(epoch: block.epoch, round: round ?? block.round, author: AuthorityIndex(index), timestamp: timestamp, ancestors: ancestors, commitVotes: block.commitVotes)
        return SignedBlock(again, by: world.consensusKeys[index], genesis: verifier.genesis)
    }

    private mutating func flood(behind block: Block, by index: Int) -> [Machine.Effect] {
        let peers = others(index)
        let invented = (0..<4).map { _ in Digest.tagged("world/invented") { $0.append(chance.next()) } }
        var sent: [Machine.Effect] = []
        for step in 0..<6 {
            // Near ahead, on invented parents; far ahead, where nobody will be for long; and in the past.
            let round = step < 4 ? block.round.advanced(by: 1 + chance.below(40)) : block.round.advanced(by: Limits.roundsAhead + chance.below(1 << 40))
            let parent = step.isMultiple(of: 2) ? round.lowered(by: 1) : block.round.lowered(by: chance.below(30))
            let ancestors = [AuthorityIndex(index)] + peers
            let references = ancestors.enumerated().map { BlockReference(round: $0.offset == 0 ? round.lowered(by: 1) : max(Round(1), parent), author: $0.element, digest: invented[$0.offset % 4]) }
            sent.append(.broadcast(.block(signedAgain(block, by: index, timestamp: block.timestamp, ancestors: references, round: round))))
        }
        let peer = peers[Int(chance.below(UInt64(peers.count)))]
        sent.append(.send(.fetchRounds(from: Round(chance.below(block.round.rawValue) + 1), to: Round(.max)), to: peer))
        sent.append(.send(.fetch((0..<Limits.fetchReferences).map { BlockReference(round: block.round, author: AuthorityIndex(index), digest: Digest.sha256([UInt8($0)])) }), to: peer))
        sent.append(.send(.fetchRounds(from: Round(0), to: Round(0)), to: peer))
        return sent
    }
}
