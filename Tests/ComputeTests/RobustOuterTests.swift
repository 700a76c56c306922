import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation
import TestKit
import Testing

/// Aggregation rules, and rank and steps that adapt.
@Suite struct RobustOuterTests {
    private typealias Kit = CompressorKit
    private static let count = Kit.table.count

    private func outer(_ aggregation: TrainingRules.Aggregation, path: KernelPath = .current, _ change: (inout TrainingRules) -> Void = { _ in }) -> OuterStep {
        var rules = SmallRun.rules
        // η = 1, μ = 0: parameters that begin at zero end on minus the update.
        (rules.aggregation, rules.outerLearningRate, rules.outerMomentum) = (aggregation, SmallRun.bits(1), SmallRun.bits(0))
        change(&rules)
        return OuterStep(rules: rules, table: Kit.table, path: path)
    }
    private func update(_ step: OuterStep, _ payloads: [FloatBuffer], limit: Float = 1e6) -> FloatBuffer {
        let state = OuterState(parameters: FloatBuffer(count: Self.count), momentum: nil, clipNorms: Kit.table.entries.map { _ in limit })
        let next = step.apply(state, aggregated: payloads, judged: payloads).parameters
        for index in 0..<next.count { next[index] = 0 - next[index] }
        return next
    }
    private func filled(_ values: [Float]) -> [FloatBuffer] { values.map { value in FloatBuffer([Float](repeating: value, count: Self.count)) } }

    @Test func `each rule comes out as by hand`() {
        #expect(update(outer(.mean), filled([1, 2, 6])) == filled([3])[0])
        #expect(update(outer(.clippedMean), filled([1, 2, 6])) == filled([3])[0])
        #expect(update(outer(.median), filled([6, 1, 2])) == filled([2])[0])
        // Of an even number the lower one.
        #expect(update(outer(.median), filled([6, 1, 2, 100])) == filled([2])[0])
        #expect(update(outer(.trimmedMean), filled([-100, 1, 2, 6, 100])) == filled([3])[0])
        // A third of three at each end leaves one; half would leave none, and one is left.
        #expect(update(outer(.trimmedMean) { $0.trimmedShare = 340_000 }, filled([7, 1, 2])) == filled([2])[0])
        #expect(update(outer(.trimmedMean) { $0.trimmedShare = 499_999 }, filled([1, 3])) == filled([2])[0])
        #expect(update(outer(.median), filled([5])) == filled([5])[0] && update(outer(.trimmedMean), filled([5])) == filled([5])[0])
    }

    @Test func `one enormous payload moves the mean alone`() {
        let honest = (0..<4).map { Kit.update(60 + UInt64($0)) }, enormous = filled([1e6])[0]
        func far(_ step: OuterStep) -> Double { Kit.relativeError(update(outer(.mean), honest), update(step, honest + [enormous])) }
        #expect(far(outer(.mean)) > 1e4)
        for rule in [TrainingRules.Aggregation.median, .trimmedMean, .centeredClip] { #expect(far(outer(rule)) < 2, "\(rule)") }
        let limited = update(outer(.clippedMean), honest + [enormous], limit: 0.5)
        for norm in outer(.mean).tensorNorms(limited) { #expect(norm <= 0.5001) }
    }

    @Test func `only the plain mean takes payloads unclipped, and what is judged is what is aggregated`() {
        let large = filled([3])[0], state = OuterState(parameters: FloatBuffer(count: Self.count), momentum: nil, clipNorms: Kit.table.entries.map { _ in 0.25 })
        for rule in TrainingRules.Aggregation.allCases {
            let step = outer(rule), judged = large.copy()
            step.admit(judged, state)
            if rule == .mean { #expect(judged == large) } else { for norm in step.tensorNorms(judged) { #expect(abs(norm - 0.25) < 1e-5) } }
            if rule == .centeredClip { continue }       // one payload is clipped to its own norm, and comes back but for rounding
            #expect(update(step, [large], limit: 0.25) == judged)
        }
    }

    @Test(arguments: TrainingRules.Aggregation.allCases)
    func `the bits are the same on every path, and what was given stays as it was`(rule: TrainingRules.Aggregation) {
        let payloads = (0..<5).map { Kit.update(70 + UInt64($0)) }, before = payloads.map { $0.copy() }
        let updates = KernelPath.available.map { update(outer(rule, path: $0), payloads) }
        for one in updates { #expect(one == updates[0]) }
        for (payload, copy) in zip(payloads, before) { #expect(payload == copy) }
    }

    @Test(.enabled(if: Python.isThere, Comment(rawValue: Python.absent)), arguments: [1, 2, 5, 8])
    func `numpy aggregates the same payloads to the same numbers`(count: Int) throws {
        let payloads = (0..<count).map { Kit.update(80 + UInt64($0)) }
        let one: [String: Any] = ["payloads": payloads.map { payload in (0..<Self.count).map { Double(payload[$0]) } }, "trimmedShare": 0.2, "rounds": 3, "radius": 0.5]
        let answer = try #require(try Python.json("compressor_vectors.py", ["aggregate": [one]]) as? [String: [[String: [Double]]]])
        for rule in [TrainingRules.Aggregation.mean, .median, .trimmedMean, .centeredClip] {
            let ours = update(outer(rule) { $0.centeringRadius = SmallRun.bits(0.5) }, payloads), theirs = try #require(answer["aggregate"]?[0]["\(rule)"])
            let furthest = (0..<Self.count).map { abs(Double(ours[$0]) - theirs[$0]) }.max()!
            #expect(furthest < 1e-7, "\(rule): \(furthest)")
        }
    }

    // MARK: Rank and steps that adapt

    private static let adaptation = TrainingRules.Adaptation(windows: 3, minimumRank: 1, maximumRank: 12)

    /// Each matrix a sum of outer products of cosines, orthogonal to each other, with these weights.
    private func spectrum(_ weights: [Float]) -> FloatBuffer {
        let update = FloatBuffer(count: Self.count)
        for entry in Kit.table.entries where entry.rows > 1 {
            func wave(_ count: Int, _ k: Int, _ i: Int) -> Float { Float((2 / Double(count)).squareRoot() * CosineTransform.cosine((2 * i + 1) * (k + 1), count)) }
            for row in 0..<entry.rows {
                for column in 0..<entry.columns {
                    update[entry.offset + row * entry.columns + column] = weights.enumerated().reduce(0) { $0 + $1.element * wave(entry.rows, $1.offset, row) * wave(entry.columns, $1.offset, column) }
                }
            }
        }
        return update
    }

    @Test func `the effective rank of a known spectrum is counted`() {
        let rank = EffectiveRank(table: Kit.table, kernels: Kernels())
        // Squares of 1, 1, 1, 1: 95 % need all four. Of 10, 1, 1: one holds 98 %. Of 4, 2, 1: 16 of 21 are 76 %, 20 of 21 are 95.2 %.
        #expect(rank.measure(spectrum([1, 1, 1, 1]), Self.adaptation) == 4 * 256)
        #expect(rank.measure(spectrum([10, 1, 1]), Self.adaptation) == 256)
        #expect(rank.measure(spectrum([4, 2, 1]), Self.adaptation) == 2 * 256)
        #expect(rank.measure(FloatBuffer(count: Self.count), Self.adaptation) == 0)
        // Nothing beyond the sketch is seen: twelve and eight more directions.
        #expect(rank.measure(spectrum([Float](repeating: 1, count: 30)), Self.adaptation) == 20 * 256)
    }

    @Test(.enabled(if: Python.isThere, Comment(rawValue: Python.absent)))
    func `numpy's singular values give the same effective rank, and its eigenvalues are ours`() throws {
        let update = Kit.update(91), matrices = Kit.table.entries.filter { $0.rows > 1 }
        let tensors = matrices.map { ["rows": $0.rows, "columns": $0.columns, "values": $0.range.map { Double(update[$0]) }] as [String: Any] }
        var symmetric = SymmetricMatrix(12), generator = SeededGenerator(seed: 5)
        for row in 0..<12 { for column in 0...row { symmetric[row, column] = Double(generator.below(2_001)) - 1_000 } }
        let full = (0..<144).map { symmetric[$0 / 12, $0 % 12] }
        let answer = try #require(try Python.json("compressor_vectors.py", ["effectiveRank": [["tensors": tensors, "energy": 0.95]], "eigenvalues": [["rows": 12, "columns": 12, "values": full]]]) as? [String: Any])
        #expect((answer["effectiveRank"] as? [Int])?.first == Int(EffectiveRank(table: Kit.table, kernels: Kernels()).measure(update, Self.adaptation)))
        let theirs = try #require((answer["eigenvalues"] as? [[Double]])?.first)
        for (ours, numpy) in zip(symmetric.eigenvalues(), theirs) { #expect(abs(ours - numpy) < 1e-9) }
    }

    @Test func `rank and steps are the mean of the last windows', within their limits and in whole segments`() throws {
        var rules = SmallRun.rules
        (rules.innerSteps, rules.segmentSteps, rules.minimumSteps, rules.maximumSteps, rules.rank, rules.adaptation) = (20, 4, 8, 40, 8, Self.adaptation)
        var pace = try #require(WindowPace.first(rules))
        #expect(pace == WindowPace(firstStep: 0, innerSteps: 20, rank: 8, effectiveRanks: []))
        // θ(1) is θ(0): nothing was aggregated.
        pace = pace.next(rules, effectiveRank: 0)
        #expect(pace == WindowPace(firstStep: 20, innerSteps: 20, rank: 8, effectiveRanks: []))
        pace = pace.next(rules, effectiveRank: 4 * 256).next(rules, effectiveRank: 6 * 256)
        #expect(pace == WindowPace(firstStep: 60, innerSteps: 20, rank: 8, effectiveRanks: [1_024, 1_536]))
        pace = pace.next(rules, effectiveRank: 5 * 256 + 128)           // 5.17: rank 5, 12.5 steps
        #expect(pace == WindowPace(firstStep: 80, innerSteps: 12, rank: 5, effectiveRanks: [1_024, 1_536, 1_408]))
        pace = pace.next(rules, effectiveRank: 6 * 256)                 // 5.83
        #expect(pace.firstStep == 92 && pace.innerSteps == 12 && pace.rank == 6)
        for _ in 0..<3 { pace = pace.next(rules, effectiveRank: 20 * 256) }
        #expect(pace.innerSteps == 28 && pace.rank == 12)
        for _ in 0..<3 { pace = pace.next(rules, effectiveRank: 1) }
        #expect(pace.innerSteps == 8 && pace.rank == 1)
        #expect(WindowPace.first(SmallRun.rules) == nil)
        #expect(pace.fits(rules) && !pace.fits(SmallRun.rules))
        for change in [{ $0.innerSteps = 44 }, { $0.innerSteps = 10 }, { $0.rank = 0 }, { $0.rank = 1_000_000 }, { $0.effectiveRanks += [1] }] as [(inout WindowPace) -> Void] {
            var other = pace
            change(&other)
            #expect(!other.fits(rules), "\(other)")
        }
    }

    @Test func `the outer root covers what rank and steps are made from, and is as before where they are fixed`() throws {
        let parameters = FloatBuffer(count: Self.count), bits = FloatBits(bits: Float(1).bitPattern)
        var state = OuterState(parameters: parameters, momentum: nil, clipNorms: [1])
        #expect(state.root(SmallRun.rules) == OuterRoot.digest(parameters: parameters.blobRoot, momentum: parameters.blobRoot, clipNorms: [bits], rules: SmallRun.rules, pace: nil))
        var rules = SmallRun.rules
        rules.adaptation = Self.adaptation
        var roots: Set<Digest> = [state.root(rules)]
        for pace in [WindowPace(firstStep: 0, innerSteps: 10, rank: 4, effectiveRanks: []), WindowPace(firstStep: 1, innerSteps: 10, rank: 4, effectiveRanks: []),
                     WindowPace(firstStep: 0, innerSteps: 12, rank: 4, effectiveRanks: []), WindowPace(firstStep: 0, innerSteps: 10, rank: 5, effectiveRanks: []),
                     WindowPace(firstStep: 0, innerSteps: 10, rank: 4, effectiveRanks: [7])] {
            state.pace = pace
            #expect(roots.insert(state.root(rules)).inserted)
        }
    }
}
