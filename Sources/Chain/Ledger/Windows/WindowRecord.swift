import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A window on the ledger, whole: what its phases gathered and what came of it.
struct WindowRecord: Hashable, Sendable, CanonicalCodable {
    var window: Window
    /// R_w.
    var assignment: Digest
    /// B_w.
    var beacon: Digest?
    /// In the order of `WindowPhase`.
    var phases: [PhaseRecord] = WindowPhase.allCases.map { _ in PhaseRecord() }
    var expectedTrainers: [Address] = []
    var expectedValidators: [Address] = []
    /// By ascending trainer.
    var contributions: [ContributionRecord] = []
    var attests: [AttestRecord] = []
    var scoreDraws: [ScoreDrawRecord] = []
    var replays: [ReplayRecord] = []
    var reports: [ReportRecord] = []
    var aggregated: [Address]?
    var parameterVotes: [ParameterVote] = []
    var contests: [ContestRecord] = []
    var isStalled = false
    var isSettled = false

    init(window: Window, assignment: Digest) { (self.window, self.assignment) = (window, assignment) }

    subscript(_ phase: WindowPhase) -> PhaseRecord {
        get { phases[Int(phase.rawValue) - 1] }
        set { phases[Int(phase.rawValue) - 1] = newValue }
    }
    func contribution(of trainer: Address) -> Int? { contributions.firstIndex { $0.trainer == trainer } }
    var revealed: [ContributionRecord] { contributions.filter { $0.reveal != nil } }
    var judged: [ContributionRecord] { contributions.filter { $0.state == .judged } }

    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(window)
        encoder.append(assignment)
        encoder.append(optional: beacon)
        encoder.append(phases)
        encoder.append(expectedTrainers)
        encoder.append(expectedValidators)
        encoder.append(contributions)
        encoder.append(attests)
        encoder.append(scoreDraws)
        encoder.append(replays)
        encoder.append(reports)
        encoder.append(aggregated != nil)
        encoder.append(aggregated ?? [])
        encoder.append(parameterVotes)
        encoder.append(contests)
        encoder.append(isStalled)
        encoder.append(isSettled)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        let members = RunRecord.memberLimit, seats = Limits.committeeSize
        window = try decoder.value()
        assignment = try decoder.value()
        beacon = try decoder.optional()
        phases = try decoder.array(limit: WindowPhase.allCases.count)
        expectedTrainers = try decoder.array(limit: members)
        expectedValidators = try decoder.array(limit: seats)
        contributions = try decoder.array(limit: members)
        attests = try decoder.array(limit: seats)
        scoreDraws = try decoder.array(limit: members)
        replays = try decoder.array(limit: members)
        reports = try decoder.array(limit: 3 * seats)
        let isAggregated = try decoder.bool()
        let list = try decoder.array(of: Address.self, limit: members)
        aggregated = isAggregated ? list : nil
        parameterVotes = try decoder.array(limit: seats)
        contests = try decoder.array(limit: Int(Duty.indexLimit))
        isStalled = try decoder.bool()
        isSettled = try decoder.bool()
    }
}

struct PhaseRecord: Hashable, Sendable, CanonicalCodable {
    var opened: UInt64?
    var isClosed = false
    init() {}
    var isOpen: Bool { opened != nil && !isClosed }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(opened != nil)
        encoder.append(opened ?? 0)
        encoder.append(isClosed)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        let isThere = try decoder.bool(), clock = try decoder.uint64()
        opened = isThere ? clock : nil
        isClosed = try decoder.bool()
    }
}

struct ContributionRecord: Hashable, Sendable, CanonicalCodable {
    enum State: UInt8, Sendable { case committed = 1, revealed, judged, refused, voided }
    var trainer: Address
    var commitment: Digest
    /// Φ of the commitment.
    var at: UInt64
    var reveal: Reveal?
    var state = State.committed
    /// The rule by which it was refused.
    var rule: UInt16 = 0
    /// Its window was failed by a replay, or its state not served: no pay for it.
    var isUnpaid = false

    init(trainer: Address, commitment: Digest, at: UInt64) { (self.trainer, self.commitment, self.at) = (trainer, commitment, at) }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(trainer)
        encoder.append(commitment)
        encoder.append(at)
        encoder.append(optional: reveal)
        encoder.append(state.rawValue)
        encoder.append(rule)
        encoder.append(isUnpaid)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        trainer = try decoder.value()
        commitment = try decoder.value()
        at = try decoder.uint64()
        reveal = try decoder.optional()
        state = try decoder.choice("contribution")
        rule = try decoder.uint16()
        isUnpaid = try decoder.bool()
    }
}

struct AttestRecord: Hashable, Sendable, CanonicalCodable {
    var validator: Address
    var at: UInt64
    var held: [UInt8]
    var refused: [UInt8]
    var custody: Digest
    var preimage: Digest
    init(validator: Address, at: UInt64, held: [UInt8], refused: [UInt8], custody: Digest, preimage: Digest) {
        (self.validator, self.at, self.held, self.refused, self.custody, self.preimage) = (validator, at, held, refused, custody, preimage)
    }
    static func bit(_ bitmap: [UInt8], _ index: Int) -> Bool { index / 8 < bitmap.count && bitmap[index / 8] >> UInt8(index % 8) & 1 == 1 }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(validator)
        encoder.append(at)
        encoder.append(counted: held)
        encoder.append(counted: refused)
        encoder.append(custody)
        encoder.append(preimage)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        validator = try decoder.value()
        at = try decoder.uint64()
        held = try decoder.counted(limit: RunRecord.memberLimit)
        refused = try decoder.counted(limit: RunRecord.memberLimit)
        custody = try decoder.value()
        preimage = try decoder.value()
    }
}

struct ScoreDrawRecord: Hashable, Sendable, CanonicalCodable {
    var trainer: Address
    var scorers: [Address]
    var backups: [Address]
    var fact: ScoreFact?
    init(trainer: Address, scorers: [Address], backups: [Address]) { (self.trainer, self.scorers, self.backups) = (trainer, scorers, backups) }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(trainer)
        encoder.append(scorers)
        encoder.append(backups)
        encoder.append(optional: fact)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        trainer = try decoder.value()
        scorers = try decoder.array(limit: Limits.committeeSize)
        backups = try decoder.array(limit: Limits.committeeSize)
        fact = try decoder.optional()
    }
}

struct ReplayRecord: Hashable, Sendable, CanonicalCodable {
    var draw: ReplayDraw
    var replayers: [Address]
    var stateRoot: Digest?
    var residualRoot: Digest?
    var fact: ReplayFact?
    init(draw: ReplayDraw, replayers: [Address]) { (self.draw, self.replayers) = (draw, replayers) }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(draw)
        encoder.append(replayers)
        encoder.append(optional: stateRoot)
        encoder.append(optional: residualRoot)
        encoder.append(optional: fact)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        draw = try decoder.value()
        replayers = try decoder.array(limit: Limits.committeeSize)
        stateRoot = try decoder.optional()
        residualRoot = try decoder.optional()
        fact = try decoder.optional()
    }
}

struct ReportRecord: Hashable, Sendable, CanonicalCodable {
    var validator: Address
    var kind: ReportKind
    /// 1 for a score report as a backup.
    var index: UInt8
    var commitment: Digest
    /// Canonical lines; nil before they are revealed.
    var values: [UInt8]?
    init(validator: Address, kind: ReportKind, index: UInt8, commitment: Digest) { (self.validator, self.kind, self.index, self.commitment) = (validator, kind, index, commitment) }

    func lines<Line: CanonicalCodable>(of _: Line.Type = Line.self) -> [Line]? {
        guard let values else { return nil }
        var decoder = CanonicalDecoder(values)
        guard let lines = try? decoder.array(of: Line.self, limit: Limits.reportLines), decoder.remaining == 0 else { return nil }
        return lines
    }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(validator)
        encoder.append(kind.rawValue)
        encoder.append(index)
        encoder.append(commitment)
        encoder.append(values != nil)
        encoder.append(counted: values ?? [])
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        validator = try decoder.value()
        kind = try decoder.choice("report")
        index = try decoder.uint8()
        commitment = try decoder.value()
        let isRevealed = try decoder.bool(), bytes = try decoder.counted(limit: Limits.transactionBytes)
        values = isRevealed ? bytes : nil
    }
}

struct ParameterVote: Hashable, Sendable, CanonicalCodable {
    var validator: Address
    var outer: OuterRecord
    var witness: Digest
    init(validator: Address, outer: OuterRecord, witness: Digest) { (self.validator, self.outer, self.witness) = (validator, outer, witness) }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(validator)
        encoder.append(outer)
        encoder.append(witness)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        validator = try decoder.value()
        outer = try decoder.value()
        witness = try decoder.value()
    }
}

struct ContestRecord: Hashable, Sendable, CanonicalCodable {
    struct Vote: Hashable, Sendable, CanonicalCodable {
        var validator: Address
        var commitment: Digest
        var value: [UInt8]?
        init(validator: Address, commitment: Digest) { (self.validator, self.commitment) = (validator, commitment) }
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(validator)
            encoder.append(commitment)
            encoder.append(value != nil)
            encoder.append(counted: value ?? [])
        }
        init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            validator = try decoder.value()
            commitment = try decoder.value()
            let isRevealed = try decoder.bool(), bytes = try decoder.counted(limit: 256)
            value = isRevealed ? bytes : nil
        }
    }
    var id: Digest
    var kind: ReportKind
    var trainer: Address
    var committing: PhaseRecord
    var revealing = PhaseRecord()
    var votes: [Vote] = []
    var isClosed = false
    init(id: Digest, kind: ReportKind, trainer: Address, opened: UInt64) {
        (self.id, self.kind, self.trainer, committing) = (id, kind, trainer, PhaseRecord())
        committing.opened = opened
    }
    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(id)
        encoder.append(kind.rawValue)
        encoder.append(trainer)
        encoder.append(committing)
        encoder.append(revealing)
        encoder.append(votes)
        encoder.append(isClosed)
    }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        id = try decoder.value()
        kind = try decoder.choice("contest")
        trainer = try decoder.value()
        committing = try decoder.value()
        revealing = try decoder.value()
        votes = try decoder.array(limit: Limits.committeeSize)
        isClosed = try decoder.bool()
    }
}
