import AssayPrimitives
import AssayTensor
import AssayTraining

/// One state that all workers share: a step's gradients are averaged in worker order. With one worker it is AdamW, bit for bit.
struct Synchronous: GymMethod {
    private var state: InnerState
    private let mean: FloatBuffer
    private let gradient: FloatBuffer
    var parameters: FloatBuffer { state.parameters }

    init(_ initial: FloatBuffer, workers: Int) {
        state = InnerState(parameters: initial.copy())
        mean = FloatBuffer(count: workers == 1 ? 0 : initial.count)
        gradient = FloatBuffer(count: workers == 1 ? 0 : initial.count)
    }

    mutating func round(at step: Int, limit: Int, _ place: Workplace) throws -> GymRound {
        let workers = place.arm.workers
        var losses = 0.0
        if workers == 1 {
            let time = timed { losses = Double(place.loop.step(&state, batch: place.batch(worker: 0, step: step), model: place.model).loss) }
            return GymRound(steps: 1, losses: losses, sent: 0, received: 0, seconds: time)
        }
        let kernels = place.model.kernels
        let ofWorkers = timed {
            for worker in 0..<workers {
                let into = worker == 0 ? mean : gradient
                losses += Double(place.model.lossAndGradient(state.parameters, place.batch(worker: worker, step: step), into: into))
                if worker > 0 { kernels.job { kernels.add(mean.count, mean.pointer, gradient.pointer, into: mean.pointer) } }
            }
        }
        losses /= Double(workers)
        let ofAll = timed {
            kernels.job { kernels.scale(mean.count, 1 / Float(workers), mean.pointer, into: mean.pointer) }
            _ = place.loop.apply(&state, gradient: mean, loss: Float(losses), kernels: kernels)
        }
        let bytes = Traffic.allReduceBytes(parameters: mean.count, workers: workers)
        return GymRound(steps: 1, losses: losses, sent: bytes, received: bytes, seconds: ofWorkers / Double(workers) + ofAll)
    }

    func encode(into encoder: inout CanonicalEncoder) { state.encode(into: &encoder) }
    mutating func restore(from decoder: inout CanonicalDecoder) throws { state = try InnerState(from: &decoder, count: parameters.count) }
}
