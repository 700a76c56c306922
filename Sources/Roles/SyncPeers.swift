import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// When to catch up by commits, and how much at once.
public struct CommitSyncParameters: Hashable, Sendable {
    /// Further behind a quorum than this, commits are fetched instead of following live.
    public var threshold: UInt64 = 200
    /// So near to it the node follows live again.
    public var nearby: UInt64 = 20
    /// Commits of a range; ranges asked for or kept ahead.
    public var batchCommits: UInt64 = 100
    public var batchesAhead = 16
    /// Names of blocks in one question, and waiting to be asked for.
    public var namesAtOnce = 400
    public var namesAhead = 8_000
    /// Blocks kept for commits that are not their turn yet.
    public var bytesAhead = 64 << 20
    /// Questions under way, of either kind.
    public var parallel = 8
    /// Commits executed in one go, so that nothing else waits for long.
    public var commitsAtOnce = 50
    /// Until a question is asked of another peer; it doubles for a peer with each one in a row that it leaves without an answer.
    public var timeoutMilliseconds: UInt64 = 3_000
    /// How long a peer that answered badly is not asked.
    public var asideMilliseconds: UInt64 = 10_000
    /// Questions in vain after which the node tries to follow live, and for how long.
    public var patience = 24
    public var holdMilliseconds: UInt64 = 30_000
    public init() {}
}

/// Whom to ask, whom not for a while, and what is asked of whom: one question of a kind at a time.
struct SyncPeers: Sendable {
    enum Kind: Sendable { case commits, blocks }
    struct Question: Sendable {
        let kind: Kind
        var from = CommitIndex(0)
        var names: [BlockReference] = []
        var until = Instant(0)
    }

    private let parameters: CommitSyncParameters
    private var questions: [(peer: AuthorityIndex, question: Question)] = []
    private var aside: [AuthorityIndex: Instant] = [:]
    /// Questions in a row that a peer left without a good answer.
    private var inVain: [AuthorityIndex: UInt64] = [:]
    private var kept: [AuthorityIndex: CommitIndex] = [:]
    private var turn = 0

    init(_ parameters: CommitSyncParameters) { self.parameters = parameters }

    func asked(_ peer: AuthorityIndex, _ kind: Kind = .commits) -> Question? { questions.first { $0.peer == peer && $0.question.kind == kind }?.question }
    func isAsking(_ kind: Kind) -> Bool { questions.contains { $0.question.kind == kind } }
    var askedRanges: [CommitIndex] { questions.filter { $0.question.kind == .commits }.map(\.question.from) }
    var askedNames: Set<BlockReference> { Set(questions.flatMap(\.question.names)) }
    mutating func forgetQuestions() { questions = [] }
    mutating func forgetRanges(above from: CommitIndex) { questions.removeAll { $0.question.kind == .commits && $0.question.from > from } }

    /// The next in turn that may be asked this: it has executed that far, keeps it, and is neither busy nor set aside.
    mutating func free(_ candidates: [(peer: AuthorityIndex, attested: CommitIndex)], for kind: Kind, from: CommitIndex, _ now: Instant) -> AuthorityIndex? {
        guard questions.count(where: { $0.question.kind == kind }) < parameters.parallel else { return nil }
        aside = aside.filter { $0.value > now }
        for step in candidates.indices {
            let place = (turn + step) % candidates.count, peer = candidates[place].peer
            guard candidates[place].attested >= from, kept[peer] ?? from <= from, aside[peer] == nil, asked(peer, kind) == nil else { continue }
            turn = place + 1
            return peer
        }
        return nil
    }
    mutating func ask(_ peer: AuthorityIndex, _ question: Question, now: Instant) {
        var question = question
        question.until = now.advanced(by: parameters.timeoutMilliseconds << min(inVain[peer] ?? 0, 4))
        questions.append((peer, question))
    }

    mutating func answered(_ peer: AuthorityIndex, _ kind: Kind) {
        inVain[peer] = nil
        questions.removeAll { $0.peer == peer && $0.question.kind == kind }
    }
    /// A bad answer, or none of use. Its other question is left to run out.
    mutating func fail(_ peer: AuthorityIndex, _ kind: Kind, now: Instant) {
        inVain[peer, default: 0] += 1
        aside[peer] = now.advanced(by: parameters.asideMilliseconds)
        questions.removeAll { $0.peer == peer && $0.question.kind == kind }
    }
    mutating func keeps(_ peer: AuthorityIndex, _ lowest: CommitIndex) { kept[peer] = lowest }

    /// Takes the questions that nobody has answered in time.
    mutating func overdue(_ now: Instant) -> [Question] {
        let late = questions.filter { $0.question.until <= now }
        questions.removeAll { $0.question.until <= now }
        for (peer, _) in late {
            inVain[peer, default: 0] += 1
            aside[peer] = now.advanced(by: parameters.timeoutMilliseconds)
        }
        return late.map(\.question)
    }

    var nextWake: Instant? { (questions.map(\.question.until) + aside.values).min() }

    /// Nil unless somebody said that it does not keep this commit any more.
    func lowestKept(above index: CommitIndex) -> CommitIndex? { kept.values.filter { $0 > index }.min() }
}

/// Names to ask for, in order, each once.
struct NameQueue: Sendable {
    private var names: [BlockReference] = []
    private var head = 0
    private var waiting: Set<BlockReference> = []

    var count: Int { names.count - head }

    mutating func append(_ more: [BlockReference]) { for name in more where waiting.insert(name).inserted { names.append(name) } }
    /// Asked for in vain: they are the next again.
    mutating func putBack(_ more: [BlockReference]) {
        let fresh = more.filter { waiting.insert($0).inserted }
        names.replaceSubrange(0..<head, with: fresh)
        head = 0
    }
    /// Needed before all others, wherever they stand now.
    mutating func putFirst(_ more: [BlockReference]) {
        let urgent = Set(more), front = names[head...].prefix(more.count)
        guard !more.isEmpty, front.count < more.count || !front.allSatisfy(urgent.contains) else { return }
        names.removeSubrange(..<head)
        names = more + names.filter { !urgent.contains($0) }
        head = 0
        waiting.formUnion(urgent)
    }
    mutating func take(_ limit: Int, where isNeeded: (BlockReference) -> Bool) -> [BlockReference] {
        var taken: [BlockReference] = []
        while head < names.count, taken.count < limit {
            let name = names[head]
            head += 1
            waiting.remove(name)
            if isNeeded(name) { taken.append(name) }
        }
        if head == names.count { (names, head) = ([], 0) }
        return taken
    }
}
