import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Executing a commit: its transactions in order, then what ledger time itself brings about.
extension Ledger {
    public mutating func execute(_ commit: OrderedCommit) -> ExecutedBlock {
        let number = commit.commit.index.rawValue
        precondition(number == head.number + 1, "ledger.sequence: commit \(number) after block \(head.number)")
        let context = Environment.BlockContext(number: number, time: max(commit.commit.timestamp, head.timestamp))
        let proposer = committee.members[commit.commit.leader.author.index].owner
        var executed: [ExecutedTransaction] = []
        var seen: Set<Digest> = []
        for entry in commit.entries {
            // A client sends to several validators, so one transaction may be ordered several times; it counts once.
            guard let transaction = admitted.take(entry.transaction) ?? (try? Transaction(raw: entry.transaction, chainID: chainID)), seen.insert(transaction.hash).inserted,
                  let result = execute(transaction, context, proposer) else { continue }
            executed.append(result)
        }
        executed.append(runPhases(context, commit.executed))
        let changes = state.takeChanges()
        tree.apply(changes)
        let logRoot = logTree.root
        head = BlockHeader(
            number: number, parentHash: headHash, timestamp: context.time, proposer: proposer, commit: commit.digest, stateRoot: tree.root, logRoot: logRoot,
            logSize: UInt64(logTree.count), gasUsed: executed.reduce(0) { $0 + $1.gasUsed }, transactionsRoot: MerkleTree(leaves: executed.map(\.hash.bytes)).root)
        headHash = head.hash
        var leaves: [Digest] = [], index = 0
        for transaction in executed {
            for log in transaction.logs {
                let leaf = MerkleTree.leafHash(log.leaf(chainID: chainID, blockNumber: number, blockHash: headHash, transactionHash: transaction.hash, index: index))
                leaves.append(leaf)
                logTree.append(leafHash: leaf)
                index += 1
            }
        }
        return ExecutedBlock(header: head, hash: headHash, transactions: executed, changes: changes, logLeaves: leaves)
    }

    /// What happens without anybody's call: one transaction of the system for each block.
    private mutating func runPhases(_ context: Environment.BlockContext, _ executed: [OrderedCommit.Executed]) -> ExecutedTransaction {
        var environment = environment(sender: .zero, value: 0, contract: ContractAddress.runs, context)
        state = WorldState()
        Epochs.advance(executed, &environment)
        Phases.advance(&environment)
        state = environment.state
        if let epoch = state[Epochs.key]?.epoch, epoch != committee.epoch, let next = state[Epochs.committeeKey(epoch)] { committee = next }
        return ExecutedTransaction(transaction: nil, hash: Ledger.systemHash(parent: headHash, number: context.number), succeeded: true, gasUsed: 0, effectiveGasPrice: 0, revert: [], logs: environment.logs)
    }

    /// Nil if the transaction leaves no trace: its number was used, or its sender cannot pay for it.
    private mutating func execute(_ transaction: Transaction, _ context: Environment.BlockContext, _ proposer: Address) -> ExecutedTransaction? {
        guard case .success(let plan) = plan(transaction) else { return nil }
        switch plan {
        case .duty(let identity, _):
            // The mark of a duty done goes with the call: one that its contract refuses may be sent again, right.
            let mark = state.mark
            state[Ledger.dutyKey(identity, transaction.nonce)] = Flag()
            let (outcome, logs) = perform(transaction, as: identity, context)
            guard case .success = outcome else {
                state.rollback(to: mark)
                return nil
            }
            return ExecutedTransaction(transaction: transaction, hash: transaction.hash, succeeded: true, gasUsed: 0, effectiveGasPrice: 0, revert: [], logs: logs)
        case .paid(let price, let gas):
            return executePaid(transaction, price, gas, context, proposer)
        }
    }

    private mutating func executePaid(_ transaction: Transaction, _ price: U256, _ gas: UInt64, _ context: Environment.BlockContext, _ proposer: Address) -> ExecutedTransaction? {
        // No more than the sender allowed, whatever the call would have needed.
        guard let fee = try? price.multiplied(by: U256(min(gas, transaction.gasLimit))) else { return nil }
        var account = state[Account.key(transaction.sender)] ?? Account()
        guard let rest = try? account.balance.subtracting(fee) else { return nil }
        account.balance = rest
        account.nonce += 1
        state[Account.key(transaction.sender)] = account
        pay(proposer, fee)
        var outcome = Result<[ABIValue], Revert>.failure(Revert("NoContractCreation()")), logs: [Log] = []
        if gas > transaction.gasLimit {
            outcome = .failure(Revert("OutOfGas(uint256,uint256)", .uint(transaction.gasLimit), .uint(gas)))
        } else if transaction.to != nil {
            (outcome, logs) = perform(transaction, as: transaction.sender, context)
        }
        var revert: [UInt8] = [], succeeded = true
        if case .failure(let reason) = outcome { (revert, succeeded) = (reason.data, false) }
        return ExecutedTransaction(transaction: transaction, hash: transaction.hash, succeeded: succeeded, gasUsed: min(gas, transaction.gasLimit), effectiveGasPrice: price, revert: revert, logs: logs)
    }

    private mutating func pay(_ address: Address, _ amount: U256) {
        var account = state[Account.key(address)] ?? Account()
        guard let sum = try? account.balance.adding(amount) else { return }
        account.balance = sum
        state[Account.key(address)] = account
    }

    /// Calls with the state itself in hand, not a copy of it; a failed call leaves it as it was.
    private mutating func perform(_ transaction: Transaction, as sender: Address, _ context: Environment.BlockContext) -> (Result<[ABIValue], Revert>, [Log]) {
        var environment = environment(sender: sender, value: transaction.value, contract: transaction.to ?? .zero, context)
        state = WorldState()
        let mark = environment.state.mark
        let outcome = call(&environment, transaction.to ?? .zero, transaction.data)
        if case .failure = outcome { environment.state.rollback(to: mark) }
        state = environment.state
        if case .failure = outcome { return (outcome, []) }
        return (outcome, environment.logs)
    }

    func environment(sender: Address, value: U256, contract: Address, _ context: Environment.BlockContext) -> Environment {
        Environment(genesis: genesis, domain: domain, block: context, sender: sender, value: value, contract: contract, state: state, logTree: logTree)
    }

    /// Moves the value, then calls the native contract, if there is one.
    private func call(_ environment: inout Environment, _ to: Address, _ data: [UInt8]) -> Result<[ABIValue], Revert> {
        do {
            if !environment.value.isZero {
                try environment.debit(environment.sender, environment.value)
                try environment.credit(to, environment.value)
            }
            guard let contract = NativeContract.at(to) else { return .success([]) }
            guard data.count >= 4 else { throw Revert("UnknownFunction(bytes4)", .fixedBytes(Array(data.prefix(4)) + [UInt8](repeating: 0, count: 4 - min(4, data.count)))) }
            guard let function = contract.function(Array(data.prefix(4))) else { throw Revert("UnknownFunction(bytes4)", .fixedBytes(Array(data.prefix(4)))) }
            guard function.isPayable || environment.value.isZero else { throw Revert("NotPayable(uint256)", .uint(environment.value)) }
            let arguments: [ABIValue]
            do { arguments = try ABI.decode(function.interface.inputs, data.dropFirst(4)) } catch { throw Revert("WrongArguments(string)", .string("\(error)")) }
            return .success(try function.handler(&environment, arguments))
        } catch let revert as Revert {
            return .failure(revert)
        } catch let error as ArithmeticError {
            return .failure(Revert("Arithmetic(string)", .string("\(error)")))
        } catch {
            return .failure(Revert("Failed(string)", .string("\(error)")))
        }
    }

    // MARK: What may be executed

    enum Plan { case duty(identity: Address, Duty), paid(price: U256, gas: UInt64) }
    struct Refused: Error { let reason: String }

    /// By identity: a new node key does not get its duties anew.
    static func dutyKey(_ identity: Address, _ nonce: UInt64) -> StateKey<Flag> { StateKey("duty", identity.bytes, U256(nonce).bigEndianBytes) }

    func plan(_ transaction: Transaction) -> Result<Plan, Refused> {
        func refused(_ reason: String) -> Result<Plan, Refused> { .failure(Refused(reason: reason)) }
        if let identity = state[Staking.identityKey(transaction.sender)] {
            guard let to = transaction.to, transaction.value.isZero, let (duty, runIndex) = Duty.named(by: transaction.nonce), runIndex == 0 else { return refused("a node key can only do its duties") }
            let wanted = DutyFunction.of(duty.kind)
            guard staker(identity.owner)?.nodeKey == transaction.sender else { return refused("node key \(transaction.sender) was replaced") }
            guard to == wanted.contract, Array(transaction.data.prefix(4)) == wanted.function.selector, isNamed(duty, in: transaction.data) else { return refused("nonce \(transaction.nonce) names another duty") }
            guard state[Ledger.dutyKey(identity.owner, transaction.nonce)] == nil else { return refused("nonce too low: duty done") }
            return .success(.duty(identity: identity.owner, duty))
        }
        guard let price = transaction.effectiveGasPrice(baseFee: Ledger.baseFee) else { return refused("max fee per gas less than block base fee") }
        let account = state[Account.key(transaction.sender)] ?? Account()
        guard transaction.nonce >= account.nonce else { return refused("nonce too low: next nonce \(account.nonce), tx nonce \(transaction.nonce)") }
        guard transaction.nonce == account.nonce else { return refused("nonce too high: next nonce \(account.nonce), tx nonce \(transaction.nonce)") }
        let gas = Ledger.gas(to: transaction.to, data: transaction.data)
        guard transaction.gasLimit >= Ledger.intrinsicGas(transaction.data) else { return refused("intrinsic gas too low: gas \(transaction.gasLimit), minimum needed \(Ledger.intrinsicGas(transaction.data))") }
        let cost = (try? transaction.maxFeePerGas.multiplied(by: U256(transaction.gasLimit))).flatMap { try? $0.adding(transaction.value) }
        guard let cost, account.balance >= cost else {
            return refused("insufficient funds for gas * price + value: address \(transaction.sender) have \(account.balance) want \(cost.map(\.description) ?? "more than there can be")")
        }
        return .success(.paid(price: price, gas: gas))
    }

    /// Whether a call is about the window, the kind and the contest that its nonce says: each duty has one nonce, so that it can be done once.
    /// What the call's contract refuses by itself is left to it.
    private func isNamed(_ duty: Duty, in data: [UInt8]) -> Bool {
        func word(_ index: Int) -> [UInt8]? {
            let start = 4 + 32 * index
            return start + 32 <= data.count ? Array(data[start..<start + 32]) : nil
        }
        switch duty.kind {
        case .voteCommit, .voteReveal:
            guard let id = word(0).map({ Digest(bytes: $0) }), let window = state[Disputes.placeKey(id)] else { return true }
            return window == duty.window && state[Windows.key(window)]?.contests.firstIndex { $0.id == id } == Int(duty.index)
        case .scoreCommit, .scoreReveal, .replayCommit, .replayReveal:
            let kind: ReportKind = duty.kind == .scoreCommit || duty.kind == .scoreReveal ? .score : .replay
            guard let window = word(1), let found = word(2) else { return true }
            return window == U256(duty.window.rawValue).bigEndianBytes && found == U256(UInt64(kind.rawValue)).bigEndianBytes && duty.index <= (kind == .score ? 1 : 0)
        // A second report of one validator is refused by what the first has brought about.
        case .evidence: return true
        case .commit, .reveal, .attest, .serve, .parameters, .void:
            return duty.index == 0 && word(1).map { $0 == U256(duty.window.rawValue).bigEndianBytes } ?? true
        }
    }

    static func intrinsicGas(_ data: [UInt8]) -> UInt64 { 21_000 + 16 * UInt64(data.count) }
    static func gas(to: Address?, data: [UInt8]) -> UInt64 {
        let function = to.flatMap { NativeContract.at($0) }.flatMap { $0.function(Array(data.prefix(4))) }
        return intrinsicGas(data) + (function?.gas ?? 0)
    }

    /// Whether a transaction may wait for a block. A duty must fit the state now; a paid one may come up to 64 numbers early.
    public func admission(of raw: [UInt8]) -> Admission {
        let transaction: Transaction
        do { transaction = try Transaction(raw: raw, chainID: chainID) } catch { return .refused(error.description) }
        return admission(of: transaction)
    }

    /// The same, of a transaction that will be executed here if it is admitted.
    public mutating func admit(_ raw: [UInt8]) -> Admission {
        let transaction: Transaction
        do { transaction = try Transaction(raw: raw, chainID: chainID) } catch { return .refused(error.description) }
        let admission = admission(of: transaction)
        if case .refused = admission {} else { admitted.remember(transaction) }
        return admission
    }

    private func admission(of transaction: Transaction) -> Admission {
        switch plan(transaction) {
        case .success(.duty(let identity, _)):
            var environment = environment(sender: identity, value: 0, contract: transaction.to!, .init(number: head.number + 1, time: head.timestamp))
            if case .failure(let revert) = call(&environment, transaction.to!, transaction.data) { return .refused("execution reverted: \(revert)") }
            return .duty
        case .success(.paid):
            return .paid(tip: tip(transaction), by: transaction.sender, nonce: transaction.nonce)
        case .failure(let refused):
            let next = nonce(of: transaction.sender)
            if transaction.nonce > next, transaction.nonce <= next.addingReportingOverflow(64).partialValue, refused.reason.hasPrefix("nonce too high") {
                return .paid(tip: tip(transaction), by: transaction.sender, nonce: transaction.nonce)
            }
            return .refused(refused.reason)
        }
    }

    private func tip(_ transaction: Transaction) -> U256 { min(transaction.maxPriorityFeePerGas, (try? transaction.maxFeePerGas.subtracting(Ledger.baseFee)) ?? 0) }

    public func isStale(_ raw: [UInt8]) -> Bool {
        if case .refused = admission(of: raw) { true } else { false }
    }

    // MARK: Calls without a transaction

    public enum CallResult: Hashable, Sendable { case returned([UInt8]), reverted(data: [UInt8], reason: String) }

    /// What a call would say now; nothing is kept.
    public func call(to: Address?, data: [UInt8], from: Address = .zero, value: U256 = 0) -> CallResult {
        guard let to else { return .reverted(data: Revert("NoContractCreation()").data, reason: "NoContractCreation()") }
        // A node key stands for its owner when it does a duty.
        let sender = state[Staking.identityKey(from)]?.owner ?? from
        var environment = environment(sender: sender, value: value, contract: to, .init(number: head.number + 1, time: head.timestamp))
        switch call(&environment, to, data) {
        case .success(let values): return .returned(ABI.encode(values))
        case .failure(let revert): return .reverted(data: revert.data, reason: revert.description)
        }
    }

    /// What a transaction needs; or how the call would fail.
    public func estimateGas(to: Address?, data: [UInt8], from: Address, value: U256) -> (gas: UInt64, result: CallResult) {
        (Ledger.gas(to: to, data: data), call(to: to, data: data, from: from, value: value))
    }
}

/// That something is so: its presence is all it says.
struct Flag: Hashable, Sendable, CanonicalCodable {
    init() {}
    func encode(into encoder: inout CanonicalEncoder) { encoder.append(true) }
    init(from decoder: inout CanonicalDecoder) throws(DecodingError) { _ = try decoder.bool() }
}
