import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Transactions that wait for a block of ours, and those in blocks of ours that wait for a commit. Bounded by number and bytes.
///
/// Those of one sender go out in the order of their nonces, each only once the one before has: ordered the other way round they could not be executed.
struct TransactionPool: Sendable {
    private struct Entry: Sendable {
        let raw: [UInt8]
        /// Nil for a duty, whose order does not matter.
        let paid: Paid?
        let arrival: UInt64
        /// A commit ordered it, and it was not executed: before its turn, or because it cannot be.
        var wasPassedOver = false
        /// A duty among those that wait.
        var isQueued = false
    }
    private struct Paid: Sendable {
        let tip: U256
        let sender: Address
        let nonce: UInt64
    }
    static let countLimit = 20_000
    static let bytesLimit = 32 << 20

    private var entries: [Digest: Entry] = [:]
    /// Waiting, in the order of arrival.
    private var duties: [Digest] = []
    /// Waiting, by nonce.
    private var paid: [Address: [UInt64: Digest]] = [:]
    /// In blocks of ours that no commit has ordered yet.
    private var proposed: [BlockReference: [Digest]] = [:]
    private var inFlight: [Address: Set<UInt64>] = [:]
    private var bytes = 0
    private var arrivals: UInt64 = 0
    /// All that waits, waits for an earlier nonce.
    private var isStuck = false

    var count: Int { entries.count }
    var isWaiting: Bool { !duties.isEmpty || (!paid.isEmpty && !isStuck) }

    func contains(_ raw: [UInt8]) -> Bool { entries[Digest.sha256(raw)] != nil }
    var transactions: [[UInt8]] { entries.values.sorted { $0.arrival < $1.arrival }.map(\.raw) }

    enum Outcome: Hashable, Sendable { case taken, full, underpriced }

    /// Duties have a tenth of the room for themselves.
    mutating func add(_ raw: [UInt8], _ admission: Admission) -> Outcome {
        let digest = Digest.sha256(raw)
        var cost: Paid?
        switch admission {
        case .refused: return .full
        case .duty: break
        case .paid(let tip, let sender, let nonce):
            // Another transaction for the same nonce takes its place only for a higher tip.
            if let held = paid[sender]?[nonce], let other = entries[held]?.paid, held != digest {
                guard tip > other.tip else { return .underpriced }
                remove(held)
            }
            cost = Paid(tip: tip, sender: sender, nonce: nonce)
        }
        guard entries[digest] == nil else { return .taken }
        let share = cost == nil ? 10 : 9
        guard entries.count < TransactionPool.countLimit * share / 10, bytes + raw.count <= TransactionPool.bytesLimit * share / 10 else { return .full }
        arrivals += 1
        entries[digest] = Entry(raw: raw, paid: cost, arrival: arrivals)
        bytes += raw.count
        wait(digest)
        return .taken
    }

    private mutating func wait(_ digest: Digest) {
        guard let entry = entries[digest] else { return }
        if let cost = entry.paid {
            paid[cost.sender, default: [:]][cost.nonce] = digest
        } else if !entry.isQueued {
            duties.append(digest)
            entries[digest]?.isQueued = true
        }
        isStuck = false
    }

    /// What goes into the next block: duties first, who may fill half of it before anybody else and all that is left over; then by tip.
    /// - Parameter nextNonce: the nonce that the ledger executes next for a sender; nil where order does not matter.
    mutating func take(nextNonce: (Address) -> UInt64?) -> (digests: [Digest], transactions: [[UInt8]]) {
        var room = Limits.blockTransactionBytes, taken: [Digest] = []
        func fill(_ queue: some Sequence<Digest>, upTo limit: Int) -> Int {
            var used = 0, count = 0
            for digest in queue {
                guard taken.count < Limits.blockTransactions, let size = entries[digest]?.raw.count, used + size <= min(limit, room) else { break }
                used += size
                count += 1
                taken.append(digest)
            }
            room -= used
            return count
        }
        func takeDuties(upTo limit: Int) {
            let count = fill(duties, upTo: limit)
            for digest in duties.prefix(count) { entries[digest]?.isQueued = false }
            duties.removeFirst(count)
        }
        takeDuties(upTo: Limits.blockTransactionBytes / 2)
        let ready = ready(nextNonce)
        let chosen = fill(ready, upTo: room)
        for digest in ready.prefix(chosen) { leave(digest) }
        isStuck = chosen == ready.count
        takeDuties(upTo: room)
        return (taken, taken.compactMap { entries[$0]?.raw })
    }

    /// What could be executed now, best tip first. Behind a low tip of the same sender a high one counts no more than it.
    private func ready(_ nextNonce: (Address) -> UInt64?) -> [Digest] {
        var candidates: [(tip: U256, arrival: UInt64, nonce: UInt64, digest: Digest)] = []
        for (sender, waiting) in paid {
            let free = nextNonce(sender)
            var next = free ?? 0
            while inFlight[sender]?.contains(next) == true { next += 1 }
            var tip = U256.max, arrival: UInt64 = 0
            for nonce in free == nil ? waiting.keys.sorted() : [] { append(waiting[nonce]!, nonce) }
            while free != nil, let digest = waiting[next] {
                append(digest, next)
                next += 1
                while inFlight[sender]?.contains(next) == true { next += 1 }
            }
            func append(_ digest: Digest, _ nonce: UInt64) {
                guard let entry = entries[digest], let cost = entry.paid else { return }
                tip = min(tip, cost.tip)
                arrival = max(arrival, entry.arrival)
                candidates.append((tip, arrival, nonce, digest))
            }
        }
        candidates.sort { $0.tip != $1.tip ? $0.tip > $1.tip : ($0.arrival, $0.nonce) < ($1.arrival, $1.nonce) }
        return candidates.map(\.digest)
    }

    /// It waits no longer.
    private mutating func leave(_ digest: Digest) {
        guard let cost = entries[digest]?.paid, paid[cost.sender]?[cost.nonce] == digest else { return }
        paid[cost.sender]?[cost.nonce] = nil
        if paid[cost.sender]?.isEmpty == true { paid[cost.sender] = nil }
    }

    mutating func propose(_ digests: [Digest], in block: BlockReference) {
        guard !digests.isEmpty else { return }
        proposed[block] = digests
        for digest in digests { if let cost = entries[digest]?.paid { inFlight[cost.sender, default: []].insert(cost.nonce) } }
    }

    /// Drops what a commit ordered, whoever's block it was in, and puts back what of ours is still to be executed: what fell under garbage
    /// collection, and what came before its turn.
    /// - Returns: how many were put back from under garbage collection.
    mutating func committed(_ transactions: some Sequence<[UInt8]>, blocks: [BlockReference], gcRound: Round, nextNonce: (Address) -> UInt64?) -> Int {
        for raw in transactions {
            let digest = Digest.sha256(raw)
            guard let entry = entries[digest] else { continue }
            if let cost = entry.paid, let next = nextNonce(cost.sender), cost.nonce >= next {
                entries[digest]?.wasPassedOver = true
                continue
            }
            remove(digest)
        }
        for block in blocks { _ = putBack(block) }
        var returned = 0
        for block in proposed.keys.filter({ $0.round <= gcRound }).sorted() { returned += putBack(block) }
        isStuck = false
        return returned
    }

    /// No commit will order what is in blocks of ours: it waits again.
    mutating func putBackAll() -> Int {
        isStuck = false
        return proposed.keys.sorted().reduce(0) { $0 + putBack($1) }
    }

    private mutating func putBack(_ block: BlockReference) -> Int {
        var count = 0
        for digest in proposed.removeValue(forKey: block) ?? [] {
            guard let entry = entries[digest] else { continue }
            if let cost = entry.paid { land(cost) }
            wait(digest)
            count += 1
        }
        return count
    }
    private mutating func land(_ cost: Paid) {
        inFlight[cost.sender]?.remove(cost.nonce)
        if inFlight[cost.sender]?.isEmpty == true { inFlight[cost.sender] = nil }
    }

    /// Drops what can never be executed now. The ledger is asked of duties, and of what a commit has passed over: to ask it costs the check of
    /// a signature. Of the rest the nonce says enough.
    mutating func prune(isStale: ([UInt8]) -> Bool, nextNonce: (Address) -> UInt64?) {
        for (digest, entry) in entries {
            let isUsed = entry.paid.map { cost in nextNonce(cost.sender).map { cost.nonce < $0 } ?? false } ?? false
            if isUsed || (entry.paid == nil || entry.wasPassedOver) && isStale(entry.raw) { remove(digest) }
        }
        duties.removeAll { entries[$0] == nil }
    }

    private mutating func remove(_ digest: Digest) {
        guard let entry = entries[digest] else { return }
        leave(digest)
        if let cost = entry.paid {
            land(cost)
        } else if entry.isQueued, let index = duties.firstIndex(of: digest) {
            duties.remove(at: index)
        }
        entries[digest] = nil
        bytes -= entry.raw.count
    }
}
