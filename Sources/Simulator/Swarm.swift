import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// Worlds by seed: each its own people, faults and adversaries. The same seed is the same world, event by event.
public enum Swarm {
    /// Virtual time after which a run that has not ended counts as stuck.
    public static let limitMilliseconds: UInt64 = 1_800_000

    public static func world(seed: UInt64) -> World<Ledger> {
        var chance = SeededGenerator(seed: seed, stream: 0x5A11)
        let trainers = 3 + Int(chance.below(4)), windows = 5 + chance.below(5)
        let people = WorldGenesis(trainers: trainers, windows: windows, windowMilliseconds: 12_000 + chance.below(20_000), delay: chance.chance(3, in: 4) ? .continued : .none)
        var options = World<Ledger>.Options()
        options.faults = .swarm(seed: seed)
        options.durations.train = 1_000 + chance.below(5_000)
        options.durations.score = 50 + chance.below(500)
        options.durations.replay = 100 + chance.below(2_000)
        options.durations.aggregate = 50 + chance.below(1_500)
        // At least two honest trainers stay; among four validators there is one liar at most.
        for index in 2..<trainers where chance.chance(1, in: 3) {
            let behaviours: [WorldCompute.Behaviour] = [.lazy, .noise, .freeride]
            let habits: [Trainer.Habit] = [.noReveal, .late, .withhold]
            if chance.chance(1, in: 2) { options.behaviours[index] = behaviours[Int(chance.below(3))] } else { options.habits[index] = habits[Int(chance.below(3))] }
        }
        if chance.chance(1, in: 5) { options.liars = [Int(chance.below(4))] }
        return World(people, seed: seed, options: options)
    }

    public static func play(seed: UInt64) -> World<Ledger> {
        var world = world(seed: seed)
        world.run(limitMilliseconds: limitMilliseconds)
        return world
    }

    /// Plays the seeds one after another.
    /// - Parameter progress: told after each seed; false ends it.
    public static func play(seeds: some Sequence<UInt64>, progress: (UInt64, World<Ledger>) -> Bool = { _, _ in true }) -> SimulationReport {
        var report = SimulationReport()
        for seed in seeds {
            let world = play(seed: seed)
            report.add(seed: seed, world)
            if !progress(seed, world) { break }
        }
        return report
    }
}
