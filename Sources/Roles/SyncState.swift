import AssayPrimitives
import AssayProtocol

/// Whom to ask for what is missing, and when: single blocks from who referred to them, whole rounds when far behind.
struct SyncState: Sendable {
    /// Rounds of one range request.
    static let rangeRounds: UInt64 = 12
    /// Further behind a peer than this, whole rounds are asked for.
    static let behindRounds: UInt64 = 4

    struct Request: Sendable {
        let peer: AuthorityIndex
        let message: AuthorityMessage
    }

    /// Highest round that each peer spoke of.
    private var heard: [AuthorityIndex: Round] = [:]
    /// When to ask a peer for single blocks.
    private var pulls: [AuthorityIndex: Instant] = [:]
    private var lastSweep = Instant(0)
    private var turn = 0
    /// The range request under way.
    private var range: (peer: AuthorityIndex, at: Instant, from: Round, highest: Round)?
    /// Peers whose last range answer brought nothing new, and until when they are not asked again: a peer may claim any round.
    private var useless: [AuthorityIndex: Instant] = [:]
    private static let uselessMilliseconds: UInt64 = 2_000

    mutating func heard(_ peer: AuthorityIndex, _ round: Round) { heard[peer] = max(heard[peer] ?? Round(0), round) }

    func heardRound(of peer: AuthorityIndex) -> Round { heard[peer] ?? Round(0) }

    /// What is held about peers.
    var count: Int { heard.count + pulls.count + useless.count }

    mutating func pull(from peer: AuthorityIndex, at time: Instant) { if pulls[peer] == nil { pulls[peer] = time } }

    /// Blocks came as an answer and were taken. The next range is asked for at once if they were of use, and of somebody else if not.
    /// An answer that is told twice is none to the request under way.
    mutating func answered(_ peer: AuthorityIndex, with rounds: some Sequence<Round>, highest: Round, now: Instant) {
        guard let sent = range, sent.peer == peer, rounds.contains(where: { $0 >= sent.from }) else { return }
        if highest <= sent.highest { useless[peer] = now.advanced(by: SyncState.uselessMilliseconds) }
        range = nil
    }

    /// Following live again: what was asked for before is no longer waited for.
    mutating func restart() { (pulls, range) = ([:], nil) }

    /// - Parameter missing: what a peer's own blocks wait for.
    mutating func requests(missing: (AuthorityIndex) -> [BlockReference], isMissing: Bool, highest: Round, undecided: Round, evicted: Round, peers: [AuthorityIndex], retry: UInt64, now: Instant) -> [Request] {
        var requests: [Request] = []
        useless = useless.filter { $0.value > now }
        if let sent = range, now >= sent.at.advanced(by: retry) {
            if highest <= sent.highest { useless[sent.peer] = now.advanced(by: SyncState.uselessMilliseconds) }
            range = nil
        }
        if range == nil, let peer = ahead(of: highest, peers) {
            // Of a round that is over nobody speaks any more. So a block that no other refers to may be missing below the highest round, and decide the end.
            turn += 1
            let from = max(heard[peer] == Round(.max) && turn.isMultiple(of: 2) ? min(undecided, highest) : highest, evicted.next, Round(1))
            requests.append(Request(peer: peer, message: .fetchRounds(from: from, to: from.advanced(by: SyncState.rangeRounds))))
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
