import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

struct SwarmTests {
    @Test(arguments: UInt64(0)..<24)
    func `whatever fails and whoever cheats, one state, nobody honest slashed, and the run ends`(seed: UInt64) {
        let world = Swarm.play(seed: seed)
        #expect(world.checks.violations.isEmpty, "swift run assay simulate --seed \(seed)")
    }
}
