import AssayCrypto
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation
import Logging

/// A later stage of a trainer's pipeline as a process: holds its layers, and does what the stage before says.
///
/// It holds its part of a window's state while the window lasts, and nothing on disk: a window's order brings what it needs. So it may end at any time, and begin again.
public final class StageNode: Sendable {
    private let place: StagePlace
    private let part: ModelPart
    private let port: StagePort
    private let log: Logger
    private let genesis: Genesis
    private let corpus: Corpus
    private let threads: Int

    init(genesis: Genesis, file: NodeFile, home: NodeHome, corpus: Corpus, place: StagePlace, log: Logger) throws {
        (self.genesis, self.corpus, self.place, self.log, threads) = (genesis, corpus, place, log, file.threads)
        let shape = try ModelShape(genesis.model), rules = genesis.training
        part = try place.part(of: shape)
        let nodeKey = try Keystore.read(home.nodeKeystore, password: home.password())
        port = StagePort(
            identity: try NetworkIdentity.derived(from: nodeKey.privateBytes), genesis: genesis.digest, part: part,
            limits: StageLimits(shape: shape, rows: Int(rules.rows), microBatches: Int(rules.microBatches), stages: place.count), log: log)
    }

    /// `assay trainer join --stage s/S`, s above 0.
    public static func run(home: NodeHome, place: StagePlace, exitWithParent: Bool, json: Bool) async throws {
        let file = try home.read(role: .trainer), log = NodeProcess.log("\(file.name) stage \(place.number)")
        let (genesis, corpus) = try NodeProcess.load(home, file)
        try await NodeProcess.untilTold(exitWithParent: exitWithParent) {
            let node = try StageNode(genesis: genesis, file: file, home: home, corpus: corpus, place: place, log: log)
            try await node.run(json: json)
        }
        log.info("stage ended")
        if json { print("{\"ended\":true}") }
    }

    private func run(json: Bool) async throws {
        guard let listen = place.listen else { throw Failure("--stage \(place.number)/\(place.count) needs --listen HOST:PORT") }
        let port = try await port.listen(host: listen.host, port: listen.port)
        log.info("stage \(place.number)/\(place.count) has layers \(part.layers.lowerBound)…\(part.layers.upperBound - 1), and listens on \(listen.host):\(port); kernels \(KernelPath.currentName)")
        if json { FileHandle.standardOutput.write(Data("{\"stage\":\(place.number),\"listen\":\"\(listen.host):\(port)\"}\n".utf8)) }
        let shape = try ModelShape(genesis.model)
        let stage = try PipelineStage(shape: shape, part: part, rules: genesis.training, kernels: Kernels(threads: threads), timeout: place.timeout)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                _ = ComputeThread {
                    while let previous = self.port.accept() { self.serve(stage, previous) }
                    continuation.resume()
                }
            }
        } onCancel: { Task { await self.port.stop() } }
    }

    /// One connection of the stage before, until it or the next stage is gone.
    private func serve(_ stage: PipelineStage, _ previous: StageConnection) {
        log.info("stage \(place.number - 1) is there, from \(previous.place)")
        var next: StageConnection?
        defer { next?.closeAtOnce() }
        do {
            if let place = place.next {
                do { next = try port.dial(host: place.host, port: place.port) } catch {
                    throw StageError(stage: part.number + 1, stages: part.count, place: "\(place.host):\(place.port)", step: nil, microBatch: nil, reason: error.description)
                }
            }
            try stage.follow(previous: previous, next: next) { opening in
                let shard = opening.shard(self.corpus, self.genesis.training)
                return { shard.batch(step: $0) }
            }
        } catch let error as StageError {
            if error.stage < part.number { log.info("stage \(error.stage): \(error.reason); this stage waits for stage \(part.number - 1) to come again") } else { log.warning("\(error)") }
            // Whoever is still there is told what was wrong, and has time to read it.
            guard (try? previous.send(error.message, seconds: place.timeout)) != nil else { return previous.closeAtOnce() }
            previous.finish(seconds: 5)
        } catch { log.error("\(error)") }
    }
}
