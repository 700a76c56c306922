import AssayConsensus
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayStorage
import Foundation

/// `assay bench catchup`: how fast a node without anything catches up with a long chain, beside how fast that chain grows.
public enum CatchUpBench {
    public struct Options: Sendable {
        public var commits: UInt64 = 100_000
        /// Seconds for which the live rate is measured.
        public var liveSeconds = 15.0
        public var home: URL?
        public init() {}
        public func check() throws {
            guard (500...10_000_000).contains(commits) else { throw Failure("--commits \(commits): allowed is 500…10000000") }
            guard (0...600).contains(liveSeconds) else { throw Failure("--live-seconds \(liveSeconds): allowed is 0…600") }
        }
    }
    public struct Report: Codable, Sendable {
        public var commits: UInt64, validators: Int
        /// Of the chain that was made, and of a network as it runs at its busy pace.
        public var makingSeconds, recoverySeconds, liveCommitsPerSecond: Double
        public var catchUpSeconds, catchUpCommitsPerSecond, ratio: Double
        /// Commits of these at the end came by following blocks.
        public var finalCommit: UInt64
        public var storeBytes: UInt64
        public var peakMemoryBytes: UInt64

        public var text: String {
            func number(_ value: Double, _ digits: Int = 0) -> String { String(format: "%.\(digits)f", value) }
            let rows = [
                ("chain", "\(commits) commits of \(validators) validators, made in \(number(makingSeconds)) s, \(number(Double(storeBytes) / 1_048_576)) MiB each store"),
                ("recovery", "\(number(recoverySeconds, 2)) s from the whole store to a node that goes on"),
                ("live", "\(number(liveCommitsPerSecond, 1)) commits/s at the busy pace"),
                ("catch-up", "\(number(catchUpSeconds, 1)) s, \(number(catchUpCommitsPerSecond)) commits/s"),
                ("ratio", number(ratio, 1)),
                ("memory", "\(number(Double(peakMemoryBytes) / 1_048_576)) MiB at the most, all nodes together"),
            ]
            return rows.map { $0.0.padding(toLength: 12, withPad: " ", startingAt: 0) + $0.1 }.joined(separator: "\n")
        }
    }

    public static func run(_ options: Options, progress: @escaping @Sendable (String) -> Void) async throws -> Report {
        try options.check()
        let home = try options.home ?? ConsensusBench.temporaryHome()
        defer { if options.home == nil { try? FileManager.default.removeItem(at: home) } }
        var live = 0.0
        if options.liveSeconds > 0 {
            progress("measuring the live rate")
            var consensus = try ConsensusBench.Options(load: "signed")
            (consensus.rate, consensus.seconds, consensus.warmUpSeconds, consensus.bytes, consensus.inOneProcess) = (40, options.liveSeconds, 3, BenchLoad.smallestSigned, true)
            consensus.home = home.appending(path: "live")
            live = Double(try await ConsensusBench.run(consensus) { _ in }.commits) / options.liveSeconds
        }
        var planned = try ConsensusBench.Options(load: "signed")
        planned.bytes = BenchLoad.smallestSigned
        let plans = try BenchPlan.all(planned, ports: try freePorts(4)), homes = plans.map { home.appending(path: "catchup-\($0.index)") }
        let stores = homes.map { $0.appending(path: "store.sqlite") }
        for folder in homes { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

        progress("making a chain of \(options.commits) commits")
        let began = Monotonic.now
        let made = try await Task.detached { try make(plans, at: stores[0], commits: options.commits, progress) }.value
        let making = seconds(since: began)
        for other in 1...2 { try FileManager.default.copyItem(at: stores[0], to: stores[other]) }
        let bytes = (try? FileManager.default.attributesOfItem(atPath: stores[0].path)[.size] as? UInt64) ?? 0

        progress("starting three validators on it")
        let recovering = Monotonic.now
        var nodes = [try CatchUpNode(plans[0], store: try NodeStore(stores[0], genesis: made.genesis), home: homes[0], isNew: false)]
        let recovery = seconds(since: recovering)
        for index in 1...2 { nodes.append(try CatchUpNode(plans[index], store: try NodeStore(stores[index], genesis: made.genesis), home: homes[index], isNew: false)) }
        for node in nodes { try await node.start() }
        // They are at work before the fourth comes.
        try await wait(60, "three validators do not go on from the chain") { await nodes[0].commit > made.commits + 2 }

        progress("a fourth one, without anything, catches up")
        let fresh = try CatchUpNode(plans[3], store: try NodeStore(stores[3], genesis: made.genesis), home: homes[3], isNew: true)
        let start = Monotonic.now
        try await fresh.start()
        var told = start
        while true {
            if let failure = await fresh.failure { throw failure }
            let at = await fresh.commit
            if at >= made.commits, await fresh.status == nil { break }
            guard seconds(since: start) < 60 + Double(options.commits) / 20 else { throw Failure("no end: at commit \(at), \(await fresh.obstacle ?? "no obstacle")") }
            if Monotonic.now > told + 2_000_000_000 {
                told = Monotonic.now
                progress("at commit \(at), \(Int(Double(at) / seconds(since: start))) a second")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        let took = seconds(since: start), final = await fresh.commit
        for node in nodes + [fresh] { await node.stop() }
        let rate = Double(final) / took
        return Report(commits: options.commits, validators: 4, makingSeconds: making, recoverySeconds: recovery, liveCommitsPerSecond: live, catchUpSeconds: took, catchUpCommitsPerSecond: rate,
                      ratio: live > 0 ? rate / live : 0, finalCommit: final, storeBytes: bytes, peakMemoryBytes: peakMemory)
    }

    private static func make(_ plans: [BenchPlan], at url: URL, commits: UInt64, _ progress: @escaping @Sendable (String) -> Void) throws -> (genesis: Genesis, commits: UInt64) {
        let genesis = try Genesis(canonicalBytes: [UInt8](plans[0].genesis))
        let store = try NodeStore(url, genesis: genesis, isDurable: false)
        // A transfer now and then, so that the chain is not empty.
        var maker = try ChainMaker(plans, store: store, roundMilliseconds: 1, load: .init(transfers: 1, everyRounds: 10))
        maker.prepare(rounds: Int(commits) + 100)
        try maker.run(until: commits) { progress("\($0) commits") }
        try store.checkpoint()
        return (genesis, maker.commits)
    }

    static func wait(_ limitSeconds: Double, _ what: String, until isDone: () async -> Bool) async throws {
        let start = Monotonic.now
        while await !isDone() {
            guard seconds(since: start) < limitSeconds else { throw Failure(what) }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
    static func seconds(since start: UInt64) -> Double { Double(Monotonic.now - start) / 1e9 }
    /// Of this process, since it began; zero where the system does not tell.
    static var peakMemory: UInt64 {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line.flatMap { UInt64($0.split(separator: " ").dropFirst().first ?? "") }.map { $0 << 10 } ?? 0
    }
}
