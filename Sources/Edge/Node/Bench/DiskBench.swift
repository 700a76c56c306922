import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayStorage
import Foundation

/// `assay bench disk`: how a validator's database grows in a day, by what it writes for a commit and how many commits there are in a day.
public enum DiskBench {
    public struct Options: Sendable {
        /// Commits of each run; growth is measured over the second half.
        public var commits: UInt64 = 12_000
        public var kept: UInt64 = 2_000
        /// Under load: transfers a second, and their size.
        public var rate: UInt64 = 60
        public var bytes = 512
        public var home: URL?
        public init() {}
        public func check() throws {
            guard kept >= 1_000, commits >= 4 * kept else { throw Failure("--commits \(commits) --kept \(kept): at least 1000 are kept, and four times as many made") }
            guard (60...6_000).contains(rate), rate.isMultiple(of: 60) else { throw Failure("--rate \(rate): allowed are multiples of 60 up to 6000") }
            guard (BenchLoad.smallestSigned...16_384).contains(bytes) else { throw Failure("--bytes \(bytes): allowed is \(BenchLoad.smallestSigned)…16384") }
        }
    }
    public struct Line: Codable, Sendable {
        public var load: String
        public var keptCommits: UInt64?
        public var commitsPerDay, bytesPerCommit, bytesPerDay: Double
        public var finalBytes: UInt64
        /// Kept at the end.
        public var lowestCommit: UInt64
    }
    public struct Report: Codable, Sendable {
        public var commits: UInt64
        public var lines: [Line]
        public var text: String {
            lines.map { line in
                let kept = line.keptCommits.map { "keeping \($0) commits" } ?? "keeping all"
                return String(format: "%@, %@: %.0f bytes a commit, %.0f commits a day, %.2f GB a day; %.1f MiB after %d commits", line.load, kept, line.bytesPerCommit, line.commitsPerDay, line.bytesPerDay / 1e9,
                              Double(line.finalBytes) / 1_048_576, Int(commits))
            }.joined(separator: "\n")
        }
    }

    /// Rounds at the idle and at the busy pace of a validator: a commit each.
    private static let idleMilliseconds: UInt64 = 500, busyMilliseconds: UInt64 = 50

    public static func run(_ options: Options, progress: @escaping @Sendable (String) -> Void) async throws -> Report {
        try options.check()
        let home = try options.home ?? ConsensusBench.temporaryHome()
        defer { if options.home == nil { try? FileManager.default.removeItem(at: home) } }
        return try await Task.detached {
            var lines: [Line] = []
            for isBusy in [false, true] {
                for kept in [nil, options.kept] {
                    progress("\(isBusy ? "under load" : "idle"), \(kept.map { "keeping \($0)" } ?? "keeping all")")
                    lines.append(try measure(options, isBusy: isBusy, kept: kept, at: home.appending(path: "disk-\(lines.count)")))
                }
            }
            return Report(commits: options.commits, lines: lines)
        }.value
    }

    private static func measure(_ options: Options, isBusy: Bool, kept: UInt64?, at folder: URL) throws -> Line {
        var planned = try ConsensusBench.Options(load: "signed")
        planned.bytes = options.bytes
        let plans = try BenchPlan.all(planned, ports: [1, 2, 3, 4]), url = folder.appending(path: "store.sqlite")
        let store = try NodeStore(url, genesis: try Genesis(canonicalBytes: [UInt8](plans[0].genesis)), isDurable: false)
        let pace = isBusy ? busyMilliseconds : idleMilliseconds
        // Three of four carry it: rate / (1000 / pace) a round.
        let each = Int(options.rate * pace / 1_000 / 3)
        var maker = try ChainMaker(plans, store: store, roundMilliseconds: pace, load: .init(transfers: isBusy ? each : 0), keptCommits: kept)
        maker.prepare(rounds: Int(options.commits) + 100)
        try maker.run(until: options.commits / 2)
        let half = try size(store, url), from = maker.commits
        try maker.run(until: options.commits)
        let full = try size(store, url), perCommit = Double(Int64(full) - Int64(half)) / Double(maker.commits - from), perDay = 86_400_000 / Double(pace)
        return Line(load: isBusy ? "\(options.rate) transfers/s of \(options.bytes) bytes" : "idle", keptCommits: kept, commitsPerDay: perDay, bytesPerCommit: perCommit, bytesPerDay: perCommit * perDay,
                    finalBytes: full, lowestCommit: try store.lowestCommit.rawValue)
    }

    /// Of the database after all that waits in its log was brought in.
    private static func size(_ store: NodeStore, _ url: URL) throws -> UInt64 {
        try store.checkpoint()
        return (try FileManager.default.attributesOfItem(atPath: url.path)[.size] as? UInt64) ?? 0
    }
}
