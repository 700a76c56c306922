import Foundation

/// `assay bench consensus`: what a committee on this machine orders a second, and how long it takes.
public enum ConsensusBench {
    public struct Options: Sendable {
        public var validators = 4
        /// Transactions a second, over all nodes.
        public var rate = 10_000.0
        public var seconds = 20.0
        /// Before anything is measured.
        public var warmUpSeconds = 5.0
        /// Of a transaction.
        public var bytes = 512
        var load = BenchLoad.Kind.opaque
        /// Nodes share this process instead of having one each.
        public var inOneProcess = false
        public var fsync = true
        /// Least time between a node's blocks.
        public var roundDelayMilliseconds: UInt64 = 50
        /// Where the nodes write; a temporary directory if nil, which goes at the end.
        public var home: URL?

        public static let loads = BenchLoad.Kind.allCases.map(\.rawValue)

        /// - Throws: `Failure` for a load that is not known.
        public init(load: String = "opaque") throws {
            guard let kind = BenchLoad.Kind(rawValue: load) else { throw Failure("--load \(load) is not known", remedy: "Known are: \(Options.loads.joined(separator: ", ")).") }
            self.load = kind
        }

        /// - Throws: `Failure` that names the option and what is allowed.
        public func check() throws {
            func range<Value: Comparable>(_ option: String, _ value: Value, _ allowed: ClosedRange<Value>) throws {
                guard allowed.contains(value) else { throw Failure("\(option) \(value): allowed is \(allowed.lowerBound)…\(allowed.upperBound)") }
            }
            try range("--validators", validators, 1...32)
            try range("--rate", rate, 1...1_000_000)
            try range("--seconds", seconds, 1...3_600)
            try range("--warm-up", warmUpSeconds, 0...600)
            try range("--bytes", bytes, load == .signed ? BenchLoad.smallestSigned...16_384 : 16...16_384)
            try range("--round-delay", roundDelayMilliseconds, 0...10_000)
        }
    }

    /// What came out, for people and programs.
    public struct Report: Codable, Sendable {
        public struct Latency: Codable, Sendable { public var p50, p90, p99, max: Double }
        public var load: String
        public var validators, processes, cores, transactionBytes: Int
        public var seconds: Double
        public var fsync: Bool
        /// Median time of a small durable write in the nodes' directory, measured before the run.
        public var fsyncMilliseconds: Double
        public var roundDelayMilliseconds: UInt64
        public var offeredPerSecond, committedPerSecond: Double
        public var refused, lost: Int
        public var latencyMilliseconds: Latency
        public var rounds, commits, skippedLeaders, indirectLeaders: UInt64
        public var roundsPerSecond: Double
        /// Of all nodes together, clients included.
        public var cpuMicrosecondsPerTransaction: Double
        /// Of the time that all cores have.
        public var cpuShare: Double
        /// Frames from validator to validator, before packing and encryption, of all nodes together.
        public var networkBytesPerTransaction: Double
        public var diskBytesPerTransaction: Double
        public var stateRootsEqual: Bool
        /// Commits whose roots were compared, over all nodes.
        public var comparedCommits: Int

        init(_ options: Options, _ results: [BenchProcessResult], fsyncMilliseconds: Double) {
            let nodes = results.flatMap(\.nodes)
            (load, validators, processes) = (options.load.rawValue, options.validators, results.count)
            (cores, transactionBytes, seconds) = (ProcessInfo.processInfo.activeProcessorCount, options.bytes, options.seconds)
            (fsync, self.fsyncMilliseconds, roundDelayMilliseconds) = (options.fsync, fsyncMilliseconds, options.roundDelayMilliseconds)
            let committed = nodes.reduce(0) { $0 + $1.committed }
            offeredPerSecond = Double(nodes.reduce(0) { $0 + $1.offered }) / options.seconds
            committedPerSecond = Double(committed) / options.seconds
            (refused, lost) = (nodes.reduce(0) { $0 + $1.refused }, nodes.reduce(0) { $0 + $1.lost })
            let latencies = nodes.flatMap(\.latencies).sorted()
            func at(_ share: Double) -> Double { latencies.isEmpty ? 0 : Double(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))]) / 1_000 }
            latencyMilliseconds = Latency(p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1))
            // Every node goes through the same rounds and decisions; the first stands for all.
            let counts = nodes.first?.counts ?? BenchCounts()
            (rounds, commits, skippedLeaders, indirectLeaders) = (counts.round, counts.commits, counts.skipped, counts.indirect)
            roundsPerSecond = Double(rounds) / options.seconds
            let cpu = results.reduce(0) { $0 + $1.cpuSeconds }, each = Double(max(1, committed))
            cpuMicrosecondsPerTransaction = cpu * 1e6 / each
            cpuShare = cpu / options.seconds / Double(cores)
            networkBytesPerTransaction = Double(nodes.reduce(0) { $0 + $1.counts.sentBytes }) / each
            diskBytesPerTransaction = Double(results.reduce(0) { $0 + $1.diskBytes }) / each
            let common = nodes.map(\.roots.count).min() ?? 0
            comparedCommits = common
            stateRootsEqual = common > 0 && nodes.allSatisfy { $0.roots.prefix(common) == nodes[0].roots.prefix(common) }
        }

        /// A table for people.
        public var text: String {
            func number(_ value: Double, _ digits: Int = 0) -> String { String(format: "%.\(digits)f", value) }
            let rows = [
                ("nodes", "\(validators) in \(processes == 1 ? "one process" : "\(processes) processes"), \(cores) cores"),
                ("load", "\(load), \(transactionBytes) bytes, \(number(seconds)) s"),
                ("fsync", fsync ? "on (\(number(fsyncMilliseconds, 1)) ms each)" : "off"),
                ("offered", "\(number(offeredPerSecond)) tx/s"),
                ("committed", "\(number(committedPerSecond)) tx/s"),
                ("refused, lost", "\(refused), \(lost)"),
                ("submit to commit", "p50 \(number(latencyMilliseconds.p50)) ms, p90 \(number(latencyMilliseconds.p90)) ms, p99 \(number(latencyMilliseconds.p99)) ms, max \(number(latencyMilliseconds.max)) ms"),
                ("rounds", "\(rounds) (\(number(roundsPerSecond, 1)) a second, delay \(roundDelayMilliseconds) ms), \(commits) commits"),
                ("leaders", "\(skippedLeaders) skipped, \(indirectLeaders) decided indirectly"),
                ("CPU", "\(number(cpuMicrosecondsPerTransaction)) µs a transaction, all nodes and their clients; \(number(cpuShare * 100)) % of the cores"),
                ("network", "\(number(networkBytesPerTransaction)) bytes a transaction, all nodes"),
                ("disk", "\(number(diskBytesPerTransaction)) bytes a transaction, all nodes"),
                ("state roots", stateRootsEqual ? "equal over \(comparedCommits) commits" : "NOT EQUAL"),
            ]
            return rows.map { $0.0.padding(toLength: 18, withPad: " ", startingAt: 0) + $0.1 }.joined(separator: "\n")
        }
    }
}
