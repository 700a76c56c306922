import AssayCrypto
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation
import Logging

/// Stage 0 of a trainer whose layers are spread over processes: does inner steps with the others, and waits for those that are gone.
///
/// A state is only changed by steps that all stages did, so after any failure the same steps begin again from the state that the trainer holds, and end on the same bits.
public final class StagePipeline: InnerEngine, @unchecked Sendable {
    public enum Event: Sendable {
        case failed(StageError)
        case connected(String)
        /// An order was done; where the stages' time went since the window began.
        case done([StageTimes])
    }
    private let stage: PipelineStage
    private let port: StagePort
    private let place: StagePlace
    private let next: (host: String, port: Int)
    private let stopped = Gate(false)
    private let tell: @Sendable (Event) -> Void
    private var link: StageConnection?
    /// Of the window at work.
    private var times: [StageTimes] = []
    private let last = Gate<[StageTimes]>([])

    private static let leastSeconds = 0.5, mostSeconds = 30.0

    /// - Parameter tell: is called on the training thread.
    public init(_ trainer: WindowTrainer, genesis: Digest, nodeKey: KeyPair, place: StagePlace, log: Logger, tell: @escaping @Sendable (Event) -> Void) throws {
        guard place.number == 0, let next = place.next else { throw Failure("--stage \(place.number)/\(place.count): only stage 0 leads") }
        let rules = trainer.rules, part = try place.part(of: trainer.shape)
        (self.place, self.next, self.tell) = (place, next, tell)
        stage = PipelineStage(shape: trainer.shape, part: part, rows: Int(rules.rows), microBatches: Int(rules.microBatches), rules: OptimizerRules(rules), kernels: trainer.kernels, timeout: place.timeout)
        port = StagePort(
            identity: try NetworkIdentity.derived(from: nodeKey.privateBytes), genesis: genesis, part: part,
            limits: StageLimits(shape: trainer.shape, rows: Int(rules.rows), microBatches: Int(rules.microBatches), stages: place.count), log: log)
    }

    public func run(_ state: inout InnerState, steps: Range<Int>, shard: Shard, progress: (Int, Float) -> Void) throws(StageError) -> Float {
        var wait = StagePipeline.leastSeconds
        if steps.lowerBound == 0 { times = [] }
        while true {
            do {
                let link = try connected()
                let (loss, new) = try stage.lead(&state, StageOrder(shard, steps: steps, from: state), next: link, batches: { shard.batch(step: $0) }, progress: { step, loss in
                    wait = StagePipeline.leastSeconds
                    progress(step, loss)
                })
                times = times.isEmpty ? new : zip(times, new).map { StageTimes(whole: $0.whole + $1.whole, waiting: $0.waiting + $1.waiting) }
                last.change { $0 = times }
                tell(.done(times))
                return loss
            } catch {
                link?.closeAtOnce()
                link = nil
                tell(.failed(error))
                if stopped.wait(seconds: wait, { $0 ? true : nil }) == true { throw error }
                wait = min(StagePipeline.mostSeconds, wait * 2)
            }
        }
    }

    private func connected() throws(StageError) -> StageConnection {
        if let link { return link }
        do {
            let new = try port.dial(host: next.host, port: next.port)
            link = new
            tell(.connected(new.place))
            return new
        } catch { throw StageError(stage: 1, stages: place.count, place: "\(next.host):\(next.port)", step: nil, microBatch: nil, reason: error.description) }
    }

    /// The measured bubble share of the last window, and how long each stage waited for its neighbours.
    public var report: String? {
        let times = last.change { $0 }
        guard !times.isEmpty else { return nil }
        let share = String(format: "%.0f", StageTimes.bubbleShare(times) * 100), theory = String(format: "%.0f", PipelineSchedule.bubbleShare(stages: place.count, microBatches: stage.model.microBatches) * 100)
        return "\(times.count) stages, bubble share \(share) % (by the formula \(theory) %), waited \(times.map { String(format: "%.1f", $0.waiting) }.joined(separator: ", ")) of \(String(format: "%.1f", times[0].whole)) s"
    }

    /// Ends whatever waits: a run that is at work ends with an error.
    public func end() {
        stopped.change { $0 = true }
        port.closeConnections()
    }
    public func stop() async {
        end()
        await port.stop()
    }
}
