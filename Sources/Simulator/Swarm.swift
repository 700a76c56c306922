import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// Worlds by seed: each its own people, faults and adversaries. The same seed is the same world, event by event.
public enum Swarm {
    /// Virtual time after which a run that has not ended counts as stuck.
    public static let limitMilliseconds: UInt64 = 1_800_000

    /// - Parameters:
    ///   - only: kinds of faults to play with; nil for all.
    ///   - drawing: ends with the first violation, with all rounds at hand for `World.picture`.
    public static func world(seed: UInt64, only: Set<WorldFaults.Kind>? = nil, drawing: Bool = false) -> World<Ledger> {
        var chance = SeededGenerator(seed: seed, stream: 0x5A11)
        var validators = chance.chance(1, in: 4) ? chance.chance(1, in: 4) ? 10 : 7 : 4, trainers = 3 + Int(chance.below(4)), windows = 4 + chance.below(4)
        // A large committee costs as much as many small ones, so it has little to do.
        var rare = SeededGenerator(seed: seed, stream: 0x1A46E)
        if rare.chance(1, in: 200) { (validators, trainers, windows) = (31, 3, 2) }
        // Committees change in two worlds of three; in half of those somebody joins, and maybe leaves a seat to it. Where they change a beacon that runs out would be one
        // fault more: a committee that has put out an equivocator may have none to spare.
        var terms = SeededGenerator(seed: seed, stream: 0xE90C)
        let epochMilliseconds = terms.chance(2, in: 3) ? 4_000 + terms.below(26_000) : 0
        let candidates = epochMilliseconds > 0 && terms.chance(1, in: 2) ? 1 + Int(terms.below(2)) : 0
        let people = WorldGenesis(validators: validators, candidates: candidates, trainers: trainers, windows: windows, windowMilliseconds: 12_000 + chance.below(20_000),
                                  delay: chance.chance(3, in: 4) ? .continued : .none, beaconLength: chance.chance(1, in: 8) && epochMilliseconds == 0 ? 4 : 1 << 10, epochMilliseconds: epochMilliseconds,
                                  // Who pays for a false report stays: a committee of three could bear no other fault beside it.
                                  validatorMinimumTokens: 5_000, allowedSteps: seed % 5 == 3 ? 10...40 : nil, adapts: seed % 5 == 3)
        var options = World<Ledger>.Options()
        options.joining = people.registrations
        if candidates > 0, terms.chance(1, in: 2) { options.leaving = [people.departure(of: Int(terms.below(UInt64(validators))))] }
        options.faults = .swarm(seed: seed)
        if let only { options.faults = options.faults.only(only) }
        options.durations.train = 1_000 + chance.below(5_000)
        options.durations.score = 50 + chance.below(500)
        options.durations.replay = 100 + chance.below(2_000)
        options.durations.aggregate = 50 + chance.below(1_500)
        if chance.chance(1, in: 3) { options.gcDepth = 8 + chance.below(12) }
        // At least two honest trainers stay.
        for index in 2..<trainers where chance.chance(1, in: 3) {
            let behaviours: [WorldCompute.Behaviour] = [.lazy, .noise, .freeride]
            let habits: [Trainer.Habit] = [.noReveal, .late, .withhold]
            if chance.chance(1, in: 2) { options.behaviours[index] = behaviours[Int(chance.below(3))] } else { options.habits[index] = habits[Int(chance.below(3))] }
        }
        // Fewer than a third of the validators are faulty: one of four, two of seven, three of ten.
        if chance.chance(2, in: 3), only?.contains(.byzantine) ?? true {
            for _ in 0..<(validators - 1) / 3 {
                let index = Int(chance.below(UInt64(validators)))
                switch chance.below(5) {
                case 0: options.liars.insert(index)
                case 1: options.miscomputing.insert(index)
                default: options.byzantine[index] = ByzantineHabit.allCases[Int(seed % UInt64(ByzantineHabit.allCases.count))]
                }
            }
        }
        (options.keepsHistory, options.stopsAtViolation) = (drawing, drawing)
        // Whom nobody asks serves nobody badly: then others are away more often, and for longer.
        if options.byzantine.values.contains(.badCommitServer) {
            (options.faults.cutEvery, options.faults.cutFor) = (6_000 + chance.below(4_000), 5_000 + chance.below(4_000))
            options.commitSync.threshold = 5
            if let only { options.faults = options.faults.only(only) }
        }
        // The first keeps all, for who has lost its disk.
        if chance.chance(1, in: 3) { options.keptCommits[1 + Int(chance.below(UInt64(validators - 1)))] = 5 + chance.below(40) }
        return World(people, seed: seed, options: options)
    }

    public static func play(seed: UInt64, only: Set<WorldFaults.Kind>? = nil, drawing: Bool = false) -> World<Ledger> {
        var world = world(seed: seed, only: only, drawing: drawing)
        world.run(limitMilliseconds: limitMilliseconds)
        return world
    }
}
