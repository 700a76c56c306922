import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// Own blocks: when, of what, and sent again while nothing moves.
extension Authority {
    mutating func propose(_ effects: inout [Effect], _ now: Instant) {
        while true {
            if proposer.jump(past: parameters.gcDepth, dag) { effects.append(.note(.jumped(to: proposer.round))) }
            if proposer.enter(dag, now: now) { effects.append(.broadcast(.advance(proposer.round))) }
            switch proposer.decide(dag, busy: isBusy, now: now) {
            case .blocked: return remind(&effects, now)
            case .wait(let until): return effects.append(.wake(at: until))
            case .create(let reason): create(reason, &effects, now)
            }
            decide(&effects)
            if isHalted || isEnded { return }
        }
    }

    /// The others' blocks are missing: they may lack ours, if a message was lost. So it is sent again now and then while nothing moves.
    mutating func remind(_ effects: inout [Effect], _ now: Instant) {
        guard let ownLast, !dag.hasQuorum(at: proposer.round.lowered(by: 1)) else { return }
        if remindedAt?.round != proposer.round { remindedAt = (proposer.round, now) }
        if let last = remindedAt, now >= last.at.advanced(by: Self.remindMilliseconds) {
            remindedAt = (proposer.round, now)
            effects.append(.broadcast(.block(ownLast.signed)))
        }
        if let last = remindedAt { effects.append(.wake(at: last.at.advanced(by: Self.remindMilliseconds))) }
    }

    mutating func create(_ reason: Proposer.Reason, _ effects: inout [Effect], _ now: Instant) {
        guard let index else { preconditionFailure("own.seat: a block is due, but there is no seat in epoch \(committee.epoch)") }
        let executor = executor
        let (digests, transactions) = pool.take { executor.nextNonce(of: $0) }
        let commitVotes = unsaid
        unsaid = []
        let block = Block(
            epoch: committee.epoch, round: proposer.round, author: index, timestamp: max(now, ownLast?.block.timestamp ?? now), ancestors: proposer.ancestors(dag),
            transactions: transactions, commitVotes: commitVotes)
        let signed = SignedBlock(block, by: key, genesis: verifier.genesis)
        let verified: VerifiedBlock
        do { verified = try verifier.verify(signed) } catch { preconditionFailure("own.valid: the block proposed for round \(block.round) is refused: \(error)") }
        precondition(dag.references(in: block.slot).isEmpty, "own.single: a block of ours for round \(block.round) is there already")
        dag.insert(verified)
        if !transactions.isEmpty { unordered.insert(verified.reference) }
        pool.propose(digests, in: verified.reference)
        proposer.proposed(verified, now: now)
        ownLast = verified
        if block.round > reserved {
            reserved = block.round.advanced(by: Self.reserveRounds)
            effects.append(.reserve(reserved))
        }
        effects.append(.persist(verified))
        effects.append(.broadcast(.block(signed)))
        effects.append(.note(.proposed(block.round, reason)))
    }
}
