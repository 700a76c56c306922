import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTraining
import Foundation

/// Makes the home of a validator that joins a network which is there already: `assay validator init`.
public enum ValidatorSetup {
    public struct Options: Sendable {
        public var home, genesis, data: URL
        /// HOST:PORT.
        public var listen, rpc: String
        /// HOST:PORT where the others reach it, if that is not `listen`.
        public var endpoint: String?
        /// The owner's account; nil to make a key for it in the home.
        public var owner: String?
        public var name: String?
        public var threads = 1
        public var commissionBps: UInt16 = 0
        /// Of the keystores.
        package var scryptCost = Keystore.standardCost

        public init(home: URL, genesis: URL, data: URL, listen: String, rpc: String) { (self.home, self.genesis, self.data, self.listen, self.rpc) = (home.standardizedFileURL, genesis, data, listen, rpc) }
    }

    public struct Made: Codable, Sendable {
        public var home: String
        public var registration: ValidatorRegistration
        /// The owner's keystore, if it was made.
        public var keystore: String?
        /// With what opens it, unless that was in ASSAY_PASSWORD.
        public var passwordFile: String?
        public var minimumStakeTokens: String

        /// For people: what to do next.
        public var text: String {
            """
            Made the home of a validator in \(home). Its owner is \(registration.owner)\(keystore == nil ? "" : ", whose key was made too: keep it elsewhere if it is to own anything of worth").
            1. Start it; it waits until the others know it: assay validator run --home \(home)
            2. Stake \(minimumStakeTokens) tokens or more from the owner's account, which must hold them, and a little for fees:
               assay stake \(minimumStakeTokens) --validator \(home) --rpc URL --keystore \(keystore ?? "FILE")\(passwordFile.map { " --password-file \($0)" } ?? "")
            Then it follows the ledger, and from the next epoch on it sits in the committee.
            """
        }
    }

    /// Nothing is written unless genesis, data and addresses fit.
    public static func make(_ options: Options) throws -> Made {
        let home = NodeHome(options.home)
        if let entries = try? FileManager.default.contentsOfDirectory(atPath: home.url.path), !entries.isEmpty {
            throw Failure("\(home.url.path) exists already, and is not empty", remedy: "Give a new directory with --home; keys are never overwritten.")
        }
        guard (1...256).contains(options.threads) else { throw Failure("--threads \(options.threads): allowed is 1…256") }
        guard options.commissionBps <= 10_000 else { throw Failure("--commission-bps \(options.commissionBps): allowed is 0…10000") }
        let genesis = try GenesisFile.read(options.genesis).genesis()
        guard let data = try? Data(contentsOf: options.data) else { throw Failure("no data file at \(options.data.path)", remedy: "Every node needs the run's text.") }
        do { _ = try Corpus(Array(data), genesis: genesis) } catch { throw Failure("\(options.data.path): \(error)") }
        _ = try hostAndPort(options.rpc, "--rpc")
        let endpoint = try endpoint(options)
        let local = options.owner == nil ? try KeyPair(privateBytes: randomBytes(32)) : nil
        let owner = try options.owner.map { try address($0, "--owner") } ?? local!.address

        let password = ProcessInfo.processInfo.environment["ASSAY_PASSWORD"]
        let keys = try ValidatorKeys.make(in: home, owner: local, beaconLinks: beaconLinks, scryptCost: options.scryptCost, password: password)
        var file = NodeFile(role: .validator, name: options.name ?? home.url.lastPathComponent, genesis: options.genesis.standardizedFileURL.path, data: options.data.standardizedFileURL.path,
                            listen: options.listen, rpc: options.rpc, validatorURLs: ["http://\(options.rpc)"], threads: options.threads)
        file.owner = owner.description
        try writeJSON(file, to: home.nodeFile)
        let registration = ValidatorRegistration(genesis, owner: owner, keys: keys, commissionBps: options.commissionBps, endpoint: endpoint)
        try writeJSON(registration, to: home.registrationFile)
        return Made(home: home.url.path, registration: registration, keystore: local == nil ? nil : home.ownerKeystore.path, passwordFile: local == nil || password != nil ? nil : home.passwordFile.path, minimumStakeTokens: tokens(genesis.run.validatorMinimumStake))
    }

    /// Enough for years of windows: a link is used up by each.
    private static let beaconLinks = 65_536

    private static func endpoint(_ options: Options) throws -> String {
        let listening = try hostAndPort(options.listen, "--listen")
        let endpoint = options.endpoint ?? options.listen, place = try hostAndPort(endpoint, "--endpoint")
        guard !["0.0.0.0", "::", "[::]"].contains(place.host), place.port > 0 else {
            throw Failure("the other validators cannot reach \(endpoint)", remedy: "Say with --endpoint HOST:PORT where \(listening.host):\(listening.port) is reached from outside.")
        }
        guard endpoint.utf8.count <= Limits.endpointBytes else { throw Failure("--endpoint has more than \(Limits.endpointBytes) bytes") }
        return endpoint
    }
}
