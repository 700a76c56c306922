import AssayPrimitives

/// Rank and inner steps of a window, and what the next windows' are made from. Part of the outer state, so all agree on them; never a trainer's word.
///
/// Source: Qi et al., "DiLoCoX" (arXiv 2506.21263), section 3, adaptive gradient compression.
public struct WindowPace: Codable, Hashable, Sendable, CanonicalCodable {
    /// Global number of the window's first inner step, for the schedule.
    public var firstStep: UInt64
    public var innerSteps: UInt32
    public var rank: UInt32
    /// Effective ranks of the last windows' updates in 256ths, the latest last; at most c.
    public var effectiveRanks: [UInt32]

    public init(firstStep: UInt64, innerSteps: UInt32, rank: UInt32, effectiveRanks: [UInt32]) {
        (self.firstStep, self.innerSteps, self.rank, self.effectiveRanks) = (firstStep, innerSteps, rank, effectiveRanks)
    }

    /// Of window 0; nil where rank and H do not adapt.
    public static func first(_ rules: TrainingRules) -> WindowPace? {
        rules.adaptation == nil ? nil : WindowPace(firstStep: 0, innerSteps: rules.innerSteps, rank: rules.rank, effectiveRanks: [])
    }

    /// Global number of a window's first inner step; nil if that is beyond all counting.
    public static func firstStep(_ window: Window, _ pace: WindowPace?, _ rules: TrainingRules) -> UInt64? {
        let (product, overflows) = window.rawValue.multipliedReportingOverflow(by: UInt64(rules.innerSteps)), first = pace?.firstStep ?? product
        return first > 1 << 62 || overflows && pace == nil ? nil : first
    }

    /// Whether it is one that these rules can come to.
    public func fits(_ rules: TrainingRules) -> Bool {
        guard let adaptation = rules.adaptation else { return false }
        return rules.allows(innerSteps) && adaptation.minimumRank <= rank && rank <= adaptation.maximumRank && effectiveRanks.count <= Int(adaptation.windows)
    }

    /// Of the window after this one.
    ///
    /// r = the mean of the last c effective ranks, rounded half up, within the rules' limits; H = ⌊H₁ · r ÷ r₁⌋ down to whole segments, within H_min and
    /// H_max. Until c were measured: r₁ and H₁.
    /// - Parameter effectiveRank: of the update that was applied meanwhile, in 256ths; 0 if nothing was.
    public func next(_ rules: TrainingRules, effectiveRank: UInt32) -> WindowPace {
        var next = self
        next.firstStep = firstStep &+ UInt64(innerSteps)
        guard let adaptation = rules.adaptation, effectiveRank > 0 else { return next }
        next.effectiveRanks = Array((effectiveRanks + [effectiveRank]).suffix(Int(adaptation.windows)))
        guard next.effectiveRanks.count == Int(adaptation.windows), !next.effectiveRanks.isEmpty else { return next }
        let count = UInt64(next.effectiveRanks.count), sum = next.effectiveRanks.reduce(0) { $0 + UInt64($1) }
        let mean = (2 * sum + 256 * count) / (512 * count)
        next.rank = UInt32(min(max(mean, UInt64(adaptation.minimumRank)), UInt64(adaptation.maximumRank)))
        let segment = max(1, rules.segmentSteps), allowed = rules.allowedSteps
        let steps = UInt64(rules.innerSteps) * UInt64(next.rank) / UInt64(max(1, rules.rank))
        let whole = UInt32(min(steps, UInt64(allowed.upperBound))) / segment * segment
        next.innerSteps = min(max(whole, allowed.lowerBound), allowed.upperBound)
        return next
    }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(firstStep)
        encoder.append(innerSteps)
        encoder.append(rank)
        encoder.append(UInt32(effectiveRanks.count))
        for rank in effectiveRanks { encoder.append(rank) }
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        (firstStep, innerSteps, rank) = (try decoder.uint64(), try decoder.uint32(), try decoder.uint32())
        let count = try decoder.count(limit: WindowPace.longestMemory)
        effectiveRanks = []
        for _ in 0..<count { effectiveRanks.append(try decoder.uint32()) }
    }
    /// The most that c can be.
    public static let longestMemory = 1_000
}
