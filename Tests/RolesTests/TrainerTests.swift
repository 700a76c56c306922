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
