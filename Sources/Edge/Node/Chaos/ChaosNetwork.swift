import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRPC
import AssayTensor
import Foundation

/// A local network's processes, and what is done to them. It decides nothing.
actor ChaosNetwork {
    struct Validator: Sendable {
        let name: String
        let home: NodeHome
        let owner: Address
        let client: RPCClient
        /// Nil while it is down.
        var process: ChildProcess?
        var isStopped = false
        /// Asking any other takes until the time limit.
        var mayAnswer: Bool { process != nil && !isStopped }
    }

    let layout: Localnet.Layout
    private let folder: URL
    private(set) var validators: [Validator] = []
    private var trainers: [ChildProcess] = []
    private var cut: [Int] = []
    private static let environment = ["ASSAY_KERNELS": KernelPath.currentName]

    init(_ layout: Localnet.Layout, folder: URL) {
        (self.layout, self.folder) = (layout, folder)
        validators = layout.validators.map { Validator(name: $0.file.name, home: $0.home, owner: $0.owner.address, client: RPCClient("http://\($0.file.rpc!)")) }
    }

    func start() throws {
        for place in validators.indices { try launch(place) }
        trainers = try layout.trainers.enumerated().map { index, trainer in try child("trainer-\(index)", ["trainer", "join", "--home", trainer.home.url.path], log: trainer.home.log) }
    }

    func end() async {
        for validator in validators { validator.process.map { _ = Foundation.kill($0.identifier, SIGCONT) } }
        await ChildProcess.endAll(validators.compactMap(\.process) + trainers)
    }

    private func child(_ name: String, _ arguments: [String], log: URL) throws -> ChildProcess {
        try ChildProcess(name: name, executable: Localnet.program, arguments: arguments + ["--exit-with-parent"], environment: ChaosNetwork.environment, log: log)
    }

    // MARK: Troubles

    func launch(_ place: Int) throws {
        let validator = validators[place]
        validators[place].process = try child(validator.name, ["validator", "run", "--home", validator.home.url.path], log: validator.home.log)
    }

    /// Returns when it is gone.
    func kill(_ place: Int) async throws {
        guard let process = validators[place].process else { return }
        Foundation.kill(process.identifier, SIGKILL)
        try await ended(process)
        validators[place].process = nil
    }
    private func ended(_ process: ChildProcess) async throws { while process.isRunning { try await Task.sleep(for: .milliseconds(10)) } }

    func stop(_ place: Int) { signal(place, isStopped: true) }
    func resume(_ place: Int) { signal(place, isStopped: false) }
    private func signal(_ place: Int, isStopped: Bool) {
        guard let process = validators[place].process else { return }
        Foundation.kill(process.identifier, isStopped ? SIGSTOP : SIGCONT)
        validators[place].isStopped = isStopped
    }

    func wipe(_ place: Int, withLastRound: Bool) {
        let home = validators[place].home
        for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] { try? FileManager.default.removeItem(at: home.url.appending(path: name)) }
        if withLastRound { try? FileManager.default.removeItem(at: home.lastRoundFile) }
    }

    /// Two groups that do not hear each other: these, and all others.
    func part(_ group: [Int]) throws {
        for (place, validator) in validators.enumerated() {
            let others = validators.indices.filter { group.contains($0) != group.contains(place) }.map { "\(validators[$0].owner)\n" }
            try Data(others.joined().utf8).write(to: validator.home.cutFile, options: .atomic)
        }
        cut = group
    }
    func join() {
        for validator in validators { try? FileManager.default.removeItem(at: validator.home.cutFile) }
        cut = []
    }
    /// Whether a validator is rid of all connections that are cut.
    func isParted(_ place: Int, _ status: JSON) -> Bool {
        let connected = Set((status["connected"]?.array ?? []).compactMap(\.string))
        return !validators.indices.contains { cut.contains($0) != cut.contains(place) && connected.contains(validators[$0].owner.description) }
    }

    /// From now on its database may not grow, or may again.
    func limit(_ place: Int, _ isLimited: Bool) throws {
        let home = validators[place].home
        var file = try home.read(role: .validator)
        // Less than it has: then no page can be added.
        file.storeLimitMiB = isLimited ? 1 : nil
        try writeJSON(file, to: home.nodeFile)
    }
    /// It is gone by itself.
    func forget(_ place: Int) { validators[place].process = nil }

    // MARK: By stake

    /// Makes the home of a new validator, by the program's own commands. - Returns: its place.
    func newcomer(_ client: RPCClient) async throws -> Int {
        let place = validators.count, home = folder.appending(path: "validator-\(place)"), ports = try freePorts(2)
        try await run(["validator", "init", "--home", home.path, "--genesis", folder.appending(path: "genesis.json").path, "--data", layout.validators[0].file.data,
                       "--listen", "127.0.0.1:\(ports[0])", "--rpc", "127.0.0.1:\(ports[1])"])
        let registration = try ValidatorRegistration.read(home), owner = try address(registration.owner, "registration: owner")
        validators.append(Validator(name: "validator-\(place)", home: NodeHome(home), owner: owner, client: RPCClient("http://127.0.0.1:\(ports[1])")))
        // As much as the others have, and something for fees.
        let value = try layout.genesis.validators[0].stake.adding(wei("10", "fees"))
        _ = try await client.transact(layout.faucet, chainID: layout.genesis.chainID, to: owner, value: value, data: [])
        return place
    }
    func stake(_ place: Int, _ client: RPCClient) async throws {
        let home = validators[place].home
        try await run(["stake", tokens(layout.genesis.validators[0].stake), "--validator", home.url.path] + owner(home, client))
    }
    func unstake(_ place: Int, _ client: RPCClient) async throws {
        guard case .uint(let stake)? = try await client.view(ABIFunction("stakeOf(address)(uint256)"), at: ContractAddress.staking, [.address(validators[place].owner)]).first else { return }
        try await run(["unstake", tokens(stake)] + owner(validators[place].home, client))
    }
    private func owner(_ home: NodeHome, _ client: RPCClient) -> [String] { ["--rpc", client.url, "--keystore", home.ownerKeystore.path, "--password-file", home.passwordFile.path] }

    private func run(_ arguments: [String]) async throws {
        let log = folder.appending(path: "commands.txt")
        let process = try ChildProcess(name: arguments[0], executable: Localnet.program, arguments: arguments, log: log)
        try await ended(process)
        guard process.status == 0 else { throw ChaosViolation("assay \(arguments.joined(separator: " ")) ended with \(process.status ?? -1): \(process.tail())") }
    }
}
