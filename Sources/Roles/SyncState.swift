import AssayPrimitives
import AssayProtocol

/// Whom to ask for what is missing, and when: single blocks from who referred to them, whole rounds when far behind.
package struct SyncState: Sendable {
    /// Rounds of one range request.
    package static let rangeRounds: UInt64 = 12
    /// Further behind a peer than this, whole rounds are asked for.
    static let behindRounds: UInt64 = 4

    package struct Request: Sendable {
        package let peer: AuthorityIndex
        package let message: AuthorityMessage
    }

    /// Highest round that each peer spoke of.
    private var heard: [AuthorityIndex: Round] = [:]
    /// When to ask a peer for single blocks.
    private var pulls: [AuthorityIndex: Instant] = [:]
    private var lastSweep = Instant(0)
    private var turn = 0
    /// The range request under way.
    private var range: (peer: AuthorityIndex, at: Instant, from: Slot, highest: Round)?
    /// Where the next one goes on: an answer may end in the middle of a round.
    private var cursor: Slot?
    /// Every other way through the rounds begins where something is undecided.
    private var beginsLow = false
    /// Peers whose last range answer brought nothing new, and until when they are not asked again: a peer may claim any round.
    private var useless: [AuthorityIndex: Instant] = [:]
    private static let uselessMilliseconds: UInt64 = 2_000

    package init() {}

    package mutating func heard(_ peer: AuthorityIndex, _ round: Round) { heard[peer] = max(heard[peer] ?? Round(0), round) }

    func heardRound(of peer: AuthorityIndex) -> Round { heard[peer] ?? Round(0) }

    /// What is held about peers.
    var count: Int { heard.count + pulls.count + useless.count }

    mutating func pull(from peer: AuthorityIndex, at time: Instant) { if pulls[peer] == nil { pulls[peer] = time } }

    /// Blocks came as an answer and were taken. The next request goes on behind the last of them, up to the highest round that is here; then it is somebody else's
    /// turn, if there was nothing new. An answer that is told twice is none to the request under way.
    package mutating func answered(_ peer: AuthorityIndex, with slots: some Sequence<Slot>, highest: Round, now: Instant) {
        guard let sent = range, sent.peer == peer, let last = slots.max(), last >= sent.from else { return }
        range = nil
        cursor = last.round <= min(highest, sent.from.round.advanced(by: SyncState.rangeRounds)) ? last.next : nil
        if cursor == nil, highest <= sent.highest { useless[peer] = now.advanced(by: SyncState.uselessMilliseconds) }
    }

    /// Following live again: what was asked for before is no longer waited for.
    mutating func restart() { (pulls, range, cursor) = ([:], nil, nil) }

    /// - Parameter missing: what a peer's own blocks wait for.
    package mutating func requests(missing: (AuthorityIndex) -> [BlockReference], isMissing: Bool, highest: Round, undecided: Round, evicted: Round, peers: [AuthorityIndex], retry: UInt64, now: Instant) -> [Request] {
        var requests: [Request] = []
        useless = useless.filter { $0.value > now }
        if let sent = range, now >= sent.at.advanced(by: retry) {
            if highest <= sent.highest { useless[sent.peer] = now.advanced(by: SyncState.uselessMilliseconds) }
            (range, cursor) = (nil, nil)
        }
        if range == nil, let peer = ahead(of: highest, peers) {
            // Of a round that is over nobody speaks any more. So a block that no other refers to may be missing below the highest round, and decide the end.
            turn += 1
            if cursor == nil { beginsLow.toggle() }
            let start = Slot(heard[peer] == Round(.max) && beginsLow ? min(undecided, highest) : highest, AuthorityIndex(0))
            let from = max(cursor ?? start, Slot(max(evicted.next, Round(1)), AuthorityIndex(0)))
            requests.append(Request(peer: peer, message: .fetchRounds(from: from, to: from.round.advanced(by: SyncState.rangeRounds))))
            range = (peer, now, from, highest)
        }
        let due = pulls.filter { $0.value <= now }.keys.sorted()
        for peer in due {
            pulls[peer] = nil
            let wanted = missing(peer)
            if !wanted.isEmpty { requests.append(Request(peer: peer, message: .fetch(wanted))) }
        }
        if !due.isEmpty { lastSweep = now }
        // Who was asked may not answer: then another is.
        if isMissing, now >= lastSweep.advanced(by: retry) {
            lastSweep = now
            for _ in peers {
                turn += 1
                let peer = peers[turn % peers.count], wanted = missing(peer)
                guard !wanted.isEmpty else { continue }
                requests.append(Request(peer: peer, message: .fetch(wanted)))
                break
            }
        }
        return requests
    }

    func nextWake(missing: Bool, retry: UInt64) -> Instant? {
        var times = Array(pulls.values)
        if missing { times.append(lastSweep.advanced(by: retry)) }
        if let range { times.append(range.at.advanced(by: retry)) } else if let again = useless.values.min() { times.append(again) }
        return times.min()
    }

    private func ahead(of highest: Round, _ peers: [AuthorityIndex]) -> AuthorityIndex? {
        let candidates = peers.filter { useless[$0] == nil && heard[$0] ?? Round(0) > highest.advanced(by: SyncState.behindRounds) }
        return candidates.isEmpty ? nil : candidates[turn % candidates.count]
    }
}
