import Foundation

extension ConsensusBench {
    /// Makes a committee, loads it, and ends it.
    /// - Parameter progress: told about once a second what is going on.
    /// - Throws: `Failure` for options that are not allowed, and for nodes that do not start or do not agree.
    public static func run(_ options: Options, progress: @escaping @Sendable (String) -> Void) async throws -> Report {
        try options.check()
        let home = try options.home ?? temporaryHome()
        defer { if options.home == nil { try? FileManager.default.removeItem(at: home) } }
        let plans = try BenchPlan.all(options, ports: try freePorts(options.validators))
        let homes = plans.map { home.appending(path: "node-\($0.index)") }
        for folder in homes {
            do {
                if FileManager.default.fileExists(atPath: folder.path) { throw Failure("\(folder.path) is there already", remedy: "Give an empty or new directory with --home.") }
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            } catch let failure as Failure { throw failure } catch { throw Failure("cannot make \(folder.path): \(error.localizedDescription)") }
        }
        let fsyncMilliseconds = try durableWrite(in: home)
        let report = { (results: [BenchProcessResult]) in Report(options, results, fsyncMilliseconds: fsyncMilliseconds) }
        if options.inOneProcess {
            return report([try await runHere(plans, homes, options, progress)])
        }
        return report(try await runProcesses(plans, homes, options, progress))
    }

    static func temporaryHome() throws -> URL {
        let home = FileManager.default.temporaryDirectory.appending(path: "assay-bench-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: 0...UInt32.max))")
        do { try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true) } catch { throw Failure("cannot make \(home.path): \(error.localizedDescription)", remedy: "Give a directory with --home.") }
        return home
    }

    /// Median milliseconds of writing 16 KiB so that they last.
    private static func durableWrite(in home: URL) throws -> Double {
        let file = home.appending(path: "fsync")
        guard let handle = fopen(file.path, "w") else { throw Failure("cannot write \(file.path)") }
        defer {
            fclose(handle)
            try? FileManager.default.removeItem(at: file)
        }
        let bytes = [UInt8](repeating: 1, count: 16_384)
        return (0..<21).map { _ in
            let start = Monotonic.now
            _ = fwrite(bytes, 1, bytes.count, handle)
            fflush(handle)
            fdatasync(fileno(handle))
            return Double(Monotonic.now - start) / 1e6
        }.sorted()[10]
    }

    // MARK: Nodes in this process

    private static func runHere(_ plans: [BenchPlan], _ homes: [URL], _ options: Options, _ progress: @escaping @Sendable (String) -> Void) async throws -> BenchProcessResult {
        progress("starting \(plans.count) nodes in this process")
        let process = try BenchProcess(plans) { homes[$0.index] }
        try await process.prepare()
        let start = Monotonic.now + 200_000_000
        let telling = Task {
            var last = BenchProgress()
            while !Task.isCancelled {
                try await Task.sleep(for: .seconds(1))
                let now = await process.progress
                progress(line(now, since: last, start, options))
                last = now
            }
        }
        let result: BenchProcessResult
        do { result = try await process.run(from: start) } catch {
            telling.cancel()
            await process.stop()
            throw error
        }
        telling.cancel()
        await process.stop()
        return result
    }

    private static func line(_ now: BenchProgress, since last: BenchProgress, _ start: UInt64, _ options: Options) -> String {
        let seconds = Double(Monotonic.now) / 1e9 - Double(start) / 1e9, end = options.warmUpSeconds + options.seconds
        let phase = seconds < options.warmUpSeconds ? "warming up" : seconds < end ? "measuring" : "waiting for the last"
        return "\(phase), \(Int(max(0, min(seconds, end)))) of \(Int(end)) s: offered \(now.offered - min(now.offered, last.offered)) tx, committed \(now.committed - min(now.committed, last.committed)) tx, round \(now.round)"
    }

    // MARK: A process a node

    /// Files through which the processes of one measurement speak, in a node's home.
    private enum Name {
        static let plan = "plan.json", ready = "ready", start = "start", progress = "progress.json", result = "result.json", log = "log.txt"
    }

    private static func runProcesses(_ plans: [BenchPlan], _ homes: [URL], _ options: Options, _ progress: @escaping @Sendable (String) -> Void) async throws -> [BenchProcessResult] {
        progress("starting \(plans.count) processes")
        var children: [ChildProcess] = []
        do {
            for (plan, home) in zip(plans, homes) {
                try writeJSON(plan, to: home.appending(path: Name.plan))
                children.append(try ChildProcess(
                    name: "node \(plan.index)", executable: URL(filePath: "/proc/self/exe").resolvingSymlinksInPath(), arguments: ["bench", "consensus-node", "--home", home.path],
                    log: home.appending(path: Name.log)))
            }
            try await wait(children, homes, for: Name.ready, upTo: .seconds(60 + options.rate * (options.seconds + options.warmUpSeconds) / 2_000)) {}
            let start = Monotonic.now + 500_000_000
            for home in homes { try writeJSON(start, to: home.appending(path: Name.start)) }
            var last = BenchProgress(), told = Monotonic.now
            try await wait(children, homes, for: Name.result, upTo: .seconds(options.warmUpSeconds + options.seconds + 60)) {
                guard Monotonic.now > told + 1_000_000_000 else { return }
                told = Monotonic.now
                let all = homes.compactMap { try? readJSON(BenchProgress.self, $0.appending(path: Name.progress), what: "progress") }
                let now = all.reduce(into: BenchProgress()) { $0 = BenchProgress(offered: $0.offered + $1.offered, committed: $0.committed + $1.committed, round: max($0.round, $1.round)) }
                progress(line(now, since: last, start, options))
                last = now
            }
            let results = try homes.map { try readJSON(BenchProcessResult.self, $0.appending(path: Name.result), what: "result") }
            await ChildProcess.endAll(children)
            return results
        } catch {
            await ChildProcess.endAll(children)
            throw error
        }
    }

    /// Until a file of this name is in every home.
    private static func wait(_ children: [ChildProcess], _ homes: [URL], for name: String, upTo limit: Duration, meanwhile: () -> Void) async throws {
        let deadline = ContinuousClock.now + limit
        while !homes.allSatisfy({ FileManager.default.fileExists(atPath: $0.appending(path: name).path) }) {
            for child in children where !child.isRunning { throw Failure("\(child.name) ended: \(child.tail())") }
            guard ContinuousClock.now < deadline else { throw Failure("the nodes did not come to “\(name)” in \(limit)", remedy: "Their logs are in \(homes[0].deletingLastPathComponent().path); --home DIR keeps them.") }
            meanwhile()
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// One node's process: `assay bench consensus-node`, started by `run`. It ends with the process that started it.
    public static func runNode(home: URL) async throws {
        let plan = try readJSON(BenchPlan.self, home.appending(path: Name.plan), what: "plan")
        try await NodeProcess.untilTold(exitWithParent: true) {
            let process = try BenchProcess([plan]) { _ in home }
            try await process.prepare()
            try writeJSON(true, to: home.appending(path: Name.ready))
            let startFile = home.appending(path: Name.start)
            while !FileManager.default.fileExists(atPath: startFile.path) { try await Task.sleep(for: .milliseconds(10)) }
            let start = try readJSON(UInt64.self, startFile, what: "start")
            let telling = Task {
                while !Task.isCancelled {
                    try await Task.sleep(for: .seconds(1))
                    try writeJSON(await process.progress, to: home.appending(path: Name.progress))
                }
            }
            let result = try await process.run(from: start)
            telling.cancel()
            try writeJSON(result, to: home.appending(path: Name.result))
            // The others may still need this node to finish.
            while !Task.isCancelled { try await Task.sleep(for: .seconds(60)) }
        }
    }
}
