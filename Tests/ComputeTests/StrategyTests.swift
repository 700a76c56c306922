import AssayAudit
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

/// Ways of a run beside the usual one: other compressors, delays, inner states, numbers of steps.
@Suite struct StrategyTests {
    /// Three trainers as in `DiLoCoTests`, with whatever the rules say.
    private func windows(_ count: UInt64, threads: Int = 1, _ change: (inout TrainingRules) -> Void) throws -> (states: [OuterState], after: Double) {
        var run = SmallRun()
        change(&run.rules)
        let trainer = try run.trainer(threads: threads), outer = run.outer(), first = OuterState.first(SmallRun.initial, run.rules)
        // With a delay, θ(1) = θ(0), and the payloads of w enter θ(w + 2); without, θ(w + 1).
        var states = run.rules.delay == .none ? [first] : [first, outer.apply(first, aggregated: [], judged: [])]
        var payloads: [[UInt8]?] = [nil, nil, nil], residuals: [FloatBuffer?] = [nil, nil, nil], ends: [InnerState?] = [nil, nil, nil]
        for window in 0..<count {
            var decoded: [FloatBuffer] = []
            let state = states[Int(window)]
            for number in 0..<3 {
                var opening = run.opening(window, trainer: UInt64(number + 1), parameters: state.parameters, ownPayload: payloads[number], residual: residuals[number])
                (opening.pace, opening.carried) = (state.pace, ends[number])
                let result = try trainer.train(opening)
                (payloads[number], residuals[number], ends[number]) = (result.payload, result.residual, result.end)
                decoded.append(try trainer.compressor.decompress(result.payload))
            }
            states.append(outer.apply(states[states.count - 1], aggregated: decoded, judged: decoded))
        }
        return (states, trainer.validationLoss(states[states.count - 1].parameters, sequences: 20))
    }

    @Test(arguments: [TrainingRules.Compressor.lowRankInt4, .int8, .topK, .dctTopK])
    func `three trainers learn the text together with each compressor`(compressor: TrainingRules.Compressor) throws {
        let after = try windows(12) { ($0.compressor, $0.rank, $0.keptValues, $0.valueBits) = (compressor, 8, 512, 8) }.after
        #expect(after < 3.2, "validation loss \(after)")
    }

    @Test(arguments: [TrainingRules.Delay.none, .plain, .continued])
    func `three trainers learn with each delay`(delay: TrainingRules.Delay) throws {
        let after = try windows(12) {
            $0.delay = delay
            if delay == .plain { ($0.outerLearningRate, $0.outerMomentum) = (SmallRun.bits(0.5), SmallRun.bits(0.25)) }
        }.after
        #expect(after < 3.5, "validation loss \(after)")
    }

    @Test func `plain starts from the agreed parameters whatever was sent before, and differs from continued`() throws {
        var run = SmallRun()
        run.rules.delay = .plain
        let trainer = try run.trainer(), result = try trainer.train(run.opening())
        #expect(try trainer.start(run.opening(1, ownPayload: result.payload)) == SmallRun.initial)
    }

    @Test func `carried moments go on where the window before ended, and reset ones begin at zero`() throws {
        var run = SmallRun()
        run.rules.innerState = .carry
        let trainer = try run.trainer(), first = try trainer.train(run.opening())
        let end = try #require(first.end)
        #expect(end.stepsSinceReset == 10 && end.step == 10 && end.digest == first.trajectory.digests[5])
        var opening = run.opening(1, ownPayload: first.payload, residual: first.residual)
        opening.carried = end
        let state = trainer.openingState(try trainer.start(opening), opening)
        #expect(state.m == end.m && state.v == end.v && state.stepsSinceReset == 10 && state.step == 10 && state.beta1Power == end.beta1Power && state.beta2Power == end.beta2Power)
        let second = try trainer.train(opening)
        #expect(second.end?.stepsSinceReset == 20)
        // The end of the first window stays as it was.
        #expect(first.end?.digest == first.trajectory.digests[5])
        opening.carried = nil
        #expect(try trainer.train(opening).payloadRoot != second.payloadRoot)
        run.rules.innerState = .reset
        let resetting = try run.trainer()
        opening.carried = end
        #expect(resetting.openingState(try resetting.start(opening), opening).stepsSinceReset == 0)
        #expect(try resetting.train(opening).end == nil)
    }

    @Test func `a trainer may do fewer or more steps, in whole segments and within the rules`() throws {
        var run = SmallRun()
        (run.rules.minimumSteps, run.rules.maximumSteps) = (4, 16)
        let trainer = try run.trainer(), whole = try trainer.train(run.opening())
        for steps in [4, 6, 16] {
            let result = try trainer.train(run.opening(), steps: steps)
            #expect(result.steps == steps && result.trajectory.digests.count == steps / 2 + 2 && result.tokens == steps * 2 * 32)
            // The same steps as far as they go.
            for segment in 0...min(steps, 10) / 2 { #expect(result.trajectory.digests[segment] == whole.trajectory.digests[segment]) }
        }
        for steps in [-2, 0, 2, 18, Int.max] { #expect(throws: WindowError.stepsNotAllowed(steps, allowed: 4...16)) { try trainer.train(run.opening(), steps: steps) } }
        #expect(throws: WindowError.stepsNotInSegments(5, segmentSteps: 2)) { try trainer.train(run.opening(), steps: 5) }
        #expect(throws: WindowError.stepsNotAllowed(8, allowed: 10...10)) { try SmallRun().trainer().train(run.opening(), steps: 8) }
    }

    @Test func `rank and steps follow the update, and the trainers follow the outer state`() throws {
        func adaptive(_ threads: Int) throws -> [OuterState] {
            try windows(7, threads: threads) {
                ($0.compressor, $0.rank, $0.minimumSteps, $0.maximumSteps) = (.lowRankInt4, 6, 4, 20)
                $0.adaptation = TrainingRules.Adaptation(windows: 2, minimumRank: 2, maximumRank: 10)
            }.states
        }
        let states = try adaptive(1), paces = states.compactMap(\.pace)
        #expect(paces.count == states.count)
        // The first two payloads are measured before the rank may change.
        #expect(paces.prefix(3).allSatisfy { $0.rank == 6 && $0.innerSteps == 10 })
        #expect(Set(paces.map(\.rank)).count > 1)
        for (before, after) in zip(paces, paces.dropFirst()) { #expect(after.firstStep == before.firstStep + UInt64(before.innerSteps)) }
        for (one, other) in zip(states, try adaptive(2)) { #expect(one.pace == other.pace && one.parameters == other.parameters) }
    }

    @Test func `a window of more steps than H replays equal by the number that its trainer said, and by no other`() throws {
        var run = SmallRun()
        (run.rules.minimumSteps, run.rules.maximumSteps) = (4, 20)
        let opening = run.opening(1), trainer = try run.trainer(), result = try trainer.train(opening, steps: 14), replay = Replay(trainer)
        func verdict(_ segment: UInt32, said: Int = 14) throws -> ReplayFact.Verdict {
            let draw = ReplayDraw(trainer: Address(number: 1), window: Window(1), segment: segment, withCompression: segment == 6)
            return try replay.replay(draw, opening: opening, served: nil, trajectory: result.trajectory, reveal: run.reveal(result, steps: said), validator: SmallRun.validator).fact.verdict
        }
        #expect(try result.steps == 14 && verdict(0) == .equal && verdict(5) == .equal && verdict(6) == .equal)
        #expect(try verdict(0, said: 10) == .differs)
    }

    @Test func `a window of another rank and length replays equal from its outer state, and not from another`() throws {
        var run = SmallRun()
        (run.rules.compressor, run.rules.rank, run.rules.minimumSteps, run.rules.maximumSteps) = (.lowRankInt4, 6, 4, 20)
        run.rules.adaptation = TrainingRules.Adaptation(minimumRank: 2, maximumRank: 10)
        var opening = run.opening(3)
        opening.pace = WindowPace(firstStep: 36, innerSteps: 14, rank: 3, effectiveRanks: [768])
        let trainer = try run.trainer(), result = try trainer.train(opening), replay = Replay(trainer)
        #expect(result.trajectory.digests.count == 9)
        let draw = ReplayDraw(trainer: Address(number: 1), window: Window(3), segment: 6, withCompression: true)
        let served = try trainer.state(at: 6, of: opening).blob
        func verdict(_ opening: WindowOpening) throws -> ReplayFact { try replay.replay(draw, opening: opening, served: served, trajectory: result.trajectory, reveal: run.reveal(result), validator: SmallRun.validator).fact }
        #expect(try verdict(opening).verdict == .equal)
        opening.pace?.rank = 4
        #expect(try verdict(opening).verdict == .differs)
        opening.pace = nil
        #expect(try verdict(opening).verdict == .differs)
    }

    @Test(arguments: [TrainingRules.Compressor.lowRankInt4, .topK, .dctTopK, .sparta, .int8])
    func `a window replays equal with each compressor, its compression with it`(compressor: TrainingRules.Compressor) throws {
        var run = SmallRun()
        (run.rules.compressor, run.rules.rank) = (compressor, 4)
        let trainer = try run.trainer(), result = try trainer.train(run.opening())
        let fact = try Replay(run.trainer(threads: 2)).replay(
            ReplayDraw(trainer: Address(number: 1), window: Window(0), segment: 4, withCompression: true), opening: run.opening(), served: nil, trajectory: result.trajectory,
            reveal: run.reveal(result), validator: SmallRun.validator).fact
        #expect(fact.verdict == .equal && fact.found == result.trajectory.digests[6])
    }
}
