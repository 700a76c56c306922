import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// After a loss of the disk: no block before the others have said what they hold of ours.
extension Authority {
    /// A block of ours that we do not remember: this memory is older than what we did with another.
    mutating func remember(_ block: VerifiedBlock, _ effects: inout [Effect]) {
        if recollection != nil { return recollection!.found(block) }
        if block.round >= proposer.round {
            recollection = Recollection(committee, of: block.author, atLeast: block.round, own: block, trustsFewer: parameters.trustsFewer)
            effects.append(.reserve(Reservation.unsure))
        } else if block.round > proposer.lastProposed.round {
            // One that nobody had shown, in a round that was left out for its sake: the next block stands on it.
            proposer.resume(above: Round(0), last: block)
            ownLast = block
        }
    }

    mutating func recollect(_ own: SignedBlock?, _ highest: SignedBlock?, from peer: AuthorityIndex, _ effects: inout [Effect], _ now: Instant) {
        guard recollection != nil else { return }
        if let own, own.block.author != index { return effects.append(.note(.refused(peer, nil))) }
        do {
            let shown = try own.map { signed throws(BlockError) in try verifier.verify(signed) }, last = try highest.map { signed throws(BlockError) in try verifier.verify(signed) }
            recollection?.answer(peer, own: shown, highest: last?.round ?? Round(0))
            // Our own block goes the way of all others: with its history, fetched from whoever showed it.
            if !commitSync.isOn { accept([shown, last].compactMap { $0 }, from: peer, &effects, now) }
        } catch { effects.append(.note(.refused(peer, error))) }
    }

    /// Resumes once enough have answered and our last block stands in the DAG, which our next one refers to.
    mutating func resume(_ effects: inout [Effect], _ now: Instant) {
        guard let asking = recollection else { return }
        if asking.isEnough, asking.own.map({ dag.contains($0.reference) }) ?? true {
            (recollection, reserved) = (nil, Round(0))
            ownLast = asking.own
            // One more: the highest block that was shown may be the parent of one of ours that nobody shows. Who trusts fewer goes on behind
            // its last block that is known, since the others may be unable to go on without it.
            let above = parameters.trustsFewer ? asking.own?.round ?? Round(0) : asking.highest.next
            proposer.resume(above: above, last: asking.own)
            if !parameters.trustsFewer { resumedAbove = above }
            return effects.append(.note(.recollected(above)))
        }
        // It was shown while its history came by commits.
        if asking.isEnough, !commitSync.isOn, let own = asking.own { accept([own], from: own.author, &effects, now) }
        guard !asking.isEnough, asking.askedAt.map({ now >= $0.advanced(by: parameters.retryMilliseconds) }) ?? true else { return }
        recollection?.askedAt = now
        effects.append(.broadcast(.recall))
        effects.append(.wake(at: now.advanced(by: parameters.retryMilliseconds)))
    }
}
