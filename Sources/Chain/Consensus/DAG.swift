import AssayPrimitives
import AssayProtocol

/// Accepted blocks of the recent rounds, each with its whole history above the eviction round: by reference and by slot.
public struct DAG: Sendable {
    public let committee: Committee
    private var blocks: [BlockReference: VerifiedBlock] = [:]
    /// Per round and seat, in the order of acceptance; more than one of a seat is an equivocation.
    private var rounds: [UInt64: [[BlockReference]]] = [:]
    public private(set) var highestRound = Round(0)
    /// Blocks at or below this round are no longer held.
    public private(set) var evictedRound = Round(0)
    /// Blocks that were ever added: while it stays, nothing more can be decided.
    public private(set) var insertions: UInt64 = 0

    public init(committee: Committee, genesisBlocks: [BlockReference]) {
        self.committee = committee
        rounds[0] = genesisBlocks.map { [$0] }
    }

    public var count: Int { blocks.count }
    public subscript(_ reference: BlockReference) -> VerifiedBlock? { blocks[reference] }

    /// Genesis counts as held; so does what was evicted, since it was accepted or came too late to matter.
    public func contains(_ reference: BlockReference) -> Bool { reference.round <= evictedRound || reference.round == Round(0) || blocks[reference] != nil }

    /// Adds a block all of whose ancestors are contained. Says whether it is new.
    @discardableResult
    public mutating func insert(_ block: VerifiedBlock) -> Bool {
        guard block.round > evictedRound, blocks[block.reference] == nil else { return false }
        blocks[block.reference] = block
        insertions += 1
        rounds[block.round.rawValue, default: Array(repeating: [], count: committee.size)][block.author.index].append(block.reference)
        highestRound = max(highestRound, block.round)
        return true
    }

    public func references(in slot: Slot) -> [BlockReference] {
        guard let round = rounds[slot.round.rawValue], committee.contains(slot.author) else { return [] }
        return round[slot.author.index]
    }

    /// All blocks of a round, by seat.
    public func references(at round: Round) -> [BlockReference] { rounds[round.rawValue]?.flatMap { $0 } ?? [] }

    /// The latest accepted block of a seat below a round; its genesis block if there is none above the eviction round.
    public func latest(of author: AuthorityIndex, below round: Round, above floor: Round) -> BlockReference? {
        var candidate = round.lowered(by: 1)
        while candidate > floor {
            if let reference = rounds[candidate.rawValue]?[author.index].first { return reference }
            candidate = candidate.lowered(by: 1)
        }
        return nil
    }

    /// The authors of a round, each counted once.
    public func tally(at round: Round) -> StakeTally {
        var tally = StakeTally(committee)
        for (seat, references) in (rounds[round.rawValue] ?? []).enumerated() where !references.isEmpty { tally.add(AuthorityIndex(seat)) }
        return tally
    }

    public func hasQuorum(at round: Round) -> Bool { tally(at: round).hasQuorum }

    /// Forgets all blocks at or below a round.
    public mutating func evict(through round: Round) {
        guard round > evictedRound else { return }
        // From the lowest round held, so that a late jump does not leave one behind.
        for held in rounds.keys.sorted() where held <= round.rawValue {
            for reference in rounds[held]!.joined() { blocks[reference] = nil }
            rounds[held] = nil
        }
        evictedRound = round
    }
}
