import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator

/// Four scorers and some trainers around one paper ledger that executes every 100 ms what was submitted until then.
final class PaperWorld {
    let world: WorldGenesis
    var ledger: PaperLedger
    var scorers: [ScorerShell?]
    var trainers: [TrainerShell?]
    var now: Instant
    var durations = WorldDurations()
    private var pool: [[UInt8]] = []

    init(trainers count: Int = 5, windows: UInt64, delay: TrainingRules.Delay = .continued,
         behaviours: [Int: WorldCompute.Behaviour] = [:], habits: [Int: Trainer.Habit] = [:], liars: Set<Int> = []) {
        world = WorldGenesis(trainers: count, windows: windows, delay: delay)
        ledger = PaperLedger(genesis: world.genesis, validators: world.validators.map(\.identity), trainers: world.trainers.map(\.identity), windows: windows)
        now = world.genesis.time
        scorers = []
        trainers = []
        for index in world.validators.indices { scorers.append(scorer(index, liars.contains(index) ? .liar : .honest)) }
        for index in world.trainers.indices { trainers.append(trainer(index, behaviours[index] ?? .honest, habits[index] ?? .honest)) }
    }

    func scorer(_ index: Int, _ behaviour: WorldCompute.Behaviour = .honest) -> ScorerShell {
        ScorerShell(machine: Scorer(identity: world.validators[index].identity, genesis: world.genesis, beacon: world.beacons[index]),
                    owner: world.validators[index].owner.address, compute: WorldCompute(behaviour: behaviour, innerSteps: world.genesis.training.innerSteps), durations: durations)
    }
    func trainer(_ index: Int, _ behaviour: WorldCompute.Behaviour = .honest, _ habit: Trainer.Habit = .honest, recovered: [TrainedRecord] = []) -> TrainerShell {
        TrainerShell(machine: Trainer(identity: world.trainers[index].identity, genesis: world.genesis, habit: habit, recovered: recovered), records: recovered,
                     compute: WorldCompute(behaviour: behaviour, innerSteps: world.genesis.training.innerSteps), durations: durations)
    }

    /// Steps of 100 ms until the run is over or `done` says so; false if it takes too long.
    func run(limitSeconds: UInt64 = 3_600, until done: (PaperWorld) -> Bool = { _ in false }) -> Bool {
        let end = now.advanced(by: limitSeconds * 1_000)
        while now < end {
            if ledger.status.over || done(self) { return true }
            now = now.advanced(by: 100)
            for index in scorers.indices { pool += scorers[index]?.pass(until: now) ?? [] }
            for index in trainers.indices { pool += trainers[index]?.pass(until: now) ?? [] }
            ledger.execute(pool, at: now)
            pool = []
            let head = ledger.head
            for index in scorers.indices { pool += scorers[index]?.see(head, now: now) ?? [] }
            for index in trainers.indices { pool += trainers[index]?.see(head, now: now) ?? [] }
        }
        return false
    }
    func states(of trainer: Int) -> [ContributionView.State?] {
        ledger.views.dropLast(2).map { $0.contribution(of: world.trainers[trainer].owner.address)?.state }
    }
}
