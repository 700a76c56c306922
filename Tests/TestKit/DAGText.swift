import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A DAG drawn as text, without signatures and past `BlockVerifier` on purpose: what is drawn need not be valid.
///
///     full 1..3                 every block links to all of the round before
///     A4 B4 C4 D4               the same for these four
///     A5 <- A4 B4 C4            links to these, in this order
///     B5 C5 <- * -D4            to the first block of every seat of the round before (own first), but not to D4
///     D5 <-                     to nothing
///     B4' <- * ; B4''           other blocks of the slot B4; `*` and `full` never mean them
///     A5@1500 <- *              with this timestamp; otherwise it is a thousand times the round
///
/// Lines also end at `;`, and what follows `//` is a remark. Ancestors are drawn before what links to them.
public struct DrawnDAG: Sendable {
    public let verifier: BlockVerifier
    public private(set) var dag: DAG
    /// In the order drawn.
    public private(set) var blocks: [VerifiedBlock] = []
    private var byName: [String: BlockReference] = [:]
    private var names: [BlockReference: String] = [:]

    public init(_ text: String = "", stakes: [UInt64] = [1, 1, 1, 1]) {
        verifier = BlockVerifier(committee: .drawn(stakes: stakes), genesis: Digest.sha256([7]))
        dag = DAG(committee: verifier.committee, genesisBlocks: verifier.genesisBlocks)
        for reference in verifier.genesisBlocks { name(reference, "\(reference)") }
        draw(text)
    }

    public var committee: Committee { verifier.committee }

    // MARK: Names

    public subscript(_ name: String) -> BlockReference {
        guard let reference = byName[name] else { preconditionFailure("\(name) is not drawn") }
        return reference
    }
    public func block(_ name: String) -> VerifiedBlock { dag[self[name]]! }
    public func blocks(_ names: String) -> [VerifiedBlock] { names.split(separator: " ").map { block(String($0)) } }
    public func slot(_ name: String) -> Slot { Mark(name).slot }
    public func name(of reference: BlockReference) -> String { names[reference] ?? "?\(reference)" }
    public func names(of references: [BlockReference]) -> String { references.map { name(of: $0) }.joined(separator: " ") }

    /// Statuses as words: `D3` committed, `-D3` skipped, `?D3` undecided.
    public func words(_ statuses: [LeaderStatus]) -> String { statuses.map { word($0) }.joined(separator: " ") }
    public func word(_ status: LeaderStatus) -> String {
        switch status {
        case .commit(let reference): name(of: reference)
        case .skip(let slot): "-\(slot)"
        case .undecided(let slot): "?\(slot)"
        }
    }

    // MARK: Drawing

    public mutating func draw(_ text: String) {
        for line in text.split(whereSeparator: { $0.isNewline || $0 == ";" }) {
            var words = line.split(separator: " ").prefix { !$0.hasPrefix("//") }.map(String.init)
            if words.first == "full" {
                let bounds = words[1].split(separator: ".").compactMap { UInt64($0) }
                for round in bounds[0]...bounds[bounds.count - 1] {
                    for seat in committee.indices { drawBlock(Mark("\(seat)\(round)"), ["*"]) }
                }
            } else if let arrow = words.firstIndex(of: "<-") {
                for word in words[..<arrow] { drawBlock(Mark(word), Array(words[(arrow + 1)...])) }
            } else {
                while !words.isEmpty { drawBlock(Mark(words.removeFirst()), ["*"]) }
            }
        }
    }

    /// Adds a block by seat and round: for DAGs drawn by chance. What it holds is told by its prime marks.
    @discardableResult
    public mutating func add(_ author: AuthorityIndex, _ round: Round, ancestors: [BlockReference], timestamp: Instant? = nil, primes: Int = 0, transactions: [[UInt8]] = []) -> VerifiedBlock {
        for ancestor in ancestors { precondition(names[ancestor] != nil && ancestor.round < round, "\(author)\(round) links to \(ancestor), which is not drawn below it") }
        let block = Block(
            epoch: committee.epoch, round: round, author: author, timestamp: timestamp ?? Instant(round.rawValue * 1_000), ancestors: ancestors,
            transactions: primes == 0 ? transactions : transactions + [[UInt8(primes)]])
        let verified = verifier.trust(SignedBlock(block: block, signature: Signature(bytes: [UInt8](repeating: 0, count: 65))))
        precondition(dag.insert(verified), "\(author)\(round) is drawn twice")
        name(verified.reference, "\(author)\(round)" + String(repeating: "'", count: primes))
        blocks.append(verified)
        return verified
    }

    private mutating func drawBlock(_ mark: Mark, _ links: [String]) {
        var ancestors: [BlockReference] = []
        for link in links {
            if link == "*" {
                let firsts = committee.indices.compactMap { dag.references(in: Slot(mark.slot.round.lowered(by: 1), $0)).first }
                ancestors += firsts.filter { $0.author == mark.slot.author } + firsts.filter { $0.author != mark.slot.author }
            } else if link.hasPrefix("-") {
                ancestors.removeAll { $0 == self[String(link.dropFirst())] }
            } else {
                ancestors.append(self[link])
            }
        }
        add(mark.slot.author, mark.slot.round, ancestors: ancestors, timestamp: mark.timestamp, primes: mark.primes)
    }

    private mutating func name(_ reference: BlockReference, _ name: String) {
        byName[name] = reference
        names[reference] = name
    }

    /// `B4''@1500`: seat, round, which of the slot's blocks, timestamp.
    private struct Mark {
        let slot: Slot
        let primes: Int
        let timestamp: Instant?
        init(_ text: String) {
            let halves = text.split(separator: "@"), letter = text.utf8.first!
            let round = halves[0].dropFirst().prefix { $0 != "'" }
            guard (65...90).contains(letter), let number = UInt64(round) else { preconditionFailure("\(text) is no block's name") }
            slot = Slot(Round(number), AuthorityIndex(Int(letter) - 65))
            primes = halves[0].filter { $0 == "'" }.count
            timestamp = halves.count > 1 ? Instant(UInt64(halves[1])!) : nil
        }
    }
}

extension Committee {
    /// Keys from the seats' numbers, so that every test has the same.
    public static func drawn(stakes: [UInt64]) -> Committee {
        let members = stakes.enumerated().map { seat, stake in
            let key = KeyPair.drawn(seat)
            return Member(owner: key.address, consensusKey: key.publicKey, networkKey: .zero, stake: Stake(stake))
        }
        do { return try Committee(epoch: Epoch(0), members: members) } catch { preconditionFailure("no committee: \(error)") }
    }
}

extension KeyPair {
    public static func drawn(_ seat: Int) -> KeyPair { KeyPair(seed: "seat \(seat)") }
}
