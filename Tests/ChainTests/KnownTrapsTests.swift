import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import TestKit
import Testing

/// Mistakes that consensus implementations are known to have made, each by a test that fails where its guard is taken away. Each says which line
/// that is. One of the published list has no test because there is nothing to guard: T2, garbage collection against a fast path. Assay has no fast path, so
/// nothing is final before it is committed.
///
/// T4 stands in `LeaderReputationTests`; T5 needs a whole authority and stands in `KnownTrapsAuthorityTests`.
struct KnownTrapsTests {
    private func committer(_ drawn: DrawnDAG) -> Committer { Committer(committee: drawn.committee, schedule: .roundRobin) }
    private func decide(_ drawn: DrawnDAG) -> [String] {
        committer(drawn).tryDecide(drawn.dag, after: nil).map { status in
            switch status {
            case .commit(let leader): "\(leader.slot)"
            case .skip(let slot): "-\(slot)"
            case .undecided(let slot): "?\(slot)"
            }
        }
    }

    // MARK: T1, the livelock of a pacemaker that jumps to the highest round

    /// Guard: `Proposer.jump`, both comparisons with `round.advanced(by: gcDepth)`: without them the round follows the highest quorum, over rounds of
    /// one's own. Two rushing authorities of seven, and a network that is slow, within its bound, to the next leader only, then make every leader
    /// leave its own round out: rounds go by for ever, and nothing is committed.
    @Test func `T1: under the livelock schedule the pacemaker that jumps never commits, and ours commits`() {
        var jumping = LivelockSchedule(jumping: true), filling = LivelockSchedule(jumping: false)
        // All begin together, so the schedule takes a few rounds to bite.
        jumping.run(until: 5_000)
        let before = jumping.commits
        jumping.run(until: 60_000)
        filling.run(until: 60_000)
        #expect(jumping.rounds > 60, "rounds go by: \(jumping.rounds)")
        #expect(jumping.commits == before && before <= 2, "\(jumping.commits) commits, \(before) of them at the beginning")
        #expect(filling.rounds > 60 && filling.commits > filling.rounds / 2, "\(filling.commits) commits in \(filling.rounds) rounds")
    }

    // MARK: T3, outputs that differ at the edge of garbage collection

    /// Guard: `Linearizer.commit`, `ancestor.round > floor`, with the floor of before this commit. D's hidden chain lies across the edge.
    @Test func `T3: what lies at the edge of garbage collection is committed by all or by none, whatever each still holds`() {
        let drawn = DrawnDAG("""
            full 1..1
            A2 B2 C2 <- A1 B1 C1
            D2 <- D1
            A3 B3 C3 <- A2 B2 C2
            D3 <- D2
            A4 B4 C4 <- A3 B3 C3
            D4 <- D3
            A5 B5 C5 <- A4 B4 C4
            D5 <- D4
            A6 <- A5 B5 C5 D5
            """)
        var linearizer = Linearizer(committee: drawn.committee, gcDepth: 3, start: Instant(0))
        _ = linearizer.commit(drawn["A5"], drawn.dag)
        #expect(linearizer.gcRound == Round(2))
        // D2 is at the edge and out, for one who holds it as for one who has forgotten it.
        var forgetful = drawn.dag
        forgetful.evict(through: Round(2))
        var other = linearizer
        let whole = linearizer.commit(drawn["A6"], drawn.dag)
        #expect(whole.blocks.map { "\($0.slot)" } == ["D3", "D4", "B5", "C5", "D5", "A6"])
        guard whole.blocks.allSatisfy({ $0.round > Round(2) }) else { return }
        let same = other.commit(drawn["A6"], forgetful)
        #expect(same == whole)
    }

    /// The same over random histories with authors that lag, for one who keeps everything, one who forgets at once, and one who starts again
    /// from its last commits before each.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func `T3: whoever forgets at once, and whoever starts again, commits what one does who keeps everything`(seed: UInt64) {
        let drawn = DrawnDAG.random(authorities: 7, rounds: 40, seed: seed, missing: 35, leaderLinked: 60), depth = 3 + seed % 4
        let leaders = committer(drawn).tryDecide(drawn.dag, after: nil).compactMap { status -> BlockReference? in if case .commit(let leader) = status { leader } else { nil } }
        #expect(leaders.count > 5)
        var keeping = Linearizer(committee: drawn.committee, gcDepth: depth, start: Instant(0)), forgetting = keeping
        var forgetful = drawn.dag, commits: [Commit] = []
        for leader in leaders {
            var again = Linearizer(committee: drawn.committee, gcDepth: depth, start: Instant(0), recovering: Array(commits.suffix(Int(2 * depth + 2))))
            let commit = keeping.commit(leader, drawn.dag), floor = commits.last.map { $0.leader.round.lowered(by: depth) } ?? Round(0)
            guard commit.blocks.allSatisfy({ $0.round > floor }) else {
                Issue.record("seed \(seed): commit \(commit.index) reaches to or below round \(floor)")
                return
            }
            let forgot = forgetting.commit(leader, forgetful), began = again.commit(leader, drawn.dag)
            #expect(forgot == commit, "seed \(seed): who forgets commits otherwise")
            #expect(began == commit, "seed \(seed): who starts again commits otherwise")
            forgetful.evict(through: forgetting.gcRound)
            commits.append(commit)
        }
    }

    // MARK: T6, memory for what is missing

    private func hidden(_ drawn: DrawnDAG, by seat: Int, round: UInt64, variant: UInt64 = 0) -> VerifiedBlock {
        let invented = (0..<drawn.committee.size).map { BlockReference(round: Round(round - 1), author: AuthorityIndex($0), digest: Digest.tagged("none") { $0.append(variant << 32 | round) }) }
        let block = Block(epoch: Epoch(0), round: Round(round), author: AuthorityIndex(seat), timestamp: Instant(variant), ancestors: invented)
        return drawn.verifier.trust(SignedBlock(block: block, signature: Signature(bytes: [UInt8](repeating: 0, count: 65))))
    }

    /// Guards, all in `BlockManager.add`: `makeRoom`, for rounds without end; `contains(where: { $0.round == block.round })`, for blocks of one
    /// slot without end; the comparison with `Limits.roundsAhead`, for rounds that nobody will reach.
    @Test func `T6: whatever blocks an author sends on ancestors that do not exist, what waits and what is missing stays bounded`() {
        let drawn = DrawnDAG(authorities: 20, "full 1..1"), share = Limits.suspendedBlocks / 20
        func flood(_ blocks: some Sequence<VerifiedBlock>) -> BlockManager {
            var manager = BlockManager(), dag = drawn.dag
            for block in blocks { _ = manager.add(block, to: &dag) }
            return manager
        }
        let deep = flood((2..<480).map { hidden(drawn, by: 3, round: $0) })
        #expect(deep.suspendedCount <= share && deep.missingCount <= share * 20, "rounds: \(deep.suspendedCount) wait, \(deep.missingCount) are missing")
        let wide = flood((0..<share as Range<Int>).map { hidden(drawn, by: 3, round: 5, variant: UInt64($0)) })
        #expect(wide.suspendedCount == 1 && wide.missingCount == 20, "one slot: \(wide.suspendedCount) wait, \(wide.missingCount) are missing")
        let far = flood((0..<100).map { hidden(drawn, by: 3, round: 3 + Limits.roundsAhead + $0 * 1_000_003) } + [hidden(drawn, by: 3, round: .max)])
        #expect(far.suspendedCount == 0 && far.missingCount == 0, "far ahead: \(far.suspendedCount) wait")
    }

    /// Guard: `BlockManager.makeRoom`, the comparison of bytes: a count of blocks alone would let two gigabytes wait.
    @Test func `T6: large blocks that wait take an author's share of bytes and no more`() {
        let drawn = DrawnDAG("full 1..1"), share = Limits.suspendedBytes / 4
        let full = Array(repeating: [UInt8](repeating: 7, count: Limits.transactionBytes), count: Limits.blockTransactionBytes / Limits.transactionBytes)
        var manager = BlockManager(), dag = drawn.dag
        func block(_ round: UInt64, _ transactions: [[UInt8]]) -> VerifiedBlock {
            let invented = BlockReference(round: Round(round - 1), author: AuthorityIndex(3), digest: .zero)
            return drawn.verifier.trust(SignedBlock(block: Block(epoch: Epoch(0), round: Round(round), author: AuthorityIndex(3), timestamp: Instant(1), ancestors: [invented], transactions: transactions),
                                                    signature: Signature(bytes: [UInt8](repeating: 0, count: 65))))
        }
        for round in (3..<60 as Range<UInt64>).reversed() { _ = manager.add(block(round, full), to: &dag) }
        #expect(manager.suspendedCount == share / Limits.blockTransactionBytes, "\(manager.suspendedCount) blocks of two megabytes wait")
        // The lowest rounds are those that stay, and small ones still have no room beyond them.
        let lowest = block(2, full)
        let outcome = manager.add(lowest, to: &dag), isThere = manager.isSuspended(lowest.reference)
        #expect(!outcome.ignored && isThere && manager.suspendedCount == share / Limits.blockTransactionBytes)
    }

    // MARK: T7, an author who has no seat

    /// Guards: `BlockVerifier.verify`, `committee.contains(block.author)` before the author's key is looked up, and the same for every ancestor in
    /// `verifyAncestors`; `DAG.references(in:)` and `StakeTally.add`, which ask again where they index.
    @Test func `T7: an author or ancestor without a seat is refused by name, and indexes nothing`() {
        let drawn = DrawnDAG("full 1..1"), key = KeyPair(seed: "drawn 0")
        func refusal(author: UInt16, _ ancestors: [BlockReference]) -> BlockError? {
            let block = Block(epoch: Epoch(0), round: Round(2), author: AuthorityIndex(author), timestamp: Instant(1), ancestors: ancestors)
            do {
                _ = try drawn.verifier.verify(SignedBlock(block, by: key, genesis: drawn.verifier.genesis))
                return nil
            } catch { return error }
        }
        let parents = ["A1", "B1", "C1"].map { drawn[$0] }
        #expect(refusal(author: 0, parents) == nil)
        for seat in [4, 5, 127, 255, 256, 65_535] as [UInt16] {
            #expect(refusal(author: seat, parents) == .unknownAuthor(AuthorityIndex(seat), committeeSize: 4))
            // Of a low round too, and of round 0, whose blocks are looked up by seat.
            for round in [0, 1] as [UInt64] {
                let stranger = BlockReference(round: Round(round), author: AuthorityIndex(seat), digest: .zero)
                #expect(refusal(author: 0, parents + [stranger]) == .unknownAncestorAuthor(AuthorityIndex(seat), committeeSize: 4))
            }
            #expect(drawn.dag.references(in: Slot(Round(1), AuthorityIndex(seat))).isEmpty)
            var tally = StakeTally(drawn.committee)
            tally.add(AuthorityIndex(seat))
            #expect(tally.stake == Stake(0))
        }
    }

    // MARK: T8, an equivocator that counts twice

    /// Guard: `StakeTally.add`, `voters.insert(authority).inserted`. B votes twice for D3 and certifies twice.
    @Test func `T8: an authority with two blocks of a round is one voice, as voter, as certifier and as parent`() {
        let votes = DrawnDAG("""
            full 1..3
            A4 B4 B4' <- *
            C4 D4 <- A3 B3 C3
            A5 <- A4 B4 B4' C4
            B5 C5 D5 <- A4 B4 B4' D4
            """)
        #expect(committer(votes).decideDirectly(DrawnDAG.slot("D3"), votes.dag) == .undecided(DrawnDAG.slot("D3")), "two authors voted, in three blocks")
        let certificates = DrawnDAG("""
            full 1..4
            A5 B5 B5' <- *
            C5 D5 <- A4 B4
            """)
        #expect(committer(certificates).decideDirectly(DrawnDAG.slot("D3"), certificates.dag) == .undecided(DrawnDAG.slot("D3")), "two authors certified, in three blocks")
        let parents = DrawnDAG("A1 B1 B1'")
        #expect(!parents.dag.hasQuorum(at: Round(1)) && parents.dag.tally(at: Round(1)).stake == Stake(2))
    }

    /// Guard: `Linearizer.commit`, `slots.insert($0.slot).inserted`, and that `record` keeps the slots.
    @Test func `T8: of an equivocator's two blocks one at most is committed, in one commit and over several`() {
        let drawn = DrawnDAG("""
            full 1..1
            D2 D2' <- *
            A2 B2 C2 <- *
            A3 <- A2 B2 C2 D2
            B3 <- A2 B2 C2 D2'
            C4 <- A3 B3
            """)
        func committed(_ leaders: [String]) -> Int {
            var linearizer = Linearizer(committee: drawn.committee, gcDepth: 60, start: Instant(0))
            return leaders.map { leader in linearizer.commit(drawn[leader], drawn.dag).blocks.filter { $0.slot == DrawnDAG.slot("D2") }.count }.reduce(0, +)
        }
        #expect(committed(["C4"]) == 1)
        #expect(committed(["A3", "C4"]) == 1)
        #expect(committed(["B3", "C4"]) == 1)
    }

    // MARK: T9, an indirect decision past a slot in doubt

    /// Guard: `Committer.decideIndirectly`, `case .undecided: return .undecided(slot)`. D3's anchor is C6, which is in doubt; D7 behind it is certain.
    @Test func `T9: a slot whose anchor is in doubt stays in doubt, whatever is certain behind it, and comes out as the anchor says`() {
        var drawn = DrawnDAG("""
            full 1..3
            A4 B4 <- * -D3
            C4 D4 <- *
            full 5..6
            A7 B7 <- * -C6
            C7 D7 <- *
            full 8..9
            """)
        #expect(committer(drawn).decideDirectly(DrawnDAG.slot("C6"), drawn.dag) == .undecided(DrawnDAG.slot("C6")))
        #expect(committer(drawn).decideDirectly(DrawnDAG.slot("D7"), drawn.dag) == .commit(drawn["D7"]))
        #expect(decide(drawn) == ["B1", "C2"])
        // What is decided later begins with what was decided before.
        drawn.draw("full 10..11")
        #expect(Array(decide(drawn).prefix(2)) == ["B1", "C2"] && decide(drawn).count > 5)
    }

    // MARK: T10, a commit of what is known but no ancestor

    /// Guard: `Linearizer.commit`, which walks from the leader along `block.ancestors` and never over the DAG's rounds.
    @Test func `T10: two who know different blocks beside the leader's history commit the same`() {
        let shared = """
            full 1..1
            A2 B2 C2 <- A1 B1 C1
            A3 B3 C3 <- A2 B2 C2
            """
        let less = DrawnDAG(shared), more = DrawnDAG(shared + "\nD2 <- *\nD3 <- A2 B2 C2 D2\nB3' <- A2 B2 C2 D2")
        var one = Linearizer(committee: less.committee, gcDepth: 60, start: Instant(0)), other = one
        for leader in ["B1", "C2", "A3"] {
            let commit = one.commit(less[leader], less.dag)
            let same = other.commit(more[leader], more.dag)
            #expect(same == commit, "at \(leader)")
            #expect(!commit.blocks.contains { $0.author == AuthorityIndex(3) })
        }
    }
}

/// The pacemaker of the trap, for these tests only: the clock follows the highest round seen, and a block is made for the clock's round, whatever
/// rounds of one's own were left out. It waits for the leader of the round before, or its time-out.
private struct JumpingPacemaker {
    let seat: Int, timeout: UInt64
    private var round = Round(1), enteredAt: UInt64 = 0
    private var last: BlockReference, included: [Round]

    init(seat: Int, timeout: UInt64, genesis: BlockReference, size: Int) {
        (self.seat, self.timeout, last, included) = (seat, timeout, genesis, Array(repeating: Round(0), count: size))
    }
    mutating func follow(_ dag: DAG, now: UInt64) {
        var seen = max(round, dag.highestRound)
        while dag.hasQuorum(at: seen) { seen = seen.next }
        if seen > round { (round, enteredAt) = (seen, now) }
    }
    enum Decision { case create(Round, [BlockReference]), wait(UInt64), blocked }
    func decide(_ dag: DAG, _ committer: Committer, now: UInt64) -> Decision {
        guard round > last.round, dag.hasQuorum(at: round.lowered(by: 1)) else { return .blocked }
        let isLed = committer.leaders(of: round.lowered(by: 1)).allSatisfy { !dag.references(in: $0).isEmpty }
        guard isLed || now >= enteredAt + timeout else { return .wait(enteredAt + timeout) }
        let others = committer.committee.indices.filter { $0.index != seat }
        return .create(round, [last] + others.compactMap { other in
            dag.latest(of: other, below: round, above: included[other.index]) ?? (round == Round(1) ? dag.references(at: Round(0)).first { $0.author == other } : nil)
        })
    }
    mutating func proposed(_ block: VerifiedBlock) {
        for ancestor in block.ancestors { included[ancestor.author.index] = max(included[ancestor.author.index], ancestor.round) }
        last = block.reference
    }
}

/// Seven authorities with the real DAG and commit rule, two of them rushing, under a scheduler that is against them: a block reaches the next
/// round's leader after `slow` milliseconds and everybody else after `fast`.
///
/// The two make a block as soon as they may, wait for no leader, and make none where they lead. So a round has its quorum before the slow leader's
/// own block is due, and a leader that jumps is past its own round before it has made its block.
///
/// Source: Qiu, Xiao, Shao, on the liveness of DAG consensus with jumping rounds (IEEE S&P 2026); this schedule is our own.
private struct LivelockSchedule {
    private static let fast: UInt64 = 10, slow: UInt64 = 100, timeout: UInt64 = 600, honest = 5, size = 7
    private enum Pacemaker { case jumping(JumpingPacemaker), ours(Proposer) }
    private struct Due { let time: UInt64, number: Int, to: Int, block: VerifiedBlock? }

    private let drawn = DrawnDAG(authorities: size), committer: Committer
    private var dags: [DAG], managers: [BlockManager], pacemakers: [Pacemaker]
    private var queue: [Due] = [], number = 0

    init(jumping: Bool) {
        let drawn = drawn, committer = Committer(committee: drawn.committee, schedule: .roundRobin), size = LivelockSchedule.size
        self.committer = committer
        dags = Array(repeating: drawn.dag, count: size)
        managers = Array(repeating: BlockManager(), count: size)
        pacemakers = (0..<size).map { seat in
            let genesis = drawn.verifier.genesisBlocks[seat], isHonest = seat < LivelockSchedule.honest
            if jumping || !isHonest { return .jumping(JumpingPacemaker(seat: seat, timeout: isHonest ? LivelockSchedule.timeout : 0, genesis: genesis, size: size)) }
            let pacing = Proposer.Parameters(busyDelayMilliseconds: 0, idleDelayMilliseconds: 0, leaderTimeoutMilliseconds: LivelockSchedule.timeout)
            return .ours(Proposer(author: AuthorityIndex(seat), committer: committer, parameters: pacing, last: genesis, earlier: [], now: Instant(0)))
        }
        for seat in 0..<size { add(nil, to: seat, at: 0) }
    }

    var rounds: UInt64 { dags[0].highestRound.rawValue }
    var commits: UInt64 { UInt64(committer.tryDecide(dags[0], after: nil).filter { if case .commit = $0 { true } else { false } }.count) }

    mutating func run(until end: UInt64) {
        while let next = queue.indices.min(by: { (queue[$0].time, queue[$0].number) < (queue[$1].time, queue[$1].number) }), queue[next].time <= end {
            let due = queue.remove(at: next)
            if let block = due.block { _ = managers[due.to].add(block, to: &dags[due.to]) }
            goOn(due.to, due.time)
        }
    }
    private mutating func add(_ block: VerifiedBlock?, to seat: Int, at time: UInt64) {
        number += 1
        queue.append(Due(time: time, number: number, to: seat, block: block))
    }
    private func leads(_ seat: Int, _ round: Round) -> Bool { committer.schedule.leader(of: round, in: committer.committee).index == seat }

    private mutating func goOn(_ seat: Int, _ now: UInt64) {
        while true {
            switch pacemakers[seat] {
            case .ours(var proposer):
                // As an authority does: jump, enter, decide, create.
                _ = proposer.jump(past: 60, dags[seat])
                _ = proposer.enter(dags[seat], now: Instant(now))
                pacemakers[seat] = .ours(proposer)
                switch proposer.decide(dags[seat], busy: true, now: Instant(now)) {
                case .blocked: return
                case .wait(let until): return add(nil, to: seat, at: max(until.rawValue, now + 1))
                case .create:
                    proposer.proposed(create(proposer.round, proposer.ancestors(dags[seat]), seat, now), now: Instant(now))
                    pacemakers[seat] = .ours(proposer)
                }
            case .jumping(var pacemaker):
                pacemaker.follow(dags[seat], now: now)
                pacemakers[seat] = .jumping(pacemaker)
                switch pacemaker.decide(dags[seat], committer, now: now) {
                case .blocked: return
                case .wait(let until): return add(nil, to: seat, at: max(until, now + 1))
                case .create(let round, _) where seat >= LivelockSchedule.honest && leads(seat, round): return
                case .create(let round, let ancestors):
                    pacemaker.proposed(create(round, ancestors, seat, now))
                    pacemakers[seat] = .jumping(pacemaker)
                }
            }
        }
    }
    private mutating func create(_ round: Round, _ ancestors: [BlockReference], _ seat: Int, _ now: UInt64) -> VerifiedBlock {
        let block = Block(epoch: Epoch(0), round: round, author: AuthorityIndex(seat), timestamp: Instant(now), ancestors: ancestors)
        let verified = drawn.verifier.trust(SignedBlock(block: block, signature: Signature(bytes: [UInt8](repeating: 0, count: 65))))
        dags[seat].insert(verified)
        for peer in 0..<LivelockSchedule.size where peer != seat { add(verified, to: peer, at: now + (leads(peer, round.next) ? LivelockSchedule.slow : LivelockSchedule.fast)) }
        return verified
    }
}
