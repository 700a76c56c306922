import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayRPC
import AssayStorage
import AssayTensor
import AssayTraining
import Foundation
import Logging

/// A trainer's shell: a client of the validators' JSON-RPC that trains, and hands what it sees to the machine that decides.
public actor TrainerNode {
    private let genesis: Genesis
    private let owner: KeyPair
    private let nodeKey: KeyPair
    private let clients: [RPCClient]
    private let blobs: BlobStore
    private let engine: ComputeEngine
    /// Nil where this process has all layers.
    private let pipeline: StagePipeline?
    private let queue = ComputeQueue(name: "training")
    private let behaviour: Behaviour
    private let isCopycat: Bool
    /// Of each window; nil for H.
    private let steps: UInt32?
    private let records: URL
    private let name: String
    private let log: Logger
    private var trainer: Trainer
    private var kept: [Window: TrainedRecord] = [:]
    private var running: [JobName: Task<Void, Never>] = [:]
    private var isOver = false
    private var failure: (any Error)?

    init(genesis: Genesis, file: NodeFile, home: NodeHome, corpus: Corpus, place: StagePlace?, log: Logger) throws {
        (self.genesis, self.log, name) = (genesis, log, file.name)
        let password = try home.password()
        owner = try Keystore.read(home.ownerKeystore, password: password)
        nodeKey = try Keystore.read(home.nodeKeystore, password: password)
        guard !file.validatorURLs.isEmpty else { throw Failure("node file \(home.nodeFile.path): validatorURLs is empty", remedy: "Name at least one validator's JSON-RPC URL.") }
        try home.mark(belongsTo: genesis.digest)
        clients = file.validatorURLs.map { RPCClient($0) }
        blobs = try BlobStore(home.url.appending(path: "blobs"))
        engine = try ComputeEngine(genesis: genesis, corpus: corpus, blobs: blobs, threads: file.threads)
        try engine.firstParameters(genesis)
        pipeline = try place.map { [engine, nodeKey] place in
            try StagePipeline(engine.trainer, genesis: genesis.digest, nodeKey: nodeKey, place: place, log: log) { event in
                switch event {
                case .connected(let place): log.info("connected to stage 1 at \(place)")
                case .failed(let error): log.warning("\(error)")
                case .done: break
                }
            }
        }
        engine.stages = pipeline
        steps = file.steps
        if let steps, !genesis.training.allows(steps) {
            let allowed = genesis.training.allowedSteps
            throw Failure("node file \(home.nodeFile.path): steps is \(steps)", remedy: "This run's windows have \(allowed.lowerBound) to \(allowed.upperBound) inner steps, a multiple of \(genesis.training.segmentSteps).")
        }
        isCopycat = file.behaviour == "copycat"
        guard let behaviour = Behaviour(rawValue: isCopycat ? "noise" : file.behaviour ?? "honest") else {
            throw Failure("node file \(home.nodeFile.path): unknown behaviour “\(file.behaviour ?? "")”", remedy: "Known are: honest, \(Localnet.Options.knownAdversaries.joined(separator: ", ")).")
        }
        if pipeline != nil, behaviour != .honest { throw Failure("node file \(home.nodeFile.path): behaviour “\(file.behaviour ?? "")” with --stage", remedy: "Adversaries of the laboratory train in one process: leave --stage out.") }
        self.behaviour = behaviour
        records = home.url.appending(path: "windows")
        try FileManager.default.createDirectory(at: records, withIntermediateDirectories: true)
        for file in (try? FileManager.default.contentsOfDirectory(at: records, includingPropertiesForKeys: nil)) ?? [] {
            if let data = try? Data(contentsOf: file), let record = try? TrainedRecord(canonicalBytes: Array(data)) { kept[record.window] = record }
        }
        trainer = Trainer(identity: Identity(owner: owner.address, nodeKey: nodeKey), genesis: genesis, recovered: kept.values.sorted { $0.window < $1.window })
    }

    /// `assay trainer join`.
    /// - Parameter place: nil where this process is to have all layers.
    public static func run(home: NodeHome, place: StagePlace? = nil, exitWithParent: Bool, json: Bool) async throws {
        if let place, place.number > 0 { return try await StageNode.run(home: home, place: place, exitWithParent: exitWithParent, json: json) }
        let file = try home.read(role: .trainer)
        let log = NodeProcess.log(file.name)
        let (genesis, corpus) = try NodeProcess.load(home, file)
        try await NodeProcess.untilTold(exitWithParent: exitWithParent) {
            let node = try TrainerNode(genesis: genesis, file: file, home: home, corpus: corpus, place: place, log: log)
            try await node.join()
            try await node.work()
        }
        log.info("trainer ended")
        if json { print("{\"ended\":true}") }
    }

    // MARK: Joining

    /// Registers and stakes if that is not done, and joins the run.
    private func join() async throws {
        let client = try await reachable()
        guard try await client.uint64("eth_chainId") == genesis.chainID else {
            throw Failure("\(client.url) is another network's: its chain id is not \(genesis.chainID)", remedy: "Take the genesis file of that network.")
        }
        do {
            try await register(client)
            try await joinRun(client)
        } catch { throw Refusal.explained(error) }
    }

    private func register(_ client: RPCClient) async throws {
        guard case .uint(let stake)? = try await client.view(ABIFunction("stakeOf(address)(uint256)"), at: ContractAddress.staking, [.address(owner.address)]).first, stake.isZero else { return }
        let minimum = genesis.run.trainerMinimumStake
        let proof = NodeKeyProof.make(nodeKey, owner: owner.address, genesis: genesis.digest)
        let data = ABIFunction("registerTrainer(address,string,bytes)").call(.address(nodeKey.address), .string(name), .bytes(proof))
        let block = try await client.transact(owner, chainID: genesis.chainID, to: ContractAddress.staking, value: minimum, data: data)
        log.info("registered \(owner.address) with a stake of \(tokens(minimum)) in block \(block)")
    }

    private func joinRun(_ client: RPCClient) async throws {
        let members = ABIFunction("members(bytes32,uint256,uint256)(address[])")
        var cursor: UInt64 = 0
        while case .array(let page)? = try await client.view(members, at: ContractAddress.runs, [.bytes32(genesis.runID), .uint(U256(cursor)), .uint(100)]).first, !page.isEmpty {
            if page.contains(.address(owner.address)) { return }
            cursor += UInt64(page.count)
        }
        let block = try await client.transact(owner, chainID: genesis.chainID, to: ContractAddress.runs, data: ABIFunction("joinRun(bytes32)").call(.bytes32(genesis.runID)))
        log.info("joined the run in block \(block)")
    }

    /// The first validator that answers; waits for one.
    private func reachable() async throws -> RPCClient {
        var reported = false
        while true {
            try Task.checkCancellation()
            for client in clients {
                if await client.isReachable() { return client }
            }
            if !reported { log.info("waiting for a validator to answer") }
            reported = true
            try await Task.sleep(for: .milliseconds(300))
        }
    }

    // MARK: Working

    private func work() async throws {
        defer {
            for task in running.values { task.cancel() }
            pipeline?.end()
            queue.stop()
        }
        var turn = 0
        while !isOver, failure == nil {
            try Task.checkCancellation()
            do {
                let head = try await clients[turn % clients.count].head()
                isOver = head.status.over
                handle(.viewed(head.head))
            } catch {
                log.debug("no view: \(error)")
                turn += 1
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        if let failure { throw failure }
        log.info("the run is over")
    }

    private func handle(_ input: Trainer.Input) {
        for effect in trainer.handle(input, now: ValidatorNode.now) {
            switch effect {
            case .persist(let record): persist(record)
            case .train(let job): start(JobName(.train, job.window, job.trainer)) { try await self.train(job) }
            case .store(let job): start(JobName(.store, job.window, owner.address)) {
                try await self.put([job.payloadRoot, job.trajectoryRoot])
                return .stored(job.window)
            }
            case .serve(let job): start(JobName(.serve, job.window, owner.address)) { try await self.serve(job) }
            case .cancel(let name): running.removeValue(forKey: name)?.cancel()
            case .submit(let duty, let raw): Task { await submit(duty, raw) }
            case .wake(let time):
                Task {
                    try? await Task.sleep(for: .milliseconds(Int(time.milliseconds(since: ValidatorNode.now))))
                    handle(.woke)
                }
            case .note(let event): log.info("\(event)")
            }
        }
    }

    private func persist(_ record: TrainedRecord) {
        kept[record.window] = record
        do { try Data(record.canonicalBytes).write(to: records.appending(path: "\(record.window)"), options: .atomic) } catch {
            failure = Failure("cannot write \(records.path): \(error.localizedDescription)", remedy: "Is the disk full? Nothing is committed to that is not on the disk.")
        }
    }

    private func start(_ name: JobName, _ work: @escaping @Sendable () async throws -> Trainer.Input) {
        guard running[name] == nil else { return }
        running[name] = Task {
            let answer: Trainer.Input
            do { answer = try await work() } catch {
                if !Task.isCancelled { log.info("\(name) is not possible now: \(error)") }
                answer = .unavailable(name)
            }
            running[name] = nil
            if !Task.isCancelled { handle(answer) }
        }
    }

    /// To two validators at least, so that one that fails loses nothing.
    private func submit(_ duty: Duty, _ raw: [UInt8]) async {
        var accepted = 0
        for client in rotated(duty.window) {
            do {
                if let reason = try await client.submit(raw) { log.debug("\(duty.kind) of window \(duty.window) refused by \(client.url): \(reason)") } else { accepted += 1 }
            } catch { log.debug("\(error)") }
            if accepted == 2 { return }
        }
    }
    private func rotated(_ window: Window) -> [RPCClient] {
        let start = Int(window.rawValue % UInt64(clients.count))
        return Array(clients[start...] + clients[..<start])
    }

    private func train(_ job: TrainJob) async throws -> Trainer.Input {
        try await fetch(job.opening.parametersRoot)
        if isCopycat, let copied = try await copy(job) { return .trained(job.window, copied) }
        let engine = engine, behaviour = behaviour, log = log, window = job.window, asked = steps, steps = asked ?? genesis.training.steps(job.opening.pace)
        let (result, loss) = try await onQueue(JobName(.train, window, job.trainer)) {
            try engine.train(job, steps: asked, behaviour: behaviour) { step, loss in
                if (step + 1).isMultiple(of: max(1, Int(steps) / 4)) { log.info("window \(window): step \(step + 1) of \(steps), loss \(String(format: "%.3f", loss))") }
            }
        }
        log.debug("window \(window) trained, loss \(loss)")
        if let report = pipeline?.report { log.info("window \(window): \(report)") }
        return .trained(job.window, result)
    }

    /// An adversary's trick: somebody else's payload of the window before, one value changed.
    private func copy(_ job: TrainJob) async throws -> TrainedWindow? {
        guard job.window.rawValue > 0, let view = try await clients[0].window(job.window.lowered(by: 1)),
              let other = view.contributions.first(where: { $0.trainer != owner.address && $0.reveal != nil })?.reveal else { return nil }
        try await fetch(other.payloadRoot)
        guard var payload = blobs.get(other.payloadRoot), !payload.isEmpty else { return nil }
        payload[payload.count - 1] = payload[payload.count - 1] == 0x99 ? 0x9A : 0x99
        let steps = steps ?? genesis.training.steps(job.opening.pace)
        let trajectory = Trajectory(digests: (0..<genesis.training.segments(of: steps) + 2).map { number in Digest.tagged("copied") { $0.append(number) } })
        return TrainedWindow(payloadRoot: try blobs.put(payload), trajectoryRoot: try blobs.put(trajectory.bytes), residualOut: other.residualOut, steps: steps)
    }

    private func serve(_ job: ServeJob) async throws -> Trainer.Input {
        guard behaviour == .honest, let opening = kept[job.draw.window]?.opening else { return .served(job.window, stateRoot: .zero, residualRoot: .zero) }
        var roots: [Digest] = [], state = Digest.zero
        if job.draw.segment > 0 {
            let engine = engine
            state = try await onQueue(JobName(.serve, job.window, owner.address)) { try engine.openingState(job.draw, opening) }
            roots.append(state)
        }
        if job.residualIn != .zero { roots.append(job.residualIn) }
        try await put(roots)
        return .served(job.window, stateRoot: state, residualRoot: job.residualIn)
    }

    private func onQueue<Value: Sendable>(_ name: JobName, _ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.add(name, urgency: name.kind == .serve ? 2 : 1) { continuation.resume(with: Result { try work() }) }
        }
    }

    // MARK: Blobs

    private func fetch(_ root: Digest) async throws {
        if blobs.has(root) { return }
        for client in clients {
            if let bytes = try? await client.blob(root) { return try blobs.put(bytes, root: root) }
        }
        throw ComputeEngine.Missing(root: root)
    }

    /// On two validators at least; the others fetch from them.
    private func put(_ roots: [Digest]) async throws {
        for root in roots {
            guard let bytes = blobs.get(root) else { throw ComputeEngine.Missing(root: root) }
            var stored = 0, last: (any Error)?
            for client in clients where stored < 2 {
                do {
                    try await client.put(bytes, key: nodeKey, genesis: genesis.digest)
                    stored += 1
                } catch { last = error }
            }
            if stored == 0 { throw last ?? ComputeEngine.Missing(root: root) }
        }
    }
}
