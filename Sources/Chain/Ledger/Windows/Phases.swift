import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// What ledger time and the deeds of all bring about at the end of each commit: windows in order, phases in table order, until nothing changes.
enum Phases {
    /// Ledger time between two commits that counts at most: an outage does not expire every phase at once.
    private static let longestStep: UInt64 = 2_000

    private static let shortestLimit: UInt64 = 10_000

    static func limit(_ phase: WindowPhase, _ rules: RunRules) -> UInt64 {
        let percent: UInt64 = switch phase {
        case .commit: 100
        case .reveal, .hold: 10
        case .scoreCommit: 30
        case .scoreReveal, .replayReveal: 5
        case .parameters: 25
        case .replayCommit: 60
        case .serve: 30
        }
        // A short phase still leaves a busy machine the time for a message: 10 s, or a quarter of a window that is shorter.
        return max(rules.windowMilliseconds / 100 * percent, min(shortestLimit, rules.windowMilliseconds / 4))
    }

    static func advance(_ environment: inout Environment) {
        guard var run = environment.state[Runs.key], !run.isOver else { return }
        run.clock += min(environment.block.time.milliseconds(since: run.lastTime), longestStep)
        run.lastTime = max(run.lastTime, environment.block.time)
        environment.state[Runs.key] = run
        while step(&environment) {}
    }

    /// One pass over all that may happen. True if anything did.
    private static func step(_ environment: inout Environment) -> Bool {
        guard var run = environment.state[Runs.key], !run.isOver else { return false }
        var changed = open(&run, &environment)
        for number in run.settled..<max(run.settled, min(run.openings, environment.lastWindowCount)) {
            guard var record = environment.state[Windows.key(Window(number))] else { continue }
            let before = record
            let runBefore = run
            advance(&record, &run, &environment)
            if record != before || run != runBefore {
                changed = true
                environment.state[Windows.key(record.window)] = record
                environment.state[Runs.key] = run
            }
        }
        if environment.rules.windows > 0, run.settled == environment.rules.windows, !run.isOver {
            run.isOver = true
            Rewards.matureAll(&environment)
            environment.emit(Runs.runClosed, from: ContractAddress.runs, .bytes32(environment.run), .uint(run.settled))
            changed = true
        }
        environment.state[Runs.key] = run
        return changed
    }

    // MARK: Opening

    /// Open(k): the commit phase of k − 1 is closed and the parameters of k are attested. Past the last window two more only let the last ones finish.
    private static func open(_ run: inout RunRecord, _ environment: inout Environment) -> Bool {
        let next = Window(run.openings)
        if next.rawValue > 0, next.rawValue >= environment.lastWindowCount &+ 2, environment.rules.windows > 0 { return false }
        guard let outer = environment.state[Runs.outerKey(next)]?.view else { return false }
        if next.rawValue == 0 {
            guard run.members.count >= Int(environment.rules.trainersToStart) else { return false }
        } else if next.rawValue <= environment.lastWindowCount, let before = environment.state[Windows.key(next.lowered(by: 1))] {
            guard before[.commit].isClosed else { return false }
        }
        run.openings += 1
        if next.rawValue < environment.lastWindowCount {
            var record = WindowRecord(window: next, assignment: assignment(of: next, environment))
            record[.commit].opened = run.clock
            record.expectedTrainers = run.members.filter { member in !run.idleTrainers.contains(member) && !(environment.state[Runs.memberKey(member)]?.isJailed(at: next) ?? true) }
            record.expectedValidators = environment.validatorsAtWork.filter { !run.idleValidators.contains($0.owner) }.map(\.owner)
            environment.state[Windows.key(next)] = record
            for member in run.members {
                // A new window in everybody's record of misses.
                guard var row = environment.state[Runs.memberKey(member)] else { continue }
                row.misses <<= 1
                environment.state[Runs.memberKey(member)] = row
            }
            environment.emit(Runs.windowOpened, from: ContractAddress.runs, .bytes32(environment.run), .uint(next.rawValue), .bytes32(record.assignment), .bytes32(outer.parametersRoot))
        }
        if next.rawValue >= 1, var before = environment.state[Windows.key(next.lowered(by: 1))] {
            before[.reveal].opened = run.clock
            before[.hold].opened = run.clock
            environment.state[Windows.key(before.window)] = before
        }
        environment.state[Runs.key] = run
        return true
    }

    /// R_w: of the beacon two windows before; the first two windows have that of genesis.
    static func assignment(of window: Window, _ environment: Environment) -> Digest {
        guard window.rawValue >= 2, let beacon = environment.state[Windows.key(window.lowered(by: 2))]?.beacon else {
            return Beacon.assignment(Beacon.first(genesis: environment.domain, run: environment.run))
        }
        return Beacon.assignment(beacon)
    }

    // MARK: One window

    private static func advance(_ record: inout WindowRecord, _ run: inout RunRecord, _ environment: inout Environment) {
        closeCommit(&record, &run, &environment)
        closeReveal(&record, run, &environment)
        closeHold(&record, &run, &environment)
        closeScores(&record, run, &environment)
        closeParameters(&record, run, &environment)
        openReplays(&record, run, environment.rules)
        closeReplays(&record, run, &environment)
        Disputes.advance(&record, run.clock, &environment)
        if record[.replayReveal].isClosed, record[.parameters].isClosed, record.contests.allSatisfy(\.isClosed), !record.isSettled, record.window.rawValue == run.settled {
            Settlement.settle(&record, &environment)
            record.isSettled = true
            run.settled += 1
        }
    }

    /// All that are waited for have acted; or two thirds did and a quarter more of the time that took has passed, with a floor that forgives
    /// a busy machine; or the limit.
    private static func isDue(_ record: PhaseRecord, _ phase: WindowPhase, expected: Int, times: [UInt64], _ clock: UInt64, _ rules: RunRules) -> Bool {
        guard let opened = record.opened, !record.isClosed else { return false }
        if times.count >= expected { return true }
        let limit = limit(phase, rules)
        if clock >= opened + limit { return true }
        let twoThirds = (2 * expected + 2) / 3
        guard phase == .commit || phase == .hold, times.count >= twoThirds, twoThirds > 0 else { return false }
        let took = times.sorted()[twoThirds - 1] - opened
        return clock >= opened + max(took + took / 4, took + limit / 10)
    }

    private static func closeCommit(_ record: inout WindowRecord, _ run: inout RunRecord, _ environment: inout Environment) {
        let times = record.contributions.filter { record.expectedTrainers.contains($0.trainer) }.map(\.at)
        guard isDue(record[.commit], .commit, expected: max(1, record.expectedTrainers.count), times: times, run.clock, environment.rules) else { return }
        record[.commit].isClosed = true
        run.idleTrainers.removeAll { record.contribution(of: $0) != nil }
        let absent = record.expectedTrainers.filter { record.contribution(of: $0) == nil }
        // If most were absent the network was at fault, and nobody is charged.
        let charge = 2 * times.count >= record.expectedTrainers.count
        for trainer in absent {
            run.idleTrainers.append(trainer)
            if charge { environment.miss(trainer, Rule.miss, record.window) }
        }
        run.idleTrainers.sort()
    }

    private static func closeReveal(_ record: inout WindowRecord, _ run: RunRecord, _ environment: inout Environment) {
        guard record[.reveal].isOpen, let opened = record[.reveal].opened else { return }
        let waiting = record.contributions.indices.filter { record.contributions[$0].state == .committed }
        guard waiting.isEmpty || run.clock >= opened + limit(.reveal, environment.rules) else { return }
        record[.reveal].isClosed = true
        record[.hold].opened = run.clock
        for index in waiting {
            record.contributions[index].state = .refused
            record.contributions[index].rule = Rule.miss
            environment.miss(record.contributions[index].trainer, Rule.miss, record.window)
        }
        for contribution in record.contributions where contribution.rule == Rule.mismatch { environment.miss(contribution.trainer, Rule.mismatch, record.window) }
    }

    private static func closeHold(_ record: inout WindowRecord, _ run: inout RunRecord, _ environment: inout Environment) {
        guard record[.hold].isOpen, record[.reveal].isClosed else { return }
        // A beacon needs the preimages of a quorum, however long that takes.
        guard environment.isQuorum(environment.stake(of: record.attests.map(\.validator))) else { return }
        let times = record.attests.filter { record.expectedValidators.contains($0.validator) }.map(\.at)
        guard isDue(record[.hold], .hold, expected: record.expectedValidators.count, times: times, run.clock, environment.rules) else { return }
        record[.hold].isClosed = true
        run.idleValidators = environment.validators.map(\.owner).filter { owner in !record.attests.contains { $0.validator == owner } }
        Draw.perform(&record, &run, &environment)
        record[.scoreCommit].opened = run.clock
        record[.serve].opened = run.clock
    }

    private static func closeScores(_ record: inout WindowRecord, _ run: RunRecord, _ environment: inout Environment) {
        if let opened = record[.scoreCommit].opened, record[.scoreCommit].isOpen {
            let drawn = Set(record.scoreDraws.flatMap(\.scorers))
            let done = Set(record.reports.filter { $0.kind == .score && $0.index == 0 }.map(\.validator))
            guard drawn.isSubset(of: done) || run.clock >= opened + limit(.scoreCommit, environment.rules) else { return }
            record[.scoreCommit].isClosed = true
            record[.scoreReveal].opened = run.clock
        }
        if let opened = record[.scoreReveal].opened, record[.scoreReveal].isOpen {
            guard record.reports.allSatisfy({ $0.kind != .score || $0.values != nil }) || run.clock >= opened + limit(.scoreReveal, environment.rules) else { return }
            record[.scoreReveal].isClosed = true
            Judgement.perform(&record, run.clock, &environment)
            record[.parameters].opened = run.clock
        }
    }

    private static func closeParameters(_ record: inout WindowRecord, _ run: RunRecord, _ environment: inout Environment) {
        guard let opened = record[.parameters].opened, record[.parameters].isOpen else { return }
        let target = record.window.advanced(by: 2)
        var agreed: OuterView?
        for vote in record.parameterVotes where agreed == nil {
            let voters = record.parameterVotes.filter { $0.outer == vote.outer }.map(\.validator)
            if environment.isQuorum(environment.stake(of: voters)) { agreed = vote.outer.view }
        }
        if agreed == nil, run.clock >= opened + limit(.parameters, environment.rules), !record.isStalled {
            record.isStalled = true
            environment.emit(Runs.windowStalled, from: ContractAddress.runs, .bytes32(environment.run), .uint(target.rawValue))
        }
        if agreed == nil, run.clock >= opened + 3 * environment.rules.windowMilliseconds {
            agreed = environment.state[Runs.outerKey(target.lowered(by: 1))]?.view.unchanged(environment.genesis.training)
            environment.emit(Runs.aggregateDropped, from: ContractAddress.runs, .bytes32(environment.run), .uint(target.rawValue))
        }
        guard let agreed else { return }
        environment.state[Runs.outerKey(target)] = OuterRecord(agreed)
        record[.parameters].isClosed = true
        environment.emit(Checkpoints.parametersAgreed, from: ContractAddress.checkpoints, .bytes32(environment.run), .uint(target.rawValue), .bytes32(agreed.outerRoot), .bytes32(agreed.parametersRoot), .bytes32(agreed.momentumRoot))
    }

    /// Not before window w + 2 opens, and not before all who were drawn have served or had the time for it: windows may follow each other
    /// faster than a busy machine uploads.
    private static func openReplays(_ record: inout WindowRecord, _ run: RunRecord, _ rules: RunRules) {
        guard let opened = record[.serve].opened, record[.replayCommit].opened == nil, run.openings > record.window.rawValue + 2 else { return }
        guard record.replays.allSatisfy({ $0.stateRoot != nil }) || run.clock >= opened + limit(.serve, rules) else { return }
        record[.serve].isClosed = true
        record[.replayCommit].opened = run.clock
    }

    private static func closeReplays(_ record: inout WindowRecord, _ run: RunRecord, _ environment: inout Environment) {
        guard record.beacon != nil else { return }
        if let opened = record[.replayCommit].opened, record[.replayCommit].isOpen {
            let drawn = Set(record.replays.flatMap(\.replayers))
            let done = Set(record.reports.filter { $0.kind == .replay }.map(\.validator))
            guard drawn.isSubset(of: done) || run.clock >= opened + limit(.replayCommit, environment.rules) else { return }
            record[.replayCommit].isClosed = true
            record[.replayReveal].opened = run.clock
        }
        if let opened = record[.replayReveal].opened, record[.replayReveal].isOpen {
            guard record.reports.allSatisfy({ $0.kind != .replay || $0.values != nil }) || run.clock >= opened + limit(.replayReveal, environment.rules) else { return }
            record[.replayReveal].isClosed = true
            Judgement.replays(&record, run.clock, &environment)
        }
    }
}
