import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Foundation

/// What an owner tells the ledger to register a validator. All of it is public, so it may go to wherever the owner's key is: `registration.json`.
///
/// Both proofs hold for this owner on this network alone.
public struct ValidatorRegistration: Codable, Hashable, Sendable {
    public var chainId: UInt64
    public var genesis, owner, nodeKey, consensusKey, networkKey, logKey, beaconTip: String
    /// Hundredths of a percent that the validator keeps of what its delegators earn.
    public var commissionBps: UInt16
    /// HOST:PORT where the other validators reach it.
    public var endpoint: String
    /// The node key's 65 bytes, then the consensus key's.
    public var proofs: String

    init(_ genesis: Genesis, owner: Address, keys: ValidatorKeys, commissionBps: UInt16, endpoint: String) {
        (chainId, self.genesis, self.owner) = (genesis.chainID, genesis.digest.description, owner.description)
        (nodeKey, consensusKey, networkKey) = (keys.node.address.description, hex(ValidatorRegistration.compressed(keys.consensus.publicKey)), keys.networkKey.description)
        // The log is not signed by validators one by one yet.
        (logKey, beaconTip) = (Digest.zero.description, keys.beacon.tip.description)
        (self.commissionBps, self.endpoint) = (commissionBps, endpoint)
        proofs = hex(NodeKeyProof.make(keys.node, owner: owner, genesis: genesis.digest) + ConsensusKeyProof.make(keys.consensus, owner: owner, genesis: genesis.digest))
    }

    /// - Parameter url: the file, or the home that it is in.
    public static func read(_ url: URL) throws -> ValidatorRegistration {
        var isFolder: ObjCBool = false
        let isHome = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && isFolder.boolValue
        let file = isHome ? NodeHome(url).registrationFile : url
        guard FileManager.default.fileExists(atPath: file.path) else { throw Failure("no registration at \(file.path)", remedy: "`assay validator init` writes it.") }
        return try readJSON(ValidatorRegistration.self, file, what: "registration")
    }

    /// - Throws: `Failure` if the key is not the owner's, or the network is another.
    public func check(owner key: Address, chainID: UInt64) throws {
        guard try address(owner, "registration: owner") == key else {
            throw Failure("the registration is for the owner \(owner), the key is that of \(key)", remedy: "Give the owner's keystore, or make the validator's home again with: assay validator init --owner \(key)")
        }
        guard chainId == chainID else { throw Failure("the registration is for chain id \(chainId), the validator asked belongs to \(chainID)", remedy: "Give a URL of the network that the home was made for.") }
    }

    /// SEC 1, 33 bytes: which half of the curve y is in, and x.
    private static func compressed(_ key: PublicKey) -> [UInt8] { [2 + key.bytes[63] & 1] + key.bytes.prefix(32) }

    /// What is sent to Staking, with the stake.
    public func call() throws -> [UInt8] {
        func raw(_ text: String, _ field: String) throws -> [UInt8] {
            guard let raw = bytes(hex: text) else { throw Failure("registration: \(field) is not hexadecimal") }
            return raw
        }
        return try ABIFunction("registerValidator(address,bytes,bytes32,bytes32,bytes32,uint16,string,bytes)").call(
            .address(address(nodeKey, "registration: nodeKey")), .bytes(ValidatorRegistration.compressed(publicKey(consensusKey, "registration: consensusKey"))), .bytes32(digestOf(networkKey, "registration: networkKey")),
            .bytes32(digestOf(logKey, "registration: logKey")), .bytes32(digestOf(beaconTip, "registration: beaconTip")), .uint(UInt64(commissionBps)), .string(endpoint), .bytes(raw(proofs, "proofs")))
    }
}
