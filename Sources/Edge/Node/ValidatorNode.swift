import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayRPC
import AssayStorage
import AssayTensor
import AssayTraining
import Foundation
import Logging

/// A validator's shell: it hands what happened to the authority and the scorer, and does what they say, in the order they say it.
public actor ValidatorNode {
    let genesis: Genesis
    /// Whose validator this is.
    let owner: Address
    let file: NodeFile
    let store: NodeStore
    let blobs: BlobStore
    let network: PeerNetwork
    let exchange: BlobExchange
    let log: Logger
    private var shell: AuthorityShell<Ledger>
    var authority: Authority<Ledger> { shell.authority }
    /// Nil for one that only follows in this epoch.
    var seat: AuthorityIndex? { authority.index }
    private var scorer: Scorer
    private let queue: ComputeQueue
    private let engine: ComputeEngine
    /// On another kernel path: for contests.
    private let second: @Sendable () throws -> ComputeEngine
    private var gathering: [JobName: Task<Void, Never>] = [:]
    private var wakeAt: Instant?
    private var scorerWakeAt: Instant?
    private var failure: (any Error)?
    private var failed: CheckedContinuation<Void, Never>?
    private var cut: Cut
    var counters = NodeCounters()
    let started = Date()

    init(genesis: Genesis, file: NodeFile, home: NodeHome, keys: ValidatorKeys, corpus: Corpus, log: Logger) throws {
        (self.genesis, self.file, self.log) = (genesis, file, log)
        owner = try ValidatorNode.owner(genesis, file, home, keys)
        try home.mark(belongsTo: genesis.digest)
        store = try NodeStore(home.url.appending(path: "store.sqlite"), genesis: genesis, limitMiB: file.storeLimitMiB)
        blobs = try BlobStore(home.url.appending(path: "blobs"))
        let lastRoundFile = home.lastRoundFile
        var parameters = Authority<Ledger>.Parameters()
        parameters.trustsFewer = file.trustsFewer ?? false
        var recovered = try store.recover(genesis, gcDepth: parameters.gcDepth, reputationPeriod: parameters.reputationPeriod)
        let committee = recovered.ledger.committee
        if let seat = committee.seat(of: owner), let own = try store.lastBlock(of: seat, in: committee.epoch), !recovered.blocks.contains(own) { recovered.blocks.append(own) }
        let machine = Succession(
            identity: .init(owner: owner, key: keys.consensus), genesis: genesis.digest, start: genesis.time, committee: committee, parameters: parameters, executor: recovered.ledger,
            recovered: .init(blocks: recovered.blocks, commits: recovered.commits, vote: recovered.vote, reserved: nil), reservation: try LastRound.read(lastRoundFile), store: store.id, now: ValidatorNode.now)
        scorer = Scorer(identity: Identity(owner: owner, nodeKey: keys.node), genesis: genesis, beacon: keys.beacon)
        let engine = try ComputeEngine(genesis: genesis, corpus: corpus, blobs: blobs, threads: file.threads)
        try engine.firstParameters(genesis)
        self.engine = engine
        let other = KernelPath.available.last { $0 != .current && $0 != .reference } ?? .reference
        let (blobs, threads) = (blobs, file.threads)
        let lazySecond = Lazy { try ComputeEngine(genesis: genesis, corpus: corpus, blobs: blobs, threads: threads, path: other) }
        second = { try lazySecond.value() }
        queue = ComputeQueue(name: "compute \(file.name)")
        network = PeerNetwork(identity: keys.network, own: owner, genesis: genesis.digest, peers: ValidatorNode.peers(recovered.ledger), log: log)
        shell = AuthorityShell(machine, store: store, network: network, keptCommits: file.keptCommits, reserve: { try LastRound.write($0, to: lastRoundFile) }) { $0 }
        exchange = BlobExchange(network) { [blobs] root, chunk in blobs.chunk(root, chunk) }
        cut = Cut(home.cutFile)
    }

    /// By the key of its blocks where genesis names it, as the node file says for one who comes later.
    private static func owner(_ genesis: Genesis, _ file: NodeFile, _ home: NodeHome, _ keys: ValidatorKeys) throws -> Address {
        if let validator = genesis.validators.first(where: { $0.consensusKey == keys.consensus.publicKey }) { return validator.owner }
        guard let text = file.owner else {
            throw Failure("the key in \(home.consensusKeystore.path) is no validator's of this network's genesis, and \(home.nodeFile.path) names no owner",
                          remedy: "Write the owner's account as `owner` into it, or give the genesis file of the network that this home belongs to.")
        }
        return try address(text, "\(home.nodeFile.path): owner")
    }

    /// All validators that the ledger knows. One whose endpoint is no HOST:PORT may still come by itself.
    private static func peers(_ ledger: Ledger) -> [PeerNetwork.Peer] {
        ledger.validatorEndpoints.map { validator in
            let place = try? hostAndPort(validator.endpoint, "endpoint")
            return PeerNetwork.Peer(owner: validator.owner, host: place?.host ?? "", port: place?.port ?? 0, key: validator.networkKey)
        }
    }

    static var now: Instant { Instant(UInt64(Date().timeIntervalSince1970 * 1_000)) }

    // MARK: Life

    /// Runs until it is told to stop, or cannot go on.
    func run() async throws {
        let (host, port) = try hostAndPort(file.listen ?? "", "node.json: listen")
        followCut()
        try await network.start(host: host, port: port)
        let events = Task {
            for await event in network.events { await take(event) }
        }
        defer { events.cancel() }
        receive(.started)
        judge(.executed(LedgerHead(authority.executor)))
        let ticking = Task {
            // The scorer looks again now and then even when nothing is committed.
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(1))
                tick()
            }
        }
        defer { ticking.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if failure != nil || Task.isCancelled { continuation.resume() } else { failed = continuation }
            }
        } onCancel: { Task { await self.stop(nil) } }
        for task in gathering.values { task.cancel() }
        await network.stop()
        queue.stop()
        if let failure { throw failure }
    }

    private func stop(_ error: (any Error)?) {
        if failure == nil { failure = error }
        failed?.resume()
        failed = nil
    }

    private func tick() {
        followCut()
        judge(.executed(LedgerHead(authority.executor)))
    }

    private func followCut() {
        guard let owners = cut.look() else { return }
        log.warning(owners.isEmpty ? "no longer cut off from anybody" : "the file \(cut.file.path) cuts this node off from \(owners.count) others")
        network.cut(owners)
    }

    // MARK: Ordering

    private func take(_ event: PeerNetwork.Event) async {
        switch event {
        case .connected(let peer): receive(.connected(peer))
        case .disconnected: break
        case .frame(let frame, let peer):
            defer { network.handled(frame, from: peer) }
            if frame.kind == consensusFrameKind {
                guard let letter = try? Letter(canonicalBytes: frame.bytes) else { return malformed("a message that cannot be read", peer) }
                receive(.received(letter, from: peer))
            } else if frame.kind == BlobExchange.requestKind || frame.kind == BlobExchange.replyKind {
                if await !exchange.receive(frame, from: peer) { malformed("a blob frame that cannot be read", peer) }
            } else {
                malformed("a frame of unknown kind \(frame.kind)", peer)
            }
        }
    }

    /// No honest peer of this protocol version sends such a thing: its connection is closed, and it may come again.
    private func malformed(_ what: String, _ peer: Address) {
        counters.malformed += 1
        log.warning("validator \(peer) sent \(what): its connection is closed")
        network.drop(peer, what)
    }

    private func receive(_ input: Succession<Ledger>.Input) {
        guard failure == nil else { return }
        do { settle(try shell.handle(input, now: ValidatorNode.now)) } catch { fail(error) }
    }

    func submit(_ raw: [UInt8]) -> Admission {
        guard failure == nil else { return .refused("the node is stopping") }
        do {
            let (admission, outcome) = try shell.submit(raw, now: ValidatorNode.now)
            settle(outcome)
            return admission
        } catch {
            fail(error)
            return .refused("the node is stopping")
        }
    }

    private func fail(_ error: any Error) {
        log.critical("stopping: \(error)")
        stop(error)
    }

    private func settle(_ outcome: AuthorityShell<Ledger>.Outcome) {
        let now = ValidatorNode.now
        for block in outcome.proposed { counters.ownBlock(block, now: now) }
        for commit in outcome.executed {
            counters.executed(commit.ordered, commit.executed, own: seat(in: commit.ordered.commit.epoch), now: now)
            if Ledger.changesValidators(commit.executed) { network.setPeers(ValidatorNode.peers(authority.executor)) }
        }
        for (event, epoch) in outcome.events { note(event, epoch) }
        if let time = outcome.wakeAt { wake(at: time) }
        for equivocation in outcome.evidence {
            guard let duty = scorer.builder.evidence(equivocation) else { continue }
            if case .refused(let reason) = submit(duty.raw) { log.debug("evidence against validator \(equivocation.author) was refused: \(reason)") }
        }
        if !outcome.executed.isEmpty { judge(.executed(LedgerHead(authority.executor))) }
    }

    private func wake(at time: Instant) {
        if let wakeAt, wakeAt <= time { return }
        wakeAt = time
        let delay = time.milliseconds(since: ValidatorNode.now)
        Task {
            try? await Task.sleep(for: .milliseconds(Int(delay)))
            woke(time)
        }
    }
    private func woke(_ time: Instant) {
        if wakeAt == time { wakeAt = nil }
        receive(.woke)
    }

    private func seat(in epoch: Epoch) -> AuthorityIndex? { authority.executor.committee(of: epoch)?.seat(of: owner) }

    private func note(_ event: AuthorityEvent, _ epoch: Epoch) {
        counters.note(event, own: seat(in: epoch))
        switch event {
        case .diverged(let ours, let quorum):
            log.critical("HALTED: commit \(ours.index) gave state \(ours.stateRoot) here and \(quorum.stateRoot) at a quorum")
        case .equivocated(let author, let round): log.warning("validator \(author) made two blocks for round \(round); the ledger is shown both")
        case .refused(let peer, let error): log.debug("refused from \(peer): \(error.map { "\($0)" } ?? "a request that makes no sense")")
        case .resubmitted(let count): log.info("\(count) transactions are proposed again")
        case .recollected(let round): log.warning("the disk was lost; nothing of this validator can be above round \(round), and it goes on there")
        case .epochEnded(let epoch):
            let committee = authority.executor.committee
            log.info("epoch \(epoch) is over; epoch \(epoch.next) has \(committee.size) validators\(committee.seat(of: owner).map { ", this one in seat \($0.index)" } ?? "; this one follows without a seat")")
        case .jumped(let round): log.info("caught up: proposing again from round \(round)")
        case .leadersChanged(let absent): log.info(absent.isEmpty ? "all validators lead in turn" : "led for by others until the next period: validators \(absent.map { "\($0.index)" }.joined(separator: ", "))")
        case .syncing(let from, let to): log.info("at commit \(from), a quorum at \(to): catching up by commits")
        case .live(let at, let behind): log.info("following blocks from commit \(at), \(behind) behind a quorum")
        case .refusedCommits(let peer, let fault): log.warning("validator \(peer) served commits that are refused: \(fault)")
        case .pruned(let peer, let kept): log.info("validator \(peer) keeps commits from \(kept) on only")
        case .commitDiffers(let commit, let ours, let quorum): log.critical("HALTED: commit \(commit) is \(ours) here and \(quorum) at a quorum")
        case .proposed, .committed, .leaderSkipped, .decidedIndirectly: break
        }
    }

    // MARK: Judging

    private func judge(_ input: Scorer.Input) {
        guard failure == nil else { return }
        for effect in scorer.handle(input, now: ValidatorNode.now) {
            switch effect {
            case .hold(let job): gather([job.reveal.payloadRoot, job.reveal.trajectoryRoot], for: JobName(.hold, job.window, job.trainer), urgency: 4) { [engine, validator = owner] in
                let outcome = try engine.hold(job, validator: validator)
                return .held(job.window, trainer: job.trainer, outcome)
            }
            case .score(let job): gather([job.payloadRoot, job.base.parametersRoot], for: job.name, urgency: 3) { [engine, second] in
                let result = try (job.again ? second() : engine).score(job)
                return .scored(job.name, result.fact, witness: result.witness)
            }
            case .aggregate(let job):
                let roots = [job.base.parametersRoot] + (job.base.momentumRoot == .zero ? [] : [job.base.momentumRoot]) + job.judged.map(\.root) + job.aggregated.map(\.root)
                gather(roots, for: job.name, urgency: 5) { [engine] in
                    let result = try engine.aggregate(job)
                    return .aggregated(job, result)
                }
            case .replay(let job):
                let roots = [job.opening.parametersRoot, job.reveal.trajectoryRoot] + (job.opening.ownPayload.map { [$0] } ?? [])
                let served = [job.stateRoot] + (job.draw.withCompression ? [job.opening.residualIn] : [])
                gather(roots, optional: served.filter { $0 != .zero }, for: job.name, urgency: job.again ? 2 : 1) { [engine, second] in
                    let result = try (job.again ? second() : engine).replay(job)
                    return .replayed(job.name, result.fact, witness: result.witness)
                }
            case .cancel(let name):
                gathering.removeValue(forKey: name)?.cancel()
                queue.cancel(name)
            case .submit(let duty, let raw):
                if case .refused(let reason) = submit(raw) { log.debug("duty \(duty.kind) of window \(duty.window) was refused: \(reason)") }
            case .wake(let time):
                if let scorerWakeAt, scorerWakeAt <= time { break }
                scorerWakeAt = time
                Task {
                    try? await Task.sleep(for: .milliseconds(Int(time.milliseconds(since: ValidatorNode.now))))
                    scorerWoke(time)
                }
            case .note(let event): log.info("scorer: \(event)")
            }
        }
    }
    private func scorerWoke(_ time: Instant) {
        if scorerWakeAt == time { scorerWakeAt = nil }
        judge(.woke)
    }

    /// Fetches what a job needs and this node does not hold, then queues the job.
    private func gather(_ roots: [Digest], optional: [Digest] = [], for name: JobName, urgency: Int, _ work: @escaping @Sendable () throws -> Scorer.Input) {
        guard gathering[name] == nil else { return }
        gathering[name] = Task {
            for root in optional { _ = await fetch(root, attempts: 3) }
            for root in roots where !(await fetch(root, attempts: name.kind == .hold ? 10 : 5)) {
                gathered(name)
                if !Task.isCancelled { judge(.unavailable(name)) }
                return
            }
            gathered(name)
            guard !Task.isCancelled else { return }
            queue.add(name, urgency: urgency) {
                let started = ContinuousClock.now
                let answer: Scorer.Input
                do { answer = try work() } catch { answer = .unavailable(name) }
                let took = ContinuousClock.now - started
                Task { await self.answered(name, answer, took) }
            }
        }
    }
    private func gathered(_ name: JobName) { gathering[name] = nil }
    private func answered(_ name: JobName, _ answer: Scorer.Input, _ took: Duration) {
        counters.computed(name, took)
        log.debug("\(name) took \(took)")
        judge(answer)
    }

    /// From the own store, or from any peer; asked again until it is there or the attempts are used up.
    private func fetch(_ root: Digest, attempts: Int) async -> Bool {
        for attempt in 0..<attempts {
            if blobs.has(root) { return true }
            for peer in network.connected {
                if let bytes = await exchange.fetch(root, from: peer, limitBytes: 1 << 28) {
                    try? blobs.put(bytes, root: root)
                    if blobs.has(root) { return true }
                }
                if Task.isCancelled { return false }
            }
            try? await Task.sleep(for: .milliseconds(150 * (attempt + 1)))
            if Task.isCancelled { return false }
        }
        return blobs.has(root)
    }
}

/// A value made at its first use, once.
final class Lazy<Value: Sendable>: @unchecked Sendable {
    private let make: @Sendable () throws -> Value
    private let lock = NSLock()
    private var made: Value?
    init(_ make: @escaping @Sendable () throws -> Value) { self.make = make }
    func value() throws -> Value {
        lock.lock()
        defer { lock.unlock() }
        if let made { return made }
        let value = try make()
        made = value
        return value
    }
}
