import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Who a role works for, and with which key.
public struct Identity: Sendable {
    /// The owner's account: what the ledger knows a validator or trainer by.
    public let owner: Address
    public let nodeKey: KeyPair
    public init(owner: Address, nodeKey: KeyPair) {
        (self.owner, self.nodeKey) = (owner, nodeKey)
    }
}

/// Makes the transactions of an identity's duties in one run. The same duty with the same content is the same bytes.
public struct DutyBuilder: Sendable {
    public let identity: Identity
    public let genesis: Digest
    public let chainID: UInt64
    public let run: Digest
    public let runIndex: UInt64

    public init(identity: Identity, genesis: Digest, chainID: UInt64, run: Digest, runIndex: UInt64 = 0) {
        (self.identity, self.genesis, self.chainID, self.run, self.runIndex) = (identity, genesis, chainID, run, runIndex)
    }
    public init(identity: Identity, genesis: Genesis) {
        self.init(identity: identity, genesis: genesis.digest, chainID: genesis.chainID, run: genesis.runID)
    }

    /// Duties pay no fee, so the limit only has to be enough.
    private static let gasLimit: UInt64 = 2_000_000

    public func commit(_ window: Window, _ reveal: Reveal) -> Transaction? {
        make(Duty(.commit, window), .bytes32(commitment(window, reveal).digest))
    }
    public func commitment(_ window: Window, _ reveal: Reveal) -> GradientCommitment {
        GradientCommitment(reveal, trainer: identity.owner, run: run, window: window, genesis: genesis)
    }
    public func reveal(_ window: Window, _ reveal: Reveal) -> Transaction? { make(Duty(.reveal, window), .bytes(reveal.canonicalBytes)) }
    public func void(_ window: Window) -> Transaction? { make(Duty(.void, window)) }
    public func serve(_ window: Window, stateRoot: Digest, residualRoot: Digest) -> Transaction? {
        make(Duty(.serve, window), .bytes32(stateRoot), .bytes32(residualRoot))
    }
    public func attest(_ window: Window, held: [Bool], refused: [Bool], custody: Digest, preimage: Digest) -> Transaction? {
        make(Duty(.attest, window), .bytes(Bitmap.bytes(held)), .bytes(Bitmap.bytes(refused)), .bytes32(custody), .bytes32(preimage))
    }
    public func commitReport(_ duty: Duty, _ report: Report) -> Transaction? {
        make(duty, .uint(UInt64(report.kind.rawValue)), .bytes32(commitment(duty, report.value, report.witness)))
    }
    public func revealReport(_ duty: Duty, committedAs committing: Duty, _ report: Report) -> Transaction? {
        make(duty, .uint(UInt64(report.kind.rawValue)), .bytes(report.value), .bytes32(report.witness), .bytes32(salt(committing)))
    }
    /// - Parameter effectiveRank: that the outer state's pace was made with; 0 where nothing adapts.
    public func attestParameters(_ target: Window, _ outer: OuterView, effectiveRank: UInt32 = 0, witness: Digest) -> Transaction? {
        var norms = CanonicalEncoder()
        norms.append(outer.clipNorms)
        return make(Duty(.parameters, target), .bytes32(outer.outerRoot), .bytes32(outer.parametersRoot), .bytes32(outer.momentumRoot), .bytes(norms.bytes), .uint(UInt64(effectiveRank)), .bytes32(witness))
    }
    public func voteCommit(_ duty: Duty, contest: Digest, _ report: Report) -> Transaction? {
        signed(duty, DutyFunction.voteCommit.call(.bytes32(contest), .bytes32(commitment(duty, report.value, report.witness))))
    }
    public func voteReveal(_ duty: Duty, committedAs committing: Duty, contest: Digest, _ report: Report) -> Transaction? {
        signed(duty, DutyFunction.voteReveal.call(.bytes32(contest), .bytes(report.value), .bytes32(report.witness), .bytes32(salt(committing))))
    }

    public func evidence(_ equivocation: Equivocation) -> Transaction? {
        let duty = Duty(.evidence, Window((equivocation.epoch.rawValue & 0xFFFF) << 16 | UInt64(equivocation.author.index)))
        return signed(duty, DutyFunction.reportEquivocation.call(.bytes(equivocation.first.canonicalBytes), .bytes(equivocation.second.canonicalBytes)))
    }

    /// What a report or a vote is committed to by.
    public func commitment(_ duty: Duty, _ value: [UInt8], _ witness: Digest) -> Digest {
        ReportCommitment.digest(value: value, witness: witness, validator: identity.owner, salt: salt(duty), genesis: genesis)
    }
    /// Of the committing duty, so that a validator that restarts commits to the same again.
    public func salt(_ duty: Duty) -> Digest { ReportCommitment.salt(nodeKey: identity.nodeKey, run: run, duty: duty) }

    /// run, window, arguments.
    private func make(_ duty: Duty, _ arguments: ABIValue...) -> Transaction? {
        let function = DutyFunction.of(duty.kind).function
        return signed(duty, function.selector + ABI.encode([.bytes32(run), .uint(duty.window.rawValue)] + arguments))
    }
    private func signed(_ duty: Duty, _ data: [UInt8]) -> Transaction? {
        guard let nonce = duty.nonce(runIndex: runIndex) else { return nil }
        return .dynamicFee(chainID: chainID, nonce: nonce, maxFeePerGas: 0, gasLimit: DutyBuilder.gasLimit,
                           to: DutyFunction.of(duty.kind).contract, data: data, by: identity.nodeKey)
    }
}

/// A report's content: canonical lines, or one fact for a vote.
public struct Report: Hashable, Sendable {
    public let kind: ReportKind
    public let value: [UInt8]
    public let witness: Digest

    public init(kind: ReportKind, value: [UInt8], witness: Digest) {
        (self.kind, self.value, self.witness) = (kind, value, witness)
    }
    public init(_ kind: ReportKind, lines: [some CanonicalCodable], witnesses: [Digest]) {
        var encoder = CanonicalEncoder()
        encoder.append(lines)
        self.init(kind: kind, value: encoder.bytes, witness: ReportCommitment.witness(of: witnesses))
    }
}

/// One flag a revealed contribution: flag i is bit i % 8 of byte i ÷ 8, least significant first.
public enum Bitmap {
    public static func bytes(_ flags: [Bool]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: (flags.count + 7) / 8)
        for (index, flag) in flags.enumerated() where flag { bytes[index / 8] |= 1 << UInt8(index % 8) }
        return bytes
    }
}
