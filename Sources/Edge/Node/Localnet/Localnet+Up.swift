import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRPC
import AssayTensor
import AssayTraining
import Foundation
import Synchronization

extension Localnet {
    /// Makes a network and runs it until its windows are through, or it is told to end.
    /// - Returns: 0 if safety held and no honest party was slashed.
    public static func up(_ options: Options) async throws -> Int32 {
        try KernelPath.selectFromEnvironment()
        let layout = try prepare(options)
        let result = Mutex<Int32>(0)
        try await NodeProcess.untilTold(exitWithParent: false) {
            let run = Run(options: options, layout: layout)
            do {
                let code = try await run.run()
                result.withLock { $0 = code }
                await run.end()
            } catch {
                await run.end()
                throw error
            }
        }
        return result.withLock { $0 }
    }

    /// Starts `up` as a process of its own and returns when the network is ready.
    public static func detach(_ options: Options) async throws -> Int32 {
        try options.check()
        var arguments = ["localnet", "up", "--home", options.home.path, "--validators", "\(options.validators)", "--trainers", "\(options.trainers)", "--data", options.data.path, "--model", options.model, "--threads", "\(options.threads)"]
        if let windows = options.windows { arguments += ["--windows", "\(windows)"] }
        if let seconds = options.windowSeconds { arguments += ["--window-seconds", "\(seconds)"] }
        if let seconds = options.epochSeconds { arguments += ["--epoch-seconds", "\(seconds)"] }
        if let rules = options.rules { arguments += ["--rules", rules.path] }
        if !options.steps.isEmpty { arguments += ["--steps", options.steps.map(String.init).joined(separator: ",")] }
        if options.stages > 1 { arguments += ["--stages", "\(options.stages)"] }
        if !options.adversaries.isEmpty { arguments += ["--adversaries", options.adversaries.joined(separator: ",")] }
        try? FileManager.default.removeItem(at: Network.file(options.home))
        let log = options.home.deletingLastPathComponent().appending(path: options.home.lastPathComponent + ".log")
        try FileManager.default.createDirectory(at: log.deletingLastPathComponent(), withIntermediateDirectories: true)
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let output = try FileHandle(forWritingTo: log)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        while process.isRunning, !FileManager.default.fileExists(atPath: Network.file(options.home).path) { try await Task.sleep(for: .milliseconds(100)) }
        guard FileManager.default.fileExists(atPath: Network.file(options.home).path) else {
            throw Failure("the network did not start:\n\((try? String(contentsOf: log, encoding: .utf8)) ?? "")")
        }
        let network = try Network.read(options.home)
        if options.json { print(String(decoding: try JSONEncoder().encode(network), as: UTF8.self)) } else { print("Running; see \(log.path). End it with: assay localnet down --home \(options.home.path)") }
        return 0
    }

    static var program: URL { URL(filePath: "/proc/self/exe").resolvingSymlinksInPath() }

    /// Ends a network by the process ids of its file. - Returns: how many ended.
    public static func down(_ home: URL) async throws -> Int {
        let network = try Network.read(home)
        let pids = ([network.supervisor] + network.validators.map(\.pid) + network.trainers.map(\.pid)).filter { $0 > 0 && kill($0, 0) == 0 && isAssay($0) }
        for pid in pids { kill(pid, SIGTERM) }
        let deadline = ContinuousClock.now + .seconds(15)
        while ContinuousClock.now < deadline, pids.contains(where: { kill($0, 0) == 0 && isAssay($0) }) { try await Task.sleep(for: .milliseconds(50)) }
        for pid in pids where kill(pid, 0) == 0 && isAssay(pid) { kill(pid, SIGKILL) }
        return pids.count
    }

    public struct Status: Codable, Sendable {
        public struct Node: Codable, Sendable {
            public var name, rpc: String
            public var running: Bool
            public var head, settled: Int64?
            public var stateRoot: String?
        }
        public var chainId: UInt64
        public var validators: [Node]
        public var trainers: [Node]
        public var text: String {
            (["chain id \(chainId)"] + (validators + trainers).map { node in
                "\(node.name)  \(node.running ? "running" : "not running")" + (node.head.map { "  block \($0)" } ?? "") + (node.settled.map { "  windows settled \($0)" } ?? "") + (node.stateRoot.map { "  state \($0.prefix(10))" } ?? "") + (node.rpc.isEmpty ? "" : "  \(node.rpc)")
            }).joined(separator: "\n")
        }
    }

    public static func status(_ home: URL) async throws -> Status {
        let network = try Network.read(home)
        var status = Status(chainId: network.chainId, validators: [], trainers: [])
        for validator in network.validators {
            let facts = try? await RPCClient(validator.rpc).call("assay_status", [], timeout: .seconds(3))
            status.validators.append(.init(name: "validator-\(validator.index)", rpc: validator.rpc, running: facts != nil, head: facts?["head"]?.int, settled: facts?["settled"]?.int, stateRoot: facts?["stateRoot"]?.string))
        }
        for trainer in network.trainers { status.trainers.append(.init(name: "trainer-\(trainer.index) (\(trainer.role))", rpc: "", running: kill(trainer.pid, 0) == 0 && isAssay(trainer.pid))) }
        return status
    }
}

/// One run of a local network: its processes, what is shown, what is written.
private actor Run {
    private let options: Localnet.Options
    private let layout: Localnet.Layout
    private var children: [ChildProcess] = []
    private var clients: [RPCClient] = []
    private var losses: [UInt64: Double] = [:]
    private var shown: Set<String> = []
    private let started = ContinuousClock.now

    init(options: Localnet.Options, layout: Localnet.Layout) { (self.options, self.layout) = (options, layout) }

    /// For people: to standard output, or to standard error where that belongs to JSON.
    private func say(_ text: String) { FileHandle(fileDescriptor: options.json ? STDERR_FILENO : STDOUT_FILENO).write(Data("\(text)\n".utf8)) }

    func end() async { await ChildProcess.endAll(children) }

    func run() async throws -> Int32 {
        say("\(layout.validators.count) validators, \(options.trainers) honest trainers\(options.adversaries.isEmpty ? "" : ", adversaries: " + options.adversaries.joined(separator: ", ")); model \(options.model), data \(options.data.lastPathComponent)")
        let environment = ["ASSAY_KERNELS": KernelPath.currentName]
        for validator in layout.validators {
            children.append(try ChildProcess(name: validator.file.name, executable: Localnet.program, arguments: ["validator", "run", "--home", validator.home.url.path, "--exit-with-parent"], environment: environment, log: validator.home.log))
        }
        clients = layout.validators.map { RPCClient("http://\($0.file.rpc!)") }
        try await waitForValidators()
        let each = options.stages - 1, ports = try freePorts(layout.trainers.count * each), stagePorts = layout.trainers.indices.map { Array(ports[$0 * each..<($0 + 1) * each]) }
        for (index, trainer) in layout.trainers.enumerated() {
            let place = trainer.role == "honest" && options.stages > 1 ? ["--stage", "0/\(options.stages)", "--next", "127.0.0.1:\(stagePorts[index][0])"] : []
            children.append(try ChildProcess(name: "trainer-\(index)", executable: Localnet.program, arguments: ["trainer", "join", "--home", trainer.home.url.path, "--exit-with-parent"] + place, environment: environment, log: trainer.home.log))
        }
        for (index, trainer) in layout.trainers.enumerated() where trainer.role == "honest" {
            for stage in 0..<options.stages where stage > 0 {
                let next = stage + 1 < options.stages ? ["--next", "127.0.0.1:\(stagePorts[index][stage])"] : []
                children.append(try ChildProcess(
                    name: "trainer-\(index) stage \(stage)", executable: Localnet.program,
                    arguments: ["trainer", "join", "--home", trainer.home.url.path, "--exit-with-parent", "--stage", "\(stage)/\(options.stages)", "--listen", "127.0.0.1:\(stagePorts[index][stage - 1])"] + next,
                    environment: environment, log: trainer.home.url.appending(path: "stage-\(stage).txt")))
            }
        }
        let network = network()
        try writeJSON(network, to: Localnet.Network.file(options.home))
        say("chain id \(network.chainId), JSON-RPC on \(network.validators[0].rpc), faucet \(network.faucet.address)")
        say("")
        try await watch()
        let summary = try await summary()
        try writeJSON(summary, to: Localnet.Summary.file(options.home))
        report(summary)
        if options.json { print(String(decoding: try JSONEncoder().encode(summary), as: UTF8.self)) }
        return summary.safety.stateRootsEqual && summary.safety.commitChainsEqual && summary.honestSlashed.isEmpty ? 0 : 1
    }

    private func waitForValidators() async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        for client in clients {
            while (try? await client.uint64("eth_chainId")) == nil {
                try Task.checkCancellation()
                try checkChildren()
                guard ContinuousClock.now < deadline else { throw Failure("\(client.url) does not answer", remedy: "See the logs in \(options.home.path).") }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// A validator that ends at the start is a failure; later on it may be somebody's experiment.
    private func checkChildren() throws {
        for child in children where !child.isRunning { throw Failure("\(child.name) ended (status \(child.status ?? -1)):\n\(child.tail())", remedy: "Its log: \(child.log.path)") }
    }

    private func network() -> Localnet.Network {
        Localnet.Network(
            chainId: layout.genesis.chainID, genesis: layout.genesis.digest.description, contracts: Dictionary(uniqueKeysWithValues: ContractAddress.all.map { ($0.name, $0.address.description) }),
            faucet: .init(address: layout.faucet.address.description, privateKey: hex(layout.faucet.privateBytes)), supervisor: getpid(),
            validators: layout.validators.enumerated().map { index, validator in
                .init(index: index, address: validator.owner.address.description, home: validator.home.url.path, pid: children[index].identifier, rpc: "http://\(validator.file.rpc!)", metrics: "http://\(validator.file.rpc!)/metrics")
            },
            trainers: layout.trainers.enumerated().map { index, trainer in
                .init(index: index, address: trainer.owner.address.description, nodeKey: trainer.nodeKey.address.description, home: trainer.home.url.path, pid: children[layout.validators.count + index].identifier, role: trainer.role)
            })
    }

    private func name(_ address: Address) -> String {
        guard let index = layout.trainers.firstIndex(where: { $0.owner.address == address }) else { return address.description }
        let role = layout.trainers[index].role
        return role == "honest" ? "trainer-\(index)" : role
    }

    // MARK: Watching

    private func client() async throws -> RPCClient {
        for client in clients {
            if await client.isReachable() { return client }
        }
        throw Failure("no validator answers any more", remedy: "See the logs in \(options.home.path).")
    }

    private func watch() async throws {
        let engine = try evaluator()
        var settled: UInt64 = 0
        while true {
            try Task.checkCancellation()
            let client = try await client()
            guard let status = try? await client.head().status else { continue }
            while settled < status.settled.rawValue {
                try await show(Window(settled), client, engine)
                settled += 1
            }
            if status.over { return }
            if !children.contains(where: \.isRunning) { throw Failure("all processes have ended", remedy: "See the logs in \(options.home.path).") }
            try await Task.sleep(for: .milliseconds(400))
        }
    }

    private func evaluator() throws -> WindowTrainer {
        try WindowTrainer(genesis: layout.genesis, corpus: try Corpus(Localnet.data(options.data), genesis: layout.genesis), threads: 1)
    }

    private func loss(of window: Window, _ client: RPCClient, _ engine: WindowTrainer) async throws -> Double? {
        guard let view = try await client.window(window), let root = view.outer?.parametersRoot, let bytes = try await client.blob(root), let parameters = try? FloatBuffer(littleEndianBytes: bytes) else { return nil }
        return engine.validationLoss(parameters, sequences: 96)
    }

    private func show(_ window: Window, _ client: RPCClient, _ engine: WindowTrainer) async throws {
        if window.rawValue == 0, let first = try await loss(of: window, client, engine) { say("before training: validation loss \(String(format: "%.3f", first)) nats per byte") }
        let loss = try await loss(of: window.advanced(by: 2), client, engine)
        losses[window.rawValue] = loss
        let tally = Localnet.Tally(try await Localnet.events(client))
        let took = ContinuousClock.now - started
        say("window \(window)  loss \(loss.map { String(format: "%.3f", $0) } ?? "–")  (\(took.components.seconds) s)")
        for trainer in layout.trainers {
            let address = trainer.owner.address, number = window.rawValue
            let score = tally.score[number]?[address].map { String(format: "%+.2f %%", Double($0) / 1e7) } ?? "not scored"
            let reward = tally.reward[number]?[address] ?? 0
            let label = name(address)
            say("    \(label)\(String(repeating: " ", count: max(0, 10 - label.count)))  \(score)\(String(repeating: " ", count: max(0, 11 - score.count)))  paid \(tokens(reward, digits: 3))")
        }
        // Verdicts on earlier windows come when they come.
        for (number, who) in tally.reasons.sorted(by: { $0.key < $1.key }) {
            for (address, reasons) in who.sorted(by: { $0.key < $1.key }) {
                for reason in reasons where shown.insert("\(number) \(address) \(reason)").inserted {
                    let amount = reason.hasPrefix("slashed") ? " (\(tokens(tally.slashed[number]?[address] ?? 0, digits: 3)) tokens)" : ""
                    say("    \(name(address)): \(reason)\(amount), window \(number)")
                }
            }
        }
    }

    // MARK: The end

    private func summary() async throws -> Localnet.Summary {
        let client = try await client()
        let tally = Localnet.Tally(try await Localnet.events(client))
        let rules = layout.genesis.training
        var rows: [Localnet.Summary.WindowRow] = []
        for number in 0..<(try await client.head().status.settled.rawValue) {
            guard let view = try await client.window(Window(number)) else { continue }
            let next = try await client.window(Window(number + 2))
            var payloadBytes = 0
            for contribution in view.judged { if let root = contribution.reveal?.payloadRoot { payloadBytes += try await client.blob(root)?.count ?? 0 } }
            rows.append(.init(
                window: number, parametersRoot: next?.outer?.parametersRoot.description ?? "", validationLoss: losses[number], trainingTokens: view.judged.reduce(0) { $0 + Int($1.reveal?.steps ?? 0) } * Int(rules.rows * layout.genesis.model.context), payloadBytes: payloadBytes,
                trainers: layout.trainers.map { trainer in
                    let address = trainer.owner.address
                    let credited = tally.reward[number]?[address] ?? 0, forfeited = tally.forfeited[number]?[address] ?? 0
                    return .init(address: address.description, role: trainer.role, score: tally.score[number]?[address], rating: tally.rating[number]?[address].map { Double($0) / 1e9 },
                                 reward: ((try? credited.subtracting(forfeited)) ?? 0).description, slashed: (tally.slashed[number]?[address] ?? 0).description, reasons: tally.reasons[number]?[address] ?? [])
                }))
        }
        let (safety, height) = try await safety()
        let status = try await client.call("assay_status")
        return Localnet.Summary(
            chainId: layout.genesis.chainID, windows: rows,
            consensus: .init(commits: Int64(height), rounds: status["highestRound"]?.int ?? 0, latencyMs: .init(p50: status["latencyMs"]?["p50"]?.int ?? 0, p99: status["latencyMs"]?["p99"]?.int ?? 0)), safety: safety)
    }

    /// All validators that answer have one block at the height that the last of them has reached: header hashes cover commit chain and state alike.
    private func safety() async throws -> (Localnet.Summary.Safety, UInt64) {
        var heights: [UInt64] = [], answering: [RPCClient] = []
        for client in clients { if let height = try? await client.uint64("eth_blockNumber") { (heights, answering) = (heights + [height], answering + [client]) } }
        let height = heights.min() ?? 0
        var roots: Set<String> = [], hashes: Set<String> = []
        for client in answering {
            let block = try await client.call("eth_getBlockByNumber", [.string("0x" + String(height, radix: 16)), false])
            roots.insert(block["stateRoot"]?.string ?? "none")
            hashes.insert(block["hash"]?.string ?? "none")
        }
        return (.init(stateRootsEqual: roots.count == 1, commitChainsEqual: hashes.count == 1), height)
    }

    private func report(_ summary: Localnet.Summary) {
        say("\n\(summary.windows.count) windows in \((ContinuousClock.now - started).components.seconds) s, \(summary.consensus.commits) commits, commit latency \(summary.consensus.latencyMs.p50) ms (p99 \(summary.consensus.latencyMs.p99) ms)")
        if let first = summary.windows.first?.validationLoss, let last = summary.windows.last?.validationLoss { say("validation loss \(String(format: "%.3f", first)) → \(String(format: "%.3f", last)) nats per byte") }
        for (index, trainer) in layout.trainers.enumerated() {
            let rows = summary.windows.compactMap { $0.trainers.first { $0.address == trainer.owner.address.description } }
            let paid = rows.compactMap { U256($0.reward) }, slashed = rows.compactMap { U256($0.slashed) }
            func sum(_ amounts: [U256]) -> String { tokens(amounts.reduce(U256.zero) { (try? $0.adding($1)) ?? $0 }, digits: 3) }
            let label = trainer.role == "honest" ? "trainer-\(index)" : trainer.role
            say("  \(label)\(String(repeating: " ", count: max(0, 10 - label.count)))  earned \(sum(paid)) in \(paid.filter { !$0.isZero }.count) of \(rows.count) windows, slashed \(sum(slashed))")
        }
        say(summary.safety.stateRootsEqual && summary.safety.commitChainsEqual ? "all validators ended with one commit chain and one state root" : "THE VALIDATORS DISAGREE: see \(Localnet.Summary.file(options.home).path)")
        let home = options.home.path, honest = layout.trainers[0].owner.address
        say("""

            Next, with the homes in \(home):
              assay audit history --home \(home)
              assay audit replay --home \(home) --trainer \(honest) --window 1
              assay localnet status --home \(home)
              while it runs, JSON-RPC is on \(clients[0].url)
            """)
    }
}
