import AssayCrypto
import AssayNode
import AssayPrimitives
import AssayProtocol
import Foundation
import Testing

/// How somebody becomes a validator of a network that is there already: its home, and what its owner tells the ledger.
@Suite struct ValidatorSetupTests {
    /// A genesis file, and the text that it speaks of.
    private func network(in folder: URL) throws -> (genesis: Genesis, options: ValidatorSetup.Options) {
        var file = EdgeFuzz.genesisFile
        let text = (0..<8_192).map { UInt8(97 + $0 % 26) }, data = folder.appending(path: "text"), genesis = folder.appending(path: "genesis.json")
        try Data(text).write(to: data)
        (file.data.root, file.data.bytes) = (Blob.root(text).description, UInt64(text.count))
        try JSONEncoder().encode(try file.sealed()).write(to: genesis)
        var options = ValidatorSetup.Options(home: folder.appending(path: "home"), genesis: genesis, data: data, listen: "127.0.0.1:7000", rpc: "127.0.0.1:7001")
        options.scryptCost = 1_024
        return (try file.genesis(), options)
    }
    private func inFolder<Value>(_ body: (URL) throws -> Value) throws -> Value {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder)
    }
    /// Whose EIP-191 signature over keccak(tag ‖ genesis ‖ owner) this is.
    private func signer(_ proof: ArraySlice<UInt8>, _ tag: String, _ genesis: Digest, _ owner: Address) throws -> PublicKey {
        let message = keccak256(Array(tag.utf8) + genesis.bytes + owner.bytes)
        return try PublicKey.recover(Signature(bytes: proof.dropLast() + [proof.last! - 27]), hash: keccak256(Array("\u{19}Ethereum Signed Message:\n32".utf8) + message))
    }

    @Test func `a new validator's home has its keys, and the registration proves them for this owner and network`() throws {
        try inFolder { folder in
            let (genesis, options) = try network(in: folder)
            let made = try ValidatorSetup.make(options), registration = try ValidatorRegistration.read(options.home)
            #expect(registration == made.registration && registration.chainId == genesis.chainID && registration.endpoint == "127.0.0.1:7000" && made.minimumStakeTokens == "10000.5")
            let home = NodeHome(options.home), password = try home.password()
            let owner = try Keystore.read(home.ownerKeystore, password: password), node = try Keystore.read(home.nodeKeystore, password: password), consensus = try Keystore.read(home.consensusKeystore, password: password)
            #expect(registration.owner == owner.address.description)
            #expect(try home.read(role: .validator).owner == registration.owner)

            // What is sent to Staking, argument by argument.
            let function = ABIFunction("registerValidator(address,bytes,bytes32,bytes32,bytes32,uint16,string,bytes)"), call = try registration.call()
            #expect(Array(call.prefix(4)) == function.selector)
            let values = try ABI.decode(function.inputs, call.dropFirst(4))
            guard values.count == 8, case .bytes(let consensusKey) = values[1], case .bytes(let proofs) = values[7] else {
                Issue.record("other arguments: \(values)")
                return
            }
            #expect(values[0] == .address(node.address) && consensusKey.count == 33)
            #expect(try PublicKey(consensusKey) == consensus.publicKey)
            #expect(values[3] == .bytes32(.zero) && values[5] == .uint(0 as UInt64) && values[6] == .string("127.0.0.1:7000"))
            #expect(proofs.count == 130)
            #expect(try signer(proofs.prefix(65), "assay/node-key", genesis.digest, owner.address) == node.publicKey)
            #expect(try signer(proofs.suffix(65), "assay/consensus-key", genesis.digest, owner.address) == consensus.publicKey)
            try registration.check(owner: owner.address, chainID: genesis.chainID)
        }
    }

    @Test func `an owner whose key is elsewhere is named, and its registration is for nobody else`() throws {
        try inFolder { folder in
            var (genesis, options) = try network(in: folder)
            let owner = KeyPair(seed: "somewhere else").address
            (options.owner, options.endpoint, options.listen) = (owner.description, "validator.example:7000", "0.0.0.0:7000")
            let made = try ValidatorSetup.make(options)
            #expect(made.keystore == nil && !FileManager.default.fileExists(atPath: NodeHome(options.home).ownerKeystore.path) && made.registration.endpoint == "validator.example:7000")
            #expect(made.text.contains("assay stake 10000.5 --validator \(options.home.path)") && made.text.contains("--keystore FILE"))
            try made.registration.check(owner: owner, chainID: genesis.chainID)
            #expect(throws: Failure.self) { try made.registration.check(owner: KeyPair(seed: "a thief").address, chainID: genesis.chainID) }
            #expect(throws: Failure.self) { try made.registration.check(owner: owner, chainID: genesis.chainID + 1) }
        }
    }

    @Test func `a home in the way, another text and an address that nobody can reach are refused, and nothing is written`() throws {
        try inFolder { folder in
            let (_, options) = try network(in: folder)
            func refused(_ says: String, _ change: (inout ValidatorSetup.Options) throws -> Void) throws {
                var changed = options
                try change(&changed)
                let failure = #expect(throws: Failure.self) { try ValidatorSetup.make(changed) }
                #expect(failure?.description.contains(says) == true, "\(failure?.description ?? "")")
            }
            try refused("is not the run's") { try Data("another text".utf8).write(to: folder.appending(path: "other")); $0.data = folder.appending(path: "other") }
            try refused("--endpoint HOST:PORT") { $0.listen = "0.0.0.0:7000" }
            try refused("is no HOST:PORT") { $0.rpc = "here" }
            try refused("is no address") { $0.owner = "0x12" }
            try refused("no genesis file at") { $0.genesis = folder.appending(path: "nothing") }
            #expect(!FileManager.default.fileExists(atPath: options.home.path))
            _ = try ValidatorSetup.make(options)
            try refused("is not empty") { _ in }
        }
    }
}
