import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Transactions that wait for a block of ours, and those in blocks of ours that wait for a commit. Bounded by number and bytes.
struct TransactionPool: Sendable {
    private struct Entry: Sendable {
        let raw: [UInt8]
        let isDuty: Bool
        let tip: U256
    }
    static let countLimit = 20_000
    static let bytesLimit = 32 << 20

    private var entries: [Digest: Entry] = [:]
    /// Waiting, in the order of arrival.
    private var duties: [Digest] = []
    private var paid: [Digest] = []
    private var proposed: [BlockReference: [Digest]] = [:]
    private var bytes = 0

    var count: Int { entries.count }
    var isWaiting: Bool { !duties.isEmpty || !paid.isEmpty }

    func contains(_ raw: [UInt8]) -> Bool { entries[Digest.sha256(raw)] != nil }
    var transactions: [[UInt8]] { entries.sorted { $0.key < $1.key }.map(\.value.raw) }

    /// False if it is full; duties have a tenth of the room for themselves.
    mutating func add(_ raw: [UInt8], isDuty: Bool, tip: U256) -> Bool {
        let digest = Digest.sha256(raw)
        guard entries[digest] == nil else { return true }
        let share = isDuty ? 10 : 9
        guard entries.count < TransactionPool.countLimit * share / 10, bytes + raw.count <= TransactionPool.bytesLimit * share / 10 else { return false }
        entries[digest] = Entry(raw: raw, isDuty: isDuty, tip: tip)
        bytes += raw.count
        if isDuty { duties.append(digest) } else { paid.append(digest) }
        return true
    }

    /// What goes into the next block: duties first, who may fill half of it before anybody else and all that is left over.
    mutating func take() -> (digests: [Digest], transactions: [[UInt8]]) {
        paid.sort { (entries[$1]?.tip ?? 0, $0) < (entries[$0]?.tip ?? 0, $1) }
        var room = Limits.blockTransactionBytes, taken: [Digest] = []
        func fill(_ queue: inout [Digest], upTo limit: Int) {
            var used = 0, position = 0
            while position < queue.count, taken.count < Limits.blockTransactions, let entry = entries[queue[position]] {
                guard used + entry.raw.count <= min(limit, room) else { break }
                used += entry.raw.count
                taken.append(queue[position])
                position += 1
            }
            queue.removeFirst(position)
            room -= used
        }
        fill(&duties, upTo: Limits.blockTransactionBytes / 2)
        fill(&paid, upTo: room)
        fill(&duties, upTo: room)
        return (taken, taken.compactMap { entries[$0]?.raw })
    }

    mutating func propose(_ digests: [Digest], in block: BlockReference) {
        if !digests.isEmpty { proposed[block] = digests }
    }

    /// Drops what a commit ordered, whoever's block it was in, and puts back what fell under garbage collection in blocks of ours.
    /// - Returns: how many were put back.
    mutating func committed(_ transactions: some Sequence<[UInt8]>, blocks: [BlockReference], gcRound: Round) -> Int {
        for raw in transactions { remove(Digest.sha256(raw)) }
        for block in blocks { proposed[block] = nil }
        var returned = 0
        for block in proposed.keys.filter({ $0.round <= gcRound }).sorted() {
            for digest in proposed.removeValue(forKey: block) ?? [] {
                guard let entry = entries[digest] else { continue }
                if entry.isDuty { duties.append(digest) } else { paid.append(digest) }
                returned += 1
            }
        }
        return returned
    }

    /// Drops what the ledger says can never be executed now.
    mutating func prune(_ isStale: ([UInt8]) -> Bool) {
        for (digest, entry) in entries where isStale(entry.raw) { remove(digest) }
        duties.removeAll { entries[$0] == nil }
        paid.removeAll { entries[$0] == nil }
    }

    private mutating func remove(_ digest: Digest) {
        guard let entry = entries.removeValue(forKey: digest) else { return }
        bytes -= entry.raw.count
        if let index = duties.firstIndex(of: digest) { duties.remove(at: index) } else if let index = paid.firstIndex(of: digest) { paid.remove(at: index) }
    }
}
