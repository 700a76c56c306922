import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

struct SwarmTests {
    private struct Played: Sendable { let seed: UInt64, trace: UInt64, again: UInt64?, size: Int, checks: WorldChecks }

    @Test func `whatever fails and whoever cheats, one state, nobody honest slashed, the run ends, and a seed is a run`() async {
        let played = await withTaskGroup(of: Played.self) { group in
            for seed in 0..<500 as Range<UInt64> {
                group.addTask {
                    let world = Swarm.play(seed: seed)
                    return Played(seed: seed, trace: world.trace, again: seed < 64 ? Swarm.play(seed: seed).trace : nil, size: world.world.genesis.validators.count, checks: world.checks)
                }
            }
            return await group.reduce(into: [Played]()) { $0.append($1) }.sorted { $0.seed < $1.seed }
        }
        var seen: [String: Int] = [:]
        for play in played {
            #expect(play.checks.violations.isEmpty, "\(SimulationReport.command(seed: play.seed))")
            if let again = play.again { #expect(play.trace == again, "two runs differ: \(SimulationReport.command(seed: play.seed))") }
            #expect(play.checks.decisions > 0)
            for (kind, count) in play.checks.seen { seen[kind, default: 0] += count }
        }
        #expect(Set(played.map(\.trace)).count == 500)
        #expect(Set(played.map(\.size)) == [4, 7, 10, 31])
        // A fault that never strikes is no fault survived, and a case that never turns up lacks a test.
        let kinds = AuthorityEvent.kinds.map { "authority: \($0)" } + Scorer.Event.kinds.map { "scorer: \($0)" } + Trainer.Event.kinds.map { "trainer: \($0)" }
            + ["lost", "doubled", "slow link", "slow to the next leader", "clock ahead", "validator crashed", "unwritten blocks lost", "validator's disk lost", "trainer crashed", "trainer's disk lost", "cut off", "split in two", "cut one way", "all validators crashed", "crashed in mid-write"]
            + ByzantineHabit.allCases.map { "byzantine: \($0.deed)" } + ["Staking.Tombstoned", "Staking.EpochChanged", "Staking.ValidatorRegistered", "Staking.UnstakeBegun"]
        // Halting has a test of its own: no honest authority does it.
        let elsewhere: Set = ["authority: diverged", "authority: commit differs"]
        for kind in kinds where !elsewhere.contains(kind) { #expect(seen[kind, default: 0] > 0, "\(kind) never turned up") }
    }
}
