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

/// A validator's ordering part on what its store holds: it follows, or serves who does.
actor CatchUpNode {
    private var shell: AuthorityShell<Ledger>
    private let network: PeerNetwork
    private let port: Int
    private var events: Task<Void, Never>?
    private var wakeAt: Instant?
    private(set) var failure: (any Error)?
    private(set) var switches: [AuthorityEvent] = []

    /// - Parameter isNew: nothing is known of its own past, as after the loss of a disk.
    init(_ plan: BenchPlan, store: NodeStore, home: URL, isNew: Bool) throws {
        let genesis = try Genesis(canonicalBytes: [UInt8](plan.genesis))
        let recovered = try store.recover(genesis, gcDepth: Authority<Ledger>.Parameters().gcDepth, reputationPeriod: Authority<Ledger>.Parameters().reputationPeriod)
        // Its own last round is as sure as that of who was never away.
        let own = recovered.blocks.filter { $0.block.author.index == plan.index }.map(\.block.round).max() ?? Round(0)
        let address = genesis.validators[plan.index].owner
        let machine = Succession(
            identity: .init(owner: address, key: BenchPlan.consensusKey(plan.index)), genesis: genesis.digest, start: genesis.time, committee: recovered.ledger.committee, executor: recovered.ledger,
            recovered: .init(blocks: recovered.blocks, commits: recovered.commits, vote: recovered.vote, reserved: nil), reservation: isNew ? nil : Reservation(epoch: recovered.ledger.epoch, round: own), store: store.id, now: ValidatorNode.now)
        let peers = try genesis.validators.map { validator in
            let (host, port) = try hostAndPort(validator.endpoint, "endpoint")
            return PeerNetwork.Peer(owner: validator.owner, host: host, port: port, key: validator.networkKey)
        }
        port = peers[plan.index].port
        network = PeerNetwork(identity: try NetworkIdentity(pem: plan.networkPEM), own: address, genesis: genesis.digest, peers: peers, log: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
        let lastRound = home.appending(path: "last-round")
        shell = AuthorityShell(machine, store: store, network: network, reserve: { try LastRound.write($0, to: lastRound) }) { $0 }
    }

    func start() async throws {
        try await network.start(host: "127.0.0.1", port: port)
        events = Task { for await event in network.events { take(event) } }
        receive(.started)
    }
    func stop() async {
        events?.cancel()
        await network.stop()
    }

    var commit: UInt64 { shell.authority.lastCommit?.index.rawValue ?? 0 }
    var status: CommitSyncStatus? { shell.authority.commitSyncStatus }
    var head: BlockHeader { shell.authority.executor.head }
    var obstacle: String? { shell.authority.obstacle }

    private func take(_ event: PeerNetwork.Event) {
        switch event {
        case .connected(let peer): receive(.connected(peer))
        case .disconnected: break
        case .frame(let frame, let peer):
            defer { network.handled(frame, from: peer) }
            guard let letter = try? Letter(canonicalBytes: frame.bytes) else { return failure = Failure("validator \(peer) sent what is no message") }
            receive(.received(letter, from: peer))
        }
    }

    private func receive(_ input: Succession<Ledger>.Input) {
        guard failure == nil else { return }
        do {
            let outcome = try shell.handle(input, now: ValidatorNode.now)
            for (event, _) in outcome.events {
                switch event {
                case .syncing, .live: switches.append(event)
                case .diverged, .commitDiffers, .refusedCommits: failure = Failure("\(event)")
                default: break
                }
            }
            guard let time = outcome.wakeAt, wakeAt.map({ time < $0 }) ?? true else { return }
            wakeAt = time
            Task {
                try? await Task.sleep(for: .milliseconds(Int(time.milliseconds(since: ValidatorNode.now))))
                woke(time)
            }
        } catch { failure = error }
    }
    private func woke(_ time: Instant) {
        if wakeAt == time { wakeAt = nil }
        receive(.woke)
    }
}
