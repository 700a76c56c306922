import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// What a window pays, to the last unit: trainers 41 %, validators 41 %, the treasury 18 % and what rounding leaves.
enum Settlement {
    static func settle(_ record: inout WindowRecord, _ environment: inout Environment) {
        let pool = environment.rules.emission
        let share = (try? pool.scaled(by: 41, over: 100)) ?? 0
        var paid = payTrainers(share, record, &environment)
        paid = (try? paid.adding(payValidators(share, record, &environment))) ?? paid
        let rest = (try? pool.subtracting(paid)) ?? 0
        paid = (try? paid.adding(Rewards.add(Rewards.treasury, rest, Rewards.Reason.treasury, record.window, &environment))) ?? paid
        // Invariant reward.conserved: a window pays out its pool to the last unit.
        precondition(paid == pool, "reward.conserved: paid \(paid) of \(pool) for window \(record.window)")
        Rewards.mature(through: record.window, &environment)
        environment.emit(Runs.windowSettled, from: ContractAddress.runs, .bytes32(environment.run), .uint(record.window.rawValue), .uint(paid))
    }

    /// Splits a pool by weights, each part rounded down.
    static func split(_ pool: U256, _ weights: [U256]) -> [U256] {
        let total = weights.reduce(U256.zero) { (try? $0.adding($1)) ?? $0 }
        guard !total.isZero else { return weights.map { _ in 0 } }
        return weights.map { (try? pool.scaled(by: $0, over: total)) ?? 0 }
    }

    /// Three quarters to the aggregated by weight, a quarter to the next: judged and scored above zero, but not taken in. None next: all to the aggregated.
    private static func payTrainers(_ pool: U256, _ record: WindowRecord, _ environment: inout Environment) -> U256 {
        func weight(_ trainer: Address) -> U256 {
            guard let member = environment.state[Runs.memberKey(trainer)], !member.isSuspect, let place = record.contribution(of: trainer), !record.contributions[place].isUnpaid else { return 0 }
            let square = (try? U256(member.value).multiplied(by: U256(member.value))) ?? 0
            let quarters: UInt64 = switch member.missLevel { case 0: 4; case 1: 3; case 2: 2; default: 0 }
            return (try? square.multiplied(by: U256(quarters))) ?? 0
        }
        let aggregated = record.aggregated ?? []
        let next = record.scoreDraws.filter { ($0.fact?.score.billionths ?? 0) > 0 && !aggregated.contains($0.trainer) }.map(\.trainer)
        let nextWeights = next.map(weight)
        let hasNext = nextWeights.contains { !$0.isZero }
        let first = hasNext ? (try? pool.scaled(by: 75, over: 100)) ?? 0 : pool
        let second = (try? pool.subtracting(first)) ?? 0
        var paid = U256.zero
        for (trainer, amount) in zip(aggregated, split(first, aggregated.map(weight))) {
            paid = (try? paid.adding(Rewards.add(trainer, amount, Rewards.Reason.aggregated, record.window, &environment))) ?? paid
        }
        for (trainer, amount) in zip(next, split(second, nextWeights)) {
            paid = (try? paid.adding(Rewards.add(trainer, amount, Rewards.Reason.next, record.window, &environment))) ?? paid
        }
        return paid
    }

    /// By stake times the share of its duties that a validator did.
    private static func payValidators(_ pool: U256, _ record: WindowRecord, _ environment: inout Environment) -> U256 {
        let outer = environment.state[Runs.outerKey(record.window.advanced(by: 2))]?.view
        let validators = environment.validatorsAtWork
        let weights = validators.map { validator -> U256 in
            let duties = duties(of: validator.owner, record, outer)
            let done = duties.count { $0 }
            return duties.isEmpty ? 0 : (try? validator.stake.scaled(by: U256(UInt64(done)), over: U256(UInt64(duties.count)))) ?? 0
        }
        // What those who missed duties lose is not the others' gain: it goes to the treasury.
        let total = validators.reduce(U256.zero) { (try? $0.adding($1.stake)) ?? $0 }
        var paid = U256.zero
        for (validator, weight) in zip(validators, weights) where !total.isZero {
            let amount = (try? pool.scaled(by: weight, over: total)) ?? 0
            paid = (try? paid.adding(Rewards.add(validator.owner, amount, Rewards.Reason.duties, record.window, &environment))) ?? paid
        }
        return paid
    }

    /// What a validator owed the window, and whether it was done and ended with the final fact.
    private static func duties(of validator: Address, _ record: WindowRecord, _ outer: OuterView?) -> [Bool] {
        var duties = [record.attests.contains { $0.validator == validator }]
        duties.append(record.parameterVotes.contains { $0.validator == validator && $0.outer.view == outer })
        let scored = record.scoreDraws.filter { $0.scorers.contains(validator) }
        if !scored.isEmpty {
            let report = record.reports.first { $0.validator == validator && $0.kind == .score && $0.index == 0 }
            let lines: [ScoreLine] = report.flatMap { $0.lines() } ?? []
            for draw in scored { duties.append(lines.contains { $0.trainer == draw.trainer && (draw.fact == nil || $0.fact == draw.fact) }) }
        }
        let replayed = record.replays.filter { $0.replayers.contains(validator) }
        if !replayed.isEmpty {
            let report = record.reports.first { $0.validator == validator && $0.kind == .replay }
            let lines: [ReplayLine] = report.flatMap { $0.lines() } ?? []
            for replay in replayed { duties.append(lines.contains { $0.trainer == replay.draw.trainer && (replay.fact == nil || $0.fact == replay.fact) }) }
        }
        return duties
    }
}
