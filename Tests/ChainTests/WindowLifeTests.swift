import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssaySimulator
import Testing

/// A window's phases on the real ledger, opened and closed by what people do and by ledger time.
struct WindowLifeTests {
    private static func started(trainers: Int = 3, windows: UInt64 = 20) throws -> LedgerScript {
        var script = try LedgerScript(trainers: trainers, windows: windows)
        script.joinAll()
        return script
    }

    @Test func `windows open, are drawn, scored, aggregated, paid and closed, several at a time, until the run is over`() throws {
        var script = try WindowLifeTests.started(windows: 4), most = 0
        #expect(script.play { script in
            most = max(most, script.ledger.windowsInFlight.count)
            return script.ledger.runStatus.over
        })
        #expect(most > 2)
        for window in UInt64(0)..<4 {
            let view = script.view(window)
            #expect(WindowPhase.allCases.allSatisfy { view[$0].closed } && view.settled)
            #expect(view.judged.count == 3 && view.aggregated == script.trainerOwners.sorted())
            #expect(view.scoreDraws.allSatisfy { $0.scorers.count == 2 && $0.backups.count == 2 && Set($0.scorers).isDisjoint(with: $0.backups) && $0.fact != nil })
        }
        // A newcomer is replayed in its first window, without fail.
        #expect(Set(script.view(0).replays.map(\.draw.trainer)) == Set(script.trainerOwners))
        for name in ["WindowOpened", "WindowDrawn", "ParametersAgreed", "Aggregated", "WindowSettled"] { #expect(script.events(name).count == 4, "\(name)") }
        #expect(script.events("RunClosed").count == 1 && script.events("Slashed").isEmpty && script.events("Missed").isEmpty)
        // The parameters of w + 2 are those that were attested in w.
        #expect(script.view(2).outer?.parametersRoot == Conduct.root("θ 2"))
        // All tokens claimed, the treasury has its part, and nothing is left pending.
        for person in script.trainers { script.commit([script.call(person.owner, ContractAddress.rewards, "claim()")]) }
        #expect(script.events("Claimed").count == 3 && script.trainerOwners.allSatisfy { script.ledger.pendingRewards($0).isZero && script.ledger.claimable($0).isZero })
        let again = try script.replayed()
        #expect(again.tree.root == script.ledger.tree.root && again.logTree.root == script.ledger.logTree.root)
    }

    @Test func `trainers may do fewer or more steps, in whole segments, and are replayed by their own`() throws {
        var script = try LedgerScript(trainers: 5, windows: 12, allowedSteps: 10...30)
        script.joinAll()
        // In segments of 5 steps: 4, 2, 6; and two that no window has.
        let owners = script.trainerOwners, right = Array(owners[..<3]), wrong = owners[3...]
        script.steps = [owners[1]: 10, owners[2]: 30, owners[3]: 12, owners[4]: 35]
        #expect(script.play { $0.ledger.runStatus.over })
        let views = (0..<12).map { script.view($0) }, draws = views.flatMap(\.replays).map(\.draw)
        for view in views {
            #expect(Set(view.judged.map(\.trainer)) == Set(right) && view.aggregated == right.sorted())
            for refused in view.contributions where wrong.contains(refused.trainer) { #expect(refused.state == .refused(rule: Rule.refusedPayload)) }
        }
        for (trainer, segments) in zip(right, [4, 2, 6] as [UInt32]) {
            let own = draws.filter { $0.trainer == trainer }
            #expect(own.allSatisfy { $0.segment < segments && (!$0.withCompression || $0.segment == segments - 1) } && own.contains { $0.segment == segments - 1 }, "\(own)")
        }
    }

    @Test func `rank and steps follow what a quorum measured, each window's from the one before it`() throws {
        var script = try LedgerScript(trainers: 3, windows: 9, allowedSteps: 10...40, adapts: true)
        script.joinAll()
        // Over two windows, from rank 8 and 20 steps, within 4 and 16. One of four measures something else.
        let odd = script.validatorOwners[2]
        var conduct = Conduct()
        conduct.effectiveRank = { $0 == odd ? 900 : 12 * 256 }
        var expected = try #require(WindowPace.first(script.genesis.training)), seen: [WindowPace] = []
        #expect(script.play(conduct) { $0.ledger.windowView(Window(4))?.outer != nil })
        conduct.effectiveRank = { $0 == odd ? 0 : 5 * 256 + 100 }
        // Window 5's trainers may still do another number of steps than H.
        script.steps[script.trainerOwners[0]] = 30
        #expect(script.play(conduct) { $0.ledger.runStatus.over })
        for window in 0..<9 as Range<UInt64> {
            let pace = try #require(script.view(window).outer?.pace)
            #expect(pace == expected, "window \(window)")
            seen.append(pace)
            expected = pace.next(script.genesis.training, effectiveRank: window < 1 ? 0 : window < 4 ? 12 * 256 : 5 * 256 + 100)
            #expect(Set(script.view(window).judged.map(\.trainer)) == Set(script.trainerOwners))
            for replay in script.view(window).replays { #expect(replay.pace == script.view(replay.draw.window.rawValue).outer?.pace) }
        }
        #expect(seen.map(\.innerSteps) == [20, 20, 20, 30, 30, 20, 10, 10, 10] && seen.map(\.rank) == [8, 8, 8, 12, 12, 9, 5, 5, 5] && seen[8].firstStep == 160, "\(seen)")
        let attested = script.events("ParametersAgreed").filter { $0.values["window"] == .uint(5 as UInt64) }
        #expect(attested.count == 1)
    }

    @Test func `a state that nothing was added to keeps rank and steps, and its schedule goes on`() throws {
        let rules = WorldGenesis(windows: 1, allowedSteps: 10...40, adapts: true).genesis.training
        let pace = WindowPace(firstStep: 20, innerSteps: 30, rank: 12, effectiveRanks: [3_072, 3_072])
        let outer = OuterView(parametersRoot: Conduct.root("θ"), momentumRoot: Conduct.root("u"), clipNorms: [], pace: pace, rules: rules), next = outer.unchanged(rules)
        #expect(next.parametersRoot == outer.parametersRoot && next.momentumRoot == outer.momentumRoot && next.outerRoot != outer.outerRoot)
        #expect(next.pace == WindowPace(firstStep: 50, innerSteps: 30, rank: 12, effectiveRanks: [3_072, 3_072]))
        let fixed = OuterView.first(parametersRoot: Conduct.root("θ"))
        #expect(fixed.unchanged(WorldGenesis(windows: 1).genesis.training) == fixed)
    }

    @Test func `replays open when window w + 2 does and all drawn have served, or when they had the time to`() throws {
        var prompt = try WindowLifeTests.started()
        #expect(prompt.play { $0.view(0)[.replayCommit].opened != nil })
        let early = try #require(prompt.view(0)[.replayCommit].opened), served = try #require(prompt.view(0)[.serve].opened)
        #expect(prompt.ledger.runStatus.opened == Window(2) && early < served + 6_000 && prompt.view(0)[.serve].closed)

        var waiting = try WindowLifeTests.started()
        let slow = waiting.trainerOwners[0]
        #expect(waiting.play(Conduct(silent: [.serve: [slow]])) { $0.view(0)[.replayCommit].opened != nil })
        let late = try #require(waiting.view(0)[.replayCommit].opened), from = try #require(waiting.view(0)[.serve].opened)
        #expect(late >= from + 6_000 && waiting.ledger.runStatus.opened.map { $0 > Window(2) } == true, "30 % of 20 s, while other windows go on")
    }

    // MARK: Commit

    @Test func `a commit phase closes at once when all have committed`() throws {
        var script = try WindowLifeTests.started()
        script.commit(script.duties(Conduct()))
        #expect(script.view(0)[.commit].closed && script.ledger.runStatus.opened == Window(1))
        #expect(script.view(0)[.reveal].isOpen && script.view(1)[.commit].isOpen)
    }

    @Test func `two thirds close it a quarter later than they took`() throws {
        var script = try WindowLifeTests.started()
        let opened = try #require(script.view(0)[.commit].opened), late = Conduct(silent: [.commit: [script.trainerOwners[2]]])
        script.wait(12_000)
        script.commit(script.duties(late), after: 500)                 // two of three took 12 s, by the clock before this commit: the third has until 15 s
        script.wait(2_000)
        #expect(script.view(0)[.commit].isOpen)
        script.commit(after: 500)
        #expect(script.view(0)[.commit].closed && script.ledger.runStatus.phaseClock - opened == 15_000)
        // Absent, so charged; and not waited for until it acts again.
        #expect(script.events("Missed").map { $0.values["trainer"] } == [.address(script.trainerOwners[2])])
        script.commit(script.duties(late))
        #expect(script.view(1)[.commit].closed)
        #expect(script.events("Missed").count == 1)
    }

    @Test func `fewer than two thirds are waited for to the limit, and if most are absent nobody is charged`() throws {
        var script = try WindowLifeTests.started()
        let alone = Conduct(silent: [.commit: Set(script.trainerOwners.dropFirst())])
        script.commit(script.duties(alone))
        script.wait(19_000)
        #expect(script.view(0)[.commit].isOpen)
        script.wait(1_000)
        #expect(script.view(0)[.commit].closed && script.events("Missed").isEmpty)
    }

    /// Φ counts two seconds at most between two commits: an outage of an hour expires nothing.
    @Test func `an outage does not run down the phase clock`() throws {
        var script = try WindowLifeTests.started()
        let before = script.ledger.runStatus.phaseClock
        script.commit(after: 3_600_000)
        #expect(script.ledger.runStatus.phaseClock == before + 2_000)
        #expect(script.view(0)[.commit].isOpen)
    }

    // MARK: Reveal and hold

    @Test func `what is not revealed, or revealed otherwise, is a miss; the rest is judged`() throws {
        var script = try WindowLifeTests.started()
        let conduct = Conduct(silent: [.reveal: [script.trainerOwners[0]]], mismatching: [script.trainerOwners[1]])
        #expect(script.play(conduct) { $0.view(0).beacon != nil })
        let view = script.view(0)
        #expect(view.contribution(of: script.trainerOwners[0])?.state == .refused(rule: Rule.miss))
        #expect(view.contribution(of: script.trainerOwners[1])?.state == .refused(rule: Rule.mismatch))
        #expect(view.contribution(of: script.trainerOwners[2])?.state == .judged)
        #expect(script.events("RevealMismatched").count == 1 && script.events("Missed").count == 2)
    }

    @Test func `the draw waits for the preimages of a quorum, however long that takes`() throws {
        var script = try WindowLifeTests.started()
        let half = Conduct(silent: [.attest: Set(script.validatorOwners.prefix(2))])
        #expect(script.play(half) { $0.view(0).attested.count == 2 })
        script.wait(60_000, every: 2_000)
        #expect(script.view(0)[.hold].isOpen && script.view(0).beacon == nil)
        let three = Conduct(silent: [.attest: [script.validatorOwners[0]]])
        #expect(script.play(three) { $0.view(0).beacon != nil })
        #expect(script.view(0).attested.count == 3)
    }

    // MARK: Scores and parameters

    @Test func `a scorer that is silent ends no window; what nobody scored is not aggregated`() throws {
        var script = try WindowLifeTests.started()
        let silent = Conduct(silent: [.scoreCommit: Set(script.validatorOwners)])
        #expect(script.play(silent) { $0.view(0)[.scoreReveal].closed })
        let phase = script.view(0)[.scoreCommit]
        #expect(phase.opened.map { script.ledger.runStatus.phaseClock >= $0 + 6_000 } == true)
        #expect(script.view(0).aggregated == [] && script.events("Excluded").count >= 3)
    }

    @Test func `a score at or below zero is kept out of the aggregate at once`() throws {
        var script = try WindowLifeTests.started()
        let bad = script.trainerOwners[1]
        let conduct = Conduct(score: { _, trainer in Conduct.fact(trainer == bad ? 0 : 10_000_000) })
        #expect(script.play(conduct) { $0.isSettled(0) })
        #expect(script.view(0).aggregated == script.trainerOwners.filter { $0 != bad }.sorted())
        #expect(script.events("RewardPending").filter { $0.values["identity"] == .address(bad) }.isEmpty)
    }

    @Test func `a trainer with a record may fall short of zero by the tolerance, and not for long`() throws {
        var script = try WindowLifeTests.started()
        let weary = script.trainerOwners[1], others = script.trainerOwners.filter { $0 != weary }.sorted()
        func scoring(_ gain: Int64) -> Conduct { Conduct(score: { _, trainer in Conduct.fact(trainer == weary ? gain : 10_000_000) }) }
        // Its value after seven windows like the others': 1 − 0.8⁷ = 0.79.
        #expect(script.play { $0.view(6).aggregated != nil })
        #expect(script.play(scoring(-1_999_999)) { $0.view(7).aggregated != nil })
        #expect(script.play(scoring(-2_000_000)) { $0.view(8).aggregated != nil })
        #expect(script.view(7).aggregated == script.trainerOwners.sorted() && script.view(8).aggregated == others, "0.63 is record enough, and the tolerance a bound")
        #expect(script.play(scoring(-1)) { $0.view(9).aggregated != nil })
        #expect(script.view(9).aggregated == others, "0.40 is no record any more")
    }

    @Test func `when more than half of four fail, the window is odd and all are let in`() throws {
        var script = try WindowLifeTests.started(trainers: 5)
        let good = script.trainerOwners[0]
        #expect(script.play(Conduct(score: { _, trainer in Conduct.fact(trainer == good ? 10_000_000 : -5) })) { $0.view(0).aggregated != nil })
        #expect(script.view(0).aggregated == script.trainerOwners.sorted())
    }

    @Test func `parameters without a quorum stall the run, nobody is charged, and after three windows' time the aggregate is dropped`() throws {
        var script = try WindowLifeTests.started()
        let split = script.validatorOwners.prefix(2)
        let conduct = Conduct(outer: { validator, window in Conduct.root(split.contains(validator) ? "one \(window)" : "other \(window)") })
        #expect(script.play(conduct) { !$0.events("WindowStalled").isEmpty })
        let opened = try #require(script.view(0)[.parameters].opened)
        #expect(script.ledger.runStatus.phaseClock >= opened + 5_000)
        #expect(script.ledger.runStatus.opened == Window(1))
        #expect(script.play(conduct, every: 2_000) { !$0.events("AggregateDropped").isEmpty })
        #expect(script.ledger.runStatus.phaseClock >= opened + 60_000 && script.ledger.runStatus.phaseClock < opened + 63_000)
        #expect(script.view(2).outer == script.view(1).outer)
        #expect(script.events("Slashed").isEmpty && script.events("Missed").isEmpty && script.events("WindowStalled").count == 1)
        #expect(script.play { $0.isSettled(2) })
    }
}
