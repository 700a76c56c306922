import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// Worlds by seed: each its own people, faults and adversaries. The same seed is the same world, event by event.
public enum Swarm {
    /// Virtual time after which a run that has not ended counts as stuck.
    public static let limitMilliseconds: UInt64 = 1_800_000

    /// - Parameter only: kinds of faults to play with; nil for all.
    public static func world(seed: UInt64, only: Set<WorldFaults.Kind>? = nil) -> World<Ledger> {
        var chance = SeededGenerator(seed: seed, stream: 0x5A11)
        let validators = chance.chance(1, in: 4) ? chance.chance(1, in: 4) ? 10 : 7 : 4, trainers = 3 + Int(chance.below(4)), windows = 4 + chance.below(4)
        // Committees change in two worlds of three; in half of those somebody joins, and maybe leaves a seat to it. Where they change a beacon that runs out would be one
        // fault more: a committee that has put out an equivocator may have none to spare.
        var terms = SeededGenerator(seed: seed, stream: 0xE90C)
        let epochMilliseconds = terms.chance(2, in: 3) ? 4_000 + terms.below(26_000) : 0
        let candidates = epochMilliseconds > 0 && terms.chance(1, in: 2) ? 1 + Int(terms.below(2)) : 0
        let people = WorldGenesis(validators: validators, candidates: candidates, trainers: trainers, windows: windows, windowMilliseconds: 12_000 + chance.below(20_000),
                                  delay: chance.chance(3, in: 4) ? .continued : .none, beaconLength: chance.chance(1, in: 8) && epochMilliseconds == 0 ? 4 : 1 << 10, epochMilliseconds: epochMilliseconds)
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
        return World(people, seed: seed, options: options)
    }

    public static func play(seed: UInt64, only: Set<WorldFaults.Kind>? = nil) -> World<Ledger> {
        var world = world(seed: seed, only: only)
        world.run(limitMilliseconds: limitMilliseconds)
        return world
    }
}
