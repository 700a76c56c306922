import AssayPrimitives
import AssayProtocol

/// Holds blocks back until their ancestors are there, and says which are missing. Its memory is bounded whatever peers send.
public struct BlockManager: Sendable {
    public struct Outcome: Sendable {
        /// In an order in which ancestors come first.
        public var accepted: [VerifiedBlock] = []
        /// Newly missing, lowest rounds first.
        public var missing: [BlockReference] = []
        public var equivocations: [Equivocation] = []
        /// Nobody's fault: known already, too old, too far ahead, or an unwanted sibling.
        public var ignored = false
    }

    private struct Suspended: Sendable {
        let block: VerifiedBlock
        var missing: Set<BlockReference>
    }
    private var suspended: [BlockReference: Suspended] = [:]
    /// Who waits for a missing block.
    private var waiting: [BlockReference: Set<BlockReference>] = [:]
    /// Suspended blocks of each author: nobody may take more room than a share.
    private var suspendedOf: [AuthorityIndex: Set<BlockReference>] = [:]
    private var suspendedBytesOf: [AuthorityIndex: Int] = [:]

    public init() {}

    public var suspendedCount: Int { suspended.count }
    public var missingCount: Int { waiting.count }

    /// What an authority's own blocks wait for, lowest rounds first. It had all of that when it made them, unless it refers to blocks that
    /// do not exist; and then it is the only one who is asked for those.
    public func missing(of author: AuthorityIndex, limit: Int) -> [BlockReference] {
        var stack = Array(suspendedOf[author] ?? []), seen = Set(stack), found: [BlockReference] = []
        while let reference = stack.popLast() {
            for ancestor in suspended[reference]?.missing ?? [] where seen.insert(ancestor).inserted {
                if suspended[ancestor] != nil { stack.append(ancestor) } else { found.append(ancestor) }
            }
        }
        return Array(found.sorted().prefix(limit))
    }
    public func isSuspended(_ reference: BlockReference) -> Bool { suspended[reference] != nil }
    public func isMissing(_ reference: BlockReference) -> Bool { waiting[reference] != nil }

    /// Takes a verified block.
    /// - Parameter kept: it was accepted before a restart, so a sibling of a known block is welcome.
    public mutating func add(_ block: VerifiedBlock, to dag: inout DAG, kept: Bool = false) -> Outcome {
        var outcome = Outcome()
        guard !dag.contains(block.reference), suspended[block.reference] == nil else {
            outcome.ignored = true
            return outcome
        }
        let wanted = kept || waiting[block.reference] != nil
        if let sibling = dag.references(in: block.reference.slot).first, let known = dag[sibling] {
            outcome.equivocations.append(Equivocation(.init(known.signed), .init(block.signed)))
            // Unasked, one block a slot is enough; more come in only where somebody's history needs them.
            guard wanted else {
                outcome.ignored = true
                return outcome
            }
        }
        guard wanted || block.round.rawValue <= dag.highestRound.rawValue.addingReportingOverflow(Limits.roundsAhead).partialValue else {
            outcome.ignored = true
            return outcome
        }
        let missing = Set(block.ancestors.filter { !dag.contains($0) })
        if missing.isEmpty {
            accept(block, &dag, &outcome)
        } else {
            // The same for a block that has to wait: more of one slot only where another author's block asks for it.
            guard wanted || suspendedOf[block.author]?.contains(where: { $0.round == block.round }) != true, makeRoom(for: block, in: dag) else {
                outcome.ignored = true
                return outcome
            }
            suspended[block.reference] = Suspended(block: block, missing: missing)
            suspendedOf[block.author, default: []].insert(block.reference)
            suspendedBytesOf[block.author, default: 0] += block.transactionBytes
            for reference in missing.sorted() {
                if waiting[reference] == nil, suspended[reference] == nil { outcome.missing.append(reference) }
                waiting[reference, default: []].insert(block.reference)
            }
        }
        return outcome
    }

    /// After the DAG has forgotten rounds: what waited only for those goes on.
    public mutating func release(below dag: inout DAG) -> Outcome {
        var outcome = Outcome()
        for reference in waiting.keys.filter({ $0.round <= dag.evictedRound }).sorted() { settle(reference, &dag, &outcome) }
        for reference in suspended.keys.filter({ $0.round <= dag.evictedRound }) { drop(reference) }
        return outcome
    }

    private mutating func accept(_ block: VerifiedBlock, _ dag: inout DAG, _ outcome: inout Outcome) {
        guard dag.insert(block) else { return }
        outcome.accepted.append(block)
        settle(block.reference, &dag, &outcome)
    }

    private mutating func settle(_ first: BlockReference, _ dag: inout DAG, _ outcome: inout Outcome) {
        var arrived = [first]
        while let reference = arrived.popLast() {
            for dependent in (waiting.removeValue(forKey: reference) ?? []).sorted() {
                suspended[dependent]?.missing.remove(reference)
                guard let ready = suspended[dependent], ready.missing.isEmpty else { continue }
                suspended[dependent] = nil
                suspendedOf[dependent.author]?.remove(dependent)
                suspendedBytesOf[dependent.author, default: 0] -= ready.block.transactionBytes
                if dag.insert(ready.block) { outcome.accepted.append(ready.block) }
                arrived.append(dependent)
            }
        }
    }

    /// When an author's share is full, its block furthest ahead goes: never the lowest rounds, without which nothing moves. What another author's
    /// block waits for comes first, however far ahead, and what nobody else asked for never pushes it out.
    private mutating func makeRoom(for block: VerifiedBlock, in dag: DAG) -> Bool {
        let blocks = max(1, Limits.suspendedBlocks / dag.committee.size), bytes = max(Limits.blockBytes, Limits.suspendedBytes / dag.committee.size)
        while let own = suspendedOf[block.author], own.count >= blocks || suspendedBytesOf[block.author, default: 0] + block.transactionBytes > bytes {
            let asked = isAsked(block.reference), unasked = own.filter { !isAsked($0) }.max()
            guard let furthest = asked ? unasked ?? own.max() : unasked, asked && unasked != nil || furthest.round > block.round else { return false }
            drop(furthest)
        }
        return true
    }
    private func isAsked(_ reference: BlockReference) -> Bool { waiting[reference]?.contains { $0.author != reference.author } == true }

    private mutating func drop(_ reference: BlockReference) {
        guard let gone = suspended.removeValue(forKey: reference) else { return }
        suspendedOf[reference.author]?.remove(reference)
        suspendedBytesOf[reference.author, default: 0] -= gone.block.transactionBytes
        for missing in gone.missing {
            waiting[missing]?.remove(reference)
            if waiting[missing]?.isEmpty == true { waiting[missing] = nil }
        }
    }
}

extension VerifiedBlock {
    fileprivate var transactionBytes: Int { block.transactions.reduce(0) { $0 + $1.count } }
}
