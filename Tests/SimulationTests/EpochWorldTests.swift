import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

/// Whole networks whose committees change.
struct EpochWorldTests {
    private func play(_ people: WorldGenesis, seed: UInt64 = 1, _ change: (inout World<Ledger>.Options) -> Void) -> World<Ledger> {
        var options = World<Ledger>.Options()
        options.faults = .none
        change(&options)
        var world = World(people, seed: seed, options: options)
        world.run(limitMilliseconds: 900_000)
        return world
    }

    @Test func `one joins and one leaves by stake: nobody restarts, all end on one chain, and the newcomer orders and is paid`() throws {
        let people = WorldGenesis(validators: 4, candidates: 1, trainers: 3, windows: 10, epochMilliseconds: 6_000)
        let world = play(people) {
            $0.joining = people.registrations
            $0.leaving = [people.departure(of: 1)]
        }
        #expect(world.checks.violations.isEmpty)
        #expect(world.checks.seen["validator crashed"] == nil)
        let owners = people.validators.map(\.owner.address), ledger = world.ledgers[0]
        #expect(ledger.epoch > Epoch(2))
        #expect(ledger.committee.members.map(\.owner) == [0, 2, 3, 4].map { owners[$0] })
        // Five nodes, one of them without a seat now: all have executed the same.
        #expect(world.ledgers.count == 5)
        let least = world.ledgers.map(\.head.number).min() ?? 0
        #expect(least + 20 > ledger.head.number)
        #expect(world.seats == [0, nil, 1, 2, 3].map { $0.map { AuthorityIndex($0) } })
        #expect(world.lastOwnRounds[4] ?? Round(0) > Round(2))
        #expect(ledger.claimable(owners[4]) > 0, "the newcomer is paid for its duties")
        #expect(world.checks.seen["authority: resubmitted", default: 0] > 0)
    }

    @Test func `one that was away for several epochs goes through them and takes its seat again`() {
        let people = WorldGenesis(validators: 4, trainers: 3, windows: 10, epochMilliseconds: 5_000)
        let world = play(people) {
            ($0.faults.crashEvery, $0.faults.crashFor, $0.faults.until) = (12_000, 30_000, 20_000)
        }
        #expect(world.checks.violations.isEmpty)
        #expect(world.checks.seen["validator crashed"] == 1)
        #expect(Set(world.ledgers.map(\.epoch)).count <= 2)
        #expect(world.ledgers[0].epoch > Epoch(5))
        #expect(world.lastOwnRounds.allSatisfy { $0 ?? Round(0) > Round(0) })
    }

    @Test func `one that lost its disk and its memory asks again in the next epoch, where it may have been before`() {
        let people = WorldGenesis(validators: 4, trainers: 3, windows: 10, epochMilliseconds: 5_000)
        let world = play(people) {
            ($0.faults.crashEvery, $0.faults.crashFor, $0.faults.until, $0.faults.diskLostPerMille) = (12_000, 500, 20_000, 1_000)
        }
        #expect(world.checks.violations.isEmpty)
        #expect(world.checks.seen["validator's disk lost"] == 1)
        #expect(world.checks.seen["authority: recollected", default: 0] >= 1)
        #expect(world.lastOwnRounds.allSatisfy { $0 ?? Round(0) > Round(0) })
    }

    @Test func `one that is far behind fetches commits, epoch by epoch, and the end of each as blocks`() {
        let people = WorldGenesis(validators: 4, trainers: 3, windows: 12, epochMilliseconds: 20_000)
        let world = play(people) {
            ($0.faults.crashEvery, $0.faults.crashFor, $0.faults.until) = (8_000, 50_000, 60_000)
            $0.commitSync.threshold = 5
        }
        #expect(world.checks.violations.isEmpty)
        #expect(world.checks.seen["validator crashed"] == 1)
        // In the epoch in which it fell behind, in one that was over when it came back, and in the one under way.
        #expect(world.checks.seen["authority: syncing by commits", default: 0] >= 2 && world.checks.seen["authority: live again", default: 0] >= 2)
        #expect(world.ledgers.allSatisfy { $0.epoch >= Epoch(3) })
        #expect(world.lastOwnRounds.allSatisfy { $0 ?? Round(0) > Round(0) })
    }
}
