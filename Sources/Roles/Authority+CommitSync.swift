import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// How an authority stands to the rest: following blocks, or fetching commits.
public struct CommitSyncStatus: Hashable, Sendable {
    /// Our last commit when it began, the one that a quorum has reached, and ours now.
    public let start, target, now: CommitIndex
}

extension Authority {
    /// Nil while blocks are followed live.
    public var commitSyncStatus: CommitSyncStatus? {
        commitSync.isOn ? CommitSyncStatus(start: commitSync.start, target: max(commitSync.target, quorumCommit), now: lastCommit?.index ?? CommitIndex(0)) : nil
    }

    /// Why there is no block of ours while we lag.
    var lagObstacle: String? {
        let next = (lastCommit?.index ?? CommitIndex(0)).next
        let pruned = commitSync.lowestKept(above: next).map { "; some of the others keep commits from \($0) on only" } ?? ""
        if let status = commitSyncStatus { return "catching up by commits: at \(status.now) of \(status.target)\(pruned)" }
        return !pruned.isEmpty && next.advanced(by: parameters.commitSync.threshold) < quorumCommit ? "nobody serves commit \(next)\(pruned): copy the store of a validator that keeps all" : nil
    }

    // MARK: Asked by others, and answered

    mutating func receiveCommits(_ message: AuthorityMessage, from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        do throws(CommitSync.Fault) {
            switch message {
            case .fetchCommits(let from, let to):
                guard from.rawValue > 0, from <= to else { return effects.append(.note(.refused(peer, nil))) }
                effects.append(.loadCommits(from: from, to: min(to, from.advanced(by: UInt64(Limits.fetchCommits - 1))), for: peer))
            case .fetchCommitted(let references):
                if !references.isEmpty { effects.append(.loadCommitted(Set(references).sorted(), for: peer)) }
            case .commits(let commits, let proof): try commitSync.take(commits, proof: proof, from: peer, now: now)
            case .noCommits(let from, let kept): if commitSync.lacks(from, kept: kept, by: peer, now: now) { effects.append(.note(.pruned(peer, kept: kept))) }
            case .committed(let blocks): try commitSync.take(blocks, from: peer, now: now)
            case .block, .advance, .ended, .fetch, .fetchRounds, .blocks, .recall, .recollection: break
            }
        } catch { effects.append(.note(.refusedCommits(peer, error))) }
    }

    // MARK: Catching up

    /// Changes over if it is time. True while commits are fetched: then nothing is decided, proposed or asked for otherwise.
    mutating func catchUp(_ effects: inout [Effect], _ now: Instant) -> Bool {
        let own = lastCommit?.index ?? CommitIndex(0)
        switch commitSync.turn(own: own, digest: lastCommit?.digest ?? .zero, quorum: quorumCommit, now: now) {
        case .toCommits:
            // What waits for its history is dropped: that comes by commits, and the rest when this node is near again.
            manager = BlockManager()
            effects.append(.note(.syncing(from: own, to: quorumCommit)))
        case .toLive:
            sync.restart()
            effects.append(.note(.live(at: own, behind: quorumCommit.lowered(by: own.rawValue).rawValue)))
        case nil: break
        }
        guard commitSync.isOn else { return false }
        var count = 0
        while count < parameters.commitSync.commitsAtOnce, let step = commitSync.next(dag) {
            guard case .ready(let commit, let history) = step else {
                if case .forked(let theirs) = step { _ = halt(lastCommit, theirs, &effects) }
                return true
            }
            insert(history, &effects)
            let isChanged = execute(commit.leader, as: commit, &effects)
            if isHalted || isEnded { return true }
            if isChanged { effects.append(.note(.leadersChanged(absent: reputation.swaps.tables.last?.absent ?? []))) }
            lastDecided = commit.leader.slot
            commitSync.done(commit)
            count += 1
        }
        // More may be ready; the others get their turn first.
        if count == parameters.commitSync.commitsAtOnce { effects.append(.wake(at: now.advanced(by: 1))) }
        if count > 0, own.advanced(by: UInt64(count)).advanced(by: parameters.commitSync.nearby) >= quorumCommit { return catchUp(&effects, now) }
        let candidates = committee.indices.filter { $0 != index }.map { (peer: $0, attested: votes.attested(by: $0)) }
        for request in commitSync.requests(candidates, dag: dag, now: now) { effects.append(.send(request.message, to: request.peer)) }
        effects.append(.wake(at: max(commitSync.nextWake ?? now, now.advanced(by: 1))))
        return true
    }

    /// Blocks of a proven commit, each with its history already in the DAG or before it in the list.
    private mutating func insert(_ history: [VerifiedBlock], _ effects: inout [Effect]) {
        var accepted: [VerifiedBlock] = []
        for block in history {
            let outcome = manager.add(block, to: &dag, kept: true)
            accepted += outcome.accepted
            for pair in outcome.equivocations {
                effects.append(.note(.equivocated(pair.author, pair.round)))
                effects.append(.evidence(pair))
            }
        }
        take(accepted, &effects)
    }

    /// Loudly: either this program or more than a third of the stake is at fault, and neither gets better by going on.
    mutating func halt(_ ours: Commit?, _ theirs: Commit, _ effects: inout [Effect]) -> Bool {
        isHalted = true
        let (index, quorum) = ours?.index == theirs.index ? (theirs.index, theirs.digest) : (ours?.index ?? CommitIndex(0), theirs.previous)
        effects.append(.note(.commitDiffers(index, ours: ours?.digest ?? .zero, quorum: quorum)))
        return true
    }
}
