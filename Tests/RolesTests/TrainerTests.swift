import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

struct TrainerTests {
    @Test(arguments: [TrainingRules.Delay.continued, .none])
    func `honest trainers are judged and aggregated in every window, and nobody is found different`(delay: TrainingRules.Delay) {
        let world = PaperWorld(windows: 10, delay: delay)
        #expect(world.run())
        #expect(world.ledger.refusals == [])
        for index in 0..<5 { #expect(world.states(of: index).allSatisfy { $0 == .judged }) }
        #expect(world.ledger.views.prefix(10).allSatisfy { $0.aggregated?.count == 5 && $0.contests.isEmpty })
        #expect(world.ledger.views.prefix(10).contains { !$0.replays.isEmpty })
        #expect(world.ledger.views.prefix(10).flatMap(\.replays).allSatisfy { $0.fact?.verdict == .equal })
    }

    @Test func `a lazy trainer's segment differs, all validators vote, and it alone is found`() {
        let world = PaperWorld(windows: 4, behaviours: [2: .lazy])
        #expect(world.run())
        #expect(Set(world.ledger.slashed) == [world.world.trainers[2].owner.address])
    }

    @Test func `a payload that makes things worse is judged but not aggregated`() {
        let world = PaperWorld(windows: 4, behaviours: [1: .noise])
        #expect(world.run())
        let noise = world.world.trainers[1].owner.address
        #expect(world.ledger.views.prefix(4).allSatisfy { $0.aggregated?.contains(noise) == false && $0.aggregated?.count == 4 })
    }

    @Test func `a trainer that never reveals misses each window, and the others go on`() {
        let world = PaperWorld(windows: 5, habits: [0: .noReveal])
        #expect(world.run())
        #expect(world.states(of: 0).allSatisfy { $0 == .refused(rule: 6) })
        #expect(world.states(of: 1).allSatisfy { $0 == .judged })
        #expect(world.ledger.slashed == [])
    }

    @Test func `a trainer begins no window whose steps or rank its rules do not have, whatever a validator tells it`() throws {
        let people = WorldGenesis(trainers: 3, windows: 4, allowedSteps: 10...40, adapts: true)
        func begins(_ pace: WindowPace?, _ window: Window = Window(1), _ genesis: Genesis = people.genesis) -> WindowPace?? {
            var trainer = Trainer(identity: people.trainers[0].identity, genesis: genesis), status = PaperLedger(genesis: genesis, validators: people.validators.map(\.identity), trainers: people.trainers.map(\.identity), windows: 4).status
            status.settled = window
            var view = WindowView(window: window, assignment: .zero, outer: OuterView(outerRoot: .zero, parametersRoot: .zero, momentumRoot: .zero, clipNorms: [], pace: pace))
            view[.commit] = PhaseView(opened: 0)
            for case .train(let job) in trainer.handle(.viewed(LedgerHead(status: status, views: [view])), now: genesis.time) { return .some(job.opening.pace) }
            return nil
        }
        let right = WindowPace(firstStep: 20, innerSteps: 30, rank: 12, effectiveRanks: [3_072])
        #expect(begins(right) == .some(right))
        #expect(begins(nil) == nil)
        for change in [{ $0.innerSteps = .max }, { $0.innerSteps = 45 }, { $0.innerSteps = 12 }, { $0.rank = 17 }, { $0.rank = 3 }, { $0.firstStep = .max }, { $0.effectiveRanks = [1, 2, 3] }] as [(inout WindowPace) -> Void] {
            var wrong = right
            change(&wrong)
            #expect(begins(wrong) == nil, "\(wrong)")
        }
        let fixed = WorldGenesis(trainers: 3, windows: 0).genesis
        #expect(begins(nil, Window(1), fixed) == .some(nil))
        #expect(begins(right, Window(1), fixed) == nil)
        for far: UInt64 in [1 << 60, .max - 3] { #expect(begins(nil, Window(far), fixed) == nil) }
    }

    @Test func `a late trainer misses and the others go on`() {
        let world = PaperWorld(windows: 4, habits: [3: .late])
        #expect(world.run())
        #expect(world.states(of: 3).allSatisfy { $0 == nil })
        #expect(world.trainers[3]?.events.contains(.missed(Window(1))) == true)
        #expect(world.states(of: 0).allSatisfy { $0 == .judged })
    }

    @Test func `a trainer that is away for some windows comes back, and its replays agree`() {
        let world = PaperWorld(windows: 12)
        #expect(world.run { $0.ledger.status.opened == Window(3) })
        world.trainers[4] = nil
        #expect(world.run { $0.ledger.status.opened == Window(6) })
        world.trainers[4] = world.trainer(4)
        #expect(world.run())
        #expect(world.states(of: 4).count { $0 == .judged } >= 8)
        #expect(world.states(of: 4).last == .judged)
        #expect(world.ledger.slashed == [])
        #expect(world.ledger.views.flatMap(\.replays).allSatisfy { $0.fact?.verdict != .differs })
    }

    @Test(arguments: 0..<20)
    func `a trainer that restarts in the middle of a window says the same again and loses nothing but time`(moment: UInt64) {
        let world = PaperWorld(windows: 5)
        #expect(world.run { $0.ledger.status.opened == Window(2) })
        let now = world.now
        #expect(world.run { $0.now.milliseconds(since: now) >= moment * 300 })
        world.trainers[1] = world.trainer(1)
        #expect(world.run())
        #expect(world.ledger.refusals == [])
        #expect(world.states(of: 1).allSatisfy { $0 == .judged })
        #expect(world.ledger.slashed == [])
    }

    @Test(arguments: 0..<10)
    func `what was trained before a crash is not trained again`(moment: UInt64) throws {
        let world = PaperWorld(windows: 4)
        #expect(world.run { $0.ledger.status.opened == Window(1) })
        let now = world.now
        #expect(world.run { $0.now.milliseconds(since: now) >= moment * 500 })
        let records = try #require(world.trainers[2]?.records)
        #expect(try records.map { try TrainedRecord(canonicalBytes: $0.canonicalBytes) } == records)
        world.trainers[2] = world.trainer(2, recovered: records)
        #expect(world.run())
        #expect(world.states(of: 2).allSatisfy { $0 == .judged })
        for record in records { #expect(world.trainers[2]?.events.contains(.training(record.window)) == false) }
    }

    @Test func `a window whose predecessor was not judged is trained again without it`() {
        let world = PaperWorld(windows: 6)
        let owner = world.world.trainers[2].owner.address
        world.durations.train = 6_000
        world.trainers[0] = world.trainer(0)                      // the others wait for this one
        #expect(world.run { $0.ledger.views[2].contribution(of: owner) != nil })
        // Away just long enough to miss the reveal of window 2.
        world.trainers[2] = nil
        #expect(world.run { $0.ledger.views[2][.reveal].closed })
        world.trainers[2] = world.trainer(2)
        #expect(world.run())
        #expect(world.states(of: 2)[2] == .refused(rule: 6))
        #expect(world.states(of: 2)[3...].allSatisfy { $0 == .judged })
        #expect(world.ledger.slashed == [])
    }
}
