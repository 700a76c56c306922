import AssayNode
import AssayPrimitives
import Foundation
import Testing

/// Real processes in trouble, one at a time: killed, stopped for a while, their disks wiped.
///
/// `ASSAY_CHAOS_WINDOWS=40 ASSAY_CHAOS_SEED=7 swift test --filter ChaosTests` plays longer, or other, troubles.
@Suite(.enabled(if: Program.isThere, "\(Program.absent)"), .serialized)
struct ChaosTests {
    private static let windows = ProcessInfo.processInfo.environment["ASSAY_CHAOS_WINDOWS"].flatMap { UInt64($0) } ?? 6
    private static let seed = ProcessInfo.processInfo.environment["ASSAY_CHAOS_SEED"].flatMap { UInt64($0) } ?? 1

    private enum Trouble: CaseIterable { case killed, stopped, wiped }

    /// A validator's process, whoever started it.
    private struct Seat {
        let home: String
        var pid: Int32
        var process: Process?
    }

    @Test(.timeLimit(.minutes(30))) func `killed, stopped and wiped, validators catch up; no fork, and nobody is slashed for it`() async throws {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let home = folder.appending(path: "net")
        let network = try Program.start(
            ["localnet", "up", "--home", home.path, "--validators", "4", "--trainers", "2", "--windows", "\(ChaosTests.windows)", "--data", Program.text!, "--json"],
            output: folder.appending(path: "out"), errors: folder.appending(path: "err"))
        defer { if network.isRunning { network.terminate() } }
        while network.isRunning, (try? Localnet.Network.read(home)) == nil { try await Task.sleep(for: .milliseconds(50)) }
        var seats = try Localnet.Network.read(home).validators.map { Seat(home: $0.home, pid: $0.pid) }
        defer {
            for seat in seats {
                guard let process = seat.process else { continue }
                if process.isRunning { kill(process.processIdentifier, SIGTERM) }
                process.waitUntilExit()
            }
        }
        func settled() async -> Int64 { (try? await Localnet.status(home))?.validators.compactMap(\.settled).max() ?? 0 }
        while network.isRunning, await settled() < 1 { try await Task.sleep(for: .milliseconds(200)) }

        var chance = SeededGenerator(seed: ChaosTests.seed, stream: 0xC4A0), struck: [Trouble: Int] = [:], said: [String] = []
        // The last window is left in peace, so that all can be asked to have caught up.
        while network.isRunning, await settled() + 1 < Int64(ChaosTests.windows) {
            // Each kind has its turn; whom it strikes and for how long is drawn.
            let trouble = Trouble.allCases[struck.values.reduce(0, +) % 3], victim = Int(chance.below(4)), pause = 500 + chance.below(4_000)
            said.append("\(trouble) \(victim) for \(pause) ms")
            struck[trouble, default: 0] += 1
            if trouble == .stopped {
                kill(seats[victim].pid, SIGSTOP)
                try await Task.sleep(for: .milliseconds(Int(pause)))
                kill(seats[victim].pid, SIGCONT)
            } else {
                kill(seats[victim].pid, SIGKILL)
                if let process = seats[victim].process { process.waitUntilExit() }
                try await Task.sleep(for: .milliseconds(Int(pause)))
                let place = URL(filePath: seats[victim].home)
                if trouble == .wiped {
                    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] + (chance.chance(1, in: 2) ? ["last-round"] : []) { try? FileManager.default.removeItem(at: place.appending(path: name)) }
                }
                let again = try Program.start(["validator", "run", "--home", place.path], output: folder.appending(path: "again-out-\(said.count)"), errors: folder.appending(path: "again-\(said.count)"))
                (seats[victim].process, seats[victim].pid) = (again, again.processIdentifier)
            }
            // It is at work again, and makes blocks, before the next one is struck.
            let heads = { (try? await Localnet.status(home))?.validators.map { $0.head ?? -1 } ?? [] }
            var isBack = false, last: [Int64] = []
            for _ in 0..<300 where !isBack && network.isRunning {
                try await Task.sleep(for: .milliseconds(200))
                last = await heads()
                isBack = last.count == 4 && last[victim] >= 0 && last[victim] + 5 >= (last.max() ?? 0)
            }
            #expect(isBack || !network.isRunning, "\(said.last ?? ""): not back after a minute; heads \(last); \(tail(folder, "again-\(said.count)"))")
            if !isBack { break }
        }
        while network.isRunning { try await Task.sleep(for: .milliseconds(200)) }
        let summary = try JSONDecoder().decode(Localnet.Summary.self, from: try Data(contentsOf: home.appending(path: "summary.json")))
        #expect(network.terminationStatus == 0, "\(said) \(tail(folder, "err"))")
        #expect(struck[.killed, default: 0] > 0 && struck[.stopped, default: 0] > 0 && struck[.wiped, default: 0] > 0, "\(said)")
        #expect(summary.safety.stateRootsEqual && summary.safety.commitChainsEqual, "\(said)")
        #expect(summary.windows.flatMap(\.trainers).allSatisfy { $0.slashed == "0" }, "\(said)")
        for seat in seats { if let process = seat.process { #expect(process.isRunning, "a validator that came back is at work: \(said)") } }
        print("chaos: \(said.count) troubles, \(summary.windows.count) windows: \(said.joined(separator: "; "))")
    }

    private func tail(_ folder: URL, _ name: String) -> String { ((try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? "").suffix(1_000).description }
}
