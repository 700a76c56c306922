import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayScoring
import AssayTensor
import AssayTraining
import Testing

@Suite struct ScoringTests {
    private let run = SmallRun()
    private let base = OuterState(parameters: SmallRun.initial, momentum: nil, clipNorms: [])
    private func score(_ scorer: LossDelta, _ payload: [UInt8], trainer: UInt64 = 1, beacon: String = "B", validator: Address = SmallRun.validator) -> LossDelta.Result {
        scorer.score(payload: payload, base: base, baseRoot: base.parameters.blobRoot, window: Window(0), address: Address(number: trainer),
                     beacon: SmallRun.digest(beacon), assignment: SmallRun.digest("assignment 0"), validator: validator)
    }
    private func scorer(threads: Int = 1, path: KernelPath = .current) throws -> LossDelta {
        LossDelta(try run.trainer(threads: threads, path: path), outer: run.outer(path: path))
    }

    @Test func `honest work is worth something, its opposite costs, and noise is worth less`() throws {
        let trainer = try run.trainer(), scorer = try scorer()
        let honest = score(scorer, try trainer.train(run.opening()).payload).fact
        let turned = score(scorer, try trainer.train(run.opening(), behaviour: .signflip).payload).fact
        let noise = score(scorer, try trainer.train(run.opening(), behaviour: .noise).payload).fact
        #expect(honest.score.billionths > 0 && honest.ownScore.billionths > 0)
        #expect(turned.score.billionths < 0)
        #expect(noise.score.billionths < honest.score.billionths)
    }

    @Test func `two scorers come to the same fact, whatever their threads and kernels, but to witnesses of their own`() throws {
        let payload = try run.trainer().train(run.opening()).payload
        let first = score(try scorer(), payload)
        #expect(score(try scorer(threads: 2), payload) == first)
        for path in KernelPath.available { #expect(score(try scorer(path: path), payload) == first) }
        let other = score(try scorer(), payload, validator: Address(number: 901))
        #expect(other.fact == first.fact && other.witness != first.witness)
    }

    @Test func `a score does not depend on what was scored before it`() throws {
        let trainer = try run.trainer(), used = try scorer()
        let one = try trainer.train(run.opening(trainer: 1)).payload, two = try trainer.train(run.opening(trainer: 2)).payload
        _ = score(used, one)
        _ = score(used, one, beacon: "another B")
        _ = score(used, [1, 2, 3])
        #expect(score(used, two, trainer: 2) == score(try scorer(), two, trainer: 2))
    }

    @Test func `the sums are those of every token's loss in ticks`() throws {
        let payload = try run.trainer().train(run.opening()).payload, fact = score(try scorer(), payload).fact
        func ticks(_ parameters: FloatBuffer) throws -> Int64 {
            let model = try run.trainer().model
            let losses = ScoringBatches.random(run.corpus, beacon: SmallRun.digest("B"), rules: run.rules).flatMap { model.tokenLosses(parameters, $0) }
            return losses.reduce(0) { $0 + Int64((Double($1) * 1_048_576).rounded(.toNearestOrEven)) }
        }
        let update = try QuantisedCompressor(.four, table: SmallRun.table).decompress(payload), moved = SmallRun.initial.copy()
        run.outer().clip(update, to: run.outer().norms(base))
        let step = Float(0.25) * Float(0.7)
        // The kernel's a·x + y is one rounding.
        for index in 0..<moved.count { moved[index] = moved[index].addingProduct(-step, update[index]) }
        #expect(fact.randomBefore == (try ticks(SmallRun.initial)))
        #expect(fact.randomAfter == (try ticks(moved)))
    }

    @Test func `what cannot be decoded or has no finite loss is worth least`() throws {
        let scorer = try scorer()
        #expect(score(scorer, []).fact == .notFinite)
        #expect(score(scorer, [UInt8](repeating: 0x88, count: 1_000)).fact.score.billionths == -1_000_000_000)
        let broken = SmallRun.initial.copy()
        broken[0] = .nan
        for index in 0..<broken.count where index % 7 == 0 { broken[index] = .infinity }
        let payload = try run.trainer().train(run.opening()).payload
        let result = scorer.score(
            payload: payload, base: OuterState(parameters: broken, momentum: nil, clipNorms: []), baseRoot: broken.blobRoot, window: Window(0),
            address: Address(number: 1), beacon: SmallRun.digest("B"), assignment: SmallRun.digest("assignment 0"), validator: SmallRun.validator)
        #expect(result.fact == .notFinite)
    }

    @Test func `the fast checks let an honest payload pass and refuse the rest by name`() throws {
        let trainer = try run.trainer(), compressor = trainer.compressor
        let one = try trainer.train(run.opening(trainer: 1)), two = try trainer.train(run.opening(trainer: 2))
        func refusal(_ payload: [UInt8], _ trajectory: [UInt8], _ earlier: [[UInt8]]) -> FastChecks.Refusal? {
            do throws(FastChecks.Refusal) { try FastChecks.check(payload: payload, trajectory: trajectory, steps: run.rules.innerSteps, earlier: earlier, rules: run.rules, compressor: compressor) } catch { return error }
            return nil
        }
        let bytes = one.trajectory.bytes
        #expect(refusal(one.payload, bytes, [two.payload]) == nil)
        #expect(refusal(one.payload, bytes, [two.payload, one.payload]) == .copy(of: 1, likeness: 1_000_000))
        #expect(refusal(Array(one.payload.dropLast()), bytes, []) == .payload(.wrongSize(found: one.payload.count - 1, expected: one.payload.count)))
        #expect(refusal(one.payload, bytes + [0], []) == .trajectory)
        #expect(refusal(one.payload, [], []) == .trajectory)
        #expect(refusal(one.payload, Trajectory(digests: Array(one.trajectory.digests.dropLast())).bytes, []) == .trajectory)

        // A copy, a little of it changed and all of it a thousandth larger.
        let copy = try compressor.decompress(one.payload)
        for index in 0..<copy.count { copy[index] *= index % 40 == 0 ? 0.2 : 1.001 }
        guard case .copy(of: 0, let likeness) = refusal(compressor.compress(copy, CompressionContext(assignment: .zero)), bytes, [one.payload]) else {
            Issue.record("a copy with a fortieth changed passed")
            return
        }
        #expect(likeness > 950_000)
    }

    @Test func `a low-rank payload that was decoded, scaled and factored anew is a copy, and what others trained, or the same trainer before, is none`() throws {
        var run = SmallRun()
        (run.rules.compressor, run.rules.rank) = (.lowRankInt4, 8)
        let trainer = try run.trainer(), compressor = trainer.compressor
        let first = try trainer.train(run.opening()), other = try trainer.train(run.opening(trainer: 2))
        let second = try trainer.train(run.opening(1, ownPayload: first.payload, residual: first.residual.copy()))
        let third = try trainer.train(run.opening(2, ownPayload: second.payload, residual: second.residual.copy()))
        let copied = try compressor.decompress(other.payload)
        for (index, entry) in trainer.table.entries.enumerated() { for place in entry.range { copied[place] *= index.isMultiple(of: 2) ? 0.9 : 1.2 } }
        let copy = compressor.compress(copied, CompressionContext(assignment: SmallRun.digest("another window")))
        #expect(copy != other.payload && compressor.likeness(copy, other.payload) > 960_000, "\(compressor.likeness(copy, other.payload))")
        let honest = [compressor.likeness(first.payload, other.payload), compressor.likeness(second.payload, first.payload), compressor.likeness(third.payload, second.payload), compressor.likeness(second.payload, other.payload)]
        #expect(honest.allSatisfy { $0 < 800_000 }, "\(honest)")
        // Turned round it is no copy, and no use.
        #expect(compressor.likeness(copy, compressor.compress(FloatBuffer((0..<copied.count).map { -copied[$0] }), CompressionContext(assignment: .zero))) == 0)
    }
}
