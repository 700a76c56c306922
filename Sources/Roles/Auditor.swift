import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Checks one contribution from the ledger's facts: what can be compared is compared, what can be computed again is asked for, one
/// piece after another, and a verdict says of each piece whether it is equal or where it is not.
public struct Auditor: Sendable {
    public enum Scope: Hashable, Sendable {
        /// Every segment.
        case all
        case segments([UInt32])
        /// That many, drawn by the seed.
        case drawn(Int, seed: UInt64)
    }

    /// Why there is nothing to audit.
    public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        case notInView(Window)
        case noContribution(Address, Window)
        case neverRevealed(Address, Window)
        case notDrawnYet(Window)
        case noSegment(UInt32, of: UInt32)

        public var description: String {
            switch self {
            case .notInView(let window): "window \(window) is not known to this node: ask a node that has it, or a later window"
            case .noContribution(let trainer, let window): "\(trainer) committed to nothing in window \(window)"
            case .neverRevealed(let trainer, let window): "\(trainer) never revealed its work of window \(window), so there is nothing to compute again"
            case .notDrawnYet(let window): "window \(window) is still open: its facts stand once its beacon is drawn"
            case .noSegment(let segment, let count): "segment \(segment) does not exist: a window has segments 0 to \(count &- 1)"
            }
        }
    }

    public enum Input: Sendable {
        case scored(ScoreFact)
        case replayed(ReplayDraw, ReplayFact)
        /// The data for what was asked last is nowhere to be had.
        case unavailable
    }
    public enum Effect: Hashable, Sendable {
        case score(ScoreJob)
        case replay(ReplayJob)
        case done(AuditVerdict)
    }

    private enum Piece: Hashable, Sendable { case score(ScoreJob), replay(ReplayJob) }
    private let judgedFact: ScoreFact?
    private var waiting: [Piece] = []
    private var asked: Piece?
    private var verdict: AuditVerdict

    /// - Parameters:
    ///   - auditor: keys the jobs' witnesses, which an audit does not use.
    ///   - views: of the windows w − 1, w and w + 1, as far as there are such.
    public init(of trainer: Address, in window: Window, views: [WindowView], genesis: Genesis, scope: Scope, auditor: Address = .zero) throws(Refusal) {
        guard let view = views.first(where: { $0.window == window }) else { throw .notInView(window) }
        guard let contribution = view.contribution(of: trainer) else { throw .noContribution(trainer, window) }
        guard let reveal = contribution.reveal else { throw .neverRevealed(trainer, window) }
        guard let beacon = view.beacon, let assignment = view.assignment, let outer = view.outer else { throw .notDrawnYet(window) }
        let before = window > Window(0) ? views.first { $0.window == window.lowered(by: 1) } : nil
        if window > Window(0), before == nil { throw .notInView(window.lowered(by: 1)) }
        let rules = genesis.training
        let count = rules.allows(reveal.steps) ? rules.segments(of: reveal.steps) : 0, segments = count == 0 ? [] : try Auditor.segments(scope, of: count)

        verdict = AuditVerdict(trainer: trainer, window: window)
        let commitment = GradientCommitment(reveal, trainer: trainer, run: genesis.runID, window: window, genesis: genesis.digest).digest
        verdict.add(.commitment, expected: contribution.commitment, found: commitment)
        verdict.add(.parameters, expected: outer.parametersRoot, found: reveal.parametersRoot)
        verdict.add(.steps, expected: UInt64(count == 0 ? rules.innerSteps : reveal.steps), found: UInt64(reveal.steps))

        judgedFact = view.scoreDraws.first { $0.trainer == trainer }?.fact
        if let base = views.first(where: { $0.window == window.next })?.outer {
            waiting.append(.score(ScoreJob(window: window, trainer: trainer, validator: auditor, payloadRoot: reveal.payloadRoot, base: base,
                                           beacon: beacon, assignment: assignment, rank: outer.pace?.rank, again: false)))
        } else {
            verdict.add(.lossDelta, .unavailable)
        }
        let own = before?.contribution(of: trainer).flatMap { $0.state == .judged ? $0.reveal?.payloadRoot : nil }
        let opening = TrainingOpening(parametersRoot: outer.parametersRoot, assignment: assignment, ownPayload: rules.delay == .continued ? own : nil, residualIn: reveal.residualIn, pace: outer.pace)
        for segment in segments {
            let last = segment == count - 1
            waiting.append(.replay(ReplayJob(window: window, validator: auditor, draw: ReplayDraw(trainer: trainer, window: window, segment: segment, withCompression: last),
                                             reveal: reveal, opening: opening, stateRoot: .zero, again: false)))
        }
    }

    private static func segments(_ scope: Scope, of count: UInt32) throws(Refusal) -> [UInt32] {
        switch scope {
        case .all: return Array(0..<count)
        case .segments(let chosen):
            for segment in chosen where segment >= count { throw .noSegment(segment, of: count) }
            return Array(Set(chosen)).sorted()
        case .drawn(let wanted, let seed):
            var chance = SeededGenerator(seed: seed)
            return chance.sample(Array(0..<count), count: max(0, wanted)).sorted()
        }
    }

    /// The first piece to compute, or the verdict if there is none.
    public mutating func begin() -> [Effect] { askNext() }

    public mutating func handle(_ input: Input) -> [Effect] {
        guard let piece = asked else { return [] }
        switch (piece, input) {
        case (.score, .scored(let fact)):
            if let judgedFact { verdict.add(.lossDelta, judgedFact == fact ? .equal : .differs(expected: "\(judgedFact)", found: "\(fact)")) } else { verdict.add(.lossDelta, .notOnTheLedger(found: "\(fact)")) }
        case (.replay(let job), .replayed(let draw, let fact)):
            guard job.draw == draw else { return [] }
            verdict.add(job.draw.withCompression ? .compression : .segment(draw.segment), fact.verdict == .unserved ? .unavailable
                : fact.verdict == .equal ? .equal : .differs(expected: fact.expected.description, found: fact.found.description))
        case (.score, .unavailable): verdict.add(.lossDelta, .unavailable)
        case (.replay(let job), .unavailable): verdict.add(job.draw.withCompression ? .compression : .segment(job.draw.segment), .unavailable)
        default: return []
        }
        asked = nil
        return askNext()
    }

    private mutating func askNext() -> [Effect] {
        guard !waiting.isEmpty else { return [.done(verdict)] }
        let piece = waiting.removeFirst()
        asked = piece
        switch piece {
        case .score(let job): return [.score(job)]
        case .replay(let job): return [.replay(job)]
        }
    }
}

/// What an audit found, piece by piece.
public struct AuditVerdict: Hashable, Sendable {
    public enum Piece: Hashable, Sendable, CustomStringConvertible {
        case commitment, parameters, steps, lossDelta
        case segment(UInt32)
        /// The last segment and the compression after it.
        case compression

        public var description: String {
            switch self {
            case .commitment: "commitment"
            case .parameters: "parameters"
            case .steps: "steps"
            case .lossDelta: "loss-delta"
            case .segment(let number): "segment \(number)"
            case .compression: "last segment and compression"
            }
        }
    }
    public enum Finding: Hashable, Sendable {
        case equal
        case differs(expected: String, found: String)
        /// It was not scored, so there is nothing to compare with.
        case notOnTheLedger(found: String)
        case unavailable
    }
    public struct Check: Hashable, Sendable {
        public let piece: Piece
        public let finding: Finding
    }
    public let trainer: Address
    public let window: Window
    public private(set) var checks: [Check] = []

    init(trainer: Address, window: Window) { (self.trainer, self.window) = (trainer, window) }

    public var differing: [Check] { checks.filter { if case .differs = $0.finding { true } else { false } } }
    /// Nothing differs and nothing was out of reach.
    public var isEqual: Bool { checks.allSatisfy { if case .equal = $0.finding { true } else if case .notOnTheLedger = $0.finding { true } else { false } } }

    mutating func add(_ piece: Piece, _ finding: Finding) { checks.append(Check(piece: piece, finding: finding)) }
    mutating func add<Value: Equatable & CustomStringConvertible>(_ piece: Piece, expected: Value, found: Value) {
        add(piece, expected == found ? .equal : .differs(expected: expected.description, found: found.description))
    }
}

extension ScoreFact: CustomStringConvertible {
    public var description: String { "random \(randomBefore) → \(randomAfter), own \(ownBefore) → \(ownAfter)" }
}
