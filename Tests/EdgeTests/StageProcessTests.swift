import AssayCrypto
import AssayNetwork
import AssayNode
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation
import Logging
import Testing

/// A trainer's stages as processes over loopback: the same bits as one process, whatever happens to them on the way.
@Suite(.enabled(if: Program.isThere, "\(Program.absent)"), .serialized)
struct StageProcessTests {
    private static let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Homes of a trainer's machines: one genesis, one text, one node key.
    private struct World {
        let folder: URL
        let genesis: Genesis
        let corpus: Corpus
        let nodeKey = KeyPair(seed: "stages")

        init() throws {
            folder = try Program.scratch()
            let text = try Data(contentsOf: URL(filePath: Program.text!)).prefix(1 << 16)
            var file = EdgeFuzz.genesisFile
            (file.model.name, file.model.context, file.model.width, file.model.layers) = ("three", 32, 32, 3)
            (file.training.innerSteps, file.training.segmentSteps, file.training.rows, file.training.microBatches) = (20, 5, 4, 2)
            (file.data.root, file.data.bytes) = (Blob.root(Array(text)).description, UInt64(text.count))
            (file.digest, file.chainId) = (nil, nil)
            file = try file.sealed()
            genesis = try file.genesis()
            corpus = try Corpus(Array(text), genesis: genesis)
            try writeJSON(file, to: folder.appending(path: "genesis.json"))
            try text.write(to: folder.appending(path: "text"))
            _ = try home("home", nodeKey)
        }
        /// A home with that key. - Returns: its path.
        func home(_ name: String, _ key: KeyPair) throws -> String {
            let home = NodeHome(folder.appending(path: name))
            try NodeHome.writeSecret("secret", to: home.passwordFile)
            try Keystore.write(key, to: home.nodeKeystore, password: "secret", n: 1_024)
            try writeJSON(NodeFile(role: .trainer, name: name, genesis: "../genesis.json", data: "../text", validatorURLs: ["http://127.0.0.1:1"], threads: 1), to: home.nodeFile)
            return home.url.path
        }
        func trainer() throws -> WindowTrainer { try WindowTrainer(genesis: genesis, corpus: corpus, threads: 1) }
        var opening: WindowOpening {
            get throws {
                WindowOpening(window: Window(0), trainer: Address(number: 1), assignment: Digest.tagged("stages") { _ in },
                              parameters: InnerLoop.initialParameters(shape: try ModelShape(genesis.model), philox: Philox(key: 1)), ownPayload: nil, residual: nil)
            }
        }
    }

    private struct Stage {
        let process: Process
        let port: Int
        let errors: URL
        var said: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }
        func end() {
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            process.waitUntilExit()
        }
    }
    /// Starts a stage and waits until it says where it listens.
    private func start(_ stage: String, _ world: World, home: String = "home", port: Int = 0, next: Int? = nil, timeout: Int = 60) async throws -> Stage {
        let output = world.folder.appending(path: "out-\(UUID().uuidString)"), errors = world.folder.appending(path: "err-\(UUID().uuidString)")
        var arguments = ["trainer", "join", "--home", world.folder.appending(path: home).path, "--stage", stage, "--listen", "127.0.0.1:\(port)", "--stage-timeout", "\(timeout)", "--json"]
        if let next { arguments += ["--next", "127.0.0.1:\(next)"] }
        let process = try Program.start(arguments, output: output, errors: errors), end = ContinuousClock.now + .seconds(60)
        while process.isRunning, ContinuousClock.now < end {
            if let line = try? String(contentsOf: output, encoding: .utf8), let text = line.split(separator: "\"").first(where: { $0.hasPrefix("127.0.0.1:") }) {
                return Stage(process: process, port: try hostAndPort(String(text), "").port, errors: errors)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        kill(process.processIdentifier, SIGKILL)
        Issue.record("stage \(stage) never listened: \((try? String(contentsOf: errors, encoding: .utf8)) ?? "")")
        throw CancellationError()
    }

    /// What a leader has come to, in the order of its events.
    private struct Course {
        var failures: [StageError] = []
        var reports = 0
        var root: Result<(Digest, [Digest]), any Error>?
    }
    /// Trains a window as stage 0 of 3 on a thread.
    private func lead(_ world: World, next port: Int, key: KeyPair? = nil, timeout: Double = 60, course: Gate<Course>, progress: @escaping @Sendable (Int) -> Void) throws -> StagePipeline {
        let trainer = try world.trainer(), opening = try world.opening, place = try StagePlace(stage: "0/3", listen: nil, next: "127.0.0.1:\(port)", timeoutSeconds: timeout)
        let pipeline = try StagePipeline(trainer, genesis: world.genesis.digest, nodeKey: key ?? world.nodeKey, place: place, log: Self.log) { event in
            course.change { course in
                switch event {
                case .failed(let error): course.failures.append(error)
                case .done(let times):
                    if times.count == 3, times.allSatisfy({ $0.whole > 0 && $0.waiting <= $0.whole }) { course.reports += 1 }
                case .connected: break
                }
            }
        }
        let rules = world.genesis.training
        _ = ComputeThread {
            let result = Result { () throws -> (Digest, [Digest]) in
                try pipeline.window(PipelineOpening(opening, steps: 20, rules: rules)) { window, batches in
                    let (payload, states, _) = try window.run(steps: 20, segmentSteps: 5, batches: batches, progress: { step, _ in progress(step) }, residual: { _ in })
                    return (Blob.root(payload), states)
                }
            }
            course.change { $0.root = result }
        }
        return pipeline
    }

    /// Waits for a condition on the course; records an issue after two minutes.
    private func comes(_ what: String, _ course: Gate<Course>, _ condition: (Course) -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(120)
        while !course.change({ condition($0) }) {
            guard ContinuousClock.now < end else {
                Issue.record("never came: \(what)")
                throw CancellationError()
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Sends a signal, and waits until every thread stands still: one that is at work ends a little later, and could do one more step.
    private static func halt(_ pid: Int32, _ signal: Int32) {
        func runs(_ thread: String) -> Bool {
            guard let status = try? String(contentsOfFile: "/proc/\(pid)/task/\(thread)/status", encoding: .utf8) else { return false }
            return !["T", "Z", "X"].contains { status.contains("State:\t\($0)") }
        }
        kill(pid, signal)
        while ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []).contains(where: runs) { usleep(100) }
    }

    @Test(.timeLimit(.minutes(5))) func `a stage that is killed in a step is named, and when it is started again the window ends on the same root`() async throws {
        let world = try World()
        defer { try? FileManager.default.removeItem(at: world.folder) }
        let alone = try world.trainer().train(world.opening)

        let last = try await start("2/3", world), middle = try await start("1/3", world, next: last.port)
        var running = [last, middle]
        defer { for stage in running { stage.end() } }
        let course = Gate(Course()), victim = middle.process.processIdentifier, once = Gate(false)
        let pipeline = try lead(world, next: middle.port, course: course) { step in
            // After the first segment; the next message that it would have sent never comes.
            if step == 7, once.change({ was in defer { was = true }; return !was }) { Self.halt(victim, SIGKILL) }
        }
        try await comes("the failure", course) { !$0.failures.isEmpty || $0.root != nil }
        let error = try #require(course.change { $0.failures.first })
        #expect(error.stage == 1 && error.stages == 3 && error.step == 8 && error.microBatch != nil && error.place == "127.0.0.1:\(middle.port)", "\(error)")
        for words in ["stage 1/3 at 127.0.0.1:\(middle.port), step 8", "start its stage again"] { #expect(error.description.contains(words), "\(error)") }
        running.append(try await start("1/3", world, port: middle.port, next: last.port))
        try await comes("the end of the window", course) { $0.root != nil }
        let (root, states) = try #require(course.change { $0.root }).get()
        #expect(root == alone.payloadRoot && states == Array(alone.trajectory.digests.dropLast()))
        #expect(course.change { $0.reports } == 1)
        #expect(pipeline.report?.contains("3 stages, bubble share") == true)
        #expect(last.said.contains("waits for stage 1 to come again"), "\(last.said)")
        print("stages over loopback: \(pipeline.report ?? "")")
        await pipeline.stop()
    }

    @Test(.timeLimit(.minutes(5))) func `a stage that hangs is named by the one before it, and one that goes on again ends on the same root`() async throws {
        let world = try World()
        defer { try? FileManager.default.removeItem(at: world.folder) }
        let alone = try world.trainer().train(world.opening)
        let last = try await start("2/3", world, timeout: 8), middle = try await start("1/3", world, next: last.port, timeout: 8)
        defer { for stage in [last, middle] { stage.end() } }
        let course = Gate(Course()), victim = last.process.processIdentifier, once = Gate(false)
        let pipeline = try lead(world, next: middle.port, timeout: 8, course: course) { step in
            if step == 2, once.change({ was in defer { was = true }; return !was }) { Self.halt(victim, SIGSTOP) }
        }
        try await comes("the failure", course) { !$0.failures.isEmpty || $0.root != nil }
        let error = try #require(course.change { $0.failures.first })
        #expect(error.stage == 2 && error.step == 3 && error.place == "127.0.0.1:\(last.port)" && error.reason.contains("does not answer"), "\(error)")
        kill(victim, SIGCONT)
        try await comes("the end of the window", course) { $0.root != nil }
        let (root, states) = try #require(course.change { $0.root }).get()
        #expect(root == alone.payloadRoot && states == Array(alone.trajectory.digests.dropLast()))
        await pipeline.stop()
    }

    @Test(.timeLimit(.minutes(5))) func `a stage of another trainer, of another pipeline, or none at all is told from the right one, and stopping ends the wait`() async throws {
        let world = try World()
        defer { try? FileManager.default.removeItem(at: world.folder) }
        _ = try world.home("stranger", KeyPair(seed: "somebody else"))
        let stranger = try await start("2/3", world, home: "stranger"), last = try await start("2/3", world), other = try await start("1/2", world)
        defer { for stage in [stranger, last, other] { stage.end() } }
        let gone = try await start("2/3", world)
        gone.end()
        for (port, words) in [(stranger.port, "its key is not this trainer's"), (last.port, "it is stage 2, not 1"), (other.port, "it is a stage of 2, this one of 3"), (gone.port, "it cannot be reached")] {
            let course = Gate(Course())
            let pipeline = try lead(world, next: port, course: course) { _ in }
            try await comes("the failure", course) { !$0.failures.isEmpty }
            let error = try #require(course.change { $0.failures.first })
            #expect(error.stage == 1 && error.reason.contains(words), "\(error)")
            pipeline.end()
            try await comes("the end of the wait", course) { $0.root != nil }
            #expect(throws: StageError.self) { try course.change { $0.root! }.get() }
            await pipeline.stop()
        }
        // Garbage costs the sender its connection and nobody else anything.
        for bytes in [[UInt8](repeating: 0xA5, count: 50_000), Array("GET / HTTP/1.1\r\n\r\n".utf8)] { #expect(try Loopback.exchange(port: last.port, sends: bytes) != nil) }
        #expect(last.process.isRunning)
    }

    @Test func `what --stage, --listen and --next may say`() throws {
        func complaint(_ stage: String, _ listen: String?, _ next: String?) -> String {
            do { _ = try StagePlace(stage: stage, listen: listen, next: next) } catch { return "\(error)" }
            return ""
        }
        #expect(complaint("0/3", nil, "h:1").isEmpty && complaint("1/3", "h:1", "h:2").isEmpty && complaint("2/3", "h:1", nil).isEmpty)
        for stage in ["", "3", "3/3", "-1/3", "0/1", "a/b", "1/3/4"] { #expect(complaint(stage, "h:1", "h:2").contains("it is s/S")) }
        #expect(complaint("1/3", nil, "h:2").contains("needs --listen") && complaint("0/3", "h:1", "h:2").contains("leave --listen out"))
        #expect(complaint("1/3", "h:1", nil).contains("needs --next") && complaint("2/3", "h:1", "h:2").contains("leave --next out"))
        #expect(complaint("1/2", "nowhere", nil).contains("HOST:PORT"))
    }

    @Test func `a derived identity is the same for all who hold the secret, and no other's`() throws {
        let secret = KeyPair(seed: "a").privateBytes
        #expect(try NetworkIdentity.derived(from: secret).keyDigest == NetworkIdentity.derived(from: secret).keyDigest)
        #expect(try NetworkIdentity.derived(from: secret).keyDigest != NetworkIdentity.derived(from: KeyPair(seed: "b").privateBytes).keyDigest)
    }
}
