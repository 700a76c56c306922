import AssayCrypto
import AssayPrimitives

/// What all nodes of a network share from the start. Its digest is the domain of every hash and signature, and gives the chain id.
public struct Genesis: Hashable, Sendable, CanonicalCodable {
    public struct Account: Hashable, Sendable, CanonicalCodable {
        public let address: Address
        public let balance: U256
        public init(address: Address, balance: U256) {
            self.address = address
            self.balance = balance
        }
        public func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(address)
            encoder.append(balance)
        }
        public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            address = try decoder.value()
            balance = try decoder.u256()
        }
    }

    public struct Validator: Hashable, Sendable, CanonicalCodable {
        public let owner: Address
        /// Works for the owner: duties of the ledger.
        public let nodeKey: Address
        /// Signs blocks.
        public let consensusKey: PublicKey
        /// SHA-256 of the TLS key's SubjectPublicKeyInfo.
        public let networkKey: Digest
        /// Last link of the beacon's hash chain.
        public let beaconTip: Digest
        /// Wei.
        public let stake: U256
        /// HOST:PORT of its peer connections.
        public let endpoint: String

        public init(owner: Address, nodeKey: Address, consensusKey: PublicKey, networkKey: Digest, beaconTip: Digest, stake: U256, endpoint: String) {
            (self.owner, self.nodeKey, self.consensusKey, self.networkKey) = (owner, nodeKey, consensusKey, networkKey)
            (self.beaconTip, self.stake, self.endpoint) = (beaconTip, stake, endpoint)
        }
        public func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(owner)
            encoder.append(nodeKey)
            encoder.append(consensusKey)
            encoder.append(networkKey)
            encoder.append(beaconTip)
            encoder.append(stake)
            encoder.append(endpoint)
        }
        public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            owner = try decoder.value()
            nodeKey = try decoder.value()
            consensusKey = try decoder.value()
            networkKey = try decoder.value()
            beaconTip = try decoder.value()
            stake = try decoder.u256()
            endpoint = try decoder.text(limit: Limits.endpointBytes)
        }
    }

    public let name: String
    public let time: Instant
    /// A committee's term: at the first commit so long after its beginning the next committee is read from the stakes. 0: the first one stays.
    public let epochMilliseconds: UInt64
    public let validators: [Validator]
    public let accounts: [Account]
    public let model: ModelRules
    public let training: TrainingRules
    public let run: RunRules
    /// Blob root of the data file, and its size in bytes.
    public let dataRoot: Digest
    public let dataBytes: UInt64
    /// θ(0), so that a node whose kernels differ finds out before it joins.
    public let parametersRoot: Digest

    public init(name: String, time: Instant, epochMilliseconds: UInt64 = 0, validators: [Validator], accounts: [Account], model: ModelRules, training: TrainingRules, run: RunRules,
                dataRoot: Digest, dataBytes: UInt64, parametersRoot: Digest) {
        (self.name, self.time, self.epochMilliseconds, self.validators, self.accounts) = (name, time, epochMilliseconds, validators, accounts)
        (self.model, self.training, self.run) = (model, training, run)
        (self.dataRoot, self.dataBytes, self.parametersRoot) = (dataRoot, dataBytes, parametersRoot)
    }

    public var digest: Digest { Digest.tagged("assay/genesis/2") { $0.append(self) } }

    /// 1 + (the digest's first six bytes as a big-endian number) mod (2^32 − 2): wallets refuse large ones.
    public var chainID: UInt64 { 1 + digest.bytes.prefix(6).reduce(0) { $0 << 8 | UInt64($1) } % 0xFFFF_FFFE }

    /// The id of the run that starts with the network.
    public var runID: Digest { Digest.tagged("assay/run/1") { $0.append(digest) } }

    /// The first epoch's committee: weight in whole tokens.
    public func committee() throws(Committee.Invalid) -> Committee {
        try Committee(epoch: Epoch(0), members: validators.map { validator in
            Committee.Member(owner: validator.owner, consensusKey: validator.consensusKey, networkKey: validator.networkKey, stake: Stake(wholeTokensOf: validator.stake))
        })
    }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(name)
        encoder.append(time)
        encoder.append(epochMilliseconds)
        encoder.append(validators)
        encoder.append(accounts)
        encoder.append(model)
        encoder.append(training)
        encoder.append(run)
        encoder.append(dataRoot)
        encoder.append(dataBytes)
        encoder.append(parametersRoot)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        name = try decoder.text(limit: Limits.nameBytes)
        time = try decoder.value()
        epochMilliseconds = try decoder.uint64()
        validators = try decoder.array(limit: Limits.committeeSize)
        accounts = try decoder.array(limit: 100_000)
        model = try decoder.value()
        training = try decoder.value()
        run = try decoder.value()
        dataRoot = try decoder.value()
        dataBytes = try decoder.uint64()
        parametersRoot = try decoder.value()
    }
}
