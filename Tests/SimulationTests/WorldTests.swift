import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

struct WorldTests {
    private func play(_ seed: UInt64, faults: WorldFaults, trainers: Int = 4, windows: UInt64 = 6, behaviours: [Int: WorldCompute.Behaviour] = [:],
                      habits: [Int: Trainer.Habit] = [:], liars: Set<Int> = []) -> World<Ledger> {
        var options = World<Ledger>.Options()
        (options.faults, options.behaviours, options.habits, options.liars) = (faults, behaviours, habits, liars)
        var world = World(WorldGenesis(trainers: trainers, windows: windows), seed: seed, options: options)
        world.run(limitMilliseconds: 900_000)
        return world
    }

    @Test func `all honest: every window is judged, aggregated and paid, and everybody has claimable rewards`() {
        let world = play(1, faults: .none)
        #expect(world.checks.violations.isEmpty)
        let ledger = world.ledgers[0]
        for window in 0..<6 as Range<UInt64> { #expect(ledger.windowView(Window(window))?.aggregated?.count == 4) }
        for trainer in world.world.trainers { #expect(ledger.claimable(trainer.owner.address) > 0) }
        for validator in world.world.validators { #expect(ledger.claimable(validator.owner.address) > 0) }
        #expect(ledger.slashedIdentities == [])
    }

    @Test func `a lazy trainer is slashed in the first windows and ends with nothing`() {
        let world = play(2, faults: .none, behaviours: [1: .lazy])
        #expect(world.checks.violations.isEmpty)
        let ledger = world.ledgers[0], lazy = world.world.trainers[1].owner.address
        #expect(ledger.slashedIdentities == [lazy])
        #expect(ledger.claimable(lazy).isZero)
    }

    @Test func `one liar among four scorers is slashed and changes no fact`() {
        let world = play(3, faults: .none, liars: [2])
        #expect(world.checks.violations.isEmpty)
        #expect(world.ledgers[0].slashedIdentities == [world.world.validators[2].owner.address])
    }

    @Test func `one that makes two blocks for a slot is shown to the ledger by whoever sees both, and the run goes on`() {
        var options = World<Ledger>.Options()
        options.faults = .none
        options.byzantine = [1: .equivocator]
        var world = World(WorldGenesis(trainers: 3, windows: 4), seed: 5, options: options)
        world.run(limitMilliseconds: 900_000)
        #expect(world.checks.violations.isEmpty)
        let owner = world.world.validators[1].owner.address
        for ledger in world.ledgers { #expect(ledger.slashedIdentities == [owner] && ledger.staker(owner)?.isTombstoned == true) }
    }

    @Test func `two that rush, under a network that is slow to who leads next, make no honest authority leave its rounds out`() {
        var options = World<Ledger>.Options()
        options.faults = .none
        options.faults.leaderLag = 400
        options.byzantine = [1: .rusher, 4: .rusher]
        var world = World(WorldGenesis(validators: 7, trainers: 3, windows: 3), seed: 9, options: options)
        world.run(limitMilliseconds: 900_000)
        #expect(world.checks.violations.isEmpty && world.checks.seen["byzantine: rushed", default: 0] > 0)
        #expect(world.checks.commits > world.checks.rounds / 2, "\(world.checks.commits) commits in \(world.checks.rounds) rounds")
    }

    @Test func `thirty-one validators, ten of them not honest, come to one state`() {
        var options = World<Ledger>.Options()
        options.faults = .none
        options.faults.lostPerMille = 20
        options.faults.until = 30_000
        for seat in 0..<10 { options.byzantine[seat * 3] = [.equivocator, .silentLeader, .selective, .badServer, .falseVoter][seat % 5] }
        var world = World(WorldGenesis(validators: 31, trainers: 3, windows: 1), seed: 31, options: options)
        world.run(limitMilliseconds: 900_000)
        #expect(world.checks.violations.isEmpty)
        #expect(world.checks.commits > 10 && Set(world.ledgers.map(\.head.stateRoot)).count <= 3)
    }

    @Test func `who never reveals or is always late earns nothing and holds nobody up`() {
        let world = play(4, faults: .none, habits: [0: .noReveal, 3: .late])
        #expect(world.checks.violations.isEmpty)
        let ledger = world.ledgers[0]
        for index in [0, 3] { #expect(ledger.claimable(world.world.trainers[index].owner.address).isZero) }
        for index in [1, 2] { #expect(ledger.claimable(world.world.trainers[index].owner.address) > 0) }
        #expect(ledger.slashedIdentities == [])
    }

    @Test(arguments: UInt64(0)..<8)
    func `whatever fails, one state, no honest party slashed, and the run ends`(seed: UInt64) {
        let behaviours: [Int: WorldCompute.Behaviour] = seed.isMultiple(of: 2) ? [2: .lazy] : seed.isMultiple(of: 3) ? [1: .noise] : [:]
        let world = play(seed, faults: .swarm(seed: seed), behaviours: behaviours)
        #expect(world.checks.violations.isEmpty, "swift run assay simulate --seed \(seed)")
    }
}
