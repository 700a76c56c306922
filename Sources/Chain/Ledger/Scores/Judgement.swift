import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// From reports to facts, and from facts to who is aggregated: when the reveal of the scores closes, and when that of the replays does.
enum Judgement {
    static func perform(_ record: inout WindowRecord, _ clock: UInt64, _ environment: inout Environment) {
        for index in record.scoreDraws.indices {
            let trainer = record.scoreDraws[index].trainer
            let facts = record.reports.filter { $0.kind == .score }.compactMap { $0.lines(of: ScoreLine.self)?.first { $0.trainer == trainer }?.fact }
            guard let first = facts.first else {
                exclude(trainer, "not scored", record.window, &environment)
                continue
            }
            if facts.allSatisfy({ $0 == first }) { record.scoreDraws[index].fact = first } else { Disputes.open(.score, trainer, &record, clock, &environment) }
        }
        rate(record, &environment)
        record.aggregated = gate(record, &environment)
        environment.emit(Scores.aggregated, from: ContractAddress.scores, .bytes32(environment.run), .uint(record.window.rawValue), .array((record.aggregated ?? []).map { .address($0) }))
    }

    private static func exclude(_ trainer: Address, _ reason: String, _ window: Window, _ environment: inout Environment) {
        environment.emit(Scores.excluded, from: ContractAddress.scores, .bytes32(environment.run), .uint(window.rawValue), .address(trainer), .string(reason))
    }

    // MARK: Values and ratings

    static let billion: Int64 = 1_000_000_000

    /// One match over the facts of the window; value = moving average (α = 0.2) of the score over the median, between 0 and 2.
    private static func rate(_ record: WindowRecord, _ environment: inout Environment) {
        let scored = record.scoreDraws.compactMap { draw in draw.fact.map { (draw.trainer, $0) } }
        guard !scored.isEmpty else { return }
        var members = scored.compactMap { environment.state[Runs.memberKey($0.0)] }
        guard members.count == scored.count else { return }
        let scores = scored.map(\.1.score.billionths)
        for (index, rating) in Rating.update(members.map(\.rating), scores: scores).enumerated() { members[index].rating = rating }
        let median = scores.sorted()[(scores.count - 1) / 2]
        for index in members.indices {
            let fact = scored[index].1
            if median > 0 {
                let ratio = Int128(max(0, scores[index])) * Int128(billion) / Int128(median)
                let capped = UInt64(min(ratio, Int128(2 * billion)))
                members[index].value = (members[index].value * 4 + capped) / 5
            }
            members[index].lastScore = fact.score
            members[index].lastScored = record.window
            if scores[index] > 0 { members[index].missLevel = 0 }
            environment.state[Runs.memberKey(members[index].trainer)] = members[index]
            environment.emit(
                Scores.scored, from: ContractAddress.scores, .bytes32(environment.run), .uint(record.window.rawValue), .address(members[index].trainer), .int(fact.score.billionths), .int(fact.ownScore.billionths),
                .int(fact.randomBefore), .int(fact.randomAfter), .int(fact.ownBefore), .int(fact.ownAfter), .int(members[index].rating.mu), .uint(members[index].value))
        }
    }

    // MARK: The gate

    /// Whether a score keeps its trainer out. A newcomer's must be above zero. Who has a record, a value of half the median's or more, is let in
    /// with a little less: once the model learns slowly, noise alone turns honest scores negative; shutting them out leaves a mean of few, which is
    /// noise too, and their next payloads, started from progress that θ never got, then fail for that.
    private static func isTooLow(_ score: Score, _ member: MemberRecord, _ rules: RunRules) -> Bool {
        let tolerance = member.value >= UInt64(billion / 2) ? Int64(rules.scoreTolerance) : 0
        return score.billionths <= -tolerance
    }

    /// Agg(w): judged, scored high enough, under no suspicion; the best by rating, listed by address.
    private static func gate(_ record: WindowRecord, _ environment: inout Environment) -> [Address] {
        let facts = record.scoreDraws.compactMap { draw in draw.fact.map { (draw.trainer, $0) } }
        let failing = facts.count { $0.1.score.billionths <= 0 }
        // When more than half of at least four fail, it is the window that is odd: all are let in, and nobody's record is marked.
        let isOpen = facts.count >= 4 && 2 * failing > facts.count
        var passed: [MemberRecord] = []
        for contribution in record.judged {
            guard let member = environment.state[Runs.memberKey(contribution.trainer)] else { continue }
            let fact = facts.first { $0.0 == contribution.trainer }?.1
            let reason: String? =
                if member.isJailed(at: record.window) { "jailed" }
                else if member.isSuspect { "a replay failed, none was clean since" }
                else if let fact, isTooLow(fact.score, member, environment.rules), !isOpen { "score too low" }
                else if fact == nil, member.lastScore.map({ isTooLow($0, member, environment.rules) }) ?? true { "waits for a score that is high enough" }
                else { nil }
            if let reason { exclude(contribution.trainer, reason, record.window, &environment) } else { passed.append(member) }
        }
        passed.sort { ($0.rating.mu, $1.trainer) > ($1.rating.mu, $0.trainer) }
        return passed.prefix(Int(environment.rules.aggregateLimit)).map(\.trainer).sorted()
    }

    // MARK: Replays

    static func replays(_ record: inout WindowRecord, _ clock: UInt64, _ environment: inout Environment) {
        for index in record.replays.indices {
            let trainer = record.replays[index].draw.trainer
            // "Not served" accuses only a trainer that owed its residual: all else that a replay needs was held by a quorum, and whoever could not
            // get it in time has said nothing.
            let isOwed = owesResidual(record.replays[index].draw, record, environment)
            let facts = record.reports.filter { $0.kind == .replay }.compactMap { $0.lines(of: ReplayLine.self)?.first { $0.trainer == trainer }?.fact }
                .filter { isOwed || $0.verdict != .unserved }
            guard let first = facts.first else { continue }
            if facts.allSatisfy({ $0 == first && $0.verdict == .equal }) {
                decided(index, first, &record, &environment)
            } else if facts.allSatisfy({ $0 == first && $0.verdict == .unserved }) {
                decided(index, first, &record, &environment)
            } else {
                Disputes.open(.replay, trainer, &record, clock, &environment)
            }
        }
    }

    /// Whether a replay needs what only its trainer can give.
    static func owesResidual(_ draw: ReplayDraw, _ record: WindowRecord, _ environment: Environment) -> Bool {
        guard draw.withCompression, let window = draw.window == record.window ? record : environment.state[Windows.key(draw.window)],
              let place = window.contribution(of: draw.trainer), let reveal = window.contributions[place].reveal else { return false }
        return reveal.residualIn != .zero
    }

    /// A replay's fact stands: a clean one counts, a failed one is punished, an unserved one is not paid.
    static func decided(_ index: Int, _ fact: ReplayFact, _ record: inout WindowRecord, _ environment: inout Environment) {
        record.replays[index].fact = fact
        let draw = record.replays[index].draw
        environment.emit(
            Scores.replayed, from: ContractAddress.scores, .bytes32(environment.run), .uint(record.window.rawValue), .address(draw.trainer), .uint(draw.window.rawValue), .uint(UInt64(draw.segment)), .bool(draw.withCompression),
            .uint(UInt64(fact.verdict.rawValue)), .bytes32(fact.expected), .bytes32(fact.found))
        guard var member = environment.state[Runs.memberKey(draw.trainer)] else { return }
        switch fact.verdict {
        case .equal:
            member.cleanReplays = min(member.cleanReplays + 1, 1_000_000)
            member.isSuspect = false
            environment.state[Runs.memberKey(draw.trainer)] = member
        case .unserved:
            member.lastResidual = .zero
            environment.state[Runs.memberKey(draw.trainer)] = member
            environment.emit(Windows.unserved, from: ContractAddress.windows, .bytes32(environment.run), .uint(draw.window.rawValue), .address(draw.trainer))
            unpaid(draw, &record, &environment)
            Rewards.forfeit(draw.trainer, rule: Rule.unserved, window: draw.window, &environment)
        case .differs:
            fail(draw, fact, &member, &record, &environment)
        }
    }

    private static func fail(_ draw: ReplayDraw, _ fact: ReplayFact, _ member: inout MemberRecord, _ record: inout WindowRecord, _ environment: inout Environment) {
        member.failures = Array((member.failures + [draw.window]).suffix(3))
        (member.cleanReplays, member.isSuspect, member.value) = (0, true, 0)
        let recent = member.failures.filter { $0.advanced(by: 200) > record.window }.count
        if recent >= 3 { environment.jail(&member, for: nil, rule: Rule.failedReplay, draw.window) } else if recent == 2 { environment.jail(&member, for: 20, rule: Rule.failedReplay, draw.window) }
        environment.state[Runs.memberKey(draw.trainer)] = member
        unpaid(draw, &record, &environment)
        let evidence = Digest.tagged("assay/evidence/1") {
            $0.append(environment.domain)
            $0.append(environment.run)
            $0.append(draw)
            $0.append(fact)
        }
        let largest = Rewards.forfeit(draw.trainer, rule: Rule.failedReplay, window: draw.window, &environment)
        let stake = environment.slashable(draw.trainer)
        let share = (try? stake.scaled(by: 5, over: 100)) ?? 0
        environment.slash(draw.trainer, max(share, (try? largest.multiplied(by: 20)) ?? stake), rule: Rule.failedReplay, window: draw.window, evidence: evidence)
    }

    private static func unpaid(_ draw: ReplayDraw, _ record: inout WindowRecord, _ environment: inout Environment) {
        if draw.window == record.window {
            if let place = record.contribution(of: draw.trainer) { record.contributions[place].isUnpaid = true }
        } else if var older = environment.state[Windows.key(draw.window)], let place = older.contribution(of: draw.trainer), !older.isSettled {
            older.contributions[place].isUnpaid = true
            environment.state[Windows.key(draw.window)] = older
        }
    }
}
