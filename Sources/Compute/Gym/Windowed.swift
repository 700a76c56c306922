import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining

/// Windows of inner steps, payloads, and an outer step: DiLoCo and what came of it.
///
/// Source: Douillard et al., "DiLoCo" (arXiv 2311.08105), algorithm 1; the one-step delay after DiLoCoX (arXiv 2506.21263).
struct Windowed: GymMethod {
    private struct Worker {
        /// AdamW's moments, if they carry.
        var moments: InnerState?
        var residual: FloatBuffer?
        /// The decoded payload of the last window, if the next one starts from it.
        var own: FloatBuffer?
    }

    private let compressor: any Compressor
    private let outer: OuterStep
    private let seed: UInt64
    private var workers: [Worker]
    private var window: UInt64 = 0
    /// θ(w), from which window w starts.
    private var current: OuterState
    /// θ(w + 1), with one window more in it where there is a delay; else the same.
    private var newest: OuterState
    var parameters: FloatBuffer { newest.parameters }

    init(_ initial: FloatBuffer, arm: GymArm, seed: UInt64, model: Model) throws {
        compressor = try Compressors.make(arm.rules, table: model.table, kernels: model.kernels)
        outer = OuterStep(rules: arm.rules, table: model.table, path: model.kernels.path)
        self.seed = seed
        workers = (0..<arm.workers).map { _ in Worker() }
        current = .first(initial, arm.rules)
        newest = arm.isDelayed ? outer.apply(current, aggregated: [], judged: []) : current
    }

    /// What a compressor draws from in a window: R_w of a run without beacon.
    private var context: CompressionContext {
        let assignment = Digest.tagged("assay/gym/window/1") {
            $0.append(seed)
            $0.append(window)
        }
        return CompressionContext(assignment: assignment, rank: current.pace?.rank)
    }

    mutating func round(at step: Int, limit: Int, _ place: Workplace) throws -> GymRound {
        let rules = place.arm.rules, steps = min(Int(rules.steps(current.pace)), limit), kernels = place.model.kernels, context = context
        let feedbackDecay = Float(bitPattern: rules.feedbackDecay.bits)
        var losses = 0.0, decoded: [FloatBuffer] = [], bytes = 0
        let ofWorkers = try timed {
            for worker in workers.indices {
                let start = PseudoGradient.start(current.parameters, ownPayload: workers[worker].own, kernels)
                var state = opening(start, worker, step)
                for inner in 0..<steps { losses += Double(place.loop.step(&state, batch: place.batch(worker: worker, step: step + inner), model: place.model).loss) }
                if rules.residualRestart > 0, window.isMultiple(of: UInt64(rules.residualRestart)) { workers[worker].residual = nil }
                let delta = PseudoGradient.delta(overwriting: start, end: state.parameters, residual: workers[worker].residual, kernels)
                let payload = compressor.compress(delta, context), update = try compressor.decompress(payload, context)
                bytes += payload.count
                if rules.compressor != .none { workers[worker].residual = PseudoGradient.residual(overwriting: delta, decoded: update, decay: feedbackDecay, kernels) }
                if rules.delay == .continued { workers[worker].own = update }
                if rules.innerState == .carry { workers[worker].moments = state }
                decoded.append(update)
            }
        }
        let ofAll = timed {
            let next = outer.apply(newest, aggregated: decoded, judged: rules.aggregation == .mean ? [] : decoded)
            current = rules.delay == .none ? next : newest
            newest = next
        }
        window += 1
        let share = Double(workers.count), sent = bytes / workers.count
        return GymRound(steps: steps, losses: losses / share, sent: sent, received: sent * (workers.count - 1), seconds: ofWorkers / share + ofAll)
    }

    /// The learning rate's schedule goes by the global step, whether the moments carry or not.
    private func opening(_ start: FloatBuffer, _ worker: Int, _ step: Int) -> InnerState {
        guard var state = workers[worker].moments else { return InnerState(parameters: start.copy(), step: UInt64(step)) }
        state.parameters = start.copy()
        return state
    }

    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(window)
        for state in [current, newest] { state.encode(into: &encoder) }
        for worker in workers {
            encoder.append(worker.moments != nil)
            if let moments = worker.moments { moments.encode(into: &encoder) }
            encoder.append(optional: worker.residual)
            encoder.append(optional: worker.own)
        }
    }

    mutating func restore(from decoder: inout CanonicalDecoder) throws {
        let count = parameters.count, tensors = outer.table.entries.count
        window = try decoder.uint64()
        current = try OuterState(from: &decoder, count: count, tensors: tensors)
        newest = try OuterState(from: &decoder, count: count, tensors: tensors)
        for index in workers.indices {
            let moments = try decoder.bool() ? try InnerState(from: &decoder, count: count) : nil
            workers[index] = Worker(moments: moments, residual: try decoder.optionalFloats(count), own: try decoder.optionalFloats(count))
        }
    }
}

extension OuterState {
    fileprivate func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(floats: parameters)
        encoder.append(floats: momentum)
        encoder.append(UInt32(clipNorms.count))
        for norm in clipNorms { encoder.append(norm.bitPattern) }
        encoder.append(pace != nil)
        guard let pace else { return }
        encoder.append(pace.firstStep)
        for number in [pace.innerSteps, pace.rank, UInt32(pace.effectiveRanks.count)] + pace.effectiveRanks { encoder.append(number) }
    }

    fileprivate init(from decoder: inout CanonicalDecoder, count: Int, tensors: Int) throws {
        let parameters = try decoder.floats(count), momentum = try decoder.floats(count)
        let norms = try (0..<decoder.count(limit: tensors)).map { _ in Float(bitPattern: try decoder.uint32()) }
        self.init(parameters: parameters, momentum: momentum, clipNorms: norms)
        guard try decoder.bool() else { return }
        let first = try decoder.uint64(), steps = try decoder.uint32(), rank = try decoder.uint32()
        pace = WindowPace(firstStep: first, innerSteps: steps, rank: rank, effectiveRanks: try (0..<decoder.count(limit: 1_000)).map { _ in try decoder.uint32() })
    }
}
