import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTraining
import Foundation

extension Localnet {
    /// A network laid out on disk, before its processes start.
    struct Layout {
        struct Trainer {
            var home: NodeHome
            var owner: KeyPair
            var nodeKey: KeyPair
            var role: String
        }
        var genesis: Genesis
        var faucet: KeyPair
        var validators: [(home: NodeHome, owner: KeyPair, file: NodeFile)]
        var trainers: [Trainer]
    }

    /// scrypt's cost for the keys of a local network, whose passwords lie beside them: just enough to go through the same code.
    private static let scryptCost: UInt64 = 1_024

    /// Makes the homes: keys, genesis, node files.
    /// - Throws: `Failure` if anything is there already that is not a local network of ours.
    static func prepare(_ options: Options) throws -> Layout {
        try options.check()
        let content = try data(options.data)
        let rules = try readJSON(Rules.self, options.rules ?? genesisFolder().appending(path: "localnet.json"), what: "rules file")
        let model = try model(options.model)
        try clear(options.home)

        let roles = [String](repeating: "honest", count: options.trainers) + options.adversaries
        let ports = try freePorts(options.validators * 2)
        let faucet = try KeyPair(privateBytes: randomBytes(32))
        let url = { (port: Int) in "http://127.0.0.1:\(port)" }
        let rpcURLs = (0..<options.validators).map { url(ports[options.validators + $0]) }

        var validators: [(home: NodeHome, owner: KeyPair, file: NodeFile)] = [], members: [GenesisFile.Validator] = []
        for index in 0..<options.validators {
            let home = NodeHome(options.home.appending(path: "validator-\(index)"))
            let owner = try KeyPair(privateBytes: randomBytes(32))
            let file = NodeFile(role: .validator, name: "validator-\(index)", genesis: "../genesis.json", data: options.data.path, listen: "127.0.0.1:\(ports[index])",
                                rpc: "127.0.0.1:\(ports[options.validators + index])", validatorURLs: rpcURLs, threads: options.threads)
            let keys = try ValidatorKeys.make(in: home, owner: owner, beaconLinks: rules.beaconLinks, scryptCost: scryptCost)
            try writeJSON(file, to: home.nodeFile)
            members.append(.init(
                owner: owner.address.description, nodeKey: keys.node.address.description, consensusKey: hex(keys.consensus.publicKey.bytes),
                networkKey: keys.networkKey.description, beaconTip: keys.beacon.tip.description, stakeTokens: rules.validatorStakeTokens, endpoint: "127.0.0.1:\(ports[index])"))
            validators.append((home, owner, file))
        }
        var trainers: [Layout.Trainer] = []
        for (index, role) in roles.enumerated() {
            let home = NodeHome(options.home.appending(path: "trainer-\(index)"))
            let owner = try KeyPair(privateBytes: randomBytes(32)), nodeKey = try KeyPair(privateBytes: randomBytes(32))
            let password = hex(randomBytes(16), prefix: false)
            try NodeHome.writeSecret(password, to: home.passwordFile)
            try Keystore.write(owner, to: home.ownerKeystore, password: password, n: scryptCost)
            try Keystore.write(nodeKey, to: home.nodeKeystore, password: password, n: scryptCost)
            try writeJSON(NodeFile(role: .trainer, name: "trainer-\(index)", genesis: "../genesis.json", data: options.data.path, validatorURLs: rpcURLs, threads: options.threads,
                                   behaviour: role == "honest" ? nil : role,
                                   steps: role == "honest" && !options.steps.isEmpty ? options.steps[index % options.steps.count] : nil), to: home.nodeFile)
            trainers.append(.init(home: home, owner: owner, nodeKey: nodeKey, role: role))
        }

        var run = rules.run
        run.windows = UInt64(options.windows ?? 0)
        run.trainersToStart = UInt32(roles.count)
        if let seconds = options.windowSeconds { run.windowSeconds = seconds }
        let parameters = InnerLoop.initialParameters(shape: try ModelShape(model.rules()), philox: Philox(key: rules.training.seed))
        let file = try GenesisFile(
            name: rules.name, timeMilliseconds: UInt64(Date().timeIntervalSince1970 * 1_000), epochSeconds: options.epochSeconds ?? rules.epochSeconds, model: model, training: rules.training, run: run,
            data: .init(root: Blob.root(content).description, bytes: UInt64(content.count)), parametersRoot: Blob.root(parameters.littleEndianBytes()).description,
            validators: members,
            accounts: [.init(address: faucet.address.description, balanceTokens: rules.faucetTokens)]
                + trainers.map { .init(address: $0.owner.address.description, balanceTokens: rules.trainerBalanceTokens) }
                + validators.map { .init(address: $0.owner.address.description, balanceTokens: "1000") }).sealed()
        try writeJSON(file, to: options.home.appending(path: "genesis.json"))
        return Layout(genesis: try file.genesis(), faucet: faucet, validators: validators, trainers: trainers)
    }

    /// An earlier local network is replaced; anything else in the way is left alone.
    private static func clear(_ home: URL) throws {
        let files = FileManager.default
        if let entries = try? files.contentsOfDirectory(atPath: home.path), !entries.isEmpty {
            guard entries.contains("genesis.json") else {
                throw Failure("\(home.path) is not empty, and no local network", remedy: "Give an empty or new directory with --home.")
            }
            if let network = try? Network.read(home), network.supervisor > 0, kill(network.supervisor, 0) == 0, isAssay(network.supervisor) {
                throw Failure("a network is running in \(home.path)", remedy: "End it with: assay localnet down --home \(home.path)")
            }
            for entry in entries { try files.removeItem(at: home.appending(path: entry)) }
        }
        do { try files.createDirectory(at: home, withIntermediateDirectories: true) } catch {
            throw Failure("cannot make \(home.path): \(error.localizedDescription)")
        }
    }

    /// Whether the process runs this program: a pid may have been given to another since.
    static func isAssay(_ pid: Int32) -> Bool {
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")
        return target.map { $0.replacingOccurrences(of: " (deleted)", with: "").hasSuffix("/assay") } ?? false
    }
}
