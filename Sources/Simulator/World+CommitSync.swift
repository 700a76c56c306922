import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

extension CommitSyncParameters {
    /// For worlds that last minutes.
    public static var small: CommitSyncParameters {
        var small = CommitSyncParameters()
        (small.threshold, small.nearby, small.batchCommits, small.batchesAhead, small.namesAtOnce, small.namesAhead) = (10, 2, 5, 4, 16, 120)
        (small.bytesAhead, small.commitsAtOnce, small.timeoutMilliseconds, small.asideMilliseconds, small.patience, small.holdMilliseconds) = (64 << 10, 7, 700, 2_000, 30, 4_000)
        return small
    }
}

extension World {
    /// What a validator's disk has of a range of an epoch's commits, and the blocks in which others may have voted for its last one.
    func loadedCommits(_ from: CommitIndex, _ to: CommitIndex, of epoch: Epoch, by index: Int, for peer: Address) -> Machine.Input {
        let disk = nodes[index].disk, count = UInt64(disk.commits.count)
        let kept = CommitIndex(options.keptCommits[index].map { count > $0 ? count - $0 + 1 : 1 } ?? 1)
        guard from >= kept, from.rawValue <= count, from <= to else { return .loadedCommits([], [], kept: kept, from: from, of: epoch, for: peer) }
        let commits = disk.commits[Int(from.rawValue - 1)..<Int(min(to.rawValue, count))].map(\.commit).prefix { $0.epoch == epoch }
        guard let round = commits.last?.leader.round else { return .loadedCommits([], [], kept: kept, from: from, of: epoch, for: peer) }
        return .loadedCommits(Array(commits), disk.blocks(from: Slot(round.next, AuthorityIndex(0)), to: round.advanced(by: 12), of: epoch, limit: .max), kept: kept, from: from, of: epoch, for: peer)
    }

    // MARK: Served badly

    mutating func badCommits(_ commits: [Commit], _ proof: [Attestation], by index: Int) -> [AuthorityMessage] {
        guard !commits.isEmpty, !proof.isEmpty else { return [.commits(commits, proof: proof)] }
        checks.count("byzantine: \(ByzantineHabit.badCommitServer.deed)")
        func changed(_ commit: Commit, epoch: Epoch? = nil, number: CommitIndex? = nil, previous: Digest? = nil, timestamp: Instant? = nil) -> Commit {
            Commit(epoch: epoch ?? commit.epoch, index: number ?? commit.index, previous: previous ?? commit.previous, timestamp: timestamp ?? commit.timestamp, leader: commit.leader, blocks: commit.blocks)
        }
        let last = commits[commits.count - 1]
        switch chance.below(10) {
        case 0: return []
        case 1: return [.commits(commits.dropLast() + [changed(last, previous: Digest.sha256([1]))], proof: proof)]
        case 2: return [.commits(commits, proof: [])]
        case 3: return [.commits(commits, proof: Array(repeating: proof[0], count: Limits.committeeSize))]
        case 4: return [.commits(commits.map { changed($0, epoch: Epoch(9)) }, proof: proof)]
        case 5: return [.commits([commits[0]] + commits.map { changed($0, number: $0.index.advanced(by: 7)) }.dropFirst(), proof: proof)]
        case 6:
            // Votes of its own for a commit of its own, in others' names.
            let forged = changed(last, timestamp: last.timestamp.next)
            let vote = CommitVote(index: forged.index, commit: forged.digest, stateRoot: .zero, logRoot: .zero)
            let votes = (nodes[index].authority?.committee.indices ?? []).map { seat in
                Attestation(SignedBlock(Block(epoch: forged.epoch, round: forged.leader.round, author: seat, timestamp: forged.timestamp, ancestors: [], commitVotes: [vote]), by: world.consensusKeys[index], genesis: genesis))
            }
            return [.commits(commits.dropLast() + [forged], proof: votes)]
        case 7: return [.commits((0..<UInt64(Limits.fetchCommits)).map { changed(commits[0], number: commits[0].index.advanced(by: $0)) }, proof: proof)]
        case 8: return [.noCommits(from: commits[0].index, kept: CommitIndex(.max))]
        default: return [.noCommits(from: commits[0].index, kept: CommitIndex(0)), .commits([], proof: [])]
        }
    }

    mutating func badBlocks(_ blocks: [SignedBlock], by index: Int) -> [SignedBlock] {
        guard let first = blocks.first else { return [] }
        checks.count("byzantine: \(ByzantineHabit.badCommitServer.deed)")
        switch chance.below(4) {
        case 0: return []
        case 1: return blocks.map { SignedBlock(block: $0.block, signature: Signature(bytes: $0.signature.bytes.reversed())) }
        case 2: return [signedAgain(first.block, by: index, timestamp: Instant(1), ancestors: first.block.ancestors)]
        default: return Array(repeating: first, count: Limits.committedReferences)
        }
    }
}
