import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

@Suite struct OuterTests {
    private var run = SmallRun()
    private let count = SmallRun.table.count
    private func filled(_ value: Float) -> FloatBuffer { FloatBuffer([Float](repeating: value, count: count)) }
    private func state(_ parameters: Float, norms: Float) -> OuterState {
        OuterState(parameters: filled(parameters), momentum: nil, clipNorms: SmallRun.table.entries.map { _ in norms })
    }
    /// η = ½, μ = ½: every number below is exact.
    private var halves: OuterStep {
        var rules = SmallRun.rules
        (rules.outerLearningRate, rules.outerMomentum) = (SmallRun.bits(0.5), SmallRun.bits(0.5))
        return OuterStep(rules: rules, table: SmallRun.table)
    }

    @Test func `two outer steps come out as by hand`() {
        // Δ = (1 + 3) ÷ 2 = 2: u = 2, θ = 10 − ½·(2 + ½·2) = 8.5.   Δ = 4: u = ½·2 + 4 = 5, θ = 8.5 − ½·(4 + ½·5) = 5.25.
        let first = halves.apply(state(10, norms: 1e6), aggregated: [filled(1), filled(3)], judged: [])
        #expect(first.momentum == filled(2) && first.parameters == filled(8.5))
        let second = halves.apply(first, aggregated: [filled(4)], judged: [])
        #expect(second.momentum == filled(5) && second.parameters == filled(5.25))
    }

    @Test func `a window with nothing accepted leaves parameters and momentum as they were`() {
        let first = halves.apply(state(10, norms: 1e6), aggregated: [filled(1)], judged: [])
        let second = halves.apply(first, aggregated: [], judged: [])
        #expect(second.parameters == first.parameters && second.momentum == first.momentum && second.clipNorms == first.clipNorms)
    }

    @Test func `the state that was given stays as it was`() {
        let given = state(10, norms: 1)
        let payload = filled(5)
        _ = halves.apply(given, aggregated: [payload], judged: [payload])
        #expect(given.parameters == filled(10) && given.momentum == filled(0) && payload == filled(5))
    }

    @Test func `one tensor's excess is scaled down to its limit and the others are let alone`() {
        let update = FloatBuffer(count: count), entries = SmallRun.table.entries
        update[entries[0].offset] = 3
        update[entries[0].offset + 1] = 4                             // norm 5
        update[entries[1].offset] = 2
        var limits = entries.map { _ in Float(2) }
        limits[0] = 2.5
        let step = run.outer()
        #expect(Array(step.tensorNorms(update).prefix(2)) == [5, 2])
        step.clip(update, to: limits)
        #expect(update[entries[0].offset] == 1.5 && update[entries[0].offset + 1] == 2 && update[entries[1].offset] == 2)
    }

    @Test func `a huge payload moves parameters no further than the limit lets it`() {
        let step = run.outer(), huge = filled(3e38)
        let next = step.apply(state(0, norms: 0.5), aggregated: [huge], judged: [huge])
        #expect(next.parameters.allFinite)
        for norm in step.tensorNorms(next.parameters) { #expect(norm <= 0.5 * 0.7 * 1.5 * 1.001) }
        #expect(next.clipNorms.allSatisfy { $0 == 1 })
    }

    @Test func `the next limits are the lower medians, at most doubled, and a closed tensor opens again`() {
        let step = run.outer(), one = step.tensorNorms(filled(1))
        func norms(_ state: OuterState, _ judged: [Float]) -> [Float] { step.apply(state, aggregated: [], judged: judged.map(filled)).clipNorms }
        let before = OuterState(parameters: filled(0), momentum: nil, clipNorms: one)
        #expect(norms(before, [1.5, 0.5, 1]) == one)
        #expect(norms(before, [1.5, 0.5, 1, 0.25]) == step.tensorNorms(filled(0.5)))
        #expect(norms(before, [9, 9, 1]) == one.map { $0 * 2 })
        var closed = OuterState(parameters: filled(0), momentum: nil, clipNorms: norms(before, [0, 1]))
        #expect(closed.clipNorms.allSatisfy { $0 == 0 })
        for _ in 0..<20 { closed.clipNorms = norms(closed, [0.05]) }
        #expect(closed.clipNorms == step.tensorNorms(filled(0.05)))
    }

    @Test func `before any norm was measured the limit is the rule's root mean square`() {
        let step = run.outer()
        let norms = step.norms(OuterState(parameters: filled(0), momentum: nil, clipNorms: []))
        for (entry, norm) in zip(SmallRun.table.entries, norms) { #expect(norm == Float(Double(Float(0.05)) * Double(entry.count).squareRoot())) }
    }

    @Test func `the step's bits are the same on every path`() {
        let payloads = (0..<3).map { randomFloats(count, seed: 20 + $0) }
        let states = KernelPath.available.map { run.outer(path: $0).apply(state(1, norms: 3), aggregated: payloads, judged: payloads) }
        for state in states {
            #expect(state.parameters == states[0].parameters && state.momentum == states[0].momentum)
            #expect(state.clipNorms.map(\.bitPattern) == states[0].clipNorms.map(\.bitPattern))
        }
    }

    @Test func `the start goes on from the trainer's own progress, or from the agreed parameters when there is no delay`() throws {
        let result = try run.trainer().train(run.opening())
        let opening = run.opening(1, ownPayload: result.payload)
        let start = try run.trainer().start(opening), decoded = try QuantisedCompressor(.four, table: SmallRun.table).decompress(result.payload)
        for index in stride(from: 0, to: count, by: 97) { #expect(start[index] == SmallRun.initial[index] - decoded[index]) }
        var plain = run
        plain.rules.delay = .none
        #expect(try plain.trainer().start(opening) == SmallRun.initial)
    }
}
