import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// From the DAG to the ledger: leaders decided, commits made and executed, roots compared with those of the others.
extension Authority {
    mutating func decide(_ effects: inout [Effect]) {
        // A message without a new block decides nothing, however many come.
        while !isHalted, !isEnded, triedAt != dag.insertions {
            let statuses = proposer.committer.tryDecide(dag, after: lastDecided)
            guard !statuses.isEmpty else {
                triedAt = dag.insertions
                return
            }
            for status in statuses {
                lastDecided = status.slot
                if !proposer.committer.decideDirectly(status.slot, dag).isDecided { effects.append(.note(.decidedIndirectly(status.slot))) }
                guard case .commit(let leader) = status else {
                    effects.append(.note(.leaderSkipped(status.slot.author, status.slot.round)))
                    continue
                }
                let isChanged = execute(leader, &effects)
                // What was decided after the last commit is nobody's: the next committee orders it anew.
                if isHalted || isEnded { return }
                if isChanged {
                    effects.append(.note(.leadersChanged(absent: reputation.swaps.tables.last?.absent ?? [])))
                    break
                }
            }
        }
    }

    /// True if other leaders are in turn from here on.
    /// - Parameter proven: the commit that a quorum has made of this leader, if that is known.
    mutating func execute(_ leader: BlockReference, as proven: Commit? = nil, _ effects: inout [Effect]) -> Bool {
        let commit = linearizer.commit(leader, dag)
        // Invariant commit.same: from the same history everybody makes the same commit.
        if let proven, commit != proven { return halt(commit, proven, &effects) }
        let entries = commit.blocks.flatMap { reference in
            (dag[reference]?.block.transactions ?? []).map { OrderedCommit.Entry(author: reference.author, transaction: $0) }
        }
        let ordered = OrderedCommit(commit: commit, entries: entries, executed: attested(commit))
        let (vote, executed) = executor.execute(ordered)
        self.vote = vote
        unsaid = unsaid.suffix(Limits.commitVotes - 1) + [vote]
        effects.append(.executed(ordered, vote, executed))
        effects.append(.note(.committed(leader, commit.index)))
        for block in commit.blocks { unordered.remove(block) }
        let executor = executor
        let returned = pool.committed(entries.lazy.map(\.transaction), blocks: commit.blocks, gcRound: linearizer.gcRound) { executor.nextNonce(of: $0) }
        if returned > 0 { effects.append(.note(.resubmitted(returned))) }
        if commit.index.rawValue.isMultiple(of: 8) {
            pool.prune(isStale: { executor.isStale($0) }, nextNonce: { executor.nextNonce(of: $0) })
        }
        if linearizer.gcRound > dag.evictedRound {
            dag.evict(through: linearizer.gcRound)
            unordered = unordered.filter { $0.round > linearizer.gcRound }
            take(manager.release(below: &dag).accepted, &effects)
        }
        votes.executed(vote)
        checkAgreement(vote.index, &effects)
        let isChanged = reputation.add(commit)
        proposer.committer.swaps = reputation.swaps
        if let next = executor.orderedBy, next.epoch != committee.epoch {
            isEnded = true
            effects.append(.note(.epochEnded(committee.epoch)))
        }
        return isChanged
    }

    /// By seat, the last commit that its blocks in this one say it has executed.
    func attested(_ commit: Commit) -> [OrderedCommit.Executed] {
        var last = [CommitIndex?](repeating: nil, count: committee.size)
        for reference in commit.blocks { for vote in dag[reference]?.block.commitVotes ?? [] { last[reference.author.index] = max(last[reference.author.index] ?? vote.index, vote.index) } }
        return committee.indices.compactMap { seat in last[seat.index].map { .init(author: seat, index: $0) } }
    }

    /// What waits for a block, or for a commit of one, goes on in the next epoch.
    mutating func inherit(from earlier: Authority, _ effects: inout [Effect]) {
        pool = earlier.pool
        let returned = pool.putBackAll()
        if returned > 0 { effects.append(.note(.resubmitted(returned))) }
        let executor = executor
        pool.prune(isStale: { executor.isStale($0) }, nextNonce: { executor.nextNonce(of: $0) })
    }

    /// Roots that a quorum attested and ours are one, or this node stops: it must not go on from a state that nobody shares.
    mutating func checkAgreement(_ index: CommitIndex, _ effects: inout [Effect]) {
        guard let (ours, theirs) = votes.disagreement(at: index, committee) else { return }
        isHalted = true
        effects.append(.note(.diverged(ours: ours, quorum: theirs)))
    }
}
