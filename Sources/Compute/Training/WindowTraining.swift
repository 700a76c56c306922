import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// What a trainer, or one who replays it, starts a window from. All of it is public but the residual.
public struct WindowOpening: Sendable {
    public var window: Window
    public var trainer: Address
    /// R_w.
    public var assignment: Digest
    /// θ(w).
    public var parameters: FloatBuffer
    /// The trainer's own payload of w − 1, if that was judged and the run's delay is `continued`.
    public var ownPayload: [UInt8]?
    /// What the compression of the last judged window lost; nil for none.
    public var residual: FloatBuffer?
    /// Of the outer state that the window starts from; nil where the rules fix rank and steps.
    public var pace: WindowPace?
    /// The state at the end of the trainer's last window, in a run whose inner state is carried; its moments and counters go on. Nil: they begin at zero.
    public var carried: InnerState?

    public init(window: Window, trainer: Address, assignment: Digest, parameters: FloatBuffer, ownPayload: [UInt8]?, residual: FloatBuffer?,
                pace: WindowPace? = nil, carried: InnerState? = nil) {
        (self.window, self.trainer, self.assignment, self.parameters, self.ownPayload, self.residual) = (window, trainer, assignment, parameters, ownPayload, residual)
        (self.pace, self.carried) = (pace, carried)
    }
}

/// Why a window was not trained.
public enum WindowError: Error, Hashable, Sendable {
    case payload(PayloadError)
    case stepsNotAllowed(Int, allowed: ClosedRange<UInt32>)
    case stepsNotInSegments(Int, segmentSteps: UInt32)
    case microBatchesDoNotDivideRows(UInt32, rows: UInt32)
}

/// What came of a window's training.
public struct WindowResult: Sendable {
    public var payload: [UInt8]
    public var payloadRoot: Digest
    public var trajectory: Trajectory
    public var residual: FloatBuffer
    public var residualRoot: Digest
    /// Mean training loss of the last step, in nats per token.
    public var loss: Float
    public var tokens: Int
    public var steps: Int
    /// The state after the last step, for the next window's `carried`; nil where the inner state is reset.
    public var end: InnerState?
}

/// How an adversary of the laboratory trains. Validators and honest trainers never use anything but `honest`.
public enum Behaviour: String, Sendable, CaseIterable {
    case honest
    /// A tenth of the steps, claimed as all.
    case lazy
    /// A random payload.
    case noise
    /// An honest payload with its sign turned.
    case signflip
    /// Payloads of the right size that decode to nothing.
    case nonsense
}

/// Stations 1 to 4 in one: a window's training, and any part of it again.
public final class WindowTrainer {
    public let shape: ModelShape
    public let corpus: Corpus
    public let arithmetic: WindowArithmetic
    public var rules: TrainingRules { arithmetic.rules }
    public var table: ParameterTable { arithmetic.table }
    public var compressor: any Compressor { arithmetic.compressor }
    public var kernels: Kernels { arithmetic.kernels }
    /// The whole model, made when it is first needed: where stages do the steps, it never is.
    public private(set) lazy var model = Model(shape: shape, rows: Int(rules.rows), microBatches: Int(rules.microBatches), kernels: kernels)
    private let loop: InnerLoop

    public convenience init(genesis: Genesis, corpus: Corpus, threads: Int, path: KernelPath = .current) throws {
        try self.init(shape: try ModelShape(genesis.model), rules: genesis.training, corpus: corpus, threads: threads, path: path)
    }
    public init(shape: ModelShape, rules: TrainingRules, corpus: Corpus, threads: Int, path: KernelPath = .current) throws {
        self.shape = shape
        guard rules.microBatches > 0, rules.rows.isMultiple(of: rules.microBatches) else { throw WindowError.microBatchesDoNotDivideRows(rules.microBatches, rows: rules.rows) }
        self.corpus = corpus
        arithmetic = try WindowArithmetic(rules: rules, table: ParameterTable(shape), kernels: Kernels(path: path, threads: threads))
        loop = InnerLoop(shape: shape, rules: OptimizerRules(rules))
    }

    public func start(_ opening: WindowOpening) throws(PayloadError) -> FloatBuffer { try arithmetic.start(opening) }
    public func openingState(_ start: FloatBuffer, _ opening: WindowOpening) -> InnerState { arithmetic.openingState(start, opening) }
    /// Global number of the window's first step.
    public func firstStep(_ opening: WindowOpening) -> UInt64 { WindowArithmetic.firstStep(opening.window, opening.pace, rules) }

    /// H of the window, unless a trainer does more or fewer.
    public func steps(_ opening: WindowOpening) -> Int { Int(rules.steps(opening.pace)) }

    /// Trains steps of a window.
    public func run(_ state: inout InnerState, steps: Range<Int>, shard: Shard, progress: (Int, Float) -> Void = { _, _ in }) -> Float {
        var loss: Float = 0
        for step in steps {
            loss = loop.step(&state, batch: shard.batch(step: step), model: model).loss
            progress(step, loss)
        }
        return loss
    }

    public func shard(_ opening: WindowOpening) -> Shard { Shard(corpus, assignment: opening.assignment, trainer: opening.trainer, window: opening.window, rules: rules, steps: steps(opening)) }

    /// A whole window.
    ///
    /// - Parameter steps: H unless given; else within H_min … H_max and in whole segments.
    public func train(_ opening: WindowOpening, steps given: Int? = nil, behaviour: Behaviour = .honest, progress: (Int, Float) -> Void = { _, _ in }) throws(WindowError) -> WindowResult {
        if let given { try rules.check(steps: given) }
        return try train(opening, given ?? steps(opening), Int(rules.segmentSteps), behaviour, progress)
    }

    /// What a payload is refused for, as what a window is not trained for.
    private func payload<Value>(_ body: () throws(PayloadError) -> Value) throws(WindowError) -> Value {
        do { return try body() } catch { throw .payload(error) }
    }

    private func train(_ opening: WindowOpening, _ steps: Int, _ segment: Int, _ behaviour: Behaviour, _ progress: (Int, Float) -> Void) throws(WindowError) -> WindowResult {
        let start = try payload { () throws(PayloadError) in try self.start(opening) }, shard = shard(opening)
        var state = openingState(start, opening)
        var digests = [state.digest], loss: Float = 0
        let honestSteps = behaviour == .lazy ? max(1, steps / 10) : behaviour == .noise || behaviour == .nonsense ? 0 : steps
        for first in stride(from: 0, to: steps, by: segment) {
            if first < honestSteps { loss = run(&state, steps: first..<min(first + segment, honestSteps), shard: shard, progress: progress) }
            digests.append(state.digest)
        }
        var delta = PseudoGradient.delta(overwriting: start, end: state.parameters, residual: opening.residual, kernels)
        switch behaviour {
        case .honest, .lazy, .nonsense: break
        case .signflip: for index in 0..<delta.count { delta.pointer[index] = -delta.pointer[index] }
        case .noise:
            delta = FloatBuffer(count: delta.count)
            var generator = SeededGenerator(Digest.tagged("noise") {
                $0.append(opening.trainer)
                $0.append(opening.window)
            })
            for index in 0..<delta.count { delta.pointer[index] = Float(Int64(generator.below(2_001)) - 1_000) * 1e-6 }
        }
        var compressed = try payload { () throws(PayloadError) in try compress(delta, opening) }
        if behaviour == .nonsense {
            var generator = SeededGenerator(Digest.tagged("nonsense") {
                $0.append(opening.trainer)
                $0.append(opening.window)
            })
            compressed.payload = compressed.payload.map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            compressed.payloadRoot = Blob.root(compressed.payload)
        }
        digests.append(Trajectory.final(state: digests[digests.count - 1], payload: compressed.payloadRoot, residual: compressed.residualRoot))
        return WindowResult(
            payload: compressed.payload, payloadRoot: compressed.payloadRoot, trajectory: Trajectory(digests: digests), residual: compressed.residual, residualRoot: compressed.residualRoot,
            loss: loss, tokens: honestSteps * Int(rules.rows) * shape.context, steps: steps, end: rules.innerState == .carry ? state : nil)
    }

    /// The state at the beginning of a segment, computed from the opening.
    public func state(at segment: Int, of opening: WindowOpening) throws(WindowError) -> InnerState {
        var state = openingState(try payload { () throws(PayloadError) in try start(opening) }, opening)
        _ = run(&state, steps: 0..<segment * Int(rules.segmentSteps), shard: shard(opening))
        return state
    }

    /// The residual is written over δ.
    public func compress(_ delta: FloatBuffer, _ opening: WindowOpening) throws(PayloadError) -> (payload: [UInt8], payloadRoot: Digest, residual: FloatBuffer, residualRoot: Digest) {
        let (payload, residual) = try arithmetic.compress(delta, opening)
        return (payload, Blob.root(payload), residual, residual.blobRoot)
    }

    /// δ of a window whose last state is this one.
    public func delta(_ opening: WindowOpening, end: FloatBuffer) throws(PayloadError) -> FloatBuffer {
        PseudoGradient.delta(overwriting: try start(opening), end: end, residual: opening.residual, kernels)
    }

    /// Mean loss over validation sequences, in nats per token.
    public func validationLoss(_ parameters: FloatBuffer, sequences: Int) -> Double {
        var sum = 0.0, count = 0
        for batch in corpus.validationBatches(rows: Int(rules.rows), sequences: sequences) {
            for loss in model.tokenLosses(parameters, batch) { sum += Double(loss) }
            count += batch.tokens
        }
        return count == 0 ? .nan : sum / Double(count)
    }
}

extension TrainingRules {
    /// Refuses a number of inner steps that no window of the run may have.
    func check(steps: Int) throws(WindowError) {
        guard let whole = UInt32(exactly: steps), allowedSteps.contains(whole) else { throw .stepsNotAllowed(steps, allowed: allowedSteps) }
        guard allows(whole) else { throw .stepsNotInSegments(steps, segmentSteps: segmentSteps) }
    }
}
