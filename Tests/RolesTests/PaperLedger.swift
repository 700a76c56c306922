import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// The life of windows written down as plainly as it can be: no stakes, fees, ratings or state tree, one vote a validator.
/// The roles' machines are tried on it without the ledger, and it refuses duties that are out of phase or come twice.
struct PaperLedger: Sendable {
    let genesis: Genesis
    let windowLimit: UInt64 = 20_000
    let lastWindow: UInt64
    let validators: [Identity]
    let trainers: [Identity]
    private(set) var views: [WindowView]
    private(set) var status: RunStatus
    private(set) var refusals: [String] = []
    /// Trainers whose replay was found different.
    private(set) var slashed: [Address] = []
    private(set) var decided: [(Digest, [UInt8]?)] = []
    var executed: Set<Digest> = []
    var chain = Digest.zero
    private var done: Set<UInt64> = []
    private var preimages: [Window: [(AuthorityIndex, Digest)]] = [:]
    private var values: [Duty: [Address: [UInt8]]] = [:]
    private var votes: [Digest: [Address: [UInt8]]] = [:]
    private var attestations: [Window: [Address: OuterView]] = [:]
    private var replayed: [Address: Set<Window>] = [:]

    init(genesis: Genesis, validators: [Identity], trainers: [Identity], windows: UInt64) {
        (self.genesis, self.validators, self.trainers, lastWindow) = (genesis, validators, trainers, windows - 1)
        let first = Beacon.assignment(Beacon.first(genesis: genesis.digest, run: genesis.runID))
        let outer = OuterView.first(parametersRoot: genesis.parametersRoot)
        views = (0..<windows + 2).map { WindowView(window: Window($0), assignment: $0 < 2 ? first : nil, outer: $0 < 2 ? outer : nil) }
        status = RunStatus(run: genesis.runID, runIndex: 0, head: CommitIndex(0), time: genesis.time, phaseClock: 0, opened: nil, settled: Window(0), over: false,
                           trainers: trainers.map(\.owner).sorted(), residuals: trainers.map { _ in .zero },
                           validators: zip(validators, genesis.validators).map { .init(owner: $0.owner, nodeKey: $0.nodeKey.address, stake: $1.stake, beaconTip: $1.beaconTip) })
    }

    var head: LedgerHead {
        let next = (status.opened?.rawValue ?? 0) + 1
        return LedgerHead(status: status, views: views.filter { $0.window >= status.settled && $0.window.rawValue <= next })
    }
    private var clock: UInt64 { status.phaseClock }
    private var quorum: Int { validators.count * 2 / 3 + 1 }

    mutating func execute(_ transactions: [[UInt8]], at time: Instant) {
        status.phaseClock += min(time.milliseconds(since: status.time), 2_000)
        status.time = time
        status.head = status.head.next
        for raw in transactions {
            guard let transaction = try? Transaction(raw: raw, chainID: genesis.chainID), let (duty, _) = Duty.named(by: transaction.nonce) else { refusals.append("no duty"); continue }
            let key = transaction.sender
            guard let who = (validators + trainers).first(where: { $0.nodeKey.address == key })?.owner else { refusals.append("unknown key"); continue }
            guard !done.contains(transaction.nonce ^ UInt64(key.bytes[19]) << 56 ^ UInt64(key.bytes[18]) << 48) else { continue }     // sent again: nobody's fault
            if let refusal = apply(duty, transaction, who) { refusals.append("\(duty.kind) \(duty.window): \(refusal)") } else {
                done.insert(transaction.nonce ^ UInt64(key.bytes[19]) << 56 ^ UInt64(key.bytes[18]) << 48)
            }
        }
        var changed = true
        while changed {
            changed = false
            for index in views.indices { if advance(index) { changed = true } }
        }
    }

    // MARK: duties

    private mutating func apply(_ duty: Duty, _ transaction: Transaction, _ who: Address) -> String? {
        let (contract, function) = DutyFunction.of(duty.kind)
        guard transaction.to == contract, Array(transaction.data.prefix(4)) == function.selector,
              let arguments = try? ABI.decode(function.inputs, transaction.data.dropFirst(4)) else { return "not the duty's function" }
        let w = Int(duty.window.rawValue)
        guard w < views.count else { return "no such window" }
        func digest(_ index: Int) -> Digest { if case .fixedBytes(let bytes) = arguments[index] { Digest(bytes: bytes) } else { .zero } }
        func bytes(_ index: Int) -> [UInt8] { if case .bytes(let bytes) = arguments[index] { bytes } else { [] } }
        let mine = views[w].contributions.firstIndex { $0.trainer == who }
        switch duty.kind {
        case .commit:
            guard views[w][.commit].isOpen, mine == nil else { return "not open" }
            views[w].contributions.append(ContributionView(trainer: who, commitment: digest(2), reveal: nil, state: .committed))
            views[w].contributions.sort { $0.trainer < $1.trainer }
        case .reveal:
            guard views[w][.reveal].isOpen, let mine, let reveal = try? Reveal(canonicalBytes: bytes(2)) else { return "not open" }
            let fits = GradientCommitment(reveal, trainer: who, run: genesis.runID, window: duty.window, genesis: genesis.digest).digest == views[w].contributions[mine].commitment
            views[w].contributions[mine].reveal = fits ? reveal : nil
            views[w].contributions[mine].state = fits ? .revealed : .refused(rule: 7)
        case .attest:
            guard views[w][.hold].isOpen, views[w][.reveal].closed, let seat = validators.firstIndex(where: { $0.owner == who }) else { return "not open" }
            guard Digest.sha256(digest(5).bytes) == status.validators[seat].beaconTip else { return "not the preimage" }
            guard bytes(2).count == (views[w].revealed.count + 7) / 8 else { return "bitmap size" }
            status.validators[seat].beaconTip = digest(5)
            preimages[duty.window, default: []].append((AuthorityIndex(seat), digest(5)))
            views[w].attested.append(who)
        case .serve:
            guard views[w][.serve].isOpen, let at = views[w].replays.firstIndex(where: { $0.draw.trainer == who }) else { return "not open" }
            views[w].replays[at].stateRoot = digest(2)
            views[w].replays[at].residualRoot = digest(3)
        case .evidence: return "no stakes here"
        case .void:
            guard let mine, views[w].beacon == nil else { return "too late" }
            views[w].contributions[mine].state = .voided
        case .scoreCommit, .replayCommit:
            guard views[w][duty.kind == .scoreCommit ? .scoreCommit : .replayCommit].isOpen else { return "not open" }
            let kind: ReportKind = duty.kind == .scoreCommit ? .score : .replay
            views[w].reports.append(ReportView(validator: who, kind: kind, index: duty.index, commitment: digest(3), revealed: false))
        case .scoreReveal, .replayReveal:
            let kind: ReportKind = duty.kind == .scoreReveal ? .score : .replay
            guard views[w][kind == .score ? .scoreReveal : .replayReveal].isOpen,
                  let at = views[w].reports.firstIndex(where: { $0.validator == who && $0.kind == kind && $0.index == duty.index }) else { return "not open" }
            guard ReportCommitment.digest(value: bytes(3), witness: digest(4), validator: who, salt: digest(5), genesis: genesis.digest) == views[w].reports[at].commitment else { return "mismatch" }
            views[w].reports[at].revealed = true
            values[duty, default: [:]][who] = bytes(3)
        case .parameters:
            guard w >= 2, views[w - 2][.parameters].isOpen else { return "not open" }
            var decoder = CanonicalDecoder(bytes(5))
            guard let norms = try? decoder.array(of: FloatBits.self, limit: 1_000) else { return "norms" }
            views[w - 2].parametersAttested.append(who)
            attestations[duty.window, default: [:]][who] = OuterView(outerRoot: digest(2), parametersRoot: digest(3), momentumRoot: digest(4), clipNorms: norms)
        case .voteCommit:
            guard let at = views[w].contests.firstIndex(where: { $0.index == duty.index }), views[w].contests[at].committing.isOpen else { return "not open" }
            views[w].contests[at].votes.append(.init(validator: who, commitment: digest(1), revealed: false))
        case .voteReveal:
            guard let at = views[w].contests.firstIndex(where: { $0.index == duty.index }), views[w].contests[at].revealing.isOpen,
                  let vote = views[w].contests[at].votes.firstIndex(where: { $0.validator == who }) else { return "not open" }
            guard ReportCommitment.digest(value: bytes(1), witness: digest(2), validator: who, salt: digest(3), genesis: genesis.digest)
                == views[w].contests[at].votes[vote].commitment else { return "mismatch" }
            views[w].contests[at].votes[vote].revealed = true
            votes[views[w].contests[at].id, default: [:]][who] = bytes(1)
        }
        return nil
    }

    // MARK: phases

    private mutating func open(_ w: Int, _ phase: WindowPhase, for milliseconds: UInt64?) {
        views[w][phase] = PhaseView(opened: clock, limit: milliseconds.map { clock + $0 })
    }
    private func isDue(_ w: Int, _ phase: WindowPhase) -> Bool { views[w][phase].isOpen && clock >= views[w][phase].limit ?? .max }

    /// One change of window w, if there is one.
    private mutating func advance(_ w: Int) -> Bool {
        let view = views[w], window = view.window
        // Open(w), or for windows past the end the moment at which it would have been.
        if view[.commit].opened == nil, status.opened.map({ $0.rawValue + 1 == window.rawValue }) ?? (w == 0), view.outer != nil, w == 0 || views[w - 1][.commit].closed {
            status.opened = window
            open(w, .commit, for: windowLimit)
            if window.rawValue > lastWindow { views[w][.commit].closed = true }
            if w > 0, window.rawValue <= lastWindow + 1 {
                open(w - 1, .reveal, for: windowLimit / 10)
                open(w - 1, .hold, for: windowLimit / 5)
            }
            if w > 1 {
                views[w - 2][.serve].closed = true
                open(w - 2, .replayCommit, for: windowLimit * 6 / 10)
            }
            return true
        }
        if view[.commit].isOpen, view.contributions.count == trainers.count || isDue(w, .commit) {
            views[w][.commit].closed = true
            return true
        }
        if view[.reveal].isOpen, !view.contributions.contains(where: { $0.state == .committed }) || isDue(w, .reveal) {
            views[w][.reveal].closed = true
            for index in views[w].contributions.indices where views[w].contributions[index].state == .committed { views[w].contributions[index].state = .refused(rule: 6) }
            return true
        }
        if view[.hold].isOpen, view[.reveal].closed, view.attested.count == validators.count || (isDue(w, .hold) && view.attested.count >= quorum) {
            views[w][.hold].closed = true
            draw(w)
            return true
        }
        let drawn = Set(view.scoreDraws.flatMap(\.scorers))
        let scorersDone = drawn.allSatisfy { validator in view.reports.contains { $0.validator == validator && $0.kind == .score && $0.index == 0 } }
        let backupsDone = view.scoreDraws.allSatisfy { draw in
            view.reports.contains { $0.kind == .score && ($0.index == 0 ? draw.scorers : draw.backups).contains($0.validator) }
        }
        if view[.scoreCommit].isOpen, scorersDone || isDue(w, .scoreCommit) || (backupsDone && clock >= (view[.scoreCommit].opened ?? 0) + windowLimit / 4) {
            views[w][.scoreCommit].closed = true
            open(w, .scoreReveal, for: windowLimit / 20)
            return true
        }
        if view[.scoreReveal].isOpen, !view.reports.contains(where: { $0.kind == .score && !$0.revealed }) || isDue(w, .scoreReveal) {
            views[w][.scoreReveal].closed = true
            collectScores(w)
            open(w, .parameters, for: nil)
            return true
        }
        if view[.parameters].isOpen, let all = attestations[window.advanced(by: 2)] {
            let agreed = Dictionary(grouping: all.values, by: \.outerRoot).values.first { $0.count >= quorum }?.first
            if let agreed {
                views[w][.parameters].closed = true
                views[w + 2].outer = agreed
                return true
            }
        }
        let replayers = Set(view.replays.flatMap(\.replayers))
        let replayReports = view.reports.filter { $0.kind == .replay }
        if view[.replayCommit].isOpen, replayReports.count == replayers.count || isDue(w, .replayCommit) {
            views[w][.replayCommit].closed = true
            open(w, .replayReveal, for: windowLimit / 20)
            return true
        }
        if view[.replayReveal].isOpen, replayReports.allSatisfy(\.revealed) || isDue(w, .replayReveal) {
            views[w][.replayReveal].closed = true
            collectReplays(w)
            return true
        }
        for (index, contest) in view.contests.enumerated() where !contest.closed {
            if contest.committing.isOpen, contest.votes.count == validators.count || clock >= contest.committing.limit ?? 0 {
                views[w].contests[index].committing.closed = true
                views[w].contests[index].revealing = PhaseView(opened: clock, limit: clock + windowLimit / 20)
                return true
            }
            if contest.revealing.isOpen, contest.votes.allSatisfy(\.revealed) || clock >= contest.revealing.limit ?? 0 {
                views[w].contests[index].revealing.closed = true
                views[w].contests[index].closed = true
                let tally = Dictionary(grouping: votes[contest.id, default: [:]].values.map { $0 }, by: { $0 })
                let winner = tally.first { $0.value.count >= quorum }?.key
                decided.append((contest.id, winner))
                if contest.kind == .replay, let winner, let fact = try? ReplayFact(canonicalBytes: winner), fact.verdict == .differs { slashed.append(contest.trainer) }
                return true
            }
        }
        if !view.settled, window == status.settled, view[.replayReveal].closed, view[.parameters].closed, view.contests.allSatisfy(\.closed) {
            views[w].settled = true
            status.settled = window.next
            if window.rawValue == lastWindow { status.over = true }
            return true
        }
        return false
    }

    private mutating func draw(_ w: Int) {
        let window = views[w].window
        for index in views[w].contributions.indices where views[w].contributions[index].state == .revealed {
            views[w].contributions[index].state = .judged
            let contribution = views[w].contributions[index]
            if let place = status.trainers.firstIndex(of: contribution.trainer), let reveal = contribution.reveal {
                let restarts = w.isMultiple(of: Int(genesis.training.residualRestart))
                if reveal.residualIn != .zero, restarts || reveal.residualIn != status.residuals[place] { refusals.append("residual of window \(w)") }
                status.residuals[place] = reveal.residualOut
            }
        }
        let previous = w == 0 ? Beacon.first(genesis: genesis.digest, run: genesis.runID) : views[w - 1].beacon!
        let beacon = Beacon.next(after: previous, genesis: genesis.digest, run: genesis.runID, window: window, preimages: preimages[window, default: []].sorted { $0.0 < $1.0 })
        views[w].beacon = beacon
        views[w + 2].assignment = Beacon.assignment(beacon)
        var chance = SeededGenerator(Beacon.draw(beacon, "paper"))
        let owners = validators.map(\.owner)
        for contribution in views[w].judged {
            let order = chance.sample(owners, count: owners.count)
            views[w].scoreDraws.append(ScoreDrawView(trainer: contribution.trainer, scorers: Array(order.prefix(2)), backups: Array(order.dropFirst(2).prefix(2))))
            guard replayed[contribution.trainer] == nil || chance.chance(1, in: 2) else { continue }
            let candidates = [w - 1, w].filter { $0 >= 0 && views[$0].contribution(of: contribution.trainer)?.state == .judged && !replayed[contribution.trainer, default: []].contains(Window(UInt64($0))) }
            guard !candidates.isEmpty else { continue }
            let v = candidates[Int(chance.below(UInt64(candidates.count)))]
            replayed[contribution.trainer, default: []].insert(Window(UInt64(v)))
            let last = chance.chance(1, in: 2)
            let segment = last ? genesis.training.segments - 1 : UInt32(chance.below(UInt64(genesis.training.segments)))
            let before = v > 0 ? views[v - 1].contribution(of: contribution.trainer) : nil
            views[w].replays.append(ReplayView(
                draw: ReplayDraw(trainer: contribution.trainer, window: Window(UInt64(v)), segment: segment, withCompression: last),
                replayers: chance.sample(owners, count: 2), reveal: views[v].contribution(of: contribution.trainer)!.reveal!, parametersRoot: views[v].outer!.parametersRoot,
                assignment: views[v].assignment!, ownPayload: before?.state == .judged ? before?.reveal?.payloadRoot : nil))
        }
        open(w, .scoreCommit, for: windowLimit * 3 / 10)
        open(w, .serve, for: nil)
    }

    private mutating func collectScores(_ w: Int) {
        var facts: [Address: Set<ScoreFact>] = [:]
        for value in (0...1).flatMap({ values[Duty(.scoreReveal, views[w].window, index: $0), default: [:]].values }) {
            var decoder = CanonicalDecoder(value)
            for line in (try? decoder.array(of: ScoreLine.self, limit: Limits.reportLines)) ?? [] { facts[line.trainer, default: []].insert(line.fact) }
        }
        for (index, draw) in views[w].scoreDraws.enumerated() {
            guard let found = facts[draw.trainer] else { continue }
            if found.count == 1 { views[w].scoreDraws[index].fact = found.first } else { contest(w, .score, draw.trainer) }
        }
        views[w].aggregated = views[w].scoreDraws.filter { ($0.fact?.score.billionths ?? 0) > 0 }.map(\.trainer)
    }

    private mutating func collectReplays(_ w: Int) {
        var facts: [Address: Set<ReplayFact>] = [:]
        for value in values[Duty(.replayReveal, views[w].window), default: [:]].values {
            var decoder = CanonicalDecoder(value)
            for line in (try? decoder.array(of: ReplayLine.self, limit: Limits.reportLines)) ?? [] { facts[line.trainer, default: []].insert(line.fact) }
        }
        for (index, replay) in views[w].replays.enumerated() {
            guard let found = facts[replay.draw.trainer] else { continue }
            if found.count == 1, found.first!.verdict != .differs { views[w].replays[index].fact = found.first } else { contest(w, .replay, replay.draw.trainer) }
        }
    }

    private mutating func contest(_ w: Int, _ kind: ReportKind, _ trainer: Address) {
        let id = Digest.tagged("paper/contest") {
            $0.append(views[w].window)
            $0.append(kind.rawValue)
            $0.append(trainer)
        }
        views[w].contests.append(ContestView(id: id, index: UInt8(views[w].contests.count), kind: kind, trainer: trainer,
                                             committing: PhaseView(opened: clock, limit: clock + windowLimit * 6 / 10), revealing: PhaseView(), votes: [], closed: false))
    }
}
