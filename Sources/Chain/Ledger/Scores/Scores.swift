import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Reports of what was recomputed, committed to before they are shown. Law: `Contracts/Scores`.
enum Scores {
    static let scored = EventSignature("Scored(bytes32 indexed run, uint64 indexed window, address indexed trainer, int64 score, int64 ownScore, int64 randomBefore, int64 randomAfter, int64 ownBefore, int64 ownAfter, int64 rating, uint64 value)")
    static let replayed = EventSignature("Replayed(bytes32 indexed run, uint64 indexed window, address indexed trainer, uint64 replayedWindow, uint32 segment, bool withCompression, uint8 verdict, bytes32 expected, bytes32 found)")
    static let excluded = EventSignature("Excluded(bytes32 indexed run, uint64 indexed window, address indexed trainer, string reason)")
    static let aggregated = EventSignature("Aggregated(bytes32 indexed run, uint64 indexed window, address[] trainers)")

    static let contract = NativeContract(
        "Scores", ContractAddress.scores,
        functions: [
            NativeFunction("commitReport(bytes32 run,uint64 window,uint8 kind,bytes32 commitment)", commitReport),
            NativeFunction("revealReport(bytes32 run,uint64 window,uint8 kind,bytes values,bytes32 witness,bytes32 salt)", revealReport),
            NativeFunction("score(bytes32 run,uint64 window,address trainer)(int64 score,int64 randomBefore,int64 randomAfter,int64 ownBefore,int64 ownAfter)", view: true) { environment, arguments in
                let record = try environment.window(arguments[0], arguments[1])
                guard let fact = record.scoreDraws.first(where: { $0.trainer == arguments[2].asAddress })?.fact else { throw Revert("NotScored(uint64,address)", arguments[1], arguments[2]) }
                return [.int(fact.score.billionths), .int(fact.randomBefore), .int(fact.randomAfter), .int(fact.ownBefore), .int(fact.ownAfter)]
            },
            NativeFunction("rating(bytes32 run,address trainer)(int64 mu,int64 sigma,uint64 value,uint32 cleanReplays)", view: true) { environment, arguments in
                guard arguments[0].asDigest == environment.run else { throw Revert("UnknownRun(bytes32)", arguments[0]) }
                guard let member = environment.state[Runs.memberKey(arguments[1].asAddress)] else { throw Revert("NotAMember(address)", arguments[1]) }
                return [.int(member.rating.mu), .int(member.rating.sigma), .uint(member.value), .uint(UInt64(member.cleanReplays))]
            },
        ],
        events: [scored, replayed, excluded, aggregated],
        errors: ["UnknownRun(bytes32 run)", "UnknownWindow(uint64 window)", "PhaseNotOpen(uint64 window, uint8 phase)", "NotAValidator(address sender)", "NotAMember(address sender)", "UnknownKind(uint8 kind)", "NotDrawn(address sender)", "TooEarly(uint64 opens)", "AlreadyReported(address validator)", "NotCommitted(address validator)", "WrongReveal(bytes32 expected, bytes32 found)", "WrongLines(string reason)", "NotScored(uint64 window, address trainer)"])

    private static func kind(_ value: ABIValue) throws -> ReportKind {
        guard let kind = ReportKind(rawValue: UInt8(truncatingIfNeeded: value.asUInt64)) else { throw Revert("UnknownKind(uint8)", value) }
        return kind
    }

    /// For whom a validator reports: as scorer (index 0) or backup (index 1), or as replayer.
    static func trainers(of validator: Address, _ kind: ReportKind, _ index: UInt8, in record: WindowRecord) -> [Address] {
        switch (kind, index) {
        case (.score, 0): record.scoreDraws.filter { $0.scorers.contains(validator) }.map(\.trainer)
        case (.score, _): record.scoreDraws.filter { $0.backups.contains(validator) }.map(\.trainer)
        case (.replay, _): record.replays.filter { $0.replayers.contains(validator) }.map(\.draw.trainer)
        }
    }

    @Sendable private static func commitReport(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        let kind = try kind(arguments[2])
        let phase: WindowPhase = kind == .score ? .scoreCommit : .replayCommit
        var record = try environment.window(arguments[0], arguments[1], open: phase)
        let validator = try environment.validator(drawn: true).owner
        // The report as a scorer comes first; one who is both sends the backup's part as a second.
        var index: UInt8 = 0
        if kind == .score, trainers(of: validator, kind, 0, in: record).isEmpty || record.reports.contains(where: { $0.validator == validator && $0.kind == .score && $0.index == 0 }) { index = 1 }
        guard !trainers(of: validator, kind, index, in: record).isEmpty else { throw Revert("NotDrawn(address)", .address(validator)) }
        guard !record.reports.contains(where: { $0.validator == validator && $0.kind == kind && $0.index == index }) else { throw Revert("AlreadyReported(address)", .address(validator)) }
        if index == 1, let opened = record[.scoreCommit].opened {
            let half = opened + Phases.limit(.scoreCommit, environment.rules) / 2
            guard environment.clock >= half else { throw Revert("TooEarly(uint64)", .uint(half)) }
        }
        record.reports.append(ReportRecord(validator: validator, kind: kind, index: index, commitment: arguments[3].asDigest))
        environment.state[Windows.key(record.window)] = record
        return []
    }

    @Sendable private static func revealReport(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        let kind = try kind(arguments[2])
        var record = try environment.window(arguments[0], arguments[1], open: kind == .score ? .scoreReveal : .replayReveal)
        let validator = try environment.validator(drawn: true).owner, values = arguments[3].asBytes
        let found = ReportCommitment.digest(value: values, witness: arguments[4].asDigest, validator: validator, salt: arguments[5].asDigest, genesis: environment.domain)
        let own = record.reports.indices.filter { record.reports[$0].validator == validator && record.reports[$0].kind == kind && record.reports[$0].values == nil }
        guard let first = own.first else { throw Revert("NotCommitted(address)", .address(validator)) }
        guard let place = own.first(where: { record.reports[$0].commitment == found }) else { throw Revert("WrongReveal(bytes32,bytes32)", .bytes32(record.reports[first].commitment), .bytes32(found)) }
        record.reports[place].values = values
        let wanted = trainers(of: validator, kind, record.reports[place].index, in: record)
        let lines: [Address]? = kind == .score ? record.reports[place].lines(of: ScoreLine.self)?.map(\.trainer) : record.reports[place].lines(of: ReplayLine.self)?.map(\.trainer)
        guard lines == wanted else { throw Revert("WrongLines(string)", .string("\(lines?.count ?? 0) of \(wanted.count) trainers, by ascending address")) }
        environment.state[Windows.key(record.window)] = record
        return []
    }
}
