import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// Some rounds of a DAG, drawn: which blocks there are, what each refers to in the round before, and what became of each round's leader.
public struct DAGPicture: Hashable, Sendable {
    public struct Block: Hashable, Sendable {
        public let reference: BlockReference
        /// Those of the round before, by seat.
        public let links: [BlockReference]
    }
    public let caption: String
    public let committeeSize: Int
    public let rounds: ClosedRange<UInt64>
    public let leaders: [LeaderStatus]
    /// By round and seat; more than one of a seat is an equivocation, in the order of their coming.
    private let blocks: [Slot: [Block]]

    /// - Parameters:
    ///   - blocks: in the order of their coming; those of other rounds are left out.
    ///   - leaders: one of each round, decided or not.
    public init(_ caption: String, committeeSize: Int, rounds: ClosedRange<UInt64>, blocks: some Sequence<VerifiedBlock>, leaders: [LeaderStatus]) {
        (self.caption, self.committeeSize, self.rounds, self.leaders) = (caption, committeeSize, rounds, leaders)
        var found: [Slot: [Block]] = [:]
        for block in blocks where rounds.contains(block.round.rawValue) {
            found[block.reference.slot, default: []].append(Block(reference: block.reference, links: block.ancestors.filter { $0.round.next == block.round }.sorted { $0.author < $1.author }))
        }
        self.blocks = found
    }

    public func blocks(_ slot: Slot) -> [Block] { blocks[slot] ?? [] }
    func leader(of round: UInt64) -> LeaderStatus? { leaders.first { $0.slot.round.rawValue == round } }
    var seats: [AuthorityIndex] { (0..<committeeSize).map { AuthorityIndex($0) } }

    /// One letter a seat: A to Z, then a, b, ….
    static func letter(_ seat: AuthorityIndex) -> String {
        let code = seat.rawValue < 26 ? 65 + seat.rawValue : 97 + (seat.rawValue - 26) % 26
        return String(UnicodeScalar(UInt8(code)))
    }
    static func word(_ status: LeaderStatus?) -> String {
        switch status {
        case .commit: "committed"
        case .skip: "skipped"
        case .undecided: "undecided"
        case nil: ""
        }
    }
    /// Which of its slot's blocks it is: 0 for the first that came, and for one that is not drawn.
    func place(_ reference: BlockReference) -> Int { blocks(reference.slot).firstIndex { $0.reference == reference } ?? 0 }

    // MARK: as text

    /// For a terminal: a line a round, a column an authority, the letters of the blocks that each block refers to.
    public var text: String {
        let wide = committeeSize <= 7
        func content(_ block: Block, prime: Int) -> String {
            let marks = String(repeating: "'", count: prime)
            if wide { return marks + seats.map { seat in block.links.first { $0.author == seat }.map { DAGPicture.letter(seat) + String(repeating: "'", count: place($0)) } ?? "·" }.joined() }
            let before = leader(of: block.reference.round.rawValue &- 1)?.slot
            return marks + "\(block.links.count)" + (block.links.contains { $0.slot == before } ? "+" : "")
        }
        var rows: [[String]] = [["round", "leader", ""] + seats.map { DAGPicture.letter($0) }]
        for round in rounds {
            let status = leader(of: round)
            let cells = seats.map { seat -> [String] in
                let slot = Slot(Round(round), seat)
                var cell = blocks(slot).enumerated().map { content($0.element, prime: $0.offset) }
                if cell.isEmpty { cell = ["–"] }
                guard let status, status.slot == slot else { return cell.map { " \($0) " } }
                let brackets = switch status { case .commit: ("[", "]"); case .skip: ("(", ")"); case .undecided: ("?", "?") }
                return cell.enumerated().map { place, text in
                    if case .commit(let leader) = status, place != self.place(leader) { return " \(text) " }
                    return brackets.0 + text + brackets.1
                }
            }
            for line in 0..<(cells.map(\.count).max() ?? 1) {
                let head = line == 0 ? ["\(round)", status.map { DAGPicture.letter($0.slot.author) } ?? "", DAGPicture.word(status)] : ["", "", ""]
                rows.append(head + cells.map { line < $0.count ? $0[line] : "" })
            }
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.enumerated().map { place, row in
            row.enumerated().map { column, cell in
                let gap = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? gap + cell : place == 0 && column > 2 ? " " + cell + gap.dropLast() : cell + gap
            }.joined(separator: " ")
        }
        let legend = ["", "[ ] leader, committed   ( ) leader, skipped   ? ? leader, undecided   – no block   ' a second block of its author"]
            + [wide ? "A letter is a link to that authority's block of the round before, · is none." : "A number is how many blocks of the round before a block refers to, + that its leader is one of them."]
        return ([caption, ""] + lines + legend).map { line in String(line.reversed().drop { $0 == " " }.reversed()) }.joined(separator: "\n") + "\n"
    }
}
