import AssayCrypto
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation
import Logging

/// Stage 0 of a trainer whose layers are spread over processes: leads the others through windows, and waits for those that are gone.
///
/// After any failure the window is begun again from its opening, which lies on this machine's disk, and ends on the same bits.
public final class StagePipeline: @unchecked Sendable {
    public enum Event: Sendable {
        case failed(StageError)
        case connected(String)
        /// Steps were done; where the stages' time went since the window began.
        case done([StageTimes])
    }
    private let stage: PipelineStage
    /// Of the whole model.
    private let compressor: any Compressor
    private let corpus: Corpus
    private let port: StagePort
    private let place: StagePlace
    private let next: (host: String, port: Int)
    private let stopped = Gate(false)
    private let tell: @Sendable (Event) -> Void
    private var link: StageConnection?
    private let last = Gate<[StageTimes]>([])

    private static let leastSeconds = 0.5, mostSeconds = 30.0

    /// - Parameter tell: is called on the training thread.
    public init(_ trainer: WindowTrainer, genesis: Digest, nodeKey: KeyPair, place: StagePlace, log: Logger, tell: @escaping @Sendable (Event) -> Void) throws {
        guard place.number == 0, let next = place.next else { throw Failure("--stage \(place.number)/\(place.count): only stage 0 leads") }
        let rules = trainer.rules, part = try place.part(of: trainer.shape)
        (self.place, self.next, self.tell) = (place, next, tell)
        (compressor, corpus) = (trainer.compressor, trainer.corpus)
        stage = try PipelineStage(shape: trainer.shape, part: part, rules: rules, kernels: trainer.kernels, timeout: place.timeout)
        port = StagePort(
            identity: try NetworkIdentity.derived(from: nodeKey.privateBytes), genesis: genesis, part: part,
            limits: StageLimits(shape: trainer.shape, rows: Int(rules.rows), microBatches: Int(rules.microBatches), stages: place.count), log: log)
    }

    /// Does something with a window, as often as it takes until no stage fails meanwhile.
    ///
    /// - Parameter body: gets the window at its beginning, and its batches by step.
    /// - Throws: what the body throws, what reading the opening throws; `StageError` once this was ended.
    public func window<Result>(_ opening: PipelineOpening, _ body: (PipelineWindow, (Int) -> Batch) throws -> Result) throws -> Result {
        let shard = opening.stages.shard(corpus, stage.rules)
        var wait = StagePipeline.leastSeconds
        while true {
            do {
                let window = try PipelineWindow(stage, opening, compressor: compressor, next: try connected())
                let result = try body(window) { step in
                    wait = StagePipeline.leastSeconds
                    return shard.batch(step: step)
                }
                last.change { $0 = window.times }
                tell(.done(window.times))
                return result
            } catch {
                // Whatever it was, this link may be in the middle of something.
                link?.closeAtOnce()
                link = nil
                guard let error = error as? StageError else { throw error }
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
