import AssayLedger
import AssayPrimitives
import Foundation

/// What a process measured: of its nodes, and of itself.
struct BenchProcessResult: Codable, Sendable {
    var nodes: [BenchNodeResult] = []
    /// Used within the measured time, by system and program.
    var cpuSeconds = 0.0
    /// Handed to the disk within the measured time.
    var diskBytes: UInt64 = 0
}

/// How far a process is.
struct BenchProgress: Codable, Sendable {
    var offered: UInt64 = 0, committed: UInt64 = 0, round: UInt64 = 0
}

/// Some nodes in this process, driven through one measurement.
struct BenchProcess: Sendable {
    let plans: [BenchPlan]
    let nodes: [any MeasuredNode]

    /// - Parameter home: each node's files go into a directory of its own there.
    init(_ plans: [BenchPlan], home: @Sendable (BenchPlan) -> URL) throws {
        self.plans = plans
        nodes = try plans.map { plan in
            switch plan.load {
            case .opaque: try BenchNode(plan, home: home(plan)) { _ in OpaqueLedger() }
            case .signed: try BenchNode(plan, home: home(plan)) { try Ledger(genesis: $0) }
            }
        }
    }

    func prepare() async throws { try await each { try await $0.prepare() } }

    func run(from start: UInt64) async throws -> BenchProcessResult {
        let plan = plans[0]
        let from = start + UInt64(plan.warmUpSeconds * 1e9), to = from + UInt64(plan.seconds * 1e9)
        let measuring = Task {
            try await BenchProcess.sleep(until: from)
            let usage = (cpu: BenchProcess.cpuSeconds, disk: BenchProcess.writtenBytes), before = await counters()
            try await BenchProcess.sleep(until: to)
            let after = await counters()
            return (cpu: BenchProcess.cpuSeconds - usage.cpu, disk: BenchProcess.writtenBytes - usage.disk, counts: zip(before, after).map { $1.since($0) })
        }
        defer { measuring.cancel() }
        try await each { try await $0.run(from: start) }
        let measured = try await measuring.value
        var result = BenchProcessResult(cpuSeconds: measured.cpu, diskBytes: measured.disk)
        for (node, counts) in zip(nodes, measured.counts) {
            var own = await node.measurement
            own.counts = counts
            result.nodes.append(own)
        }
        return result
    }

    var progress: BenchProgress {
        get async {
            await counters().reduce(into: BenchProgress()) { $0 = BenchProgress(offered: $0.offered + $1.offered, committed: $0.committed + $1.committed, round: max($0.round, $1.round)) }
        }
    }

    func stop() async { for node in nodes { await node.stop() } }

    private func counters() async -> [BenchCounts] {
        var all: [BenchCounts] = []
        for node in nodes { all.append(await node.counters) }
        return all
    }
    private func each(_ body: @escaping @Sendable (any MeasuredNode) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in nodes { group.addTask { try await body(node) } }
            try await group.waitForAll()
        }
    }

    // MARK: The machine

    static func sleep(until time: UInt64) async throws {
        let now = Monotonic.now
        if time > now { try await Task.sleep(for: .nanoseconds(Int64(time - now))) }
    }

    static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    /// What this process caused to be sent to the disk; zero where the system does not tell.
    static var writtenBytes: UInt64 {
        let text = (try? String(contentsOfFile: "/proc/self/io", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").first { $0.hasPrefix("write_bytes: ") }.flatMap { UInt64($0.dropFirst(13)) } ?? 0
    }
}
