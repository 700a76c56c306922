import AssayCrypto
import AssayPrimitives

/// A 32-bit float as its bits. Rules are hashed, so they hold no float; Compute alone turns this into one.
public struct FloatBits: Codable, Hashable, Sendable, CanonicalCodable {
    public let bits: UInt32
    public init(bits: UInt32) { self.bits = bits }
    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(bits) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) { bits = try decoder.uint32() }
}

/// Style and sizes of the transformer that a run trains, and the numbers it is trained in.
public struct ModelRules: Hashable, Sendable, CanonicalCodable {
    public var name: String
    public var vocabulary: UInt32
    public var context: UInt32
    public var width: UInt32
    public var heads: UInt32
    public var layers: UInt32
    public var biases: Bool
    public var style: ModelStyle
    /// Columns between the two halves of a layer's second part.
    public var hidden: UInt32
    /// Heads that have keys and values; each serves heads ÷ keyValueHeads queries.
    public var keyValueHeads: UInt32
    /// The head is the tokens' matrix.
    public var tied: Bool
    public var profile: NumericsProfile

    /// - Parameters:
    ///   - hidden: nil for four times the width.
    ///   - keyValueHeads: nil for as many as heads.
    public init(name: String, vocabulary: UInt32, context: UInt32, width: UInt32, heads: UInt32, layers: UInt32, biases: Bool, style: ModelStyle = .gpt2,
                hidden: UInt32? = nil, keyValueHeads: UInt32? = nil, tied: Bool = true, profile: NumericsProfile = .f32) {
        (self.name, self.vocabulary, self.context, self.width, self.heads, self.layers, self.biases) = (name, vocabulary, context, width, heads, layers, biases)
        (self.style, self.keyValueHeads, self.tied) = (style, keyValueHeads ?? heads, tied)
        self.hidden = hidden ?? width &* 4                   // a width that wraps around is far above what a model may have
        self.profile = profile
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(name)
        for number in [vocabulary, context, width, heads, layers] { encoder.append(number) }
        encoder.append(biases)
        encoder.append(style)
        for number in [hidden, keyValueHeads] { encoder.append(number) }
        encoder.append(tied)
        encoder.append(profile)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        name = try decoder.text(limit: Limits.nameBytes)
        vocabulary = try decoder.uint32()
        context = try decoder.uint32()
        width = try decoder.uint32()
        heads = try decoder.uint32()
        layers = try decoder.uint32()
        biases = try decoder.bool()
        style = try decoder.value()
        hidden = try decoder.uint32()
        keyValueHeads = try decoder.uint32()
        tied = try decoder.bool()
        profile = try decoder.value()
    }
}

/// How a run's windows are trained and judged: everything that Compute must know to give the same bits.
public struct TrainingRules: Hashable, Sendable, CanonicalCodable {
    /// Where a trainer starts a window (`Docs/Training.md`, one-step delay).
    public enum Delay: UInt8, Sendable, CaseIterable { case none = 0, continued = 1, plain = 2 }
    public enum Compressor: UInt8, Sendable, CaseIterable { case none = 0, int4 = 1, lowRankInt4 = 2, int8 = 3, topK = 4, dctTopK = 5, sparta = 6 }
    /// Whether AdamW's moments begin every window at zero, or go on over windows.
    public enum InnerState: UInt8, Sendable, CaseIterable { case reset = 0, carry = 1 }
    /// How payloads become one update. All but `mean` take them clipped.
    public enum Aggregation: UInt8, Sendable, CaseIterable { case clippedMean = 0, mean = 1, median = 2, trimmedMean = 3, centeredClip = 4 }

    /// Rank and inner steps follow the effective rank of what was aggregated (`Docs/Training.md`, adaptive rank and H).
    public struct Adaptation: Hashable, Sendable, CanonicalCodable {
        /// c: windows whose effective ranks are averaged.
        public var windows: UInt32
        /// Share of the squared norm that the effective rank holds, in millionths.
        public var energy: UInt32
        public var minimumRank: UInt32
        public var maximumRank: UInt32
        public init(windows: UInt32 = 5, energy: UInt32 = 950_000, minimumRank: UInt32, maximumRank: UInt32) {
            (self.windows, self.energy, self.minimumRank, self.maximumRank) = (windows, energy, minimumRank, maximumRank)
        }
        public func encode(into encoder: inout CanonicalEncoder) {
            for number in [windows, energy, minimumRank, maximumRank] { encoder.append(number) }
        }
        public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            windows = try decoder.uint32()
            energy = try decoder.uint32()
            minimumRank = try decoder.uint32()
            maximumRank = try decoder.uint32()
        }
    }

    /// H: inner steps of a window.
    public var innerSteps: UInt32
    /// J: steps of a segment, the unit of replay. Divides H.
    public var segmentSteps: UInt32
    /// Sequences of a step.
    public var rows: UInt32
    /// M: parts that a step's sequences are computed in, one after the other; the gradient goes on from part to part. Divides `rows`.
    public var microBatches: UInt32
    public var delay: Delay
    public var compressor: Compressor
    /// r: rank of `lowRankInt4`, of the first windows where it adapts.
    public var rank: UInt32
    /// β of the error feedback.
    public var feedbackDecay: FloatBits
    /// R: every residual restarts from zero in windows divisible by this.
    public var residualRestart: UInt32
    /// η and μ of the outer Nesterov step.
    public var outerLearningRate: FloatBits
    public var outerMomentum: FloatBits
    /// Part of η at which a payload is judged alone.
    public var evaluationFactor: FloatBits
    /// Largest root mean square of a tensor's update before any clip norm was measured.
    public var firstClip: FloatBits
    public var learningRate: FloatBits
    public var minimumLearningRate: FloatBits
    public var warmupSteps: UInt32
    /// Global step at which the cosine reaches its minimum.
    public var decaySteps: UInt32
    public var beta1: FloatBits
    public var beta2: FloatBits
    public var epsilon: FloatBits
    public var weightDecay: FloatBits
    public var gradientClip: FloatBits
    /// Batches on which a payload is judged: drawn at random, and out of the trainer's own.
    public var randomBatches: UInt32
    public var ownBatches: UInt32
    /// Seed of θ(0).
    public var seed: UInt64
    public var innerState: InnerState
    /// H_min and H_max: a trainer may do fewer or more steps than H, in whole segments. 0 stands for H.
    public var minimumSteps: UInt32
    public var maximumSteps: UInt32
    /// k: values kept of a chunk of 4,096 by `topK` and `dctTopK`.
    public var keptValues: UInt32
    /// Bits of a value: 1, 2 or 8 for `topK` and `dctTopK`, 8 or 32 for `sparta`.
    public var valueBits: UInt32
    /// `sparta` sends one parameter of this many.
    public var oneOf: UInt32
    public var aggregation: Aggregation
    /// Share that `trimmedMean` cuts at each end, in millionths.
    public var trimmedShare: UInt32
    /// Rounds of `centeredClip`, and its radius in lower medians of the payloads' norms.
    public var centeringRounds: UInt32
    public var centeringRadius: FloatBits
    /// Nil: rank and H are the same in every window.
    public var adaptation: Adaptation?

    public init(
        innerSteps: UInt32, segmentSteps: UInt32, rows: UInt32, delay: Delay, compressor: Compressor, rank: UInt32, feedbackDecay: FloatBits,
        residualRestart: UInt32, outerLearningRate: FloatBits, outerMomentum: FloatBits, evaluationFactor: FloatBits, firstClip: FloatBits,
        learningRate: FloatBits, minimumLearningRate: FloatBits, warmupSteps: UInt32, decaySteps: UInt32, beta1: FloatBits, beta2: FloatBits,
        epsilon: FloatBits, weightDecay: FloatBits, gradientClip: FloatBits, randomBatches: UInt32, ownBatches: UInt32, seed: UInt64,
        innerState: InnerState = .reset, minimumSteps: UInt32 = 0, maximumSteps: UInt32 = 0, keptValues: UInt32 = 32, valueBits: UInt32 = 8,
        oneOf: UInt32 = 1_000, aggregation: Aggregation = .clippedMean, trimmedShare: UInt32 = 200_000, centeringRounds: UInt32 = 3,
        centeringRadius: FloatBits = FloatBits(bits: 0x3F80_0000), adaptation: Adaptation? = nil, microBatches: UInt32 = 1
    ) {
        (self.innerSteps, self.segmentSteps, self.rows, self.delay, self.compressor, self.rank) = (innerSteps, segmentSteps, rows, delay, compressor, rank)
        (self.feedbackDecay, self.residualRestart) = (feedbackDecay, residualRestart)
        (self.outerLearningRate, self.outerMomentum, self.evaluationFactor, self.firstClip) = (outerLearningRate, outerMomentum, evaluationFactor, firstClip)
        (self.learningRate, self.minimumLearningRate, self.warmupSteps, self.decaySteps) = (learningRate, minimumLearningRate, warmupSteps, decaySteps)
        (self.beta1, self.beta2, self.epsilon, self.weightDecay, self.gradientClip) = (beta1, beta2, epsilon, weightDecay, gradientClip)
        (self.randomBatches, self.ownBatches, self.seed) = (randomBatches, ownBatches, seed)
        (self.innerState, self.minimumSteps, self.maximumSteps) = (innerState, minimumSteps, maximumSteps)
        (self.keptValues, self.valueBits, self.oneOf) = (keptValues, valueBits, oneOf)
        (self.aggregation, self.trimmedShare, self.centeringRounds, self.centeringRadius) = (aggregation, trimmedShare, centeringRounds, centeringRadius)
        (self.adaptation, self.microBatches) = (adaptation, microBatches)
    }

    /// H of a window: the pace's where that adapts.
    public func steps(_ pace: WindowPace?) -> UInt32 { pace?.innerSteps ?? innerSteps }
    /// Segments of a window of H steps.
    public var segments: UInt32 { segments(of: innerSteps) }
    /// Segments of a window of so many steps; the last one is replayed with or without the compression.
    public func segments(of steps: UInt32) -> UInt32 { segmentSteps == 0 ? 0 : steps / segmentSteps }

    /// H_min … H_max.
    public var allowedSteps: ClosedRange<UInt32> {
        let least = minimumSteps == 0 ? innerSteps : minimumSteps
        return least...max(least, maximumSteps == 0 ? innerSteps : maximumSteps)
    }
    /// Whether a trainer's window may have so many steps: H_min … H_max, whole segments.
    public func allows(_ steps: UInt32) -> Bool { allowedSteps.contains(steps) && (steps == innerSteps || steps.isMultiple(of: segmentSteps)) }

    public func encode(into encoder: inout CanonicalEncoder) {
        for number in [innerSteps, segmentSteps, rows, microBatches] { encoder.append(number) }
        encoder.append(delay.rawValue)
        encoder.append(compressor.rawValue)
        encoder.append(rank)
        encoder.append(feedbackDecay)
        encoder.append(residualRestart)
        for bits in [outerLearningRate, outerMomentum, evaluationFactor, firstClip, learningRate, minimumLearningRate] { encoder.append(bits) }
        encoder.append(warmupSteps)
        encoder.append(decaySteps)
        for bits in [beta1, beta2, epsilon, weightDecay, gradientClip] { encoder.append(bits) }
        encoder.append(randomBatches)
        encoder.append(ownBatches)
        encoder.append(seed)
        encoder.append(innerState.rawValue)
        for number in [minimumSteps, maximumSteps, keptValues, valueBits, oneOf] { encoder.append(number) }
        encoder.append(aggregation.rawValue)
        for number in [trimmedShare, centeringRounds] { encoder.append(number) }
        encoder.append(centeringRadius)
        encoder.append(optional: adaptation)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        innerSteps = try decoder.uint32()
        segmentSteps = try decoder.uint32()
        rows = try decoder.uint32()
        microBatches = try decoder.uint32()
        delay = try decoder.choice("delay")
        compressor = try decoder.choice("compressor")
        rank = try decoder.uint32()
        feedbackDecay = try decoder.value()
        residualRestart = try decoder.uint32()
        outerLearningRate = try decoder.value()
        outerMomentum = try decoder.value()
        evaluationFactor = try decoder.value()
        firstClip = try decoder.value()
        learningRate = try decoder.value()
        minimumLearningRate = try decoder.value()
        warmupSteps = try decoder.uint32()
        decaySteps = try decoder.uint32()
        beta1 = try decoder.value()
        beta2 = try decoder.value()
        epsilon = try decoder.value()
        weightDecay = try decoder.value()
        gradientClip = try decoder.value()
        randomBatches = try decoder.uint32()
        ownBatches = try decoder.uint32()
        seed = try decoder.uint64()
        innerState = try decoder.choice("inner state")
        minimumSteps = try decoder.uint32()
        maximumSteps = try decoder.uint32()
        keptValues = try decoder.uint32()
        valueBits = try decoder.uint32()
        oneOf = try decoder.uint32()
        aggregation = try decoder.choice("aggregation")
        trimmedShare = try decoder.uint32()
        centeringRounds = try decoder.uint32()
        centeringRadius = try decoder.value()
        adaptation = try decoder.optional()
    }
}

/// How a run's windows go by and are paid: everything that the ledger must know.
public struct RunRules: Hashable, Sendable, CanonicalCodable {
    /// T: the limit of a window's commit phase; the other phases' limits are parts of it (`Docs/Windows.md`).
    public var windowMilliseconds: UInt64
    /// Windows after which the run opens no more; 0 for no end.
    public var windows: UInt64
    /// Trainers that must have joined before window 0 opens.
    public var trainersToStart: UInt32
    /// L: windows back that a replay may be drawn from.
    public var lookBack: UInt32
    /// M: windows after its settlement until a reward matures.
    public var maturity: UInt32
    /// k: validators who score one contribution, and as many more who step in at half-time.
    public var scorers: UInt32
    public var replayers: UInt32
    /// Smallest chance of a replay, in millionths.
    public var replayFloor: UInt32
    /// G: payloads in an aggregate at the most.
    public var aggregateLimit: UInt32
    /// Billionths of the loss that a payload of a trainer with a record may add and still be aggregated: what noise does to an honest score
    /// once a model learns slowly. 0: no score at or below zero is let in.
    public var scoreTolerance: UInt32
    /// Wei that each window pays out.
    public var emission: U256
    public var trainerMinimumStake: U256
    public var validatorMinimumStake: U256
    /// Time until unstaked tokens can be withdrawn.
    public var unbondingMilliseconds: UInt64

    public init(windowMilliseconds: UInt64, windows: UInt64, trainersToStart: UInt32, lookBack: UInt32, maturity: UInt32, scorers: UInt32, replayers: UInt32,
                replayFloor: UInt32, aggregateLimit: UInt32, scoreTolerance: UInt32 = 0, emission: U256, trainerMinimumStake: U256, validatorMinimumStake: U256, unbondingMilliseconds: UInt64) {
        (self.windowMilliseconds, self.windows, self.trainersToStart, self.lookBack, self.maturity) = (windowMilliseconds, windows, trainersToStart, lookBack, maturity)
        (self.scorers, self.replayers, self.replayFloor, self.aggregateLimit) = (scorers, replayers, replayFloor, aggregateLimit)
        (self.scoreTolerance, self.emission) = (scoreTolerance, emission)
        (self.trainerMinimumStake, self.validatorMinimumStake, self.unbondingMilliseconds) = (trainerMinimumStake, validatorMinimumStake, unbondingMilliseconds)
    }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(windowMilliseconds)
        encoder.append(windows)
        for number in [trainersToStart, lookBack, maturity, scorers, replayers, replayFloor, aggregateLimit, scoreTolerance] { encoder.append(number) }
        for amount in [emission, trainerMinimumStake, validatorMinimumStake] { encoder.append(amount) }
        encoder.append(unbondingMilliseconds)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        windowMilliseconds = try decoder.uint64()
        windows = try decoder.uint64()
        trainersToStart = try decoder.uint32()
        lookBack = try decoder.uint32()
        maturity = try decoder.uint32()
        scorers = try decoder.uint32()
        replayers = try decoder.uint32()
        replayFloor = try decoder.uint32()
        aggregateLimit = try decoder.uint32()
        scoreTolerance = try decoder.uint32()
        emission = try decoder.u256()
        trainerMinimumStake = try decoder.u256()
        validatorMinimumStake = try decoder.u256()
        unbondingMilliseconds = try decoder.uint64()
    }
}
