import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// What a validator counts, for its operator.
struct NodeCounters: Sendable {
    var commits: UInt64 = 0, proposed: UInt64 = 0, skipped: UInt64 = 0, indirect: UInt64 = 0, refused: UInt64 = 0, malformed: UInt64 = 0, equivocations: UInt64 = 0, transactions: UInt64 = 0
    /// Own blocks as leaders, decided since the start.
    var ownLeadersCommitted: UInt64 = 0, ownLeadersSkipped: UInt64 = 0
    var isHalted = false
    private(set) var computeSeconds: [String: Double] = [:]
    private(set) var computed: [String: Int] = [:]
    /// Creation of own blocks, until they are committed.
    private var created: [Round: Instant] = [:]
    private var latencies: [UInt64] = []
    private static let latencyMemory = 4_096

    mutating func ownBlock(_ block: Block, now: Instant) { created[block.round] = now }

    mutating func executed(_ ordered: OrderedCommit, _ block: ExecutedBlock, own: AuthorityIndex?, now: Instant) {
        commits += 1
        transactions += UInt64(block.transactions.count - 1)
        for reference in ordered.commit.blocks where reference.author == own {
            guard let time = created.removeValue(forKey: reference.round) else { continue }
            latencies.append(now.milliseconds(since: time))
        }
        if latencies.count > NodeCounters.latencyMemory { latencies.removeFirst(latencies.count - NodeCounters.latencyMemory) }
        if created.count > 1_000 { created = created.filter { $0.key.advanced(by: 500) > ordered.commit.leader.round } }
    }

    mutating func note(_ event: AuthorityEvent, own: AuthorityIndex?) {
        switch event {
        case .proposed: proposed += 1
        case .leaderSkipped(let author, _):
            skipped += 1
            if author == own { ownLeadersSkipped += 1 }
        case .committed(let leader, _): if leader.author == own { ownLeadersCommitted += 1 }
        case .decidedIndirectly: indirect += 1
        case .refused, .refusedCommits: refused += 1
        case .equivocated: equivocations += 1
        case .diverged, .commitDiffers: isHalted = true
        // Rounds begin anew.
        case .epochEnded: created = [:]
        case .resubmitted, .jumped, .leadersChanged, .recollected, .syncing, .live, .pruned: break
        }
    }
    mutating func computed(_ name: JobName, _ took: Duration) {
        let kind = "\(name.kind)"
        computed[kind, default: 0] += 1
        computeSeconds[kind, default: 0] += took.inSeconds
    }

    /// From the creation of own blocks to their commit, in milliseconds.
    func latency(_ share: Double) -> UInt64 {
        guard !latencies.isEmpty else { return 0 }
        let sorted = latencies.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}
