import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Contests: where reports differ or a replay does, all validators recompute, and more than two thirds of the stake decide. Law: `Contracts/Disputes`.
enum Disputes {
    static let contestOpened = EventSignature("ContestOpened(bytes32 indexed contest, bytes32 indexed run, uint64 indexed window, uint8 kind, address trainer)")
    static let contestDecided = EventSignature("ContestDecided(bytes32 indexed contest, bytes32 indexed run, uint64 indexed window, bytes fact, uint256 stake)")
    static let incident = EventSignature("Incident(bytes32 indexed contest, bytes32 indexed run, uint64 indexed window)")
    static let alarm = EventSignature("Alarm(bytes32 indexed contest, bytes32 indexed run, uint64 indexed window)")

    static let contract = NativeContract(
        "Disputes", ContractAddress.disputes,
        functions: [
            NativeFunction("voteCommit(bytes32 contest,bytes32 commitment)", voteCommit),
            NativeFunction("voteReveal(bytes32 contest,bytes value,bytes32 witness,bytes32 salt)", voteReveal),
            NativeFunction("contest(bytes32 contest)(uint64 window,uint8 kind,address trainer,uint256 votes,bool closed)", view: true) { environment, arguments in
                let (record, index) = try environment.contest(arguments[0])
                let contest = record.contests[index]
                return [.uint(record.window.rawValue), .uint(UInt64(contest.kind.rawValue)), .address(contest.trainer), .uint(UInt64(contest.votes.count)), .bool(contest.isClosed)]
            },
        ],
        events: [contestOpened, contestDecided, incident, alarm],
        errors: ["UnknownContest(bytes32 contest)", "NotOpen(bytes32 contest)", "NotAValidator(address sender)", "AlreadyVoted(address validator)", "NotCommitted(address validator)", "WrongReveal(bytes32 expected, bytes32 found)", "ValueTooLong(uint256 bytes)"])

    static func placeKey(_ contest: Digest) -> StateKey<Window> { StateKey("contest", contest.bytes) }

    /// At most 16 in a window: as many as votes have numbers.
    static func open(_ kind: ReportKind, _ trainer: Address, _ record: inout WindowRecord, _ clock: UInt64, _ environment: inout Environment) {
        guard record.contests.count < Int(Duty.indexLimit) else { return }
        let id = Digest.tagged("assay/contest/1") {
            $0.append(environment.domain)
            $0.append(environment.run)
            $0.append(record.window)
            $0.append(kind.rawValue)
            $0.append(trainer)
        }
        record.contests.append(ContestRecord(id: id, kind: kind, trainer: trainer, opened: clock))
        environment.state[placeKey(id)] = record.window
        environment.emit(contestOpened, from: contract.address, .bytes32(id), .bytes32(environment.run), .uint(record.window.rawValue), .uint(UInt64(kind.rawValue)), .address(trainer))
    }

    @Sendable private static func voteCommit(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var (record, index) = try environment.contest(arguments[0])
        let validator = try environment.validator().owner
        guard record.contests[index].committing.isOpen else { throw Revert("NotOpen(bytes32)", arguments[0]) }
        guard !record.contests[index].votes.contains(where: { $0.validator == validator }) else { throw Revert("AlreadyVoted(address)", .address(validator)) }
        record.contests[index].votes.append(.init(validator: validator, commitment: arguments[1].asDigest))
        environment.state[Windows.key(record.window)] = record
        return []
    }

    @Sendable private static func voteReveal(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var (record, index) = try environment.contest(arguments[0])
        let validator = try environment.validator().owner, value = arguments[1].asBytes
        guard record.contests[index].revealing.isOpen else { throw Revert("NotOpen(bytes32)", arguments[0]) }
        guard value.count <= 256 else { throw Revert("ValueTooLong(uint256)", .uint(UInt64(value.count))) }
        guard let place = record.contests[index].votes.firstIndex(where: { $0.validator == validator }) else { throw Revert("NotCommitted(address)", .address(validator)) }
        guard record.contests[index].votes[place].value == nil else { throw Revert("AlreadyVoted(address)", .address(validator)) }
        let found = ReportCommitment.digest(value: value, witness: arguments[2].asDigest, validator: validator, salt: arguments[3].asDigest, genesis: environment.domain)
        let expected = record.contests[index].votes[place].commitment
        guard found == expected else { throw Revert("WrongReveal(bytes32,bytes32)", .bytes32(expected), .bytes32(found)) }
        record.contests[index].votes[place].value = value
        environment.state[Windows.key(record.window)] = record
        return []
    }

    static func advance(_ record: inout WindowRecord, _ clock: UInt64, _ environment: inout Environment) {
        let rules = environment.rules
        for index in record.contests.indices where !record.contests[index].isClosed {
            if let opened = record.contests[index].committing.opened, record.contests[index].committing.isOpen,
               record.contests[index].votes.count >= record.expectedValidators.count || clock >= opened + Phases.limit(.replayCommit, rules) {
                record.contests[index].committing.isClosed = true
                record.contests[index].revealing.opened = clock
            }
            if let opened = record.contests[index].revealing.opened, record.contests[index].revealing.isOpen,
               record.contests[index].votes.allSatisfy({ $0.value != nil }) || clock >= opened + Phases.limit(.replayReveal, rules) {
                record.contests[index].revealing.isClosed = true
                record.contests[index].isClosed = true
                decide(index, &record, &environment)
            }
        }
    }

    private static func decide(_ index: Int, _ record: inout WindowRecord, _ environment: inout Environment) {
        let contest = record.contests[index]
        let values = contest.votes.compactMap(\.value)
        var verdict: (value: [UInt8], stake: UInt64)?
        for value in values where verdict == nil {
            let stake = environment.stake(of: contest.votes.filter { $0.value == value }.map(\.validator))
            if environment.isQuorum(stake) { verdict = (value, stake) }
        }
        guard let verdict, apply(verdict.value, contest, &record, &environment) else {
            environment.emit(alarm, from: contract.address, .bytes32(contest.id), .bytes32(environment.run), .uint(record.window.rawValue))
            return
        }
        environment.emit(contestDecided, from: contract.address, .bytes32(contest.id), .bytes32(environment.run), .uint(record.window.rawValue), .bytes(verdict.value), .uint(verdict.stake))
        punish(contest, verdict.value, record, &environment)
    }

    /// The fact that was voted for takes its place. False if it is none.
    private static func apply(_ value: [UInt8], _ contest: ContestRecord, _ record: inout WindowRecord, _ environment: inout Environment) -> Bool {
        switch contest.kind {
        case .score:
            guard let fact = try? ScoreFact(canonicalBytes: value), let place = record.scoreDraws.firstIndex(where: { $0.trainer == contest.trainer }) else { return false }
            record.scoreDraws[place].fact = fact
            if var member = environment.state[Runs.memberKey(contest.trainer)] {
                member.lastScore = fact.score
                environment.state[Runs.memberKey(contest.trainer)] = member
            }
        case .replay:
            guard let fact = try? ReplayFact(canonicalBytes: value), let place = record.replays.firstIndex(where: { $0.draw.trainer == contest.trainer }),
                  fact.verdict != .unserved || Judgement.owesResidual(record.replays[place].draw, record, environment) else { return false }
            Judgement.decided(place, fact, &record, &environment)
        }
        return true
    }

    /// Who reported another fact pays for it, unless so many did that the fault is likely the software's. That a blob was not to be had where
    /// one asked is no false fact: whoever says so has computed nothing, and is paid nothing.
    private static func punish(_ contest: ContestRecord, _ value: [UInt8], _ record: WindowRecord, _ environment: inout Environment) {
        let wrong = record.reports.filter { $0.kind == contest.kind }.filter { report in
            let reported = contest.kind == .score
                ? report.lines(of: ScoreLine.self)?.first { $0.trainer == contest.trainer }?.fact.canonicalBytes
                : report.lines(of: ReplayLine.self)?.first { $0.trainer == contest.trainer }?.fact.canonicalBytes
            return reported.map { $0 != value && !isUnserved($0, contest) } ?? false
        }.map(\.validator)
        let dissenting = Set(wrong + contest.votes.filter { vote in vote.value.map { $0 != value && !isUnserved($0, contest) } ?? false }.map(\.validator)).sorted()
        guard !dissenting.isEmpty else { return }
        guard !environment.isThird(environment.stake(of: dissenting)) else {
            return environment.emit(incident, from: contract.address, .bytes32(contest.id), .bytes32(environment.run), .uint(record.window.rawValue))
        }
        for validator in wrong {
            let amount = (try? environment.slashable(validator).scaled(by: 1, over: 1_000)) ?? 0
            environment.slash(validator, amount, rule: Rule.falseReport, window: record.window, evidence: contest.id)
        }
    }

    private static func isUnserved(_ value: [UInt8], _ contest: ContestRecord) -> Bool {
        contest.kind == .replay && (try? ReplayFact(canonicalBytes: value))?.verdict == .unserved
    }
}

extension Environment {
    func contest(_ id: ABIValue) throws -> (WindowRecord, Int) {
        guard let window = state[Disputes.placeKey(id.asDigest)], let record = state[Windows.key(window)], let index = record.contests.firstIndex(where: { $0.id == id.asDigest }) else {
            throw Revert("UnknownContest(bytes32)", id)
        }
        return (record, index)
    }
}
