import AssayProtocol
import AssayTensor

/// AdamW with a global gradient clip, warm-up and a cosine: every scalar is part of the rules.
///
/// - Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2; PyTorch's torch.optim.AdamW.
public struct OptimizerRules: Hashable, Sendable {
    public var learningRate: Float
    public var minimumLearningRate: Float
    public var warmupSteps: Int
    /// The global step at which the cosine reaches its minimum.
    public var decaySteps: Int
    public var beta1: Float
    public var beta2: Float
    public var epsilon: Float
    public var weightDecay: Float
    /// The largest norm of the whole gradient.
    public var clip: Float

    public init(
        learningRate: Float = 1e-3, minimumLearningRate: Float = 1e-4, warmupSteps: Int = 100, decaySteps: Int = 2_000, beta1: Float = 0.9,
        beta2: Float = 0.99, epsilon: Float = 1e-8, weightDecay: Float = 0.1, clip: Float = 1
    ) {
        (self.learningRate, self.minimumLearningRate, self.warmupSteps, self.decaySteps) = (learningRate, minimumLearningRate, warmupSteps, decaySteps)
        (self.beta1, self.beta2, self.epsilon, self.weightDecay, self.clip) = (beta1, beta2, epsilon, weightDecay, clip)
    }

    public init(_ rules: TrainingRules) {
        func float(_ bits: FloatBits) -> Float { Float(bitPattern: bits.bits) }
        self.init(
            learningRate: float(rules.learningRate), minimumLearningRate: float(rules.minimumLearningRate), warmupSteps: Int(rules.warmupSteps),
            decaySteps: Int(rules.decaySteps), beta1: float(rules.beta1), beta2: float(rules.beta2), epsilon: float(rules.epsilon),
            weightDecay: float(rules.weightDecay), clip: float(rules.gradientClip))
    }

    /// The learning rate of global step `step`, counted from 0: learningRate · (step + 1) ÷ warmupSteps, then a half cosine to the minimum.
    ///
    /// Exactness: each operation is one in Float, in the order written; the cosine is our own polynomial.
    public func rate(at step: UInt64) -> Float {
        if step < UInt64(max(0, warmupSteps)) { return learningRate * Float(step + 1) / Float(warmupSteps) }
        if step >= UInt64(max(0, decaySteps)) { return minimumLearningRate }
        let progress = Float(Int(step) - warmupSteps) / Float(decaySteps - warmupSteps)
        return minimumLearningRate + (0.5 * (1 + Kernels.cosPi(progress))) * (learningRate - minimumLearningRate)
    }

    /// The scalars of one step, where the powers already include it.
    func scalars(step: UInt64, beta1Power: Float, beta2Power: Float, gradientScale: Float, decays: Bool) -> Kernels.AdamWScalars {
        let rate = rate(at: step)
        return Kernels.AdamWScalars(
            gradientScale: gradientScale, beta1: beta1, oneMinusBeta1: 1 - beta1, beta2: beta2, oneMinusBeta2: 1 - beta2,
            rootCorrection: 1 / (1 - beta2Power).squareRoot(), epsilon: epsilon, stepSize: rate / (1 - beta1Power), decay: decays ? rate * weightDecay : 0)
    }
}
