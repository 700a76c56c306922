import AssayCrypto
import Foundation

/// What only concerns one machine: `node.json` in a node's home. Relative paths start at the home.
public struct NodeFile: Codable, Sendable {
    public enum Role: String, Codable, Sendable { case validator, trainer }

    public var role: Role
    public var name: String
    public var genesis: String
    public var data: String
    /// The owner's account. Only for a validator that genesis does not name.
    public var owner: String?
    /// HOST:PORT for the other validators. Validators only.
    public var listen: String?
    /// HOST:PORT of the JSON-RPC server. Validators only.
    public var rpc: String?
    /// JSON-RPC servers of the network's validators, by seat: whom a trainer talks to, and what `assay_networkInfo` tells.
    public var validatorURLs: [String]
    /// Threads for training, scoring and replaying.
    public var threads: Int
    /// `honest`, or an adversary's name: local networks only.
    public var behaviour: String?
    /// After a loss of the disk, go on with the answers of a third of the stake instead of a quorum. Risk: a block that only unreachable
    /// validators have seen could be made a second time, which is slashed. Nil for no.
    public var trustsFewer: Bool?
    /// Largest size of the node's database in MiB: beyond it writing fails as on a full disk. Nil for none.
    public var storeLimitMiB: Int?
    /// Commits that are kept with their blocks, for validators that catch up; older ones are dropped, and their room is given back. What RPC and audits need
    /// (headers, receipts, logs, state) stays. Nil keeps all: who starts anew or has lost its disk begins with the first commit, so a few must.
    public var keptCommits: UInt64?
    /// Inner steps of each window, where the run's rules leave a choice. Trainers only; nil for H.
    public var steps: UInt32?

    public init(role: Role, name: String, genesis: String, data: String, listen: String? = nil, rpc: String? = nil, validatorURLs: [String], threads: Int, behaviour: String? = nil, storeLimitMiB: Int? = nil, trustsFewer: Bool? = nil, keptCommits: UInt64? = nil, steps: UInt32? = nil) {
        (self.role, self.name, self.genesis, self.data, self.listen, self.rpc) = (role, name, genesis, data, listen, rpc)
        (self.validatorURLs, self.threads, self.behaviour, self.storeLimitMiB, self.trustsFewer) = (validatorURLs, threads, behaviour, storeLimitMiB, trustsFewer)
        (self.keptCommits, self.steps) = (keptCommits, steps)
    }
}

/// A node's home directory, and where things stand in it.
public struct NodeHome: Sendable {
    public let url: URL
    public init(_ url: URL) { self.url = url.standardizedFileURL }

    public var nodeFile: URL { url.appending(path: "node.json") }
    public var passwordFile: URL { url.appending(path: "password") }
    public var nodeKeystore: URL { url.appending(path: "keys/node.json") }
    public var consensusKeystore: URL { url.appending(path: "keys/consensus.json") }
    public var ownerKeystore: URL { url.appending(path: "keys/owner.json") }
    public var networkKeyFile: URL { url.appending(path: "keys/network.pem") }
    public var beaconSeedFile: URL { url.appending(path: "keys/beacon") }
    /// Up to which round own blocks may exist: beside the database, so that a node knows when it has lost that.
    public var lastRoundFile: URL { url.appending(path: "last-round") }
    public var log: URL { url.appending(path: "log.txt") }
    /// What a validator's owner tells the ledger to register it: public.
    public var registrationFile: URL { url.appending(path: "registration.json") }
    /// For tests: see `Cut`.
    public var cutFile: URL { url.appending(path: "cut") }
    /// Digest of the genesis whose data this home holds.
    public var networkFile: URL { url.appending(path: "network") }

    public func path(_ text: String) -> URL { text.hasPrefix("/") ? URL(filePath: text) : url.appending(path: text).standardizedFileURL }

    public func read(role: NodeFile.Role) throws -> NodeFile {
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw Failure("no node home at \(url.path)", remedy: "Give the home of a node with --home; `assay localnet up` makes some.")
        }
        let file = try readJSON(NodeFile.self, nodeFile, what: "node file")
        guard file.role == role else { throw Failure("\(url.path) is the home of a \(file.role.rawValue), not of a \(role.rawValue)") }
        guard (1...256).contains(file.threads) else { throw Failure("node file \(nodeFile.path): threads is \(file.threads), allowed is 1…256") }
        if let kept = file.keptCommits, kept < 1_000 { throw Failure("node file \(nodeFile.path): keptCommits is \(kept), allowed is 1000 and more", remedy: "Others catch up by these commits; leave it out to keep all.") }
        return file
    }

    /// Refuses a genesis that is not that of the data in this home; nothing is changed by asking.
    public func check(belongsTo genesis: Digest) throws {
        guard let text = try? String(contentsOf: networkFile, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines), text != genesis.description else { return }
        throw Failure("\(url.path) belongs to another network: its genesis is \(text), the genesis file's is \(genesis)", remedy: "Give the genesis file of that network in node.json, or use another home.")
    }

    /// Marks the home as that network's, once.
    public func mark(belongsTo genesis: Digest) throws {
        guard !FileManager.default.fileExists(atPath: networkFile.path) else { return }
        do { try Data("\(genesis)\n".utf8).write(to: networkFile, options: .atomic) } catch { throw Failure("cannot write \(networkFile.path): \(error.localizedDescription)", remedy: "Is the directory writable, and the disk not full?") }
    }

    /// The password of the home's keys: from ASSAY_PASSWORD, or the file `password` in the home.
    public func password() throws -> String {
        if let password = ProcessInfo.processInfo.environment["ASSAY_PASSWORD"] { return password }
        guard let text = try? String(contentsOf: passwordFile, encoding: .utf8) else {
            throw Failure("no password for the keys in \(url.path)", remedy: "Set ASSAY_PASSWORD, or write it into \(passwordFile.path).")
        }
        return text.trimmingCharacters(in: .newlines)
    }

    /// Writes a file that only its owner may read.
    public static func writeSecret(_ text: String, to url: URL) throws {
        do {
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            guard FileManager.default.createFile(atPath: url.path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600]) else { throw Failure("cannot write \(url.path)") }
        } catch let failure as Failure { throw failure } catch { throw Failure("cannot write \(url.path): \(error.localizedDescription)") }
    }
}

/// HOST:PORT.
public func hostAndPort(_ text: String, _ field: String) throws -> (host: String, port: Int) {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port), colon != text.startIndex else {
        throw Failure("\(field): “\(text)” is no HOST:PORT")
    }
    return (String(text[..<colon]), port)
}

/// Bytes from the system's generator, for keys. Nothing that must repeat uses it.
public func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
}
