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
    private var workers: [Worker]
    private var window: UInt64 = 0
    /// θ(w), from which window w starts.
    private var current: FloatBuffer
    /// θ(w + 1), with one window more in it where there is a delay; else the same.
    private var newest: OuterState
    var parameters: FloatBuffer { newest.parameters }

    init(_ initial: FloatBuffer, arm: GymArm, table: ParameterTable, path: KernelPath) throws {
        compressor = try Compressors.make(arm.rules, table: table)
        outer = OuterStep(rules: arm.rules, table: table, path: path)
        workers = (0..<arm.workers).map { _ in Worker() }
        current = initial
        // A plain mean is a clipped one whose limits are never reached.
        newest = OuterState(parameters: initial, momentum: nil, clipNorms: arm.aggregation == .clippedMean ? [] : table.entries.map { _ in .infinity })
    }

    mutating func round(at step: Int, limit: Int, _ place: Workplace) throws -> GymRound {
        let arm = place.arm, steps = min(arm.innerSteps, limit), kernels = place.model.kernels
        var losses = 0.0, decoded: [FloatBuffer] = [], bytes = 0
        let ofWorkers = try seconds {
            for worker in workers.indices {
                let start = PseudoGradient.start(current, ownPayload: workers[worker].own, kernels)
                var state = opening(start, worker, step)
                for inner in 0..<steps { losses += Double(place.loop.step(&state, batch: place.batch(worker: worker, step: step + inner), model: place.model).loss) }
                if arm.residualRestart > 0, window.isMultiple(of: UInt64(arm.residualRestart)) { workers[worker].residual = nil }
                let delta = PseudoGradient.delta(start: start, end: state.parameters, residual: workers[worker].residual, kernels)
                let payload = compressor.compress(delta), update = try compressor.decompress(payload)
                bytes += payload.count
                if arm.compressor != .none { workers[worker].residual = PseudoGradient.residual(delta: delta, decoded: update, decay: arm.feedbackDecay, kernels) }
                if arm.delay == .continued { workers[worker].own = update }
                if arm.innerState == .carry { workers[worker].moments = state }
                decoded.append(update)
            }
        }
        let ofAll = seconds {
            let next = outer.apply(newest, aggregated: decoded, judged: arm.aggregation == .clippedMean ? decoded : [])
            current = arm.delay == .none ? next.parameters : newest.parameters
            newest = next
        }
        window += 1
        let share = Double(arm.workers), sent = bytes / arm.workers
        return GymRound(steps: steps, losses: losses / share, sent: sent, received: sent * (arm.workers - 1), seconds: ofWorkers / share + ofAll)
    }

    /// The learning rate's schedule goes by the global step, whether the moments carry or not.
    private func opening(_ start: FloatBuffer, _ worker: Int, _ step: Int) -> InnerState {
        guard var state = workers[worker].moments else { return InnerState(parameters: start.copy(), step: UInt64(step)) }
        state.parameters = start.copy()
        return state
    }

    func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(window)
        encoder.append(floats: current)
        encoder.append(floats: newest.parameters)
        encoder.append(floats: newest.momentum)
        encoder.append(UInt32(newest.clipNorms.count))
        for norm in newest.clipNorms { encoder.append(norm.bitPattern) }
        for worker in workers {
            encoder.append(worker.moments != nil)
            if let moments = worker.moments { moments.encode(into: &encoder) }
            encoder.append(optional: worker.residual)
            encoder.append(optional: worker.own)
        }
    }

    mutating func restore(from decoder: inout CanonicalDecoder) throws {
        let count = current.count
        window = try decoder.uint64()
        current = try decoder.floats(count)
        let parameters = try decoder.floats(count), momentum = try decoder.floats(count)
        let norms = try (0..<decoder.count(limit: outer.table.entries.count)).map { _ in Float(bitPattern: try decoder.uint32()) }
        newest = OuterState(parameters: parameters, momentum: momentum, clipNorms: norms)
        for index in workers.indices {
            let moments = try decoder.bool() ? try InnerState(from: &decoder, count: count) : nil
            workers[index] = Worker(moments: moments, residual: try decoder.optionalFloats(count), own: try decoder.optionalFloats(count))
        }
    }
}
