import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A window as the stages need to know it: which tokens, and where on the schedule.
public struct StageOpening: Hashable, Sendable, CanonicalCodable {
    public var assignment: Digest
    public var trainer: Address
    public var window: Window
    /// Of the window: which sequences a step has depends on it.
    public var steps: UInt32
    /// Global, of the window's first.
    public var firstStep: UInt64
    /// Nil for the rules' rank.
    public var rank: UInt32?
    /// Whether the own payload of the window before follows, and a residual.
    public var hasPayload, hasResidual: Bool

    public init(assignment: Digest, trainer: Address, window: Window, steps: Int, firstStep: UInt64, rank: UInt32? = nil, hasPayload: Bool = false, hasResidual: Bool = false) {
        (self.assignment, self.trainer, self.window, self.steps) = (assignment, trainer, window, UInt32(steps))
        (self.firstStep, self.rank, self.hasPayload, self.hasResidual) = (firstStep, rank, hasPayload, hasResidual)
    }
    public func shard(_ corpus: Corpus, _ rules: TrainingRules) -> Shard { Shard(corpus, assignment: assignment, trainer: trainer, window: window, rules: rules, steps: Int(steps)) }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(assignment)
        encoder.append(trainer)
        encoder.append(window)
        encoder.append(steps)
        encoder.append(firstStep)
        encoder.append(rank != nil)
        encoder.append(rank ?? 0)
        encoder.append(hasPayload)
        encoder.append(hasResidual)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        assignment = try decoder.value()
        trainer = try decoder.value()
        window = try decoder.value()
        steps = try decoder.uint32()
        firstStep = try decoder.uint64()
        // No counter may overflow on the way.
        guard firstStep < 1 << 62 else { throw .invalidValue(field: "firstStep", value: firstStep) }
        let hasRank = try decoder.bool(), found = try decoder.uint32()
        guard hasRank || found == 0 else { throw .invalidValue(field: "rank", value: UInt64(found)) }
        rank = hasRank ? found : nil
        hasPayload = try decoder.bool()
        hasResidual = try decoder.bool()
    }
}

/// What the first stage tells the others to do next.
public enum StageOrder: Hashable, Sendable, CanonicalCodable {
    /// Begin a window; what it starts from follows. What was there of another is forgotten.
    case open(StageOpening)
    /// Steps of the window, from 0.
    case train(first: UInt32, count: UInt32)
    /// Give θ (0), m (1) or v (2) as they are now.
    case give(buffer: UInt32)
    /// Compress what was trained; give the payload's part and the residual. The window is over.
    case close

    public func encode(into encoder: inout CanonicalEncoder) {
        switch self {
        case .open(let opening):
            encoder.append(UInt8(0))
            encoder.append(opening)
        case .train(let first, let count):
            encoder.append(UInt8(1))
            encoder.append(first)
            encoder.append(count)
        case .give(let buffer):
            encoder.append(UInt8(2))
            encoder.append(buffer)
        case .close: encoder.append(UInt8(3))
        }
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        switch try decoder.uint8() {
        case 0: self = .open(try decoder.value())
        case 1: self = .train(first: try decoder.uint32(), count: try decoder.uint32())
        case 2:
            let buffer = try decoder.uint32()
            guard buffer < 3 else { throw .invalidValue(field: "buffer", value: UInt64(buffer)) }
            self = .give(buffer: buffer)
        case 3: self = .close
        case let other: throw .invalidValue(field: "order", value: UInt64(other))
        }
    }
}
