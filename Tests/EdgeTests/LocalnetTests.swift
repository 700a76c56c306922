import AssayCrypto
import AssayNode
import AssayPrimitives
import AssayProtocol
import Foundation
import TestKit
import Testing

/// Real processes: the program that `make build` made, named by ASSAY_PROGRAM, and a text, named by ASSAY_TEXT.
enum Program {
    static let path = ProcessInfo.processInfo.environment["ASSAY_PROGRAM"].flatMap { FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil }
    static let text = ProcessInfo.processInfo.environment["ASSAY_TEXT"].flatMap { FileManager.default.isReadableFile(atPath: $0) ? $0 : nil }
    static var isThere: Bool { path != nil && text != nil }
    static let absent = "ASSAY_PROGRAM and ASSAY_TEXT name no program and text; `make test` sets them"

    struct Outcome { var status: Int32, output: String, errors: String }

    /// Runs the program to its end.
    static func run(_ arguments: [String], environment: [String: String] = [:]) async throws -> Outcome {
        let folder = try scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let process = try start(arguments, output: folder.appending(path: "out"), errors: folder.appending(path: "err"), environment: environment)
        while process.isRunning { try await Task.sleep(for: .milliseconds(20)) }
        func read(_ name: String) -> String { (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? "" }
        return Outcome(status: process.terminationStatus, output: read("out"), errors: read("err"))
    }

    static func start(_ arguments: [String], output: URL, errors: URL, environment: [String: String] = [:]) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: path!)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        return process
    }

    static func scratch() throws -> URL {
        let url = FileManager.default.temporaryDirectory.appending(path: "assay-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }
}

@Suite(.enabled(if: Program.isThere, "\(Program.absent)"), .serialized)
struct LocalnetTests {
    @Test(.timeLimit(.minutes(4))) func `a network of honest trainers, a lazy one and one that sends nonsense pays the honest and slashes the lazy`() async throws {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        // The second honest trainer is half as fast as the first, and does half the steps.
        let home = folder.appending(path: "net"), rules = try rules(in: folder) { ($0["minimumSteps"], $0["maximumSteps"]) = (10, 20) }
        let outcome = try await Program.run(["localnet", "up", "--home", home.path, "--validators", "4", "--trainers", "2", "--steps", "20,10", "--rules", rules.path, "--adversaries", "lazy,nonsense", "--windows", "3", "--data", Program.text!, "--json"])
        #expect(outcome.status == 0, "\(outcome.errors.suffix(2_000))")
        let summary = try JSONDecoder().decode(Localnet.Summary.self, from: Data(outcome.output.utf8))
        #expect(summary.windows.count == 3)
        #expect(summary.safety.stateRootsEqual && summary.safety.commitChainsEqual)
        for window in summary.windows {
            #expect(window.validationLoss ?? 9 < 4.5)
            for trainer in window.trainers {
                #expect(trainer.role == "honest" ? trainer.slashed == "0" : trainer.reward == "0")
            }
        }
        let trainers = summary.windows.flatMap(\.trainers)
        for address in Set(trainers.filter { $0.role == "honest" }.map(\.address)) {
            let rows = trainers.filter { $0.address == address }
            #expect(rows.count { $0.reward != "0" } >= 2, "\(rows.map(\.reasons))")
        }
        let lazy = summary.windows.flatMap(\.trainers).filter { $0.role == "lazy" }
        let nonsense = trainers.filter { $0.role == "nonsense" }
        #expect(nonsense.count == 3 && nonsense.allSatisfy { $0.reward == "0" })
        #expect(lazy.contains { $0.slashed != "0" && $0.reasons.contains { $0.contains("2 failed replay") } })

        // The files of the network that has ended are enough for an audit.
        let honest = try #require(summary.windows[0].trainers.first { $0.role == "honest" })
        let audit = try await Program.run(["audit", "replay", "--home", home.path, "--trainer", honest.address, "--window", "1"])
        #expect(audit.status == 0, "\(audit.output) \(audit.errors)")
        #expect(audit.output.hasSuffix("equal\n") && audit.output.contains("loss-delta: equal") && audit.output.contains("segment 0: equal"))
        let slower = try #require(summary.windows[0].trainers.last { $0.role == "honest" })
        let half = try await Program.run(["audit", "replay", "--home", home.path, "--trainer", slower.address, "--window", "1"])
        #expect(half.status == 0 && half.output.contains("segment 0: equal") && !half.output.contains("segment 2") && half.output.hasSuffix("equal\n"), "\(half.output) \(half.errors)")
        let history = try await Program.run(["audit", "history", "--home", home.path])
        #expect(history.output.contains("Slashed") && history.output.contains("RewardPending"))

        // One byte of a stored payload is changed in every copy: it is found, with its chunk and window.
        let network = try Localnet.Network.read(home)
        let payload = try #require(try await payloadRoot(of: honest.address, in: 1, home))
        for validator in network.validators {
            let file = URL(filePath: validator.home).appending(path: "blobs/\(hex(payload.bytes, prefix: false))")
            guard var bytes = try? Data(contentsOf: file) else { continue }
            bytes[bytes.count - 5] ^= 0x10
            try bytes.write(to: file)
        }
        let damaged = try await Program.run(["audit", "replay", "--home", home.path, "--trainer", honest.address, "--window", "1"])
        #expect(damaged.status == 1)
        #expect(damaged.output.contains("chunk 1 of the stored payload of window 1"), "\(damaged.output)")
    }

    /// A local network's rules with other training.
    private func rules(in folder: URL, _ change: (inout [String: Any]) -> Void) throws -> URL {
        let file = folder.appending(path: "rules.json")
        var written = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: Localnet.genesisFolder().appending(path: "localnet.json"))) as? [String: Any])
        var training = try #require(written["training"] as? [String: Any])
        change(&training)
        written["training"] = training
        try JSONSerialization.data(withJSONObject: written).write(to: file)
        return file
    }

    /// From the events: what the trainer revealed.
    private func payloadRoot(of trainer: String, in window: UInt64, _ home: URL) async throws -> Digest? {
        let rows = try await Audit.history(.home(home), trainer: trainer, windows: window...window)
        return rows.first { $0.event == "Revealed" }?.values["payloadRoot"].flatMap { Digest(hex: $0) }
    }

    @Test(.enabled(if: Python.isThere, "\(Python.absent)"), .timeLimit(.minutes(3))) func `web3.py and eth-account, unmodified, connect, send, register and read`() async throws {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let home = folder.appending(path: "net")
        let network = try Program.start(["localnet", "up", "--home", home.path, "--validators", "4", "--trainers", "1", "--data", Program.text!], output: folder.appending(path: "out"), errors: folder.appending(path: "err"))
        defer {
            if network.isRunning { network.terminate() }
            network.waitUntilExit()
        }
        while network.isRunning, (try? Localnet.Network.read(home)) == nil { try await Task.sleep(for: .milliseconds(50)) }
        let facts = try Localnet.Network.read(home)
        let said = try Python.run("web3_client.py", arguments: [facts.validators[0].rpc, facts.faucet.privateKey])
        #expect(String(decoding: said, as: UTF8.self).contains("all done"))
        // Ended from outside, as by Ctrl-C: all processes go.
        kill(network.processIdentifier, SIGINT)
        network.waitUntilExit()
        #expect((facts.validators.map(\.pid) + facts.trainers.map(\.pid)).allSatisfy { kill($0, 0) != 0 })
    }

    @Test(.timeLimit(.minutes(4))) func `a validator that is killed comes back, and nobody is slashed for it`() async throws {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let home = folder.appending(path: "net"), output = folder.appending(path: "out")
        let network = try Program.start(["localnet", "up", "--home", home.path, "--validators", "4", "--trainers", "2", "--windows", "5", "--data", Program.text!, "--json"], output: output, errors: folder.appending(path: "err"))
        defer { if network.isRunning { network.terminate() } }
        while network.isRunning, (try? Localnet.Network.read(home)) == nil { try await Task.sleep(for: .milliseconds(50)) }
        let victim = try Localnet.Network.read(home).validators[3]
        func settled() async -> Int64 { (try? await Localnet.status(home))?.validators[0].settled ?? 0 }
        while network.isRunning, await settled() < 1 { try await Task.sleep(for: .milliseconds(200)) }
        #expect(kill(victim.pid, SIGKILL) == 0)
        let before = await settled()
        while network.isRunning, await settled() == before { try await Task.sleep(for: .milliseconds(200)) }
        #expect(await settled() > before, "with one of four down the windows go on")
        let again = try Program.start(["validator", "run", "--home", victim.home], output: folder.appending(path: "again-out"), errors: folder.appending(path: "again"))
        defer {
            if again.isRunning { kill(again.processIdentifier, SIGTERM) }
            again.waitUntilExit()
        }
        while network.isRunning { try await Task.sleep(for: .milliseconds(200)) }
        let errors = (try? String(contentsOf: folder.appending(path: "err"), encoding: .utf8)) ?? ""
        #expect(network.terminationStatus == 0, "\(errors.suffix(2_000)) \((try? String(contentsOf: folder.appending(path: "again"), encoding: .utf8))?.suffix(1_000) ?? "")")
        #expect(again.isRunning, "the validator that came back is still at work")
        let summary = try JSONDecoder().decode(Localnet.Summary.self, from: try Data(contentsOf: home.appending(path: "summary.json")))
        #expect(summary.safety.stateRootsEqual && summary.safety.commitChainsEqual)
        #expect(summary.windows.flatMap(\.trainers).allSatisfy { $0.slashed == "0" })
    }

    /// The process whose command line has these arguments.
    private func process(with arguments: [String]) throws -> (pid: Int32, arguments: [String])? {
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
            guard let pid = Int32(name), let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { continue }
            let found = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            if Set(arguments).isSubset(of: found) { return (pid, Array(found.dropFirst())) }
        }
        return nil
    }

    @Test(.timeLimit(.minutes(4))) func `a trainer whose stage is killed in a step waits for it, and is paid and audited like any other`() async throws {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        // The whole of DiLoCoX: stages, the delay, low rank in four bits, and a rank and H that adapt from window 3 on.
        let home = folder.appending(path: "net"), rules = try Localnet.genesisFolder().appending(path: "dilocox.json")
        let network = try Program.start(["localnet", "up", "--home", home.path, "--validators", "4", "--trainers", "2", "--stages", "2", "--rules", rules.path, "--windows", "4", "--data", Program.text!, "--json"], output: folder.appending(path: "out"), errors: folder.appending(path: "err"))
        defer { if network.isRunning { network.terminate() } }
        while network.isRunning, (try? Localnet.Network.read(home)) == nil { try await Task.sleep(for: .milliseconds(50)) }
        let trainer = try Localnet.Network.read(home).trainers[0], log = URL(filePath: trainer.home).appending(path: "log.txt")
        func said() -> String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }
        while network.isRunning, !said().contains("window 1: step 5 of 20") { try await Task.sleep(for: .milliseconds(10)) }
        let stage = try #require(try process(with: [trainer.home, "--stage", "1/2"]))
        #expect(kill(stage.pid, SIGKILL) == 0)
        while network.isRunning, !said().contains("stage 1/2 at ") { try await Task.sleep(for: .milliseconds(20)) }
        let again = try Program.start(stage.arguments.filter { $0 != "--exit-with-parent" }, output: folder.appending(path: "again-out"), errors: folder.appending(path: "again"))
        defer {
            if again.isRunning { kill(again.processIdentifier, SIGTERM) }
            again.waitUntilExit()
        }
        while network.isRunning { try await Task.sleep(for: .milliseconds(200)) }
        #expect(network.terminationStatus == 0, "\((try? String(contentsOf: folder.appending(path: "err"), encoding: .utf8))?.suffix(2_000) ?? "")")
        let summary = try JSONDecoder().decode(Localnet.Summary.self, from: try Data(contentsOf: home.appending(path: "summary.json"))), rows = summary.windows.flatMap(\.trainers)
        #expect(rows.allSatisfy { $0.slashed == "0" })
        #expect(rows.count { $0.address == trainer.address && $0.reward != "0" } >= 2, "\(rows.map(\.reasons)) \(said().suffix(2_000))")
        #expect(said().contains("start its stage again") && said().components(separatedBy: "connected to stage 1").count >= 3, "\(said().suffix(2_000))")
        for window in 0..<3 { #expect(said().contains("window \(window): step 20 of 20")) }
        #expect(said().contains("window 3: step ") && !said().contains("window 3: step 20 of 20"), "\(said().suffix(2_000))")
        // What it served and what it sent is what one process computes.
        for window in ["1", "3"] {
            let audit = try await Program.run(["audit", "replay", "--home", home.path, "--trainer", trainer.address, "--window", window])
            #expect(audit.status == 0 && audit.output.hasSuffix("equal\n") && audit.output.contains("segment 0: equal"), "\(audit.output) \(audit.errors)")
        }
    }
}

@Suite(.enabled(if: Program.isThere, "\(Program.absent)"))
struct BadInputTests {
    @Test func `bad input ends with an error that says what, where and what to do`() async throws {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let home = folder.appending(path: "net").path, empty = folder.appending(path: "empty"), occupied = folder.appending(path: "occupied")
        try Data().write(to: empty)
        try FileManager.default.createDirectory(at: occupied, withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: occupied.appending(path: "file"))
        let cases: [(arguments: [String], environment: [String: String], status: Int32, says: [String])] = [
            (["localnet", "up", "--home", home, "--data", folder.appending(path: "nothing").path], [:], 1, ["no data file at", "--data FILE"]),
            (["localnet", "up", "--home", home, "--data", empty.path], [:], 1, ["has 0 bytes", "too short"]),
            (["localnet", "up", "--home", home, "--data", Program.text!, "--model", "huge"], [:], 1, ["unknown model “huge”", "tiny"]),
            (["localnet", "up", "--home", home, "--data", Program.text!, "--adversaries", "nice"], [:], 1, ["“nice” is not known", "lazy"]),
            (["localnet", "up", "--home", home, "--data", Program.text!, "--validators", "0"], [:], 1, ["--validators 0"]),
            (["localnet", "up", "--home", occupied.path, "--data", Program.text!], [:], 1, ["is not empty, and no local network"]),
            (["localnet", "up", "--home", home], [:], 2, ["--data"]),
            (["localnet", "status", "--home", home], [:], 1, ["no network at", "assay localnet up"]),
            (["validator", "run", "--home", home], [:], 1, ["no node home at"]),
            (["validator", "init", "--home", home, "--genesis", empty.path, "--data", Program.text!, "--listen", "127.0.0.1:1", "--rpc", "127.0.0.1:2"], [:], 1, ["genesis file", empty.path]),
            (["stake", "5", "--validator", home, "--rpc", "http://127.0.0.1:1", "--keystore", empty.path], ["ASSAY_PASSWORD": "x"], 1, ["no registration at", "assay validator init"]),
            (["localnet", "chaos", "--data", folder.appending(path: "nothing").path, "--steps", "1"], [:], 1, ["no data file at"]),
            (["bench", "kernels", "--quick"], ["ASSAY_KERNELS": "abacus"], 1, ["abacus"]),
            (["simulate", "--seeds", "9..1"], [:], 2, ["A..B"]),
            (["audit", "replay", "--home", home, "--trainer", "0x12", "--window", "1"], [:], 1, ["“0x12” is no address"]),
            (["stake", "5", "--rpc", "http://127.0.0.1:1", "--keystore", folder.appending(path: "none").path], ["ASSAY_PASSWORD": "x"], 1, ["no keystore at"]),
        ]
        for (arguments, environment, status, says) in cases {
            let outcome = try await Program.run(arguments, environment: environment)
            #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
            for words in says { #expect(outcome.errors.contains(words), "\(arguments): \(outcome.errors)") }
        }
        #expect(try String(contentsOf: occupied.appending(path: "file"), encoding: .utf8) == "mine")
    }

    @Test func `a key is kept by its password, and a wrong one is told`() async throws {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let keystore = folder.appending(path: "key.json")
        let key = KeyPair(seed: "kept")
        try Keystore.write(key, to: keystore, password: "right", n: 1_024)
        #expect(try Keystore.read(keystore, password: "right").address == key.address)
        #expect(try Keystore.address(keystore) == key.address)
        let wrong = try await Program.run(["keys", "show", keystore.path, "--private"], environment: ["ASSAY_PASSWORD": "wrong"])
        #expect(wrong.status == 1 && wrong.errors.contains("wrong password"))
        let shown = try await Program.run(["keys", "show", keystore.path, "--json"])
        #expect(shown.status == 0 && shown.output.contains(key.address.description))
        let taken = try await Program.run(["keys", "new", keystore.path], environment: ["ASSAY_PASSWORD": "x"])
        #expect(taken.status == 1 && taken.errors.contains("exists already"))
    }
}
