import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// The draw: in the commit that closes the hold phase, without a message. Everything here follows from the beacon and the ledger.
enum Draw {
    static func perform(_ record: inout WindowRecord, _ run: inout RunRecord, _ environment: inout Environment) {
        let beacon = beacon(record, run, environment)
        record.beacon = beacon
        run.lastBeacon = beacon
        judge(&record, &run, &environment)
        let validators = environment.validatorsAtWork
        record.scoreDraws = scorers(record, beacon, validators, environment.rules)
        record.replays = replays(record, beacon, validators, environment)
        for replay in record.replays { remember(replay.draw, record.window, &environment) }
        environment.emit(Runs.windowDrawn, from: ContractAddress.runs, .bytes32(environment.run), .uint(record.window.rawValue), .bytes32(beacon), .uint(UInt64(record.judged.count)))
    }

    /// B_w from the preimages that came in time, by seat.
    private static func beacon(_ record: WindowRecord, _ run: RunRecord, _ environment: Environment) -> Digest {
        let preimages = environment.validators.enumerated().compactMap { seat, validator in
            record.attests.first { $0.validator == validator.owner }.map { (AuthorityIndex(seat), $0.preimage) }
        }
        return Beacon.next(after: run.lastBeacon, genesis: environment.domain, run: environment.run, window: record.window, preimages: preimages)
    }

    // MARK: Who is judged

    private static func judge(_ record: inout WindowRecord, _ run: inout RunRecord, _ environment: inout Environment) {
        let revealed = record.revealed.map(\.trainer)
        let parameters = environment.state[Runs.outerKey(record.window)]?.view.parametersRoot
        run.recentPayloads.removeAll { $0.window.advanced(by: RunRecord.payloadMemory) < record.window }
        let recent = Set(run.recentPayloads.map(\.root))
        var roots: [Digest: Int] = [:]
        for contribution in record.contributions { if let reveal = contribution.reveal { roots[reveal.payloadRoot, default: 0] += 1 } }
        for index in record.contributions.indices where record.contributions[index].state == .revealed {
            let contribution = record.contributions[index]
            guard let reveal = contribution.reveal, let position = revealed.firstIndex(of: contribution.trainer) else { continue }
            let held = environment.stake(of: record.attests.filter { AttestRecord.bit($0.held, position) }.map(\.validator))
            let refused = environment.stake(of: record.attests.filter { AttestRecord.bit($0.refused, position) }.map(\.validator))
            var member = environment.state[Runs.memberKey(contribution.trainer)]
            let restart = record.window.rawValue.isMultiple(of: UInt64(max(1, environment.genesis.training.residualRestart)))
            let carries = reveal.residualIn == .zero || (!restart && reveal.residualIn == member?.lastResidual)
            let rule: UInt16? =
                if recent.contains(reveal.payloadRoot) || roots[reveal.payloadRoot, default: 0] > 1 { Rule.duplicate }
                else if environment.isQuorum(refused) || reveal.parametersRoot != parameters || !environment.genesis.training.allows(reveal.steps) || !carries { Rule.refusedPayload }
                else if !environment.isQuorum(held) { Rule.miss }
                else { nil }
            if let rule {
                record.contributions[index].state = .refused
                record.contributions[index].rule = rule
                // Not held by a quorum, though a third had it: the network's fault, no miss of the trainer's.
                if rule != Rule.miss || !environment.isThird(held) { environment.miss(contribution.trainer, rule, record.window) }
            } else {
                record.contributions[index].state = .judged
                member?.lastJudged = record.window
                member?.lastResidual = reveal.residualOut
                environment.state[Runs.memberKey(contribution.trainer)] = member
                run.recentPayloads.append(.init(window: record.window, root: reveal.payloadRoot))
            }
        }
    }

    // MARK: Who scores whom

    /// All, or the never-scored and last-negative first, then by windows since they were scored; at least 8.
    private static let scoredAtLeast = 8

    private static func scorers(_ record: WindowRecord, _ beacon: Digest, _ validators: [StakerRecord], _ rules: RunRules) -> [ScoreDrawRecord] {
        record.judged.prefix(max(scoredAtLeast, Limits.reportLines)).map { contribution in
            var generator = SeededGenerator(Beacon.draw(beacon, "score \(contribution.trainer)"))
            let drawn = byStake(validators.filter { $0.owner != contribution.trainer }, count: Int(rules.scorers) * 2, &generator)
            return ScoreDrawRecord(trainer: contribution.trainer, scorers: Array(drawn.prefix(Int(rules.scorers))).sorted(), backups: Array(drawn.dropFirst(Int(rules.scorers))).sorted())
        }
    }

    /// Different validators, each with a chance by its stake.
    static func byStake(_ validators: [StakerRecord], count: Int, _ generator: inout SeededGenerator) -> [Address] {
        // Whole tokens: what is left below counts for nothing in a draw.
        var pool = validators.map { (owner: $0.owner, weight: (try? $0.stake.dividedBy(U256(1_000_000_000_000_000_000 as UInt64)))?.quotient.uint64 ?? 0) }.filter { $0.weight > 0 }
        var drawn: [Address] = []
        while drawn.count < count, !pool.isEmpty {
            var rest = generator.below(pool.reduce(0) { $0 &+ $1.weight })
            var chosen = pool.count - 1
            for (index, entry) in pool.enumerated() {
                if rest < entry.weight {
                    chosen = index
                    break
                }
                rest -= entry.weight
            }
            drawn.append(pool.remove(at: chosen).owner)
        }
        return drawn
    }

    // MARK: What is replayed

    /// A window is replayed once: whatever comes of it, it is not drawn again.
    private static func remember(_ draw: ReplayDraw, _ window: Window, _ environment: inout Environment) {
        guard var member = environment.state[Runs.memberKey(draw.trainer)] else { return }
        member.replayed = member.replayed.filter { $0.advanced(by: UInt64(environment.rules.lookBack) + 2) > window } + [draw.window]
        environment.state[Runs.memberKey(draw.trainer)] = member
    }

    private static func replays(_ record: WindowRecord, _ beacon: Digest, _ validators: [StakerRecord], _ environment: Environment) -> [ReplayRecord] {
        let rules = environment.rules, training = environment.genesis.training
        return (environment.state[Runs.key]?.members ?? []).compactMap { trainer in
            guard let member = environment.state[Runs.memberKey(trainer)], !member.isJailed(at: record.window) else { return nil }
            let first = record.window.lowered(by: UInt64(rules.lookBack) - 1)
            let candidates = (first.rawValue...record.window.rawValue).compactMap { number -> (window: Window, steps: UInt32)? in
                let window = Window(number)
                guard !member.replayed.contains(window) else { return nil }
                let held = window == record.window ? record : environment.state[Windows.key(window)]
                return held?.judged.first { $0.trainer == trainer }?.reveal.map { (window, $0.steps) }
            }
            guard !candidates.isEmpty else { return nil }
            var generator = SeededGenerator(Beacon.draw(beacon, "replay \(trainer)"))
            // 1 ÷ (1 + clean replays), at least the floor: a newcomer is certain to be replayed.
            let clean = UInt64(member.cleanReplays), million: UInt64 = 1_000_000
            guard generator.below(million) < max(UInt64(rules.replayFloor), million / (1 + clean)) || clean == 0 else { return nil }
            let (window, steps) = clean == 0 ? candidates[0] : candidates[Int(generator.below(UInt64(candidates.count)))]
            let segments = UInt64(training.segments(of: steps))
            let withCompression = generator.chance(1, in: 2)
            let segment = withCompression ? segments - 1 : generator.below(segments)
            let draw = ReplayDraw(trainer: trainer, window: window, segment: UInt32(segment), withCompression: withCompression)
            return ReplayRecord(draw: draw, replayers: byStake(validators.filter { $0.owner != trainer }, count: Int(rules.replayers), &generator).sorted())
        }
    }
}

extension Environment {
    /// One window without work that could be judged.
    mutating func miss(_ trainer: Address, _ rule: UInt16, _ window: Window) {
        guard var member = state[Runs.memberKey(trainer)] else { return }
        member.missLevel = min(3, member.missLevel + 1)
        member.misses |= 1
        emit(Windows.missed, from: ContractAddress.windows, .bytes32(run), .uint(window.rawValue), .address(trainer), .uint(UInt64(rule)), .uint(UInt64(member.missLevel)))
        if member.misses.nonzeroBitCount >= 4, !member.isJailed(at: window.next) {
            member.misses = 0
            jail(&member, for: 20, rule: Rule.jailedForMisses, window)
        }
        state[Runs.memberKey(trainer)] = member
    }

    mutating func jail(_ member: inout MemberRecord, for windows: UInt64?, rule: UInt16, _ window: Window) {
        let until = windows.map { Window(state[Runs.key]?.openings ?? 0).advanced(by: $0) } ?? MemberRecord.forever
        member.jailedUntil = until
        emit(Staking.jailed, from: ContractAddress.staking, .address(member.trainer), .uint(UInt64(rule)), .uint(window.rawValue), .uint(until.rawValue))
    }
}
