import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

struct AuditorTests {
    private func audit(_ world: PaperWorld, trainer: Int, window: UInt64, scope: Auditor.Scope) throws -> AuditVerdict? {
        var auditor = try Auditor(of: world.world.trainers[trainer].owner.address, in: Window(window), views: world.ledger.views, genesis: world.world.genesis, scope: scope)
        let compute = WorldCompute(behaviour: .honest, innerSteps: world.world.genesis.training.innerSteps)
        var effects = auditor.begin()
        while let effect = effects.popLast() {
            switch effect {
            case .score(let job): effects = auditor.handle(.scored(compute.score(job).0))
            case .replay(let job): effects = auditor.handle(.replayed(job.draw, compute.replay(job).0))
            case .done(let verdict): return verdict
            }
        }
        return nil
    }

    @Test func `an honest window is equal in every piece`() throws {
        let world = PaperWorld(windows: 4)
        #expect(world.run())
        let verdict = try #require(try audit(world, trainer: 3, window: 2, scope: .all))
        #expect(verdict.isEqual)
        #expect(verdict.checks.map(\.piece) == [.commitment, .parameters, .steps, .lossDelta, .segment(0), .segment(1), .segment(2), .compression])
    }

    @Test func `a lazy window differs in its segments and the verdict says both sides`() throws {
        let world = PaperWorld(windows: 3, behaviours: [1: .lazy])
        #expect(world.run())
        let verdict = try #require(try audit(world, trainer: 1, window: 1, scope: .drawn(2, seed: 7)))
        #expect(verdict.differing.count == 2)
        #expect(!verdict.isEqual)
    }

    @Test func `what is not there is refused by name`() {
        let world = PaperWorld(windows: 2, habits: [0: .noReveal])
        #expect(world.run())
        let silent = world.world.trainers[0].owner.address
        #expect(throws: Auditor.Refusal.neverRevealed(silent, Window(1))) { try audit(world, trainer: 0, window: 1, scope: .all) }
        #expect(throws: Auditor.Refusal.noContribution(silent, Window(2))) { try audit(world, trainer: 0, window: 2, scope: .all) }
        #expect(throws: Auditor.Refusal.notInView(Window(99))) { try audit(world, trainer: 0, window: 99, scope: .all) }
        #expect(throws: Auditor.Refusal.noSegment(4, of: 4)) { try audit(world, trainer: 1, window: 1, scope: .segments([4])) }
    }
}
