import AssayCrypto
import AssayNetwork
import AssayPrimitives
import Foundation

/// A validator's own keys: for its duties, its blocks, its connections, and the seed of its beacon chain. The owner's key is not among them.
struct ValidatorKeys {
    let node: KeyPair
    let consensus: KeyPair
    let network: NetworkIdentity
    let beacon: BeaconChain

    var networkKey: Digest { network.keyDigest }

    private struct BeaconFile: Codable { var seed: String; var links: Int }

    /// Makes and keeps new keys. The owner's key is kept too where it has no wallet of its own.
    /// - Parameter password: of the keystores; without it one is made and kept beside them.
    static func make(in home: NodeHome, owner: KeyPair?, beaconLinks: Int, scryptCost: UInt64, password given: String? = nil) throws -> ValidatorKeys {
        let password = given ?? hex(randomBytes(16), prefix: false)
        if given == nil { try NodeHome.writeSecret(password, to: home.passwordFile) }
        let node = try KeyPair(privateBytes: randomBytes(32)), consensus = try KeyPair(privateBytes: randomBytes(32))
        for (key, file) in [(node, home.nodeKeystore), (consensus, home.consensusKeystore)] + (owner.map { [($0, home.ownerKeystore)] } ?? []) {
            try Keystore.write(key, to: file, password: password, n: scryptCost)
        }
        try LastRound.write(.none, to: home.lastRoundFile)
        let network = try NetworkIdentity.generate()
        try NodeHome.writeSecret(network.pem, to: home.networkKeyFile)
        let seed = randomBytes(32)
        try NodeHome.writeSecret(String(decoding: try JSONEncoder().encode(BeaconFile(seed: hex(seed), links: beaconLinks)), as: UTF8.self), to: home.beaconSeedFile)
        return ValidatorKeys(node: node, consensus: consensus, network: network, beacon: try chain(seed: seed, links: beaconLinks, home))
    }

    static func read(_ home: NodeHome) throws -> ValidatorKeys {
        let password = try home.password()
        let file = try readJSON(BeaconFile.self, home.beaconSeedFile, what: "beacon file")
        guard let seed = bytes(hex: file.seed) else { throw Failure("beacon file \(home.beaconSeedFile.path): the seed is not hexadecimal") }
        guard let pem = try? String(contentsOf: home.networkKeyFile, encoding: .utf8) else { throw Failure("no network key at \(home.networkKeyFile.path)") }
        return ValidatorKeys(
            node: try Keystore.read(home.nodeKeystore, password: password), consensus: try Keystore.read(home.consensusKeystore, password: password),
            network: try NetworkIdentity(pem: pem), beacon: try chain(seed: seed, links: file.links, home))
    }

    private static func chain(seed: [UInt8], links: Int, _ home: NodeHome) throws -> BeaconChain {
        guard (1 << 10...1 << 20).contains(links) else { throw Failure("beacon file \(home.beaconSeedFile.path): \(links) links, allowed is 1024…1048576") }
        return BeaconChain(seed: seed, length: links)
    }
}
