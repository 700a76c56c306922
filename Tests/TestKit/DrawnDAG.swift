import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A DAG drawn as text, one line a statement:
///
///     full 1..4             all authors of rounds 1 to 4, each on all of the round before
///     A5 B5 <- *            on one block of each author of the round before
///     C5 <- * -D4           on all but D4
///     D5 <- A4 B4 C4        on these
///     E5 <-                 on nothing
///     B4' <- D3             a second block of B in round 4, and B4'' a third
///     A1 B1 C1 D1           as `<- *`
///
/// Blocks are taken at their word: a drawing may break rules of validity on purpose.
public struct DrawnDAG: Sendable {
    public let committee: Committee
    public let verifier: BlockVerifier
    public private(set) var dag: DAG
    /// In the order drawn.
    public private(set) var drawn: [VerifiedBlock] = []
    private var names: [String: BlockReference] = [:]

    public static func committee(_ stakes: [UInt64]) -> Committee {
        let members = stakes.enumerated().map { seat, stake in
            let key = KeyPair(seed: "drawn \(seat)")
            return Committee.Member(owner: key.address, consensusKey: key.publicKey, networkKey: .zero, stake: Stake(stake))
        }
        guard let committee = try? Committee(epoch: Epoch(0), members: members) else { preconditionFailure("no committee of stakes \(stakes)") }
        return committee
    }

    public init(authorities: Int = 4, _ text: String = "") {
        self.init(DrawnDAG.committee(Array(repeating: 1, count: authorities)), text)
    }
    public init(_ committee: Committee, _ text: String = "") {
        self.committee = committee
        verifier = BlockVerifier(committee: committee, genesis: Digest.sha256([7]))
        dag = DAG(committee: committee, genesisBlocks: verifier.genesisBlocks)
        for (seat, block) in verifier.genesisBlocks.enumerated() { names["\(AuthorityIndex(seat))0"] = block }
        draw(text)
    }

    public subscript(_ name: String) -> BlockReference {
        guard let reference = names[name] else { preconditionFailure("no block \(name) was drawn") }
        return reference
    }

    public static func slot(_ name: String) -> Slot {
        let plain = name.prefix { $0 != "'" }
        guard let letter = plain.unicodeScalars.first, (65...90).contains(letter.value), let round = UInt64(plain.dropFirst()) else { preconditionFailure("“\(name)” is no block's name") }
        return Slot(Round(round), AuthorityIndex(Int(letter.value) - 65))
    }

    public mutating func draw(_ text: String) {
        for line in text.split(separator: "\n") { drawLine(line.split(separator: " ").map(String.init)) }
    }

    private mutating func drawLine(_ words: [String]) {
        guard let first = words.first else { return }
        if first == "full" {
            let bounds = words[1].split(separator: ".").compactMap { UInt64($0) }
            for round in bounds[0]...bounds[bounds.count - 1] { for seat in committee.indices { add("\(seat)\(round)", on: everyone(below: round)) } }
            return
        }
        let names = words.prefix { $0 != "<-" }, rest = words.dropFirst(names.count + 1)
        for name in names {
            let round = DrawnDAG.slot(name).round.rawValue
            var ancestors = names.count == words.count || rest.contains("*") ? everyone(below: round) : []
            for word in rest where word != "*" {
                if word.hasPrefix("-") { ancestors.removeAll { $0 == self[String(word.dropFirst())] } } else { ancestors.append(self[word]) }
            }
            add(name, on: ancestors)
        }
    }

    private func everyone(below round: UInt64) -> [BlockReference] {
        committee.indices.compactMap { dag.references(in: Slot(Round(round - 1), $0)).first }
    }

    /// Own ancestor first, as in a valid block.
    public mutating func add(_ name: String, on ancestors: [BlockReference], timestamp: UInt64 = 1_000, transactions: [[UInt8]] = []) {
        let slot = DrawnDAG.slot(name), primes = UInt64(name.filter { $0 == "'" }.count)
        let ordered = ancestors.filter { $0.author == slot.author } + ancestors.filter { $0.author != slot.author }
        let block = Block(epoch: committee.epoch, round: slot.round, author: slot.author, timestamp: Instant(timestamp + primes), ancestors: ordered, transactions: transactions)
        let verified = verifier.trust(SignedBlock(block: block, signature: Signature(bytes: [UInt8](repeating: 0, count: 65))))
        precondition(names[name] == nil, "\(name) is drawn twice")
        names[name] = verified.reference
        drawn.append(verified)
        dag.insert(verified)
    }

    /// A random DAG in which each block stands on at least a quorum of the round before, its author's own block first.
    /// - Parameters:
    ///   - missing: of a hundred blocks, how many are never made.
    ///   - dead: seats that make no block from a round on; fewer than a third.
    ///   - leaderLinked: of a hundred blocks, how many refer to the leader before whatever the die says.
    public static func random(authorities: Int, rounds: UInt64, seed: UInt64, missing: UInt64 = 10, dead: [AuthorityIndex: UInt64] = [:], leaderLinked: UInt64 = 50, schedule: LeaderSchedule = .roundRobin) -> DrawnDAG {
        var chance = SeededGenerator(seed: seed, stream: 0xDA6)
        var drawn = DrawnDAG(authorities: authorities)
        let quorum = Int(drawn.committee.quorum.rawValue)
        for round in 1...rounds {
            let before = drawn.everyone(below: round)
            let leader = schedule.leader(of: Round(round - 1), in: drawn.committee)
            var absent = drawn.committee.indices.filter { _ in chance.below(100) < missing }
            let gone = dead.filter { $0.value <= round }.keys.sorted()
            absent = Array((gone + absent.filter { !gone.contains($0) }).prefix(authorities - quorum))
            for seat in drawn.committee.indices where !absent.contains(seat) {
                var parents = chance.sample(before, count: min(before.count, quorum + Int(chance.below(UInt64(authorities - quorum + 1)))))
                if chance.below(100) < leaderLinked, let wanted = before.first(where: { $0.author == leader }), !parents.contains(wanted) { parents[parents.count - 1] = wanted }
                // The latest own block goes in even if it is older.
                let own = drawn.drawn.last { $0.author == seat }?.reference ?? drawn["\(seat)0"]
                parents.removeAll { $0.author == seat }
                while parents.count + (own.round.rawValue + 1 == round ? 1 : 0) < quorum { parents.append(before.first { !parents.contains($0) && $0.author != seat }!) }
                drawn.add("\(seat)\(round)", on: [own] + parents, timestamp: 1_000 + round * 50 + chance.below(40))
            }
        }
        return drawn
    }
}
