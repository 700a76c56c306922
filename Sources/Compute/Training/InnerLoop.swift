import AssayPrimitives
import AssayTensor

/// What an inner step reads and changes: the parameters, AdamW's moments and its counters.
public struct InnerState: @unchecked Sendable {
    public var parameters: FloatBuffer
    public var m: FloatBuffer
    public var v: FloatBuffer
    /// Global, for the schedule.
    public var step: UInt64
    /// Updates since m = v = 0.
    public var stepsSinceReset: UInt64
    /// β₁ and β₂ to the power of `stepsSinceReset`, as running products.
    public var beta1Power: Float
    public var beta2Power: Float

    public init(parameters: FloatBuffer, step: UInt64 = 0) {
        self.parameters = parameters
        m = FloatBuffer(count: parameters.count)
        v = FloatBuffer(count: parameters.count)
        self.step = step
        (stepsSinceReset, beta1Power, beta2Power) = (0, 1, 1)
    }
    public init(parameters: FloatBuffer, m: FloatBuffer, v: FloatBuffer, step: UInt64, stepsSinceReset: UInt64, beta1Power: Float, beta2Power: Float) {
        (self.parameters, self.m, self.v, self.step) = (parameters, m, v, step)
        (self.stepsSinceReset, self.beta1Power, self.beta2Power) = (stepsSinceReset, beta1Power, beta2Power)
    }

    /// The same state in memory of its own.
    public func copy() -> InnerState {
        InnerState(parameters: parameters.copy(), m: m.copy(), v: v.copy(), step: step, stepsSinceReset: stepsSinceReset,
                   beta1Power: beta1Power, beta2Power: beta2Power)
    }

    public static func == (a: InnerState, b: InnerState) -> Bool {
        a.parameters == b.parameters && a.m == b.m && a.v == b.v && a.step == b.step && a.stepsSinceReset == b.stepsSinceReset
            && a.beta1Power.bitPattern == b.beta1Power.bitPattern && a.beta2Power.bitPattern == b.beta2Power.bitPattern
    }
}

public struct StepResult: Hashable, Sendable {
    public let loss: Float
    /// Before clipping.
    public let gradientNorm: Float
    /// Loss or norm was not finite: θ, m, v stayed as they were and the step counted.
    public let skipped: Bool
}

/// Inner steps: a batch's gradient, clipped, then AdamW.
public struct InnerLoop: Hashable, Sendable {
    public let rules: OptimizerRules
    public let table: ParameterTable

    /// - Parameter part: nil for the whole model.
    public init(shape: ModelShape, part: ModelPart? = nil, rules: OptimizerRules) {
        self.rules = rules
        table = ParameterTable(shape, part)
    }

    public func step(_ state: inout InnerState, batch: Batch, model: Model) -> StepResult {
        let gradient = model.gradient
        let loss = model.lossAndGradient(state.parameters, batch, into: gradient)
        return apply(&state, gradient: gradient, loss: loss, kernels: model.kernels)
    }

    /// The half of a step that follows the gradient, which may also be the mean of several workers' gradients.
    public func apply(_ state: inout InnerState, gradient: FloatBuffer, loss: Float, kernels: Kernels) -> StepResult {
        update(&state, gradient: gradient, loss: loss, norm: table.sumSquares(gradient, kernels).squareRoot(), kernels: kernels)
    }

    /// - Parameter norm: of the whole gradient, before clipping.
    func update(_ state: inout InnerState, gradient: FloatBuffer, loss: Float, norm: Double, kernels: Kernels) -> StepResult {
        kernels.job {
            defer { state.step += 1 }
            guard loss.isFinite, Float(norm).isFinite else { return StepResult(loss: loss, gradientNorm: Float(norm), skipped: true) }
            state.stepsSinceReset += 1
            state.beta1Power *= rules.beta1
            state.beta2Power *= rules.beta2
            // Compare first, divide only if above; in Double, rounded once.
            let scale: Float = norm > Double(rules.clip) ? Float(Double(rules.clip) / norm) : 1
            update(state, gradient, scale, kernels)
            return StepResult(loss: loss, gradientNorm: Float(norm), skipped: false)
        }
    }

    private func update(_ state: InnerState, _ gradient: FloatBuffer, _ scale: Float, _ kernels: Kernels) {
        for entry in table.entries {
            let scalars = rules.scalars(
                step: state.step, beta1Power: state.beta1Power, beta2Power: state.beta2Power, gradientScale: scale, decays: entry.decays)
            kernels.adamW(
                entry.count, scalars, gradient: gradient.pointer + entry.offset, parameters: state.parameters.pointer + entry.offset,
                m: state.m.pointer + entry.offset, v: state.v.pointer + entry.offset)
        }
    }

    /// θ(0) by rule: element i of the flat parameters takes word i mod 4 of Philox block ⌊i ÷ 4⌋. The word's upper 24 bits w give
    /// u = (2w + 1 − 2²⁴) · (0.02·√3 ÷ 2²⁴), uniform with variance 0.02². Tokens, positions and a head are u; linear layers that read the residual stream
    /// u · (50 ÷ √inputs), of variance 1 ÷ inputs (LeCun et al., "Efficient BackProp", 1998); those back into it u ÷ √(2·layers), as GPT-2 has them; norm weights are 1, biases 0.
    public static func initialParameters(shape: ModelShape, philox: Philox) -> FloatBuffer {
        let table = ParameterTable(shape), parameters = FloatBuffer(count: table.count)
        let unit: Float = 0x1.1bc77ap-29                    // 0.02·√3 ÷ 2²⁴
        let residual = 1 / Float(2 * shape.layers).squareRoot()
        for entry in table.entries {
            guard entry.decays else {
                if entry.name.hasSuffix(".weight") { for index in entry.range { parameters.pointer[index] = 1 } }
                continue
            }
            let factor = entry.projects ? residual : entry.reads ? 50 / Float(entry.rows).squareRoot() : 1
            var block = philox.block(UInt64(entry.offset / 4))
            for index in entry.range {
                if index % 4 == 0 { block = philox.block(UInt64(index / 4)) }
                let word = switch index % 4 { case 0: block.0; case 1: block.1; case 2: block.2; default: block.3 }
                let value = Float(Int32(word >> 8) * 2 + 1 - 0x100_0000) * unit
                parameters.pointer[index] = value * factor
            }
        }
        return parameters
    }
    /// From a digest's 32 bytes.
    public static func initialParameters(shape: ModelShape, seed: [UInt8]) -> FloatBuffer { initialParameters(shape: shape, philox: Philox(seed: seed)) }
}
