import AssayAudit
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayScoring
import AssayStorage
import AssayTensor
import AssayTraining

/// What a role asked Compute for, done: blobs in, facts out. One thread at a time.
public final class ComputeEngine: @unchecked Sendable {
    public struct Missing: Error, Sendable { public let root: Digest }

    private let blobs: BlobStore
    public let trainer: WindowTrainer
    private let outer: OuterStep
    private let lossDelta: LossDelta
    private let replay: Replay
    /// Does a trainer's windows where its layers are spread over processes; nil where this process has all of them.
    public var stages: StagePipeline?
    private var rules: TrainingRules { trainer.rules }

    public init(genesis: Genesis, corpus: Corpus, blobs: BlobStore, threads: Int, path: KernelPath = .current) throws {
        self.blobs = blobs
        trainer = try WindowTrainer(genesis: genesis, corpus: corpus, threads: threads, path: path)
        outer = OuterStep(rules: genesis.training, table: trainer.table, path: path)
        lossDelta = LossDelta(trainer, outer: outer)
        replay = Replay(trainer)
    }

    /// θ(0) by the rule, which must be the genesis'.
    public func firstParameters(_ genesis: Genesis) throws {
        let bytes = InnerLoop.initialParameters(shape: trainer.shape, philox: Philox(key: rules.seed)).littleEndianBytes()
        let root = try blobs.put(bytes)
        guard root == genesis.parametersRoot else {
            throw Failure("this machine computes other first parameters than the genesis has: \(root), not \(genesis.parametersRoot)", remedy: "Its kernels are not exact here: do not run it. Try ASSAY_KERNELS=reference, and report this.")
        }
    }

    private func bytes(_ root: Digest) throws -> [UInt8] {
        guard let bytes = blobs.get(root) else { throw Missing(root: root) }
        return bytes
    }
    private func floats(_ root: Digest) throws -> FloatBuffer {
        let buffer = try FloatBuffer(littleEndianBytes: bytes(root))
        guard buffer.count == trainer.table.count else { throw Missing(root: root) }
        return buffer
    }
    private func outerState(_ view: OuterView) throws -> OuterState {
        OuterState(parameters: try floats(view.parametersRoot), momentum: view.momentumRoot == .zero ? nil : try floats(view.momentumRoot), clipNorms: view.clipNorms.map { Float(bitPattern: $0.bits) }, pace: view.pace)
    }
    public func opening(_ opening: TrainingOpening, _ window: Window, _ trainer: Address) throws -> WindowOpening {
        WindowOpening(window: window, trainer: trainer, assignment: opening.assignment, parameters: try floats(opening.parametersRoot), ownPayload: try opening.ownPayload.map(bytes),
                      residual: opening.residualIn == .zero ? nil : try? floats(opening.residualIn), pace: opening.pace)
    }

    // MARK: Validators

    public func hold(_ job: HoldJob, validator: Address) throws -> HoldOutcome {
        let payload = try bytes(job.reveal.payloadRoot), trajectory = try bytes(job.reveal.trajectoryRoot)
        let custody = Digest.tagged("assay/custody/1") {
            $0.append(validator)
            $0.append(counted: payload)
        }
        do {
            try FastChecks.check(payload: payload, CompressionContext(assignment: job.assignment, rank: job.rank), trajectory: trajectory, steps: job.reveal.steps, earlier: job.earlier.compactMap { blobs.get($0) }, rules: rules, compressor: trainer.compressor)
            return .whole(custody: custody)
        } catch { return .refused(custody: custody) }
    }

    public func score(_ job: ScoreJob) throws -> LossDelta.Result {
        let base = try outerState(OuterView(outerRoot: .zero, parametersRoot: job.base.parametersRoot, momentumRoot: .zero, clipNorms: job.base.clipNorms))
        return lossDelta.score(payload: try bytes(job.payloadRoot), base: base, baseRoot: job.base.parametersRoot, window: job.window, address: job.trainer, beacon: job.beacon, assignment: job.assignment, rank: job.rank, validator: job.validator)
    }

    public func replay(_ job: ReplayJob) throws -> Replay.Result {
        guard let trajectory = try? Trajectory(canonicalBytes: bytes(job.reveal.trajectoryRoot)) else { throw Missing(root: job.reveal.trajectoryRoot) }
        let opening = try opening(job.opening, job.draw.window, job.draw.trainer)
        return try replay.replay(job.draw, opening: opening, served: job.stateRoot == .zero ? nil : blobs.get(job.stateRoot), trajectory: trajectory, reveal: job.reveal, validator: job.validator)
    }

    public func aggregate(_ job: AggregateJob) throws -> AggregateOutcome {
        var decoded: [Digest: FloatBuffer] = [:]
        for payload in job.judged + job.aggregated where decoded[payload.root] == nil {
            // Judged payloads passed the fast checks of a quorum.
            decoded[payload.root] = try trainer.compressor.decompress(try bytes(payload.root))
        }
        let next = outer.apply(try outerState(job.base), aggregated: job.aggregated.compactMap { decoded[$0.root] }, judged: job.judged.compactMap { decoded[$0.root] })
        let parameters = next.parameters.littleEndianBytes()
        let parametersRoot = try blobs.put(parameters)
        let isStill = job.aggregated.isEmpty && job.base.momentumRoot == .zero
        let momentumRoot = isStill ? .zero : try blobs.put(next.momentum.littleEndianBytes())
        let witness = Digest.tagged("assay/witness/parameters/1") {
            $0.append(job.validator)
            $0.append(counted: parameters)
        }
        return AggregateOutcome(parametersRoot: parametersRoot, momentumRoot: momentumRoot, clipNorms: next.clipNorms.map { FloatBits(bits: $0.bitPattern) }, effectiveRank: next.effectiveRank, witness: witness)
    }

    // MARK: Trainers

    /// Trains a window and keeps its payload, trajectory and residual.
    /// - Parameter steps: nil for H.
    public func train(_ job: TrainJob, steps: UInt32? = nil, behaviour: Behaviour, progress: (Int, Float) -> Void) throws -> (window: TrainedWindow, loss: Float) {
        if let stages { return try train(job, steps ?? rules.steps(job.opening.pace), stages, progress) }
        // Training without the residual that is claimed would look like fraud.
        if job.opening.residualIn != .zero { _ = try floats(job.opening.residualIn) }
        let result = try trainer.train(try opening(job.opening, job.window, job.trainer), steps: steps.map { Int($0) }, behaviour: behaviour, progress: progress)
        try blobs.put(result.payload)
        try blobs.put(result.trajectory.bytes)
        try blobs.put(result.residual.littleEndianBytes())
        return (TrainedWindow(payloadRoot: result.payloadRoot, trajectoryRoot: result.trajectory.root, residualOut: result.residualRoot, steps: UInt32(result.steps)), result.loss)
    }

    /// The state at the beginning of a drawn segment, kept as a blob.
    public func openingState(_ draw: ReplayDraw, _ opening: TrainingOpening) throws -> Digest {
        guard let stages else { return try blobs.put(try trainer.state(at: Int(draw.segment), of: try self.opening(opening, draw.window, draw.trainer)).blob) }
        return try stages.window(try staged(opening, draw.window, draw.trainer)) { window, batches in
            _ = try window.train(0..<Int(draw.segment) * Int(self.rules.segmentSteps), batches: batches)
            let writer = try self.blobs.writer(count: InnerState.blobBytes(count: self.trainer.table.count))
            try window.give(writer.append)
            return try writer.finish()
        }
    }

    /// The window by all stages. Here lies what the ledger may ask for, on the disk; in memory no more than this stage's part.
    private func train(_ job: TrainJob, _ steps: UInt32, _ stages: StagePipeline, _ progress: (Int, Float) -> Void) throws -> (window: TrainedWindow, loss: Float) {
        let result = try stages.window(try staged(job.opening, job.window, job.trainer)) { window, batches in
            let writer = try self.blobs.writer(count: 4 * self.trainer.table.count)
            let (payload, states, loss) = try window.run(steps: Int(steps), segmentSteps: Int(self.rules.segmentSteps), batches: batches, progress: progress, residual: writer.append)
            return (payload: payload, states: states, loss: loss, residual: try writer.finish())
        }
        let payload = try blobs.put(result.payload)
        let trajectory = Trajectory(digests: result.states + [Trajectory.final(state: result.states[result.states.count - 1], payload: payload, residual: result.residual)])
        return (TrainedWindow(payloadRoot: payload, trajectoryRoot: try blobs.put(trajectory.bytes), residualOut: result.residual, steps: steps), result.loss)
    }

    private func staged(_ opening: TrainingOpening, _ window: Window, _ address: Address) throws -> PipelineOpening {
        let stages = StageOpening(assignment: opening.assignment, trainer: address, window: window, steps: Int(rules.steps(opening.pace)), firstStep: WindowArithmetic.firstStep(window, opening.pace, rules), rank: opening.pace?.rank)
        let reader = { [blobs, count = trainer.table.count] (root: Digest) throws -> (Range<Int>) throws -> FloatBuffer in
            guard blobs.size(root) == 4 * count else { throw Missing(root: root) }
            return { range in
                guard let bytes = blobs.get(root, 4 * range.lowerBound..<4 * range.upperBound) else { throw Missing(root: root) }
                return try FloatBuffer(littleEndianBytes: bytes)
            }
        }
        return PipelineOpening(stages, parameters: try reader(opening.parametersRoot), ownPayload: try opening.ownPayload.map(bytes), residual: opening.residualIn == .zero ? nil : try reader(opening.residualIn))
    }
}
