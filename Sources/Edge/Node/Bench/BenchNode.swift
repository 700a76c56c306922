import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayStorage
import Foundation
import Logging

/// A node that orders what its own clients send, and measures it. Authority, connections and store are a validator's.
actor BenchNode<E: BenchExecutor>: MeasuredNode {
    private let plan: BenchPlan
    private var shell: AuthorityShell<E>
    private let network: PeerNetwork
    private let port: Int
    private var load: BenchLoad
    private var events: Task<Void, Never>?
    private var wakeAt: Instant?
    private var failure: (any Error)?
    private var counts = BenchCounts()
    /// When our clients meant to send what is not committed yet.
    private var sent: [UInt64: UInt64] = [:]
    /// Within it what is offered and committed is counted.
    private var measured: Range<UInt64> = 0..<0
    private var result = BenchNodeResult()

    init(_ plan: BenchPlan, home: URL, executor: @Sendable (Genesis) throws -> E) throws {
        self.plan = plan
        let genesis = try Genesis(canonicalBytes: [UInt8](plan.genesis)), committee = try genesis.committee()
        var parameters = Authority<E>.Parameters()
        parameters.pacing.busyDelayMilliseconds = plan.roundDelayMilliseconds
        let own = genesis.validators[plan.index].owner
        let machine = Succession(identity: .init(owner: own, key: BenchPlan.consensusKey(plan.index)), genesis: genesis.digest, start: genesis.time, committee: committee, parameters: parameters,
                                 executor: try executor(genesis), recovered: .init(reserved: nil), reservation: Reservation.none, now: ValidatorNode.now)
        let peers = try genesis.validators.map { validator in
            let (host, port) = try hostAndPort(validator.endpoint, "endpoint")
            return PeerNetwork.Peer(owner: validator.owner, host: host, port: port, key: validator.networkKey)
        }
        port = peers[plan.index].port
        network = PeerNetwork(identity: try NetworkIdentity(pem: plan.networkPEM), own: own, genesis: genesis.digest, peers: peers, log: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
        shell = AuthorityShell(machine, store: try NodeStore(home.appending(path: "store.sqlite"), genesis: genesis, isDurable: plan.fsync), network: network,
                               reserve: { if plan.fsync { try LastRound.write($0, to: home.appending(path: "last-round")) } }) { E.kept($0) }
        load = BenchLoad(plan.load, bytes: plan.bytes, node: plan.index)
    }

    // MARK: Life

    /// Listens, prepares its load, and waits until all others are connected.
    func prepare() async throws {
        try await network.start(host: "127.0.0.1", port: port)
        events = Task { for await event in network.events { take(event) } }
        let genesis = try Genesis(canonicalBytes: [UInt8](plan.genesis))
        load.prepare(Int((plan.warmUpSeconds + plan.seconds) * plan.rate) + 1, node: plan.index, chainID: genesis.chainID)
        let deadline = ContinuousClock.now + .seconds(30)
        while network.connected.count < genesis.validators.count - 1 {
            guard ContinuousClock.now < deadline else { throw Failure("node \(plan.index) reached \(network.connected.count) of \(genesis.validators.count - 1) others in 30 seconds") }
            try await Task.sleep(for: .milliseconds(20))
        }
        receive(.started)
    }

    /// Sends by the clock, however long answers take, and waits for the last of them.
    /// - Parameter start: on the machine's monotonic clock, in nanoseconds, the same for all nodes.
    func run(from start: UInt64) async throws {
        let from = start + UInt64(plan.warmUpSeconds * 1e9), to = from + UInt64(plan.seconds * 1e9)
        measured = from..<to
        var count = 0.0
        while true {
            let now = min(Monotonic.now, to)
            while case let due = start + UInt64(count / plan.rate * 1e9), due < now {
                send(dueAt: due)
                count += 1
            }
            if now == to { break }
            try await Task.sleep(for: .milliseconds(2))
            if let failure { throw failure }
        }
        // What is not committed by then counts as lost.
        let deadline = ContinuousClock.now + .seconds(10)
        while !sent.isEmpty, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
        if let failure { throw failure }
        result.lost = sent.values.count { measured.contains($0) }
    }

    func stop() async {
        events?.cancel()
        await network.stop()
    }

    var measurement: BenchNodeResult { result }
    var counters: BenchCounts {
        var now = counts
        now.round = shell.authority.proposer.round.rawValue
        now.sentBytes = UInt64(network.counters.sentBytes)
        now.isHalted = shell.authority.isHalted
        return now
    }

    // MARK: What happens

    private func send(dueAt due: UInt64) {
        guard failure == nil, let raw = load.take() else { return }
        let isMeasured = measured.contains(due)
        if isMeasured { result.offered += 1 }
        counts.offered += 1
        do {
            let (admission, outcome) = try shell.submit(raw, now: ValidatorNode.now)
            if case .refused = admission {
                load.refused(raw)
                if isMeasured { result.refused += 1 }
            } else {
                sent[BenchLoad.mark(raw)] = due
            }
            settle(outcome)
        } catch { failure = error }
    }

    private func take(_ event: PeerNetwork.Event) {
        switch event {
        case .connected(let peer): receive(.connected(peer))
        case .disconnected: break
        case .frame(let frame, let peer):
            defer { network.handled(frame, from: peer) }
            guard let letter = try? Letter(canonicalBytes: frame.bytes) else { return failure = Failure("node \(peer) sent what is no message") }
            receive(.received(letter, from: peer))
        }
    }

    private func receive(_ input: Succession<E>.Input) {
        guard failure == nil else { return }
        do { settle(try shell.handle(input, now: ValidatorNode.now)) } catch { failure = error }
    }

    private func settle(_ outcome: AuthorityShell<E>.Outcome) {
        for commit in outcome.executed {
            let now = Monotonic.now
            counts.commits += 1
            result.roots.append(commit.vote.stateRoot.description)
            for raw in E.effective(commit.ordered, commit.executed) {
                guard let due = sent.removeValue(forKey: BenchLoad.mark(raw)) else { continue }
                counts.committed += 1
                if measured.contains(now) { result.committed += 1 }
                if measured.contains(due) { result.latencies.append(UInt32(clamping: (now - due) / 1_000)) }
            }
        }
        for (event, _) in outcome.events {
            switch event {
            case .leaderSkipped: counts.skipped += 1
            case .decidedIndirectly: counts.indirect += 1
            case .diverged: failure = Failure("node \(plan.index) came to another state than a quorum")
            case .commitDiffers(let commit, _, _): failure = Failure("node \(plan.index) made another commit \(commit) than a quorum")
            case .proposed, .committed, .refused, .equivocated, .resubmitted, .epochEnded, .jumped, .leadersChanged, .recollected, .syncing, .live, .refusedCommits, .pruned: break
            }
        }
        guard let time = outcome.wakeAt, wakeAt.map({ time < $0 }) ?? true else { return }
        wakeAt = time
        Task {
            try? await Task.sleep(for: .milliseconds(Int(time.milliseconds(since: ValidatorNode.now))))
            woke(time)
        }
    }
    private func woke(_ time: Instant) {
        if wakeAt == time { wakeAt = nil }
        receive(.woke)
    }
}

/// A measured node, whatever it executes.
protocol MeasuredNode: Actor {
    func prepare() async throws
    func run(from start: UInt64) async throws
    func stop() async
    var counters: BenchCounts { get }
    var measurement: BenchNodeResult { get }
}

/// Counted from a node's start.
struct BenchCounts: Codable, Sendable {
    var offered: UInt64 = 0, committed: UInt64 = 0, commits: UInt64 = 0, skipped: UInt64 = 0, indirect: UInt64 = 0, round: UInt64 = 0
    /// Of frames, before they are packed and encrypted.
    var sentBytes: UInt64 = 0
    var isHalted = false

    func since(_ earlier: BenchCounts) -> BenchCounts {
        BenchCounts(offered: offered - earlier.offered, committed: committed - earlier.committed, commits: commits - earlier.commits, skipped: skipped - earlier.skipped,
                    indirect: indirect - earlier.indirect, round: round - earlier.round, sentBytes: sentBytes - earlier.sentBytes, isHalted: isHalted)
    }
}

/// What one node measured.
struct BenchNodeResult: Codable, Sendable {
    /// Within the measured time. Refused ones are among the offered.
    var offered = 0, refused = 0, committed = 0
    /// Offered, taken and not committed ten seconds after the end.
    var lost = 0
    /// From the moment at which a client meant to send to the durable commit, in microseconds.
    var latencies: [UInt32] = []
    /// State roots after each commit.
    var roots: [String] = []
    var counts = BenchCounts()
}

/// The machine's clock that only goes forward, in nanoseconds: the same for all its processes.
enum Monotonic {
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
