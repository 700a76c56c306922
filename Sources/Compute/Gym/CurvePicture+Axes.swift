extension CurvePicture {
    /// From values to a place between 0 and 1.
    struct Axis {
        let name: String
        let low, high: Double
        var logarithmic = false
        let ticks: [(value: Double, text: String)]

        func place(_ value: Double) -> Double {
            logarithmic ? (decades(value) - decades(low)) / (decades(high) - decades(low)) : (value - low) / (high - low)
        }
    }

    /// Losses from the best one up to what the arms had after a twelfth of their tokens, but at most a nat above: the steep start would hide the rest.
    var lossAxis: Axis {
        let all = lines.flatMap { line in line.points.map { (loss: $0.mean, late: $0.tokens * 12 >= (line.points.last?.tokens ?? 0)) } }.filter { $0.loss.isFinite }
        let best = all.map(\.loss).min() ?? 0, late = all.filter(\.late).map(\.loss).max() ?? best + 1
        let ticks = CurvePicture.ticks(best - 0.03, max(best + 0.2, min(late, best + 1)), about: 8)
        return Axis(name: "validation loss, nats a token", low: ticks[0], high: ticks[ticks.count - 1], ticks: ticks.map { ($0, decimal($0, ticks[1] - ticks[0] < 0.095 ? 2 : 1)) })
    }

    var tokenAxis: Axis {
        let most = max(1, lines.flatMap { $0.points.map(\.tokens) }.max() ?? 1)
        let (unit, name) = most >= 5e8 ? (1e9, "thousand million tokens") : most >= 5e5 ? (1e6, "million tokens") : most >= 5e3 ? (1e3, "thousand tokens") : (1.0, "tokens")
        let ticks = CurvePicture.ticks(0, most / unit, about: 6).filter { $0 * unit <= most * 1.0001 }
        return Axis(name: "\(name) trained on, all workers", low: 0, high: most, ticks: ticks.map { ($0 * unit, decimal($0, ticks.count > 1 && ticks[1] < 0.95 ? 1 : 0)) })
    }

    var byteAxis: Axis {
        let all = lines.flatMap { $0.points.map(\.bytes) }.filter { $0 > 0 }
        var low = 1.0, high = 10.0
        if let least = all.min(), let most = all.max() {
            while low * 10 <= least { low *= 10 }
            high = low * 10
            while high < most { high *= 10 }
        }
        let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")]
        var ticks: [(Double, String)] = [], at = low
        while at <= high * 1.0001 {
            let unit = units.first { at >= $0.0 } ?? (1, "B")
            ticks.append((at, "\(decimal(at / unit.0, 0)) \(unit.1)"))
            at *= 10
        }
        return Axis(name: "bytes sent by a worker", low: low, high: high, logarithmic: true, ticks: ticks)
    }

    /// Round values a step of 1, 2 or 5 · 10ᵏ apart that hold the range between them.
    static func ticks(_ low: Double, _ high: Double, about count: Int) -> [Double] {
        var unit = 1e-9
        while unit * 10 * Double(count) < high - low { unit *= 10 }
        let step = [1.0, 2, 5, 10].map { $0 * unit }.first { $0 * Double(count) >= high - low } ?? unit * 10
        let first = (low / step).rounded(.down), last = max(first + 1, (high / step).rounded(.up))
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }
}

/// log₁₀ of a positive number, to the accuracy of a picture: the exponent, and 2·artanh((m − 1) ÷ (m + 1)) of the significand.
func decades(_ value: Double) -> Double {
    precondition(value > 0 && value.isFinite, "the logarithm of \(value)")
    let ratio = (value.significand - 1) / (value.significand + 1)
    var term = ratio, sum = 0.0
    for odd in stride(from: 1.0, through: 25, by: 2) {
        sum += term / odd
        term *= ratio * ratio
    }
    return (Double(value.exponent) * 0.693147180559945 + 2 * sum) / 2.302585092994046
}
