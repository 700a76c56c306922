import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayRPC
import Foundation

/// One chaos run: a trouble, put right; all at work again, and of one mind; then the next.
actor ChaosRun {
    private let options: Chaos.Options
    private let network: ChaosNetwork
    private let progress: @Sendable (String) -> Void
    private var script: ChaosScript
    private(set) var report: Chaos.Report
    private let started = ContinuousClock.now
    /// Blocks up to this one were looked through for penalties.
    private var lookedAt: UInt64 = 0
    /// For whatever must come: generous, since machines are slow, and never waited out if all is well.
    private static let patience = Duration.seconds(240)

    init(_ options: Chaos.Options, _ layout: Localnet.Layout, _ home: URL, _ progress: @escaping @Sendable (String) -> Void) {
        (self.options, self.progress) = (options, progress)
        network = ChaosNetwork(layout, folder: home)
        script = ChaosScript(seed: options.seed, kinds: options.kinds, size: options.validators)
        report = Chaos.Report(seed: options.seed)
    }

    func end() async { await network.end() }

    /// Ends early, with a violation, when something does not hold.
    func play() async {
        do {
            try await network.start()
            try await comes("all validators at work, and a window settled") {
                let isSo = await self.areAtWork(above: (0, 0), head: 0)
                return isSo && self.report.windows >= 1
            }
            say("\(options.validators) validators and \(options.trainers) trainers are at work; seed \(options.seed)")
            let end = started + .seconds(options.seconds)
            while ContinuousClock.now < end, report.steps < options.steps ?? .max {
                try Task.checkCancellation()
                let members = members(await statuses()), count = await network.validators.count
                try await step(script.next(members: members, count: count))
            }
            // What was trained through all that is settled in the end.
            let windows = report.windows
            try await comes("another window settled after the last trouble") {
                let isSo = await self.areAtWork(above: (0, 0), head: 0)
                return isSo && self.report.windows > windows
            }
            try await check()
        } catch where !Task.isCancelled {
            report.violation = "\(error)"
            say("VIOLATED: \(error)\nbring it back: \(options.command(steps: report.steps))")
        } catch {}
        report.seconds = seconds(since: started)
    }

    private func say(_ text: String) { progress("[\(Int(seconds(since: started))) s] \(text)") }
    private func seconds(since start: ContinuousClock.Instant) -> Double {
        (ContinuousClock.now - start).inSeconds
    }

    // MARK: One trouble

    private func step(_ step: ChaosScript.Step) async throws {
        report.steps += 1
        say("\(step)")
        switch step.kind {
        case .join: try await join()
        case .leave: try await leave(step.struck[0])
        default:
            try await begin(step)
            try await Task.sleep(for: .milliseconds(Int(step.milliseconds)))
            let mark = await mark(), head = await heads().compactMap(\.self).max() ?? 0
            let right = ContinuousClock.now
            try await putRight(step)
            try await comes("all validators at work again") { await self.areAtWork(above: mark, head: head) }
            note(step.kind, since: right)
        }
        try await check()
    }

    /// All is well again.
    private func note(_ kind: ChaosScript.Kind, since start: ContinuousClock.Instant) {
        let took = seconds(since: start)
        var trouble = report.troubles[kind.rawValue] ?? .init()
        trouble.count += 1
        trouble.slowestSeconds = max(trouble.slowestSeconds, took)
        report.troubles[kind.rawValue] = trouble
        say("  all at work again after \(String(format: "%.1f", took)) s: commit \(report.commits), windows settled \(report.windows), epoch \(report.epochs)")
    }

    private func begin(_ step: ChaosScript.Step) async throws {
        switch step.kind {
        case .kill, .wipe: try await network.kill(step.struck[0])
        case .stop: await network.stop(step.struck[0])
        case .fill: try await fill(step.struck[0])
        case .part:
            try await network.part(step.struck)
            try await comes("the end of the connections that are cut") { await self.isParted() }
        case .join, .leave: break
        }
        switch step.also?.kind {
        case .kill?:
            report.alsoKilled += 1
            try await network.kill(step.also!.victim)
        case .stop?:
            report.alsoStopped += 1
            await network.stop(step.also!.victim)
        default: break
        }
    }

    private func putRight(_ step: ChaosScript.Step) async throws {
        switch step.kind {
        case .kill: try await network.launch(step.struck[0])
        case .stop: await network.resume(step.struck[0])
        case .part: await network.join()
        case .wipe:
            await network.wipe(step.struck[0], withLastRound: step.losesLastRound)
            try await network.launch(step.struck[0])
        case .fill:
            try await network.limit(step.struck[0], false)
            try await network.launch(step.struck[0])
        case .join, .leave: break
        }
        guard let also = step.also else { return }
        if also.kind == .kill { try await network.launch(also.victim) } else { await network.resume(also.victim) }
    }

    /// Started again with a database that may not grow, and with much to write, it says that the disk is full and ends.
    private func fill(_ place: Int) async throws {
        try await network.kill(place)
        try await network.limit(place, true)
        try await network.launch(place)
        let process = await network.validators[place].process!
        let filler = ChaosFiller(network.layout)
        try await comes("the end of \(process.name), whose disk is full", mayEnd: place) {
            if process.isRunning, let client = await self.client(besides: place) { await filler.send(client) }
            return !process.isRunning
        }
        guard process.status == 1, process.tail(20).contains("the disk is full") else { throw ChaosViolation("\(process.name) ended with \(process.status ?? -1) when it could not write: \(process.tail())") }
        await network.forget(place)
    }

    // MARK: By stake

    private func join() async throws {
        guard let client = await client(besides: nil) else { throw ChaosViolation("no validator answers") }
        let place = try await network.newcomer(client), start = ContinuousClock.now
        // It is let in when its registration is executed, follows, and is to be ready when its first epoch comes.
        try await network.launch(place)
        try await network.stake(place, client)
        try await comes("validator-\(place) follows the ledger") { await self.hasCaughtUp(place) }
        try await comes("validator-\(place) in the committee, and proposing") { await self.makesBlocks(place) }
        note(.join, since: start)
    }

    private func leave(_ place: Int) async throws {
        guard let client = await client(besides: place) else { throw ChaosViolation("no validator answers") }
        let start = ContinuousClock.now
        try await network.unstake(place, client)
        try await comes("validator-\(place) out of the committee, and following") {
            let isSeated = await self.isSeated(place), hasCaughtUp = await self.hasCaughtUp(place)
            return !isSeated && hasCaughtUp
        }
        note(.leave, since: start)
    }

    // MARK: What is so

    /// What each says of itself; nil from whoever does not answer.
    private func statuses() async -> [JSON?] {
        var all: [JSON?] = []
        for validator in await network.validators { all.append(validator.mayAnswer ? try? await validator.client.call("assay_status", [], timeout: .seconds(3)) : nil) }
        for status in all.compactMap(\.self) {
            report.commits = max(report.commits, status["head"]?.int ?? 0)
            report.windows = max(report.windows, status["settled"]?.int ?? 0)
            report.epochs = max(report.epochs, status["epoch"]?.int ?? 0)
        }
        return all
    }
    private func heads() async -> [Int64?] { await statuses().map { $0?["head"]?.int } }

    /// Epoch and highest round that anybody speaks of.
    private func mark() async -> (epoch: Int64, round: Int64) {
        await statuses().compactMap { $0.map { ($0["epoch"]?.int ?? 0, $0["highestRound"]?.int ?? 0) } }.max { $0 < $1 } ?? (0, 0)
    }

    /// Places of those in the committee, as whoever is furthest on says.
    private func members(_ statuses: [JSON?]) -> [Int] {
        let furthest = statuses.compactMap(\.self).max { ($0["head"]?.int ?? 0) < ($1["head"]?.int ?? 0) }
        let owners = Set(furthest?["committee"]?.array?.compactMap(\.string) ?? [])
        return statuses.indices.filter { place in statuses[place]?["owner"]?.string.map { owners.contains($0) } ?? false }
    }
    private func isSeated(_ place: Int) async -> Bool { members(await statuses()).contains(place) }

    /// Everybody runs and is at the height of the others, above a head; and all members have made blocks above a mark, and in the epoch in which they are:
    /// whoever lost its disk may have to ask the others again there.
    private func areAtWork(above mark: (epoch: Int64, round: Int64), head: Int64) async -> Bool {
        let all = await statuses(), members = members(all), highest = all.compactMap { $0?["head"]?.int }.max() ?? 0
        guard highest > head else { return false }
        return all.enumerated().allSatisfy { place, status in
            guard let status, (status["head"]?.int ?? -1) + 5 >= highest, status["halted"] != .bool(true) else { return false }
            let last = status["lastOwnRound"]?.int ?? 0
            return !members.contains(place) || last > 0 && (status["epoch"]?.int ?? 0, last) > mark
        }
    }
    private func hasCaughtUp(_ place: Int) async -> Bool {
        let all = await heads()
        return all[place].map { $0 + 5 >= all.compactMap(\.self).max() ?? 0 } ?? false
    }
    /// It has a seat, and has made blocks in it.
    private func makesBlocks(_ place: Int) async -> Bool {
        let all = await statuses()
        return members(all).contains(place) && (all[place]?["lastOwnRound"]?.int ?? 0) > 0
    }
    private func isParted() async -> Bool {
        for (place, status) in await statuses().enumerated() {
            if let status, await !network.isParted(place, status) { return false }
        }
        return true
    }

    /// One that answers.
    private func client(besides place: Int?) async -> RPCClient? {
        for (index, validator) in await network.validators.enumerated() where index != place && validator.mayAnswer {
            if await validator.client.isReachable() { return validator.client }
        }
        return nil
    }

    /// - Parameter place: a validator that may end meanwhile; of any other it is a violation.
    private func comes(_ what: String, mayEnd place: Int? = nil, _ isSo: () async -> Bool) async throws {
        let end = ContinuousClock.now + ChaosRun.patience
        while !(await isSo()) {
            for (index, validator) in await network.validators.enumerated() where index != place {
                if let process = validator.process, !process.isRunning { throw ChaosViolation("\(validator.name) ended by itself (status \(process.status ?? -1)):\n\(process.tail())") }
            }
            guard ContinuousClock.now < end else {
                let said = await statuses().map { $0.map { "commit \($0["head"]?.int ?? -1), own round \($0["lastOwnRound"]?.int ?? -1), \($0["obstacle"]?.string ?? "makes blocks")" } ?? "does not answer" }
                throw ChaosViolation("never came in \(ChaosRun.patience): \(what)\n" + said.enumerated().map { "  validator-\($0): \($1)" }.joined(separator: "\n"))
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// No fork and no penalty: the block at the height that all have reached is one, and its hash covers those below it; nobody here is at fault.
    private func check() async throws {
        var heights: [Int64] = []
        try await comes("an answer from all validators") {
            heights = await self.heads().compactMap(\.self)
            let count = await self.network.validators.count
            return heights.count == count
        }
        let height = heights.min() ?? 0
        let number = JSON.string("0x" + String(height, radix: 16))
        var hashes: [String] = []
        for validator in await network.validators { hashes.append(try await validator.client.call("eth_getBlockByNumber", [number, false])["hash"]?.string ?? "none") }
        report.compared += 1
        guard Set(hashes).count == 1, hashes[0] != "none" else { throw ChaosViolation("FORK: block \(height) is " + hashes.enumerated().map { "\($1) at validator-\($0)" }.joined(separator: ", ")) }
        let client = await network.validators[0].client, last = UInt64(height)
        guard last > lookedAt else { return }
        for event in try await Localnet.events(client, from: lookedAt + 1, through: last) where ["Slashed", "Tombstoned"].contains(event.name) {
            throw ChaosViolation("\(event.name), though everybody is honest: \(event.values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))")
        }
        lookedAt = last
    }
}
