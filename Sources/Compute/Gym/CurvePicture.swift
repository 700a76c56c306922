/// The curves of a gym as one image that needs nothing beside itself and follows the reader's light or dark: validation loss over tokens, and over bytes sent.
///
/// An arm's line is the mean over its seeds, in a band from the lowest to the highest.
public struct CurvePicture {
    /// One arm's line.
    struct Line {
        let name: String
        let colour: Int
        let dash: Int
        /// By point: tokens, bytes, and the mean, lowest and highest loss.
        let points: [(tokens: Double, bytes: Double, mean: Double, low: Double, high: Double)]
        let diverged: Bool
        /// Mean over the seeds that have ended.
        let final: Double?
    }

    let title: String
    let lines: [Line]

    /// - Parameter results: in the file's order of arms; unfinished ones are drawn as far as they are.
    public init(_ plan: GymPlan, _ results: [GymResult]) {
        title = plan.name
        lines = plan.arms.enumerated().compactMap { index, arm in
            let runs = results.filter { $0.arm == arm && $0.points.count > 1 }
            // Seeds are averaged as far as all have come.
            guard let shortest = runs.map(\.points.count).min() else { return nil }
            let points = (0..<shortest).map { place in
                let at = runs.map { $0.points[place] }, losses = at.map(\.validationLoss), count = Double(runs.count)
                return (at.reduce(0.0) { $0 + Double($1.tokens) } / count, at.reduce(0.0) { $0 + Double($1.sent) } / count,
                        losses.reduce(0, +) / count, losses.min()!, losses.max()!)
            }
            let finals = runs.compactMap(\.finalLoss), diverged = runs.contains(where: \.diverged)
            return Line(name: arm.name, colour: index % 10, dash: index / 10 % 4, points: points, diverged: diverged,
                        final: diverged || finals.isEmpty ? nil : finals.reduce(0, +) / Double(finals.count))
        }
    }

    private static let panel = (width: 440.0, height: 420.0), top = 74.0, left = 66.0, gap = 84.0, legendWidth = 250.0, legendRow = 19.0

    public var svg: String {
        let (panel, top, left) = (CurvePicture.panel, CurvePicture.top, CurvePicture.left)
        let second = left + panel.width + CurvePicture.gap, legend = second + panel.width + 28
        let width = legend + CurvePicture.legendWidth, height = max(top + panel.height + 64, top + CurvePicture.legendRow * Double(lines.count) + 40)
        let losses = lossAxis, tokens = tokenAxis, bytes = byteAxis
        var parts: [String] = []
        func draw(_ axis: Axis, at x: Double, _ value: (Line, Int) -> Double?) {
            parts.append(frame(x: x, axis, losses))
            parts.append("<g clip-path=\"url(#\(x == left ? "first" : "second"))\">")
            for line in lines {
                let visible = line.points.indices.compactMap { place in value(line, place).map { (x + axis.place($0) * panel.width, line.points[place]) } }
                func y(_ loss: Double) -> String { decimal(top + (1 - losses.place(loss)) * panel.height, 1) }
                if visible.contains(where: { $0.1.low < $0.1.high }) {
                    let there = visible.map { "\(decimal($0.0, 1)),\(y($0.1.high))" }, back = visible.reversed().map { "\(decimal($0.0, 1)),\(y($0.1.low))" }
                    parts.append("<polygon class=\"band f\(line.colour)\" points=\"\((there + back).joined(separator: " "))\"/>")
                }
                if visible.isEmpty, let final = line.points.last?.mean {
                    // It sends nothing, so it is no curve over bytes but a mark to compare with.
                    parts.append("<line class=\"mark c\(line.colour)\" x1=\"\(decimal(x, 1))\" x2=\"\(decimal(x + panel.width, 1))\" y1=\"\(y(final))\" y2=\"\(y(final))\"><title>\(escaped(line.name))</title></line>")
                }
                let path = visible.map { "\(decimal($0.0, 1)),\(y($0.1.mean))" }.joined(separator: " ")
                parts.append("<polyline class=\"c\(line.colour) d\(line.dash)\" points=\"\(path)\"><title>\(escaped(line.name))\(line.final.map { ": " + lossText($0) } ?? "")</title></polyline>")
            }
            parts.append("</g>")
        }
        draw(tokens, at: left) { $0.points[$1].tokens }
        draw(bytes, at: second) { $0.points[$1].bytes > 0 ? $0.points[$1].bytes : nil }
        parts.append("<text class=\"head\" x=\"\(decimal(legend, 1))\" y=\"\(decimal(top - 10, 1))\">arm</text><text class=\"head end\" x=\"\(decimal(width - 18, 1))\" y=\"\(decimal(top - 10, 1))\">final loss</text>")
        for (row, line) in lines.enumerated() {
            let y = decimal(top + CurvePicture.legendRow * (Double(row) + 0.5), 1), text = decimal(top + CurvePicture.legendRow * (Double(row) + 0.5) + 4, 1)
            parts.append("<line class=\"c\(line.colour) d\(line.dash)\" x1=\"\(decimal(legend, 1))\" x2=\"\(decimal(legend + 30, 1))\" y1=\"\(y)\" y2=\"\(y)\"/><text x=\"\(decimal(legend + 38, 1))\" y=\"\(text)\">\(escaped(line.name))</text><text class=\"end\" x=\"\(decimal(width - 18, 1))\" y=\"\(text)\">\(line.diverged ? "diverged" : line.final.map(lossText) ?? "")</text>")
        }
        func clip(_ name: String, _ x: Double) -> String { "<clipPath id=\"\(name)\"><rect x=\"\(decimal(x, 1))\" y=\"\(decimal(top, 1))\" width=\"\(decimal(panel.width, 1))\" height=\"\(decimal(panel.height, 1))\"/></clipPath>" }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(decimal(width, 0))" height="\(decimal(height, 0))" viewBox="0 0 \(decimal(width, 0)) \(decimal(height, 0))" role="img">
            <title>\(escaped(title)): validation loss over tokens and over bytes</title>
            <style>
            \(CurvePicture.style)
            </style>
            <defs>\(clip("first", left))\(clip("second", second))</defs>
            <rect class="ground" width="100%" height="100%"/>
            <text class="caption" x="\(decimal(left, 1))" y="30">\(escaped(title))</text>
            <text class="note" x="\(decimal(left, 1))" y="50">\(seedsNote)</text>
            \(parts.joined(separator: "\n"))
            </svg>

            """
    }

    private var seedsNote: String {
        lines.contains { $0.points.contains { $0.low < $0.high } } ? "Lines are means over seeds; bands reach from the lowest to the highest." : "Validation loss in nats a token."
    }

    /// A panel's ground: grid, ticks, the names of its axes.
    private func frame(x: Double, _ across: Axis, _ up: Axis) -> String {
        let (panel, top) = (CurvePicture.panel, CurvePicture.top), bottom = top + panel.height
        var parts: [String] = []
        for tick in across.ticks {
            let at = decimal(x + across.place(tick.value) * panel.width, 1)
            parts.append("<line class=\"grid\" x1=\"\(at)\" x2=\"\(at)\" y1=\"\(decimal(top, 1))\" y2=\"\(decimal(bottom, 1))\"/><text class=\"middle\" x=\"\(at)\" y=\"\(decimal(bottom + 20, 1))\">\(tick.text)</text>")
        }
        for tick in up.ticks {
            let at = top + (1 - up.place(tick.value)) * panel.height
            parts.append("<line class=\"grid\" x1=\"\(decimal(x, 1))\" x2=\"\(decimal(x + panel.width, 1))\" y1=\"\(decimal(at, 1))\" y2=\"\(decimal(at, 1))\"/><text class=\"end\" x=\"\(decimal(x - 8, 1))\" y=\"\(decimal(at + 4, 1))\">\(tick.text)</text>")
        }
        parts.append("<rect class=\"frame\" x=\"\(decimal(x, 1))\" y=\"\(decimal(top, 1))\" width=\"\(decimal(panel.width, 1))\" height=\"\(decimal(panel.height, 1))\"/>")
        parts.append("<text class=\"middle head\" x=\"\(decimal(x + panel.width / 2, 1))\" y=\"\(decimal(bottom + 44, 1))\">\(across.name)</text>")
        let middle = decimal(top + panel.height / 2, 1), side = decimal(x - 48, 1)
        parts.append("<text class=\"middle head\" x=\"\(side)\" y=\"\(middle)\" transform=\"rotate(-90 \(side) \(middle))\">\(up.name)</text>")
        return parts.joined(separator: "\n")
    }

    private func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            default: String(character)
            }
        }.joined()
    }

    /// Without custom properties, which not every program that shows SVG knows.
    private static let style = """
        svg { font: 13px system-ui, "DejaVu Sans", sans-serif } .ground { fill: #ffffff } text { fill: #1c1f24 } .grid { stroke: #e3e6eb } .frame { fill: none; stroke: #9aa2ae }
        @media (prefers-color-scheme: dark) { .ground { fill: #14171c } text { fill: #e6e9ee } .grid { stroke: #2b313a } .frame { stroke: #6b7482 } }
        .caption { font-size: 17px; font-weight: 600 } .head { font-weight: 600 } .middle { text-anchor: middle } .end { text-anchor: end }
        polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round } line { stroke-width: 1.8 } .grid { stroke-width: 1 }
        .band { stroke: none; fill-opacity: 0.15 } .mark { stroke-dasharray: 1 5; stroke-linecap: round } .d1 { stroke-dasharray: 7 4 } .d2 { stroke-dasharray: 2 4 } .d3 { stroke-dasharray: 9 3 2 3 }
        """ + "\n" + ["#3b74d8", "#e0782a", "#2f9e58", "#d1434b", "#8a63c9", "#9a6a50", "#d968b0", "#7b8594", "#a9a31f", "#2ab0c0"].enumerated().map { ".c\($0.offset) { stroke: \($0.element) } .f\($0.offset) { fill: \($0.element) }" }.joined(separator: " ")
}
