import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// A block as wallets see it: an executed commit.
public struct BlockHeader: Hashable, Sendable, CanonicalCodable {
    public let number: UInt64
    public let parentHash: Digest
    public let timestamp: Instant
    /// Owner of the leader's seat, who gets the fees.
    public let proposer: Address
    public let commit: Digest
    public let stateRoot: Digest
    /// Of the log tree before this block; its leaves carry this block's hash, so the root after it stands in the next header.
    public let logRoot: Digest
    public let logSize: UInt64
    public let gasUsed: UInt64
    /// RFC 6962 root over the hashes of the transactions, the system transaction last.
    public let transactionsRoot: Digest

    /// SHA-256, tagged, of the canonical header.
    public var hash: Digest { Digest.tagged("assay/header/1") { $0.append(self) } }

    public init(number: UInt64, parentHash: Digest, timestamp: Instant, proposer: Address, commit: Digest, stateRoot: Digest, logRoot: Digest, logSize: UInt64, gasUsed: UInt64, transactionsRoot: Digest) {
        (self.number, self.parentHash, self.timestamp, self.proposer, self.commit) = (number, parentHash, timestamp, proposer, commit)
        (self.stateRoot, self.logRoot, self.logSize, self.gasUsed, self.transactionsRoot) = (stateRoot, logRoot, logSize, gasUsed, transactionsRoot)
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(number)
        encoder.append(parentHash)
        encoder.append(timestamp)
        encoder.append(proposer)
        encoder.append(commit)
        encoder.append(stateRoot)
        encoder.append(logRoot)
        encoder.append(logSize)
        encoder.append(gasUsed)
        encoder.append(transactionsRoot)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        number = try decoder.uint64()
        parentHash = try decoder.value()
        timestamp = try decoder.value()
        proposer = try decoder.value()
        commit = try decoder.value()
        stateRoot = try decoder.value()
        logRoot = try decoder.value()
        logSize = try decoder.uint64()
        gasUsed = try decoder.uint64()
        transactionsRoot = try decoder.value()
    }
}

/// A transaction as it was executed.
public struct ExecutedTransaction: Hashable, Sendable {
    /// Nil for the system transaction, which nobody signed.
    public let transaction: Transaction?
    public let hash: Digest
    public let succeeded: Bool
    public let gasUsed: UInt64
    public let effectiveGasPrice: U256
    /// What a failed call said.
    public let revert: [UInt8]
    public let logs: [Log]

    public init(transaction: Transaction?, hash: Digest, succeeded: Bool, gasUsed: UInt64, effectiveGasPrice: U256, revert: [UInt8], logs: [Log]) {
        (self.transaction, self.hash, self.succeeded, self.gasUsed) = (transaction, hash, succeeded, gasUsed)
        (self.effectiveGasPrice, self.revert, self.logs) = (effectiveGasPrice, revert, logs)
    }
}

/// All that a commit did: what storage keeps and RPC serves.
public struct ExecutedBlock: Sendable {
    public let header: BlockHeader
    public let hash: Digest
    /// The system transaction last; it is always there.
    public let transactions: [ExecutedTransaction]
    public let changes: [(key: [UInt8], value: [UInt8]?)]
    /// Hashes of the log tree's new leaves.
    public let logLeaves: [Digest]
}

/// The ledger: accounts, stakes, runs and windows, and what may be done with them. Executing is a pure function of state and commit.
public struct Ledger: Sendable {
    /// Wei per gas, never changing.
    public static let baseFee = U256(1_000_000_000 as UInt64)
    public static let blockGasLimit: UInt64 = 1_000_000_000

    public enum Invalid: Error, Hashable, Sendable { case committee(Committee.Invalid), stateRoot(found: Digest, expected: Digest), duplicate(Address) }

    public let genesis: Genesis
    public let domain: Digest
    public let chainID: UInt64
    /// Of the epoch under way.
    public internal(set) var committee: Committee
    public internal(set) var state: WorldState
    public internal(set) var tree = StateTree()
    public internal(set) var logTree = MerkleTree()
    public internal(set) var head: BlockHeader
    public internal(set) var headHash: Digest
    var admitted = AdmittedTransactions()

    public init(genesis: Genesis) throws(Invalid) {
        self.genesis = genesis
        (domain, chainID) = (genesis.digest, genesis.chainID)
        do { committee = try genesis.committee() } catch { throw .committee(error) }
        state = try Ledger.firstState(genesis, domain)
        tree.apply(state.takeChanges())
        head = BlockHeader(number: 0, parentHash: .zero, timestamp: genesis.time, proposer: .zero, commit: domain, stateRoot: tree.root, logRoot: logTree.root, logSize: 0, gasUsed: 0, transactionsRoot: MerkleTree().root)
        headHash = head.hash
    }

    /// Goes on from what storage kept.
    /// - Throws: `stateRoot` if the entries are not those that the header stands for.
    public init(genesis: Genesis, entries: [(key: [UInt8], value: [UInt8])], head: BlockHeader, logLeaves: [Digest]) throws(Invalid) {
        self.genesis = genesis
        (domain, chainID) = (genesis.digest, genesis.chainID)
        state = WorldState(entries: entries)
        tree.apply(entries.map { ($0.key, $0.value) })
        guard tree.root == head.stateRoot else { throw .stateRoot(found: tree.root, expected: head.stateRoot) }
        guard let record = state[Epochs.key], let committee = state[Epochs.committeeKey(record.epoch)] else { throw .committee(.empty) }
        self.committee = committee
        logTree = MerkleTree(leafHashes: logLeaves)
        (self.head, headHash) = (head, head.hash)
    }

    /// What the first state holds, for a store that starts with it.
    public static func genesisEntries(_ genesis: Genesis) throws(Invalid) -> [(key: [UInt8], value: [UInt8])] {
        var state = try firstState(genesis, genesis.digest)
        return state.takeChanges().compactMap { change in change.value.map { (change.key, $0) } }
    }

    private static func firstState(_ genesis: Genesis, _ domain: Digest) throws(Invalid) -> WorldState {
        var state = WorldState()
        for account in genesis.accounts {
            guard state[Account.key(account.address)] == nil else { throw .duplicate(account.address) }
            var first = Account()
            first.balance = account.balance
            state[Account.key(account.address)] = first
        }
        for validator in genesis.validators {
            guard state[Staking.validatorKey(validator.owner)] == nil, state[Staking.identityKey(validator.nodeKey)] == nil else { throw .duplicate(validator.owner) }
            Staking.bond(validator, &state)
        }
        do { Epochs.begin(genesis, try genesis.committee(), &state) } catch { throw .committee(error) }
        Runs.begin(genesis, &state)
        return state
    }

    public func balance(of address: Address) -> U256 { state[Account.key(address)]?.balance ?? 0 }
    public func nonce(of address: Address) -> UInt64 { state[Account.key(address)]?.nonce ?? 0 }
    public func stateProof(for key: [UInt8]) -> StateTree.Proof { tree.proof(for: key) }

    /// The hash of a block's system transaction.
    static func systemHash(parent: Digest, number: UInt64) -> Digest { Digest(bytes: keccak256(Array("assay/system".utf8) + parent.bytes + U256(number).bigEndianBytes)) }

    /// Published interface of the native contracts, as the JSON files in `Contracts/` have it.
    public static var interfaces: [(name: String, address: Address, functions: [InterfaceFunction], events: [EventSignature], errors: [String])] {
        NativeContract.all.map { contract in
            (contract.name, contract.address, contract.functions.map {
                InterfaceFunction(interface: $0.interface, inputs: $0.inputs, outputs: $0.outputs, isPayable: $0.isPayable, isView: $0.isView, gas: $0.gas)
            }, contract.events, contract.errors)
        }
    }
    public struct InterfaceFunction: Sendable {
        public let interface: ABIFunction
        public let inputs, outputs: [String]
        public let isPayable, isView: Bool
        public let gas: UInt64
    }
    /// The event of a contract by its name.
    public static func event(_ name: String) -> EventSignature? { NativeContract.all.lazy.flatMap(\.events).first { $0.name == name } }
}
