import AssayCrypto
import AssayPrimitives
import AssayProtocol
import Foundation

/// A whole network on one machine, through the same files, processes and connections that any network has.
public enum Localnet {
    public struct Options: Sendable {
        public var home: URL
        public var validators: Int
        public var trainers: Int
        public var windows: Int?
        public var data: URL
        public var model: String
        public var adversaries: [String]
        public var threads: Int
        /// Processes that each honest trainer's layers are spread over.
        public var stages: Int
        public var windowSeconds: Double?
        public var epochSeconds: Double?
        public var rules: URL?
        /// Inner steps of the honest trainers' windows, in turn; none for H.
        public var steps: [UInt32]
        public var json: Bool

        public init(home: URL, validators: Int, trainers: Int, windows: Int?, data: URL, model: String, adversaries: [String], threads: Int,
                    windowSeconds: Double? = nil, epochSeconds: Double? = nil, rules: URL? = nil, stages: Int = 1, steps: [UInt32] = [], json: Bool = false) {
            (self.home, self.validators, self.trainers, self.windows) = (home.standardizedFileURL, validators, trainers, windows)
            (self.data, self.model, self.adversaries, self.threads) = (data.standardizedFileURL, model, adversaries, threads)
            (self.windowSeconds, self.epochSeconds, self.rules, self.stages, self.steps, self.json) = (windowSeconds, epochSeconds, rules, stages, steps, json)
        }

        static let knownAdversaries = ["lazy", "copycat", "noise", "signflip", "nonsense"]

        func check() throws {
            guard (1...32).contains(validators) else { throw Failure("--validators \(validators): allowed is 1…32") }
            guard (1...64).contains(trainers) else { throw Failure("--trainers \(trainers): allowed is 1…64") }
            guard (1...64).contains(threads) else { throw Failure("--threads \(threads): allowed is 1…64") }
            guard (1...64).contains(stages) else { throw Failure("--stages \(stages): allowed is 1…64") }
            if let windows, windows < 1 { throw Failure("--windows \(windows): at least one") }
            for name in adversaries where !Options.knownAdversaries.contains(name) {
                throw Failure("--adversaries: “\(name)” is not known", remedy: "Known are: \(Options.knownAdversaries.joined(separator: ", ")).")
            }
        }
    }

    /// `network.json`: what there is, for programs that want to talk to it.
    public struct Network: Codable, Sendable {
        public struct Faucet: Codable, Sendable { public var address, privateKey: String }
        public struct Validator: Codable, Sendable {
            public var index: Int
            public var address, home: String
            public var pid: Int32
            public var rpc, metrics: String
        }
        public struct Trainer: Codable, Sendable {
            public var index: Int
            public var address, nodeKey, home: String
            public var pid: Int32
            public var role: String
        }
        public var chainId: UInt64
        public var genesis: String
        public var contracts: [String: String]
        public var faucet: Faucet
        /// The process that runs the network.
        public var supervisor: Int32
        public var validators: [Validator]
        public var trainers: [Trainer]

        static func file(_ home: URL) -> URL { home.appending(path: "network.json") }
        public static func read(_ home: URL) throws -> Network {
            guard FileManager.default.fileExists(atPath: file(home).path) else {
                throw Failure("no network at \(home.path)", remedy: "Make one with: assay localnet up --home \(home.path) --data FILE")
            }
            return try readJSON(Network.self, file(home), what: "network file")
        }
    }

    /// The rules that a local network starts from: `Genesis/localnet.json`.
    struct Rules: Codable {
        var name, model: String
        var epochSeconds: Double
        var training: GenesisFile.Training
        var run: GenesisFile.Run
        var validatorStakeTokens, trainerBalanceTokens, faucetTokens: String
        var beaconLinks: Int
    }

    /// The folder Genesis/ of the project: beside or above the working directory or the program, or named by ASSAY_GENESIS.
    package static func genesisFolder() throws -> URL {
        if let named = ProcessInfo.processInfo.environment["ASSAY_GENESIS"] { return URL(filePath: named) }
        let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        for start in [URL(filePath: FileManager.default.currentDirectoryPath), program.deletingLastPathComponent()] {
            var folder = start
            while folder.path != "/" {
                let candidate = folder.appending(path: "Genesis")
                if FileManager.default.fileExists(atPath: candidate.appending(path: "localnet.json").path) { return candidate }
                folder = folder.deletingLastPathComponent()
            }
        }
        throw Failure("the folder Genesis with the rules of local networks was not found", remedy: "Name it in ASSAY_GENESIS, or start in the project's directory.")
    }

    static func model(_ name: String) throws -> GenesisFile.Model {
        let models = try genesisFolder().appending(path: "Models")
        let url = name.contains("/") || name.hasSuffix(".json") ? URL(filePath: name) : models.appending(path: "\(name).json")
        guard FileManager.default.fileExists(atPath: url.path) else {
            let known = ((try? FileManager.default.contentsOfDirectory(atPath: models.path)) ?? []).filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()
            throw Failure("unknown model “\(name)”", remedy: "Known are: \(known.joined(separator: ", ")). A path to a file like those works too.")
        }
        return try readJSON(GenesisFile.Model.self, url, what: "model file")
    }

    /// Smallest text that a network is made for.
    static let smallestData = 64 * 1024

    static func data(_ url: URL) throws -> [UInt8] {
        guard let data = try? Data(contentsOf: url) else { throw Failure("no data file at \(url.path)", remedy: "Give a text of at least 64 KiB with --data FILE.") }
        guard data.count >= smallestData else { throw Failure("the data file \(url.path) has \(data.count) bytes: too short to train on", remedy: "Give a text of at least 64 KiB with --data FILE.") }
        return Array(data)
    }
}
