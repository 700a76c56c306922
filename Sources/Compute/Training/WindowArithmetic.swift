import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// What a window starts from and what comes of it, but for the steps: for all of a model's tensors, or for a stage's part of them.
public struct WindowArithmetic {
    public let rules: TrainingRules
    public let table: ParameterTable
    public let compressor: any Compressor
    public let kernels: Kernels

    public init(rules: TrainingRules, table: ParameterTable, kernels: Kernels) throws {
        (self.rules, self.table, self.kernels) = (rules, table, kernels)
        compressor = try Compressors.make(rules, table: table, kernels: kernels)
    }

    /// Global number of a window's first step. Nobody asks for one beyond all counting.
    public static func firstStep(_ window: Window, _ pace: WindowPace?, _ rules: TrainingRules) -> UInt64 { WindowPace.firstStep(window, pace, rules) ?? 0 }

    /// s: θ(w), less the own decoded payload of the window before where the delay is `continued`.
    public func start(_ opening: WindowOpening) throws(PayloadError) -> FloatBuffer {
        guard rules.delay == .continued, let payload = opening.ownPayload else { return opening.parameters.copy() }
        return PseudoGradient.start(opening.parameters, ownPayload: try compressor.decompress(payload), kernels)
    }

    /// The state before the first step: moments zero or carried, the learning rate's schedule on the global step.
    public func openingState(_ start: FloatBuffer, _ opening: WindowOpening) -> InnerState {
        var state = InnerState(parameters: start.copy(), step: WindowArithmetic.firstStep(opening.window, opening.pace, rules))
        if rules.innerState == .carry, let carried = opening.carried {
            (state.m, state.v) = (carried.m.copy(), carried.v.copy())
            (state.stepsSinceReset, state.beta1Power, state.beta2Power) = (carried.stepsSinceReset, carried.beta1Power, carried.beta2Power)
        }
        return state
    }

    /// The residual is written over δ.
    public func compress(_ delta: FloatBuffer, _ opening: WindowOpening) throws(PayloadError) -> (payload: [UInt8], residual: FloatBuffer) {
        let context = CompressionContext(assignment: opening.assignment, rank: opening.pace?.rank), payload = compressor.compress(delta, context)
        return (payload, PseudoGradient.residual(overwriting: delta, decoded: try compressor.decompress(payload, context), decay: Float(bitPattern: rules.feedbackDecay.bits), kernels))
    }
}
