import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Catching up by commits: ranges of the chain from several peers at once, each proven by a quorum's votes for its last commit, then their blocks by name.
///
/// What is proven once needs no trust in who serves it: the votes name the last commit, each commit names the one before it and its blocks, each block its
/// ancestors. A name does not cover a signature, so that is checked too: a block kept here is handed on, and a wrong signature would be ours then.
///
/// Its memory is bounded: so many ranges and names ahead, blocks up to `bytesAhead` and one answer a peer above it.
public struct CommitSync: Sendable {
    /// A peer's fault.
    public enum Fault: Error, Hashable, Sendable {
        case wrongEpoch(CommitIndex, found: Epoch, expected: Epoch)
        case wrongIndex(found: CommitIndex, expected: CommitIndex)
        case brokenChain(CommitIndex)
        case attestation(Attestation.Invalid)
        case unproven(CommitIndex, found: Stake, quorum: Stake)
        case block(BlockReference, BlockError)
    }
    package struct Request: Hashable, Sendable {
        package let peer: AuthorityIndex
        package let message: AuthorityMessage
    }
    package enum Switch: Hashable, Sendable { case toCommits, toLive }
    package enum Step: Hashable, Sendable {
        /// Its blocks that the DAG does not have, with all of its history, ancestors first.
        case ready(Commit, [VerifiedBlock])
        /// A quorum's chain does not go on from ours.
        case forked(Commit)
    }

    private struct Range: Sendable {
        let from: CommitIndex
        var to: CommitIndex
        /// Once they are proven.
        var commits: [Commit]?
    }

    package let verifier: BlockVerifier
    package let parameters: CommitSyncParameters
    package private(set) var isOn = false
    /// Our last commit when it began, and where it goes to.
    package private(set) var start = CommitIndex(0)
    package private(set) var target = CommitIndex(0)
    private var executed: (index: CommitIndex, digest: Digest) = (CommitIndex(0), .zero)
    /// Without a gap from the first commit that is not executed. Of the first one, `place` commits are.
    private var ranges: [Range] = []
    private var place = 0
    /// Ranges whose blocks' names are in `wanted` or were.
    private var queued = 0
    private var wanted = NameQueue()
    private var blocks: [BlockReference: VerifiedBlock] = [:]
    private var bytes = 0
    private var peers: SyncPeers
    /// Questions without a useful answer since the last commit.
    private var failures = 0
    private var heldUntil = Instant(0)

    package init(_ verifier: BlockVerifier, _ parameters: CommitSyncParameters) {
        (self.verifier, self.parameters, peers) = (verifier, parameters, SyncPeers(parameters))
    }

    /// The lowest commit that those still keep who have said that they do not keep this one.
    package func lowestKept(above index: CommitIndex) -> CommitIndex? { peers.lowestKept(above: index) }
    package var bufferedBlocks: Int { blocks.count }
    package var knownCommits: Int { ranges.reduce(0) { $0 + ($1.commits?.count ?? 0) } }

    // MARK: Switching

    /// Whether to change over: to commits when a quorum is far ahead, back when it is near or when nobody is of help.
    package mutating func turn(own: CommitIndex, digest: Digest, quorum: CommitIndex, now: Instant) -> Switch? {
        target = max(target, quorum)
        if isOn {
            let isStuck = failures >= parameters.patience
            guard isStuck || own.advanced(by: parameters.nearby) >= quorum else { return nil }
            reset()
            if isStuck { heldUntil = now.advanced(by: parameters.holdMilliseconds) }
            return .toLive
        }
        guard own.advanced(by: parameters.threshold) < quorum, now >= heldUntil else { return nil }
        (isOn, start, target, executed) = (true, own, quorum, (own, digest))
        return .toCommits
    }

    private mutating func reset() {
        (isOn, ranges, place, queued, wanted, blocks, bytes, failures) = (false, [], 0, 0, NameQueue(), [:], 0, 0)
        peers.forgetQuestions()
    }

    // MARK: Answers

    /// Takes commits that were asked for; others are too late, which is nobody's fault.
    package mutating func take(_ commits: [Commit], proof: [Attestation], from peer: AuthorityIndex, now: Instant) throws(Fault) {
        guard isOn, let first = commits.first, peers.asked(peer)?.from == first.index, let at = ranges.firstIndex(where: { $0.from == first.index && $0.commits == nil }),
              commits.count <= ranges[at].to.rawValue - ranges[at].from.rawValue + 1 else { return }
        do throws(Fault) { try check(commits, proof) } catch {
            failures += 1
            peers.fail(peer, .commits, now: now)
            throw error
        }
        peers.answered(peer, .commits)
        let to = ranges[at].to, last = first.index.advanced(by: UInt64(commits.count - 1))
        (ranges[at].commits, ranges[at].to) = (commits, last)
        if last < to { ranges.insert(Range(from: last.next, to: to), at: at + 1) }
    }

    /// The chain first, since it is cheap, then the votes of a quorum for the last commit.
    private func check(_ commits: [Commit], _ proof: [Attestation]) throws(Fault) {
        let committee = verifier.committee
        var index = commits[0].index, previous = commits[0].previous
        for commit in commits {
            guard commit.epoch == committee.epoch else { throw .wrongEpoch(commit.index, found: commit.epoch, expected: committee.epoch) }
            guard commit.index == index else { throw .wrongIndex(found: commit.index, expected: index) }
            guard commit.previous == previous else { throw .brokenChain(commit.index) }
            (index, previous) = (commit.index.next, commit.digest)
        }
        let last = commits[commits.count - 1].index
        var tally = StakeTally(committee)
        for attestation in proof where !tally.voters.contains(attestation.header.author) {
            guard attestation.commitVotes.contains(where: { $0.index == last && $0.commit == previous }) else { continue }
            do { try attestation.check(committee, genesis: verifier.genesis) } catch { throw .attestation(error) }
            tally.add(attestation.header.author)
        }
        guard tally.hasQuorum else { throw .unproven(last, found: tally.stake, quorum: committee.quorum) }
    }

    /// A peer has no answer: what it was asked for is not kept any more, or it cannot prove any commit of the range. Then more are asked for at once, since
    /// the next one that is proven proves all before it.
    package mutating func lacks(_ from: CommitIndex, kept: CommitIndex, by peer: AuthorityIndex, now: Instant) -> Bool {
        guard isOn, peers.asked(peer)?.from == from else { return false }
        failures += 1
        guard kept <= from else {
            peers.answered(peer, .commits)
            peers.keeps(peer, kept)
            return true
        }
        peers.fail(peer, .commits, now: now)
        guard let at = ranges.firstIndex(where: { $0.from == from && $0.commits == nil }) else { return false }
        let wider = min(ranges[at].to.advanced(by: parameters.batchCommits), from.advanced(by: UInt64(Limits.fetchCommits - 1)), target)
        guard wider > ranges[at].to else { return false }
        ranges[at].to = wider
        // What comes behind is asked for anew; nothing behind a range that is not proven was queued yet.
        ranges.removeSubrange((at + 1)...)
        peers.forgetRanges(above: from)
        return false
    }

    /// Takes blocks that were asked for.
    package mutating func take(_ signed: [SignedBlock], from peer: AuthorityIndex, now: Instant) throws(Fault) {
        guard isOn, let names = peers.asked(peer, .blocks)?.names else { return }
        var open = Set(names)
        let found = signed.map { (block: $0, reference: verifier.reference(of: $0)) }.filter { open.contains($0.reference) }
        // None of what is asked for now: an answer to an earlier question.
        guard signed.isEmpty || !found.isEmpty else { return }
        defer { wanted.putBack(names.filter { open.contains($0) }) }
        for (block, reference) in found where open.contains(reference) {
            let verified: VerifiedBlock
            do { verified = try verifier.verify(block, as: reference) } catch {
                failures += 1
                peers.fail(peer, .blocks, now: now)
                throw .block(reference, error)
            }
            open.remove(reference)
            blocks[reference] = verified
            bytes += verified.bufferedBytes
        }
        guard found.isEmpty else { return peers.answered(peer, .blocks) }
        failures += 1
        peers.fail(peer, .blocks, now: now)
    }

    // MARK: Going on

    /// The next commit, once all of its history is here.
    package mutating func next(_ dag: DAG) -> Step? {
        guard isOn, let commits = ranges.first?.commits else { return nil }
        let commit = commits[place]
        guard commit.previous == executed.digest else { return .forked(commit) }
        var history: [VerifiedBlock] = [], missing: [BlockReference] = [], seen = Set(commit.blocks), stack = commit.blocks
        while let reference = stack.popLast() {
            if dag.contains(reference) { continue }
            guard let block = blocks[reference] else { missing.append(reference); continue }
            history.append(block)
            // Of two blocks for a slot the commit names one; the other may be in its history, and then we need that too.
            for ancestor in block.ancestors where seen.insert(ancestor).inserted { stack.append(ancestor) }
        }
        guard missing.isEmpty else {
            let asked = peers.askedNames
            wanted.putFirst(missing.sorted().filter { !asked.contains($0) })
            return nil
        }
        history.sort { $0.reference < $1.reference }
        for block in history {
            blocks[block.reference] = nil
            bytes -= block.bufferedBytes
        }
        return .ready(commit, history)
    }

    /// That commit was executed.
    package mutating func done(_ commit: Commit) {
        (executed, failures, place) = ((commit.index, commit.digest), 0, place + 1)
        guard let range = ranges.first, place == range.commits?.count else { return }
        ranges.removeFirst()
        (place, queued) = (0, max(0, queued - 1))
    }

    /// - Parameter attested: the last commit that each peer says it has executed.
    package mutating func requests(_ candidates: [(peer: AuthorityIndex, attested: CommitIndex)], dag: DAG, now: Instant) -> [Request] {
        guard isOn else { return [] }
        for question in peers.overdue(now) {
            failures += 1
            wanted.putBack(question.names)
        }
        var next = (ranges.last?.to ?? executed.index).next
        while ranges.count < parameters.batchesAhead, next <= target {
            let to = min(next.advanced(by: parameters.batchCommits - 1), target)
            ranges.append(Range(from: next, to: to))
            next = to.next
        }
        while queued < ranges.count, wanted.count < parameters.namesAhead, let commits = ranges[queued].commits {
            for commit in commits { wanted.append(commit.blocks) }
            queued += 1
        }
        var requests: [Request] = []
        let froms = peers.askedRanges
        for range in ranges where range.commits == nil && !froms.contains(range.from) {
            guard let peer = peers.free(candidates, for: .commits, from: range.from, now) else { continue }
            peers.ask(peer, SyncPeers.Question(kind: .commits, from: range.from), now: now)
            requests.append(Request(peer: peer, message: .fetchCommits(from: range.from, to: range.to)))
        }
        // One question may always be under way: its names are those of the next commits.
        while bytes < parameters.bytesAhead || !peers.isAsking(.blocks), let peer = peers.free(candidates, for: .blocks, from: executed.index.next, now) {
            let known = blocks
            let names = wanted.take(parameters.namesAtOnce) { !dag.contains($0) && known[$0] == nil }
            guard !names.isEmpty else { break }
            peers.ask(peer, SyncPeers.Question(kind: .blocks, names: names), now: now)
            requests.append(Request(peer: peer, message: .fetchCommitted(names)))
        }
        // Nobody is asked anything, and nobody will be: those who are left do not keep these commits.
        if requests.isEmpty, peers.nextWake == nil, ranges.first?.commits == nil || wanted.count > 0 { failures = parameters.patience }
        return requests
    }

    /// When a question is overdue, or a peer may be asked again.
    package var nextWake: Instant? { isOn ? peers.nextWake : nil }
}

extension VerifiedBlock {
    /// What it takes in memory, roughly.
    fileprivate var bufferedBytes: Int { block.transactions.reduce(1_024 + 48 * block.ancestors.count) { $0 + 32 + $1.count } + 128 * block.commitVotes.count }
}
