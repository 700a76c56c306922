import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Testing

struct ScorerTests {
    @Test(arguments: 0..<24)
    func `a scorer that crashes in the middle of a window does the same again`(moment: UInt64) {
        let world = PaperWorld(windows: 5)
        #expect(world.run { $0.ledger.status.opened == Window(2) })
        let now = world.now
        #expect(world.run { $0.now.milliseconds(since: now) >= moment * 250 })
        world.scorers[1] = world.scorer(1)
        #expect(world.run())
        #expect(world.ledger.refusals == [])
        #expect(world.ledger.slashed == [])
        for scorer in world.scorers { #expect(scorer?.events.contains { if case .reportLost = $0 { true } else { false } } == false) }
        #expect(world.ledger.views.prefix(5).flatMap(\.scoreDraws).allSatisfy { $0.fact != nil })
        #expect(world.ledger.views.prefix(5).allSatisfy { $0.contests.isEmpty })
    }

    @Test func `backups step in for a scorer that is away, and every contribution has its fact`() {
        let world = PaperWorld(windows: 4)
        #expect(world.run { $0.ledger.status.opened == Window(1) })
        world.scorers[3] = nil
        #expect(world.run())
        #expect(world.ledger.views.prefix(4).flatMap(\.scoreDraws).allSatisfy { $0.fact != nil })
        #expect(world.ledger.views.prefix(4).flatMap(\.reports).contains { $0.index == 1 })
    }

    @Test func `a liar's report opens a contest, which the true fact wins`() throws {
        let world = PaperWorld(windows: 3, liars: [0])
        #expect(world.run())
        #expect(!world.ledger.decided.isEmpty)
        for (_, winner) in world.ledger.decided {
            let value = try #require(winner)
            let fact = try ScoreFact(canonicalBytes: value)
            // The honest table takes as much from both sums; a liar adds seven to one.
            #expect((fact.randomAfter - fact.ownAfter) == 0)
        }
        #expect(world.ledger.slashed == [])
    }

    @Test func `two runs of one world say the same in the same order`() {
        let first = PaperWorld(windows: 3, behaviours: [1: .noise, 2: .lazy]), second = PaperWorld(windows: 3, behaviours: [1: .noise, 2: .lazy])
        #expect(first.run() && second.run())
        #expect(first.ledger.views == second.ledger.views)
        #expect(first.now == second.now)
    }

    @Test func `a beacon chain gives the link before any of its links`() {
        let chain = BeaconChain(seed: [1, 2, 3], length: 1_500)
        var tip = chain.tip, steps = 0
        while let link = chain.preimage(of: tip) {
            if steps.isMultiple(of: 97) || steps > 1_480 { #expect(Digest.sha256(link.bytes) == tip) }
            tip = link
            steps += 1
        }
        #expect(steps == 1_500)
        #expect(chain.preimage(of: Digest.sha256([1])) == nil)
        #expect(BeaconChain(seed: [1, 2, 3], length: 1_500).tip == chain.tip)
    }
}
