import AssayCrypto
import AssayLedger
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import AssayRPC
import AssayStorage
import AssayTensor
import Foundation

/// A validator as its JSON-RPC server sees it.
struct ValidatorBackend: RPCBackend {
    let node: ValidatorNode
    let genesis: Genesis
    let store: NodeStore
    let blobs: BlobStore
    let validatorURLs: [String]

    func ledger() async -> Ledger { await node.authority.executor }
    func submit(_ raw: [UInt8]) async -> Admission { await node.submit(raw) }
    func pending() async -> [[UInt8]] { await node.authority.pendingTransactions }
    func header(number: UInt64) async throws -> BlockHeader? { try store.header(number: number) }
    func header(hash: Digest) async throws -> BlockHeader? { try store.header(hash: hash) }
    func receipt(_ hash: Digest) async throws -> StoredReceipt? { try store.receipt(hash) }
    func receipts(number: UInt64) async throws -> [StoredReceipt] { try store.receipts(number: number) }
    func logs(from: UInt64, to: UInt64, contracts: [Address], topics: [[Digest]], limit: Int) async throws -> [StoredLog] {
        try store.logs(from: from, to: to, contracts: contracts, topics: topics, limit: limit)
    }
    func blob(_ root: Digest) async -> [UInt8]? { blobs.get(root) }
    func chunk(_ root: Digest, _ index: Int) async -> (bytes: [UInt8], count: Int, proof: [Digest])? { blobs.chunk(root, index) }
    func put(_ bytes: [UInt8], root: Digest) async throws { try blobs.put(bytes, root: root) }
    func isHealthy() async -> Bool { await !node.authority.isHalted }

    func status() async -> JSON { await node.status() }
    func metrics() async -> String { await node.metrics() }
}

extension ValidatorNode {
    func status() -> JSON {
        let ledger = authority.executor, run = ledger.runStatus
        return [
            "index": seat.map { .int(Int64($0.index)) } ?? .null, "owner": .string(owner.description), "epoch": .int(Int64(clamping: authority.committee.epoch.rawValue)), "genesis": .string(genesis.digest.description), "head": .int(Int64(ledger.head.number)), "headHash": .string(ledger.headHash.description),
            "commit": .string(authority.lastCommit?.digest.description ?? Digest.zero.description), "stateRoot": .string(ledger.head.stateRoot.description), "round": .int(Int64(clamping: authority.proposer.round.rawValue)),
            "highestRound": .int(Int64(clamping: authority.dag.highestRound.rawValue)), "peers": .array(network.connected.compactMap { authority.committee.seat(of: $0) }.sorted().map { .int(Int64($0.index)) }), "connected": .array(network.connected.map { .string($0.description) }),
            "lastOwnRound": .int(Int64(clamping: authority.lastOwnRound?.rawValue ?? 0)), "quorumCommit": .int(Int64(clamping: authority.quorumCommit.rawValue)),
            "committee": .array(authority.committee.members.map { .string($0.owner.description) }),
            "lag": .array(authority.committee.indices.map { peer in
                let heard = peer == seat ? authority.lastOwnRound ?? Round(0) : min(authority.heardRound(of: peer), authority.dag.highestRound)
                return .int(Int64(clamping: authority.dag.highestRound.rawValue) - Int64(clamping: heard.rawValue))
            }),
            "sync": authority.commitSyncStatus.map { ["mode": "commits", "from": .int(Int64(clamping: $0.start.rawValue)), "at": .int(Int64(clamping: $0.now.rawValue)), "target": .int(Int64(clamping: $0.target.rawValue))] }
                ?? ["mode": "live"],
            "keptFrom": .int(Int64(clamping: (try? store.lowestCommit.rawValue) ?? 0)), "leaders": ["committed": .int(Int64(clamping: counters.ownLeadersCommitted)), "skipped": .int(Int64(clamping: counters.ownLeadersSkipped))], "suspended": .int(Int64(authority.suspendedCount)),
            "missing": .int(Int64(authority.missingCount)), "pool": .int(Int64(authority.poolCount)), "halted": .bool(authority.isHalted), "obstacle": authority.obstacle.map { .string($0) } ?? .null, "skippedLeaders": .int(Int64(clamping: counters.skipped)),
            "latencyMs": ["p50": .int(Int64(counters.latency(0.5))), "p99": .int(Int64(counters.latency(0.99)))],
            "opened": run.opened.map { .int(Int64(clamping: $0.rawValue)) } ?? .null, "settled": .int(Int64(clamping: run.settled.rawValue)), "over": .bool(run.over),
            "kernels": .string("\(KernelPath.current)"), "blobBytes": .int(Int64(blobs.bytesUsed)),
        ]
    }

    /// Prometheus' text format, version 0.0.4.
    func metrics() -> String {
        var lines: [String] = []
        func add(_ name: String, _ type: String, _ help: String, _ values: [(String, Double)]) {
            lines += ["# HELP assay_\(name) \(help)", "# TYPE assay_\(name) \(type)"]
            for (labels, value) in values { lines.append("assay_\(name)\(labels) \(value == value.rounded(.towardZero) && abs(value) < 1e15 ? String(Int64(value)) : String(value))") }
        }
        let network = network.counters
        add("head_block", "gauge", "Number of the last executed commit.", [("", Double(authority.executor.head.number))])
        add("round", "gauge", "Round of the next own block.", [("", Double(authority.proposer.round.rawValue))])
        add("highest_round", "gauge", "Highest round of an accepted block.", [("", Double(authority.dag.highestRound.rawValue))])
        add("commits_total", "counter", "Commits executed since the start.", [("", Double(counters.commits))])
        add("blocks_proposed_total", "counter", "Own blocks since the start.", [("", Double(counters.proposed))])
        add("leaders_skipped_total", "counter", "Leader slots decided as skipped.", [("", Double(counters.skipped))])
        add("leaders_indirect_total", "counter", "Leader slots decided by a later leader.", [("", Double(counters.indirect))])
        add("blocks_refused_total", "counter", "Blocks and requests refused.", [("", Double(counters.refused))])
        add("messages_malformed_total", "counter", "Frames that were no message.", [("", Double(counters.malformed))])
        add("equivocations_total", "counter", "Pairs of blocks of one authority and round.", [("", Double(counters.equivocations))])
        add("transactions_total", "counter", "Transactions executed since the start.", [("", Double(counters.transactions))])
        add("commit_latency_milliseconds", "gauge", "From an own block to its commit.", [("{quantile=\"0.5\"}", Double(counters.latency(0.5))), ("{quantile=\"0.99\"}", Double(counters.latency(0.99)))])
        add("pool_transactions", "gauge", "Transactions that wait.", [("", Double(authority.poolCount))])
        add("suspended_blocks", "gauge", "Blocks that wait for ancestors.", [("", Double(authority.suspendedCount))])
        add("missing_blocks", "gauge", "Blocks that others refer to and this node lacks.", [("", Double(authority.missingCount))])
        add("syncing_by_commits", "gauge", "1 while commits are fetched because a quorum is far ahead.", [("", authority.commitSyncStatus == nil ? 0 : 1)])
        add("quorum_commit", "gauge", "The highest commit that a quorum has attested.", [("", Double(authority.quorumCommit.rawValue))])
        add("halted", "gauge", "1 if this node's roots are not those of a quorum.", [("", authority.isHalted ? 1 : 0)])
        add("peers_connected", "gauge", "Connections to other validators.", [("", Double(self.network.connected.count))])
        add("network_bytes_total", "counter", "Bytes of frames, unpacked.", [("{direction=\"sent\"}", Double(network.sentBytes)), ("{direction=\"received\"}", Double(network.receivedBytes))])
        add("connections_refused_total", "counter", "Connections closed for what came over them.", [("", Double(network.refused))])
        add("compute_seconds_total", "counter", "Time spent judging, by kind of job.", counters.computeSeconds.sorted { $0.key < $1.key }.map { ("{job=\"\($0.key)\"}", $0.value) })
        add("compute_jobs_total", "counter", "Jobs done, by kind.", counters.computed.sorted { $0.key < $1.key }.map { ("{job=\"\($0.key)\"}", Double($0.value)) })
        return lines.joined(separator: "\n") + "\n"
    }
}
