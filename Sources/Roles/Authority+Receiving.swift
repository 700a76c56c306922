import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// What comes from the others: each thing they can say, and blocks on their way into the DAG.
extension Authority {
    mutating func receive(_ message: AuthorityMessage, from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        switch message {
        case .block(let signed):
            // A stream carries its own author's blocks; others come as answers.
            guard signed.block.author == peer else { return effects.append(.note(.refused(peer, nil))) }
            sync.heard(peer, signed.block.round)
            if commitSync.isOn { return observe(signed, from: peer, &effects) }
            accept([signed], from: peer, &effects, now)
        case .advance(let round):
            sync.heard(peer, round.lowered(by: 1))
        case .ended(let last):
            sync.heard(peer, Round(.max))
            votes.heard(peer, executed: last.lowered(by: Self.unprovenCommits))
        case .fetch(let references):
            // What is held goes out at once, whatever else was asked for; only what the DAG has forgotten can be on the disk alone.
            // Each once, however often it is asked for.
            let wanted = Set(references).sorted()
            for answer in AuthorityMessage.answers(wanted.compactMap { dag[$0]?.signed }) { effects.append(.send(answer, to: peer)) }
            let forgotten = wanted.filter { $0.round <= dag.evictedRound }
            if !forgotten.isEmpty { effects.append(.load(forgotten, for: peer)) }
        case .fetchRounds(let from, let to):
            guard from.round <= to, from.round.rawValue > 0 else { return effects.append(.note(.refused(peer, nil))) }
            effects.append(.loadRounds(from: from, to: min(to, from.round.advanced(by: SyncState.rangeRounds)), for: peer))
        case .recall:
            // Who is not sure of its own past vouches for nobody's.
            guard recollection == nil else { return }
            let own = dag.latest(of: peer, below: dag.highestRound.next, above: dag.evictedRound).flatMap { dag[$0]?.signed }
            let highest = dag.references(at: dag.highestRound).first.flatMap { dag[$0]?.signed }
            effects.append(.send(.recollection(own: own, highest: highest), to: peer))
        case .recollection(let own, let highest):
            recollect(own, highest, from: peer, &effects, now)
        case .blocks(let blocks):
            // Late ones: their histories come by commits now.
            if commitSync.isOn { return }
            accept(blocks, from: peer, &effects, now)
            sync.answered(peer, with: blocks.lazy.map { Slot($0.block.round, $0.block.author) }, highest: dag.highestRound, now: now)
        case .fetchCommits, .commits, .noCommits, .fetchCommitted, .committed:
            receiveCommits(message, from: peer, &effects, now)
        }
    }

    /// Far behind, a streamed block is worth its votes alone: kept, it would only wait for its history.
    mutating func observe(_ signed: SignedBlock, from peer: AuthorityIndex, _ effects: inout [Effect]) {
        do { votes.observe(try verifier.verify(signed).block) } catch { effects.append(.note(.refused(peer, error))) }
    }

    mutating func accept(_ blocks: [SignedBlock], from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        var verified: [VerifiedBlock] = []
        for signed in blocks {
            // What is known already is not worth a signature's check, however often it is sent.
            let reference = verifier.reference(of: signed)
            guard !dag.contains(reference), !manager.isSuspended(reference) else { continue }
            // Nor is one more twin of an author that was accused just now, if nobody's history needs it.
            if isAccused(reference.author), !manager.isMissing(reference), !dag.references(in: reference.slot).isEmpty { continue }
            do { verified.append(try verifier.verify(signed, as: reference)) } catch { effects.append(.note(.refused(peer, error))) }
        }
        accept(verified, from: peer, &effects, now)
    }

    mutating func accept(_ verified: [VerifiedBlock], from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        var accepted: [VerifiedBlock] = []
        for block in verified where !dag.contains(block.reference) && !manager.isSuspended(block.reference) {
            votes.observe(block.block)
            let outcome = manager.add(block, to: &dag)
            accepted += outcome.accepted
            for pair in outcome.equivocations {
                effects.append(.note(.equivocated(pair.author, pair.round)))
                guard !isAccused(pair.author) else { continue }
                accusedAt[pair.author] = proposer.round
                effects.append(.evidence(pair))
            }
            if !outcome.missing.isEmpty { sync.pull(from: peer, at: now.advanced(by: parameters.pullDelayMilliseconds)) }
        }
        take(accepted, &effects)
    }

    /// One accusation settles an author, and who signs twins without end shall not make us sign as many. After some rounds it may be needed again.
    func isAccused(_ author: AuthorityIndex) -> Bool { accusedAt[author].map { proposer.round < $0.advanced(by: Self.reserveRounds) } ?? false }

    mutating func take(_ accepted: [VerifiedBlock], _ effects: inout [Effect]) {
        guard !accepted.isEmpty else { return }
        effects.append(.keep(accepted))
        for block in accepted {
            if !block.block.transactions.isEmpty { unordered.insert(block.reference) }
            if block.author == index { remember(block, &effects) }
            for vote in block.block.commitVotes {
                guard votes.add(vote, by: block.author, committee) else { continue }
                checkAgreement(vote.index, &effects)
            }
        }
    }
}
