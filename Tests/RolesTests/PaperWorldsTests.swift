import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

struct PaperWorldsTests {
    private func play(_ seed: UInt64, faults: WorldFaults, windows: UInt64 = 4, behaviours: [Int: WorldCompute.Behaviour] = [:]) -> World<PaperLedger> {
        let people = WorldGenesis(trainers: 3, windows: windows)
        var options = World<PaperLedger>.Options()
        options.faults = faults
        options.behaviours = behaviours
        var world = World(people, seed: seed, options: options) {
            PaperLedger(genesis: $0, validators: people.validators.map(\.identity), trainers: people.trainers.map(\.identity), windows: windows)
        }
        world.run(limitMilliseconds: 600_000)
        return world
    }

    @Test func `through a real consensus all windows are settled, and all work is judged`() {
        let world = play(1, faults: .none)
        #expect(world.checks.violations.isEmpty)
        for view in world.ledgers[0].views.prefix(4) { #expect(view.judged.count == 3) }
        #expect(world.checks.seen["trainer: missed"] == nil)
    }

    @Test(arguments: UInt64(0)..<6)
    func `whatever fails, the run ends and nobody honest is found different`(seed: UInt64) {
        let world = play(seed, faults: .swarm(seed: seed), behaviours: seed.isMultiple(of: 2) ? [2: .lazy] : [:])
        #expect(world.checks.violations.isEmpty, "seed \(seed)")
        let again = play(seed, faults: .swarm(seed: seed), behaviours: seed.isMultiple(of: 2) ? [2: .lazy] : [:])
        #expect(again.trace == world.trace)
        #expect(again.now == world.now)
    }
}
