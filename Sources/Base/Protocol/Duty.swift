import AssayCrypto
import AssayPrimitives

/// Something that an identity owes a window: one transaction by its node key, free of charge, accepted once and only while its phase is open.
public struct Duty: Hashable, Comparable, Sendable {
    public enum Kind: UInt8, Hashable, Comparable, Sendable, CaseIterable {
        case commit = 1, reveal, attest, serve, scoreCommit, scoreReveal, parameters, replayCommit, replayReveal, voteCommit, voteReveal, void, evidence
        public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    /// For `parameters` the window whose θ is attested; for `evidence`, which no window asks for, epoch · 2^16 + seat of the accused; for `serve` and the replay reports the window whose beacon drew them.
    public let window: Window
    public let kind: Kind
    /// 0, but for a score report as a backup (1) and for votes (the number of the contest in its window). Below 16.
    public let index: UInt8

    public init(_ kind: Kind, _ window: Window, index: UInt8 = 0) {
        (self.window, self.kind, self.index) = (window, kind, index)
    }
    public static func < (a: Duty, b: Duty) -> Bool { (a.window, a.kind, a.index) < (b.window, b.kind, b.index) }

    public static let indexLimit: UInt8 = 16
    private static let windowLimit: UInt64 = 1 << 32

    /// runIndex · 2^40 + window · 2^8 + kind · 2^4 + index. Nil for a window or an index that has no nonce.
    public func nonce(runIndex: UInt64) -> UInt64? {
        guard window.rawValue < Duty.windowLimit, index < Duty.indexLimit, runIndex < 1 << 24 else { return nil }
        return runIndex << 40 | window.rawValue << 8 | UInt64(kind.rawValue) << 4 | UInt64(index)
    }

    /// The duty and the run that a nonce names; nil if it names none.
    public static func named(by nonce: UInt64) -> (duty: Duty, runIndex: UInt64)? {
        guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: nonce >> 4 & 15)) else { return nil }
        return (Duty(kind, Window(nonce >> 8 & (windowLimit - 1)), index: UInt8(nonce & 15)), nonce >> 40)
    }
}

/// The functions of the contracts that are duties.
public enum DutyFunction {
    // Staking
    /// Two canonical `Equivocation.Statement`s.
    public static let reportEquivocation = ABIFunction("reportEquivocation(bytes,bytes)")
    // Windows
    public static let commit = ABIFunction("commit(bytes32,uint64,bytes32)")
    /// The bytes are the reveal's canonical ones.
    public static let reveal = ABIFunction("reveal(bytes32,uint64,bytes)")
    /// run, window, held, refused, custody, beacon preimage. Two bitmaps over the revealed contributions by ascending trainer; phase 2 must have closed.
    public static let attest = ABIFunction("attest(bytes32,uint64,bytes,bytes,bytes32,bytes32)")
    /// run, window, state root, residual root; zero for what is not given.
    public static let serve = ABIFunction("serve(bytes32,uint64,bytes32,bytes32)")
    public static let void = ABIFunction("void(bytes32,uint64)")
    // Scores
    /// run, window, `ReportKind`, commitment.
    public static let commitReport = ABIFunction("commitReport(bytes32,uint64,uint8,bytes32)")
    /// run, window, `ReportKind`, values, witness, salt.
    public static let revealReport = ABIFunction("revealReport(bytes32,uint64,uint8,bytes,bytes32,bytes32)")
    // Checkpoints
    /// run, window, outer root, parameters root, momentum root, clip norms (canonical array of `FloatBits`), effective rank (0 where nothing adapts), witness.
    public static let attestParameters = ABIFunction("attestParameters(bytes32,uint64,bytes32,bytes32,bytes32,bytes,uint32,bytes32)")
    // Disputes
    public static let voteCommit = ABIFunction("voteCommit(bytes32,bytes32)")
    public static let voteReveal = ABIFunction("voteReveal(bytes32,bytes,bytes32,bytes32)")

    /// The contract and the function that a duty calls.
    public static func of(_ kind: Duty.Kind) -> (contract: Address, function: ABIFunction) {
        switch kind {
        case .commit: (ContractAddress.windows, commit)
        case .reveal: (ContractAddress.windows, reveal)
        case .attest: (ContractAddress.windows, attest)
        case .serve: (ContractAddress.windows, serve)
        case .void: (ContractAddress.windows, void)
        case .scoreCommit, .replayCommit: (ContractAddress.scores, commitReport)
        case .scoreReveal, .replayReveal: (ContractAddress.scores, revealReport)
        case .parameters: (ContractAddress.checkpoints, attestParameters)
        case .voteCommit: (ContractAddress.disputes, voteCommit)
        case .voteReveal: (ContractAddress.disputes, voteReveal)
        case .evidence: (ContractAddress.staking, reportEquivocation)
        }
    }
}

public enum ReportKind: UInt8, Codable, Hashable, Sendable { case score = 1, replay = 2 }

/// One line of a score report. A report holds one line for every trainer drawn for its author in that part
/// (as scorer: duty index 0; as backup: index 1), by ascending address, as a canonical array.
public struct ScoreLine: Hashable, Sendable, CanonicalCodable {
    public let trainer: Address
    public let fact: ScoreFact
    public init(trainer: Address, fact: ScoreFact) {
        self.trainer = trainer
        self.fact = fact
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(trainer)
        encoder.append(fact)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        trainer = try decoder.value()
        fact = try decoder.value()
    }
}

/// One line of a replay report: one for every replay drawn for its author, by ascending address of the trainer.
public struct ReplayLine: Hashable, Sendable, CanonicalCodable {
    public let trainer: Address
    public let fact: ReplayFact
    public init(trainer: Address, fact: ReplayFact) {
        self.trainer = trainer
        self.fact = fact
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(trainer)
        encoder.append(fact)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        trainer = try decoder.value()
        fact = try decoder.value()
    }
}

/// Lines of a report at the most.
extension Limits {
    public static let reportLines = 64
}
