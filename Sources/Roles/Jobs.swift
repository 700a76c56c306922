import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// What a role asked Compute or the blob store for, by name: for answers, and to call it off.
public struct JobName: Hashable, Comparable, Sendable, CustomStringConvertible {
    public enum Kind: UInt8, Hashable, Comparable, Sendable { 
        case hold, score, replay, aggregate, train, store, serve
        /// The same as score and replay for a contest, on another path of the kernels.
        case scoreAgain, replayAgain
        public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }
    public let kind: Kind
    public let window: Window
    /// Zero where the job is about the whole window.
    public let trainer: Address

    public init(_ kind: Kind, _ window: Window, _ trainer: Address = .zero) {
        (self.kind, self.window, self.trainer) = (kind, window, trainer)
    }
    public static func < (a: Self, b: Self) -> Bool { (a.window, a.kind, a.trainer) < (b.window, b.kind, b.trainer) }
    public var description: String { "\(kind) of \(trainer) in window \(window)" }
}

/// Where a trainer starts a window: public facts, but for the residual.
public struct TrainingOpening: Hashable, Sendable {
    /// θ(w).
    public let parametersRoot: Digest
    /// R_w.
    public let assignment: Digest
    /// The trainer's own payload of w − 1; nil to start from θ(w) itself.
    public let ownPayload: Digest?
    /// Zero for none.
    public let residualIn: Digest
    /// Nil where rank and H do not adapt.
    public let pace: WindowPace?

    public init(parametersRoot: Digest, assignment: Digest, ownPayload: Digest?, residualIn: Digest, pace: WindowPace? = nil) {
        (self.parametersRoot, self.assignment, self.ownPayload, self.residualIn, self.pace) = (parametersRoot, assignment, ownPayload, residualIn, pace)
    }
}

/// Train one window. The same job gives the same bits, whenever and wherever it is done.
public struct TrainJob: Hashable, Sendable {
    public let window: Window
    public let trainer: Address
    public let opening: TrainingOpening
    public init(window: Window, trainer: Address, opening: TrainingOpening) {
        (self.window, self.trainer, self.opening) = (window, trainer, opening)
    }
}

/// What training a window came to, as roots of blobs that the shell keeps.
public struct TrainedWindow: Hashable, Sendable {
    public let payloadRoot: Digest
    public let trajectoryRoot: Digest
    public let residualOut: Digest
    public let steps: UInt32
    public init(payloadRoot: Digest, trajectoryRoot: Digest, residualOut: Digest, steps: UInt32) {
        (self.payloadRoot, self.trajectoryRoot, self.residualOut, self.steps) = (payloadRoot, trajectoryRoot, residualOut, steps)
    }
}

/// A trained window as its trainer keeps it on disk, so that a commitment can be opened after a crash without training again.
public struct TrainedRecord: Hashable, Sendable, CanonicalCodable {
    public let window: Window
    public let opening: TrainingOpening
    public let reveal: Reveal
    public init(window: Window, opening: TrainingOpening, reveal: Reveal) {
        (self.window, self.opening, self.reveal) = (window, opening, reveal)
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(window)
        encoder.append(opening.parametersRoot)
        encoder.append(opening.assignment)
        encoder.append(optional: opening.ownPayload)
        encoder.append(opening.residualIn)
        encoder.append(optional: opening.pace)
        encoder.append(reveal)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        window = try decoder.value()
        opening = TrainingOpening(parametersRoot: try decoder.value(), assignment: try decoder.value(), ownPayload: try decoder.optional(), residualIn: try decoder.value(), pace: try decoder.optional())
        reveal = try decoder.value()
    }
}

/// Put a window's payload and trajectory on the validators. Asked for once everybody has committed.
public struct StoreJob: Hashable, Sendable {
    public let window: Window
    public let payloadRoot: Digest
    public let trajectoryRoot: Digest
    public init(window: Window, payloadRoot: Digest, trajectoryRoot: Digest) {
        (self.window, self.payloadRoot, self.trajectoryRoot) = (window, payloadRoot, trajectoryRoot)
    }
}

/// Put the opening state of a drawn segment on the validators, and the residual if the compression is replayed.
public struct ServeJob: Hashable, Sendable {
    /// Whose beacon drew it.
    public let window: Window
    public let draw: ReplayDraw
    /// Zero if there is no residual to give.
    public let residualIn: Digest
    public init(window: Window, draw: ReplayDraw, residualIn: Digest) {
        (self.window, self.draw, self.residualIn) = (window, draw, residualIn)
    }
}

/// Fetch a contribution's blobs whole and check its payload's form.
public struct HoldJob: Hashable, Sendable {
    public let window: Window
    public let trainer: Address
    public let reveal: Reveal
    /// Payloads of earlier windows, of which this one may be no copy.
    public let earlier: [Digest]
    /// R_w and the window's rank, by which its payloads are written; nil for the rules' rank.
    public let assignment: Digest
    public let rank: UInt32?
    public init(window: Window, trainer: Address, reveal: Reveal, earlier: [Digest], assignment: Digest, rank: UInt32? = nil) {
        (self.window, self.trainer, self.reveal, self.earlier, self.assignment, self.rank) = (window, trainer, reveal, earlier, assignment, rank)
    }
}

public enum HoldOutcome: Hashable, Sendable {
    /// Whole and well-formed; the digest is keyed by the validator: only one who has the bytes can write it.
    case whole(custody: Digest)
    /// Whole, but a fast check failed.
    case refused(custody: Digest)
    var custody: Digest { switch self { case .whole(let digest), .refused(let digest): digest } }
    var isRefused: Bool { if case .refused = self { true } else { false } }
}

/// Judge one payload by the loss that it takes away from θ(w + 1).
public struct ScoreJob: Hashable, Sendable {
    public let window: Window
    public let trainer: Address
    /// Keys the witness.
    public let validator: Address
    public let payloadRoot: Digest
    /// Of θ(w + 1): the base, and the norms that the payload is clipped to.
    public let base: OuterView
    /// B_w draws the random batches, and out of those that R_w assigned the trainer's own.
    public let beacon: Digest
    public let assignment: Digest
    /// Of the window, where it adapts.
    public let rank: UInt32?
    /// On another path of the kernels than usual: a contest.
    public let again: Bool

    public init(window: Window, trainer: Address, validator: Address, payloadRoot: Digest, base: OuterView, beacon: Digest, assignment: Digest, rank: UInt32? = nil, again: Bool) {
        (self.window, self.trainer, self.validator, self.payloadRoot) = (window, trainer, validator, payloadRoot)
        (self.base, self.beacon, self.assignment, self.rank, self.again) = (base, beacon, assignment, rank, again)
    }
    public var name: JobName { JobName(again ? .scoreAgain : .score, window, trainer) }
}

/// Compute one segment of a trainer's window again.
public struct ReplayJob: Hashable, Sendable {
    /// Whose beacon drew it.
    public let window: Window
    public let validator: Address
    public let draw: ReplayDraw
    /// Of the window that is replayed.
    public let reveal: Reveal
    public let opening: TrainingOpening
    /// What the trainer served; zero for nothing: then the state is computed from the public opening.
    public let stateRoot: Digest
    public let again: Bool

    public init(window: Window, validator: Address, draw: ReplayDraw, reveal: Reveal, opening: TrainingOpening, stateRoot: Digest, again: Bool) {
        (self.window, self.validator, self.draw, self.reveal) = (window, validator, draw, reveal)
        (self.opening, self.stateRoot, self.again) = (opening, stateRoot, again)
    }
    public var name: JobName { JobName(again ? .replayAgain : .replay, window, draw.trainer) }
}

/// Make θ(w + 2) out of θ(w + 1) and the payloads of w.
public struct AggregateJob: Hashable, Sendable {
    public struct Payload: Hashable, Sendable {
        public let trainer: Address
        public let root: Digest
        public init(trainer: Address, root: Digest) { (self.trainer, self.root) = (trainer, root) }
    }
    /// w.
    public let window: Window
    public let validator: Address
    /// θ(w + 1).
    public let base: OuterView
    /// Ascending trainer. The aggregated enter θ; the norms of all judged make the next clip norms.
    public let aggregated: [Payload]
    public let judged: [Payload]

    public init(window: Window, validator: Address, base: OuterView, aggregated: [Payload], judged: [Payload]) {
        (self.window, self.validator, self.base, self.aggregated, self.judged) = (window, validator, base, aggregated, judged)
    }
    /// The window that begins with the result.
    public var target: Window { window.advanced(by: 2) }
    public var name: JobName { JobName(.aggregate, window) }
}

/// What an aggregate came to.
public struct AggregateOutcome: Hashable, Sendable {
    public let parametersRoot: Digest
    /// Zero: no momentum yet.
    public let momentumRoot: Digest
    public let clipNorms: [FloatBits]
    /// Of the update, in 256ths; 0 where nothing adapts or nothing was added.
    public let effectiveRank: UInt32
    /// H(validator ‖ θ): only one who made it can write it.
    public let witness: Digest
    public init(parametersRoot: Digest, momentumRoot: Digest, clipNorms: [FloatBits], effectiveRank: UInt32, witness: Digest) {
        (self.parametersRoot, self.momentumRoot, self.clipNorms, self.effectiveRank, self.witness) = (parametersRoot, momentumRoot, clipNorms, effectiveRank, witness)
    }
}

/// The ledger after a commit, as far as the roles look at it.
public struct LedgerHead: Hashable, Sendable {
    public let status: RunStatus
    /// Windows in flight and the next one, ascending.
    public let views: [WindowView]
    public init(status: RunStatus, views: [WindowView]) {
        (self.status, self.views) = (status, views)
    }
    public subscript(_ window: Window) -> WindowView? { views.first { $0.window == window } }
}
