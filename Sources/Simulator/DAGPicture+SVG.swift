import AssayConsensus
import AssayPrimitives
import AssayProtocol

/// The same as an image that needs nothing beside itself and follows the reader's light or dark.
extension DAGPicture {
    private static let columnWidth = 96, rowHeight = 72, radius = 13, left = 150, top = 92

    public var svg: String {
        let (column, row, left, top) = (DAGPicture.columnWidth, DAGPicture.rowHeight, DAGPicture.left, DAGPicture.top)
        let narrow = committeeSize > 16 ? column / 2 : column
        let width = max(760, left + narrow * committeeSize + 20), bottom = top + row * rounds.count, height = bottom + 64
        func x(_ block: Block) -> Int {
            let siblings = blocks(block.reference.slot).count, step = min(narrow / 3, 30)
            return left + narrow * block.reference.author.index + narrow / 2 + step * (2 * place(block.reference) - siblings + 1) / 2
        }
        func y(_ round: UInt64) -> Int { top + row * Int(round - rounds.lowerBound) + row / 2 }
        var links: [String] = [], nodes: [String] = [], labels: [String] = []
        for seat in seats { labels.append("<text class=\"head\" x=\"\(left + narrow * seat.index + narrow / 2)\" y=\"\(top - 8)\">\(DAGPicture.letter(seat))</text>") }
        for round in rounds {
            let status = leader(of: round)
            labels.append("<text class=\"round\" x=\"16\" y=\"\(y(round) - 4)\">round \(round)</text>")
            if let status { labels.append("<text class=\"\(DAGPicture.word(status))\" x=\"16\" y=\"\(y(round) + 14)\">\(DAGPicture.letter(status.slot.author)) \(DAGPicture.word(status))</text>") }
            for seat in seats {
                let slot = Slot(Round(round), seat), leads = status?.slot == slot, found = blocks(slot)
                if found.isEmpty {
                    nodes.append("<circle class=\"none\(leads ? " \(DAGPicture.word(status))" : "")\" cx=\"\(left + narrow * seat.index + narrow / 2)\" cy=\"\(y(round))\" r=\"4\"><title>\(DAGPicture.letter(seat))\(round): no block</title></circle>")
                }
                for block in found {
                    for link in block.links {
                        guard let before = blocks(link.slot).first(where: { $0.reference == link }) else { continue }
                        let votes = leader(of: round - 1)?.slot == link.slot
                        links.append("<line\(votes ? " class=\"vote\"" : "") x1=\"\(x(block))\" y1=\"\(y(round))\" x2=\"\(x(before))\" y2=\"\(y(round - 1))\"/>")
                    }
                    var kinds: [String] = []
                    if leads {
                        if case .commit(let leader) = status, leader != block.reference {} else { kinds.append(DAGPicture.word(status)) }
                    }
                    if found.count > 1 { kinds.append("twin") }
                    let name = DAGPicture.letter(seat) + "\(round)" + String(repeating: "'", count: place(block.reference))
                    let says = "\(name) (\(block.reference.digest.short)) refers to \(block.links.map { DAGPicture.letter($0.author) }.joined(separator: ", "))"
                    nodes.append("<g class=\"block\(kinds.map { " " + $0 }.joined())\"><title>\(says)</title><circle cx=\"\(x(block))\" cy=\"\(y(round))\" r=\"\(DAGPicture.radius)\"/><text x=\"\(x(block))\" y=\"\(y(round) + 4)\">\(DAGPicture.letter(seat))</text></g>")
                }
            }
        }
        let legend = [("committed", "leader, committed"), ("skipped", "leader, skipped"), ("undecided", "leader, undecided"), ("twin", "equivocation")].enumerated().map { place, entry in
            "<g class=\"block \(entry.0)\"><circle cx=\"\(28 + 180 * place)\" cy=\"\(bottom + 30)\" r=\"9\"/></g><text class=\"round\" x=\"\(44 + 180 * place)\" y=\"\(bottom + 34)\">\(entry.1)</text>"
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" role="img">
            <title>\(DAGPicture.escaped(caption))</title>
            <style>
            svg { --ground: #ffffff; --ink: #1c1f24; --faint: #c9ced6; --fill: #eef1f5; --good: #1a7f4b; --gone: #8a5a00; --open: #2f5fc4; --bad: #c0272d; font: 13px system-ui, sans-serif }
            @media (prefers-color-scheme: dark) { svg { --ground: #14171c; --ink: #e6e9ee; --faint: #434a55; --fill: #262b33; --good: #4cc38a; --gone: #e0a83a; --open: #7aa2f7; --bad: #ff6b6b } }
            .ground { fill: var(--ground) } text { fill: var(--ink); text-anchor: middle } .caption, .round, text.committed, text.skipped, text.undecided { text-anchor: start }
            .caption { font-size: 17px; font-weight: 600 } .head { font-weight: 600 }
            line { stroke: var(--faint) } line.vote { stroke: var(--ink) }
            .block circle { fill: var(--fill); stroke: var(--ink) } .block text { font-size: 12px } .none { fill: none; stroke: var(--faint) }
            .committed circle, circle.committed { stroke: var(--good); stroke-width: 4 } .skipped circle, circle.skipped { stroke: var(--gone); stroke-width: 4; stroke-dasharray: 4 3 }
            .undecided circle, circle.undecided { stroke: var(--open); stroke-width: 4 } .twin circle { fill: var(--bad) } .twin text { fill: var(--ground) }
            text.committed { fill: var(--good) } text.skipped { fill: var(--gone) } text.undecided { fill: var(--open) }
            </style>
            <rect class="ground" width="\(width)" height="\(height)"/>
            <text class="caption" x="16" y="30">\(DAGPicture.escaped(caption))</text>
            <text class="round" x="16" y="52">Each block refers to blocks of the round above it; a dark line is a vote for that round’s leader.</text>
            \((links + nodes + labels + legend).joined(separator: "\n"))
            </svg>

            """
    }

    private static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "\"": "&quot;"
            default: String(character)
            }
        }.joined()
    }
}

extension World {
    /// Some rounds as one validator has them: around a round, around what was violated first, or the last ones.
    public func picture(of index: Int? = nil, around round: Round? = nil, rounds count: UInt64 = 14) -> DAGPicture {
        let violation = checks.violations.first
        let honest = { (index: Int) in options.byzantine[index] == nil }
        let node = index ?? violation?.node.flatMap { honest($0) ? $0 : nil } ?? nodes.indices.first(where: honest) ?? 0
        let watch = watches[node], highest = max(1, watch.reference.highest.rawValue)
        let middle = min(highest, (round ?? violation?.round)?.rawValue ?? highest)
        let last = min(highest, middle.addingReportingOverflow(count / 2).partialValue), first = max(1, last > count ? last - count + 1 : 1)
        let leaders = (first...last).map { watch.status(of: Round($0)) }
        let what = violation.map { "\($0.checker): \($0.message)" } ?? "rounds \(first) to \(last)"
        return DAGPicture("Validator \(watches[node].reference.committee.seat(of: owner(node)).map(DAGPicture.letter) ?? "without a seat"), epoch \(watches[node].reference.committee.epoch), \(what)", committeeSize: watches[node].reference.committee.size, rounds: first...last,
                          blocks: (first...last).flatMap { watch.reference.blocks(of: Round($0)) }, leaders: leaders)
    }
}
