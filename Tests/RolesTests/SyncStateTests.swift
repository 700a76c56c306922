import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// Whole rounds, asked for in answers that hold so many blocks and no more.
@Suite struct SyncStateTests {
    /// What a peer has on its disk, by slot; of a spammer several in one.
    private func slots(rounds: ClosedRange<UInt64>, authors: UInt16, twins: Int = 1) -> [Slot] {
        rounds.flatMap { round in (0..<authors).flatMap { author in Array(repeating: Slot(Round(round), AuthorityIndex(author)), count: author < 2 ? twins : 1) } }
    }

    /// Asks until the peer was asked in vain, and says which slots came.
    private func asked(_ disk: [Slot], highest: UInt64, undecided: UInt64, times: Int) -> Set<Slot> {
        var sync = SyncState(), came: Set<Slot> = [], highest = Round(highest), now = Instant(0)
        sync.heard(AuthorityIndex(1), Round(.max))
        for _ in 0..<times {
            now = now.advanced(by: 1_000)
            for request in sync.requests(missing: { _ in [] }, isMissing: false, highest: highest, undecided: Round(undecided), evicted: Round(0), peers: [AuthorityIndex(1)], retry: 500, now: now) {
                guard case .fetchRounds(let from, let to) = request.message else { continue }
                let answer = disk.filter { $0 >= from && $0.round <= to }.prefix(Limits.fetchBlocks)
                came.formUnion(answer)
                highest = max(highest, answer.last?.round ?? highest)
                if !answer.isEmpty { sync.answered(AuthorityIndex(1), with: answer, highest: highest, now: now) }
            }
        }
        return came
    }

    /// `cursor` in SyncState is what this needs: asked for from the first undecided round and from the highest one alone, rounds 15 to 20 would never come.
    @Test func `of an epoch that is over every undecided round is asked for, however many blocks it has`() {
        let disk = slots(rounds: 10...22, authors: 7, twins: 4)
        #expect(asked(disk, highest: 21, undecided: 10, times: 20) == Set(disk))
    }

    @Test func `rounds with more blocks than an answer holds are no end of the way`() {
        let disk = slots(rounds: 1...30, authors: 100)
        #expect(asked(disk, highest: 1, undecided: 1, times: 80) == Set(disk))
    }

    @Test func `an answer with slots that nobody has does not lead anywhere`() {
        var sync = SyncState(), now = Instant(0), questions = 0
        sync.heard(AuthorityIndex(1), Round(.max))
        for _ in 0..<1_000 {
            now = now.advanced(by: 1)
            for request in sync.requests(missing: { _ in [] }, isMissing: false, highest: Round(5), undecided: Round(3), evicted: Round(0), peers: [AuthorityIndex(1)], retry: 500, now: now) {
                guard case .fetchRounds(let from, _) = request.message else { continue }
                questions += 1
                #expect(from.round <= Round(5))
                sync.answered(AuthorityIndex(1), with: [Slot(Round(.max), AuthorityIndex(.max as UInt16)), Slot(from.round, AuthorityIndex(.max as UInt16))], highest: Round(5), now: now)
            }
        }
        #expect(questions == 1, "it is set aside for two seconds")
    }
}
