import AssayCrypto

/// The finished runs of a gym as a table: one line an arm, over its seeds.
public struct GymSummary: Encodable, Sendable {
    public struct Link: Encodable, Sendable {
        /// Computing ÷ (computing + transfer).
        public let waiting: Double
        /// Computing ÷ the larger of both; for arms whose payloads travel while the next window trains.
        public let overlapped: Double?
    }
    public struct Line: Encodable, Sendable {
        public let arm, strategy: String
        public let workers, steps: Int
        public let seeds: [UInt64]
        /// Over the validation part, in nats a token; the mean over the seeds, and their sample standard deviation.
        public let validationLoss: Double?
        public let validationLossSpread: Double?
        public let validationLosses: [Double?]
        public let roots: [String]
        public let diverged: Int
        /// Mean over the seeds, for one worker.
        public let bytesSent, bytesReceived: Double
        /// Times fewer than fp32 all-reduce after every step, sent, and received; nil for one worker.
        public let fewerSent, fewerReceived: Double?
        public let computeSeconds: Double
        public let gigabit, hundredMegabit: Link?
    }

    public let name: String
    public let tokens, parameters: Int
    public let threads: Int
    public let kernels, profile: String
    public let lines: [Line]

    /// - Parameter results: finished ones, in the file's order of arms.
    public init(_ plan: GymPlan, _ results: [GymResult], threads: Int, kernels: String) {
        (name, tokens, parameters, self.threads, self.kernels, profile) = (plan.name, plan.tokens, plan.parameters, threads, kernels, plan.shape.profile.name)
        lines = plan.arms.compactMap { arm in
            let found = results.filter { $0.arm == arm && $0.isFinished }
            return found.isEmpty ? nil : Line(arm, found, parameters: plan.parameters)
        }
    }
}

extension GymSummary.Line {
    init(_ arm: GymArm, _ results: [GymResult], parameters: Int) {
        (self.arm, strategy, workers, steps) = (arm.name, arm.strategy.rawValue, arm.workers, arm.steps)
        seeds = results.map(\.seed)
        roots = results.map { $0.root.map { "\($0)" } ?? "" }
        diverged = results.filter(\.diverged).count
        validationLosses = results.map(\.finalLoss)
        let losses = validationLosses.compactMap { $0 }, count = Double(results.count)
        let mean = losses.reduce(0, +) / Double(max(1, losses.count))
        validationLoss = losses.count == results.count ? mean : nil
        validationLossSpread = losses.count == results.count && losses.count > 1
            ? (losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(losses.count - 1)).squareRoot() : nil
        let sent = results.reduce(0.0) { $0 + Double($1.sent) } / count, received = results.reduce(0.0) { $0 + Double($1.received) } / count
        let seconds = results.reduce(0.0) { $0 + $1.seconds } / count
        (bytesSent, bytesReceived, computeSeconds) = (sent, received, seconds)
        let usual = Double(Traffic.allReduceBytes(parameters: parameters, workers: arm.workers)) * Double(arm.steps)
        fewerSent = arm.workers > 1 && sent > 0 ? usual / sent : nil
        fewerReceived = arm.workers > 1 && received > 0 ? usual / received : nil
        func link(_ bitsPerSecond: Double) -> GymSummary.Link? {
            guard arm.workers > 1 else { return nil }
            let transfer = Traffic.seconds(sent: Int(sent), received: Int(received), bitsPerSecond: bitsPerSecond)
            return GymSummary.Link(
                waiting: Traffic.utilisation(compute: seconds, transfer: transfer, overlapped: false),
                overlapped: arm.isDelayed ? Traffic.utilisation(compute: seconds, transfer: transfer, overlapped: true) : nil)
        }
        (gigabit, hundredMegabit) = (link(1e9), link(1e8))
    }
}

extension GymSummary {
    public var markdown: String {
        func loss(_ line: Line) -> String {
            guard let mean = line.validationLoss else { return "diverged" + (line.seeds.count > 1 ? " (\(line.diverged) of \(line.seeds.count))" : "") }
            return lossText(mean) + (line.validationLossSpread.map { " ± " + decimal($0, 4) } ?? "")
        }
        func times(_ value: Double?) -> String { value.map { decimal($0, $0 < 10 ? 1 : 0) + "×" } ?? "" }
        func megabytes(_ bytes: Double) -> String { bytes == 0 ? "0" : decimal(bytes / 1e6, bytes < 1e7 ? 2 : bytes < 1e8 ? 1 : 0) }
        func share(_ link: Link?) -> String {
            guard let link else { return "" }
            func percent(_ value: Double) -> String { decimal(value * 100, value == 1 || (0.0995..<0.995).contains(value) ? 0 : 1) }
            return percent(link.waiting) + (link.overlapped.map { " / " + percent($0) } ?? "")
        }
        let rows = lines.map { line in
            "| \(line.arm) | \(line.workers) | \(line.steps) | \(loss(line)) | \(megabytes(line.bytesSent)) | \(times(line.fewerSent)) | \(megabytes(line.bytesReceived)) | \(times(line.fewerReceived)) | \(share(line.gigabit)) | \(share(line.hundredMegabit)) | \(decimal(line.computeSeconds, 1)) |"
        }
        return """
            | arm | workers | steps | validation loss | MB sent | fewer sent | MB received | fewer received | % busy at 1 Gbit/s | % busy at 100 Mbit/s | s computing |
            |---|---|---|---|---|---|---|---|---|---|---|
            \(rows.joined(separator: "\n"))

            \(name): \(parameters) parameters, \(tokens) tokens an arm. Bytes and seconds are one worker's. *Fewer*: than fp32 all-reduce by a ring after every step, 2(D − 1) ÷ D · 4 bytes a parameter.
            *Busy*: computing ÷ (computing + transfer), and after the stroke, where payloads travel while the next window trains, computing ÷ the larger of both.
            Computing is measured (\(threads) thread\(threads == 1 ? "" : "s"), \(kernels), \(profile)); transfer is bytes over the link's rate.

            """
    }
}
