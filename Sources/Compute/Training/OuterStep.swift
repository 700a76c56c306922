import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// The run's global state at a window: θ, the outer momentum, and the norms that payloads are clipped to.
public struct OuterState: @unchecked Sendable {
    public var parameters: FloatBuffer
    public var momentum: FloatBuffer
    /// One for each tensor; empty before any was measured.
    public var clipNorms: [Float]
    /// Rank and steps of the window that starts from this state; nil where the rules fix them.
    public var pace: WindowPace?
    /// Of the update that made it, in 256ths; 0 where nothing adapts or nothing was added. No part of the state.
    public var effectiveRank: UInt32 = 0

    public init(parameters: FloatBuffer, momentum: FloatBuffer?, clipNorms: [Float], pace: WindowPace? = nil) {
        self.parameters = parameters
        self.momentum = momentum ?? FloatBuffer(count: parameters.count)
        self.clipNorms = clipNorms
        self.pace = pace
    }

    /// The state that window 0 starts from.
    public static func first(_ parameters: FloatBuffer, _ rules: TrainingRules) -> OuterState {
        OuterState(parameters: parameters, momentum: nil, clipNorms: [], pace: .first(rules))
    }

    /// What all that work on a run must agree on. A momentum of zeros counts as such, not as none.
    public func root(_ rules: TrainingRules) -> Digest {
        OuterRoot.digest(parameters: parameters.blobRoot, momentum: momentum.blobRoot, clipNorms: clipNorms.map { FloatBits(bits: $0.bitPattern) }, rules: rules, pace: pace)
    }
}

/// Payloads made one update, and Nesterov's step with it.
///
/// Source: Douillard et al., "DiLoCo" (arXiv 2311.08105), section 2; Nesterov as torch.optim.SGD has it.
public struct OuterStep {
    public let rules: TrainingRules
    public let table: ParameterTable
    private let kernels: Kernels

    public init(rules: TrainingRules, table: ParameterTable, path: KernelPath = .current) {
        (self.rules, self.table) = (rules, table)
        kernels = Kernels(path: path, threads: 1)
    }

    private func float(_ bits: FloatBits) -> Float { Float(bitPattern: bits.bits) }

    /// The norms to clip to: as measured, or the rule's root mean square before any was.
    public func norms(_ state: OuterState) -> [Float] { state.clipNorms.count == table.entries.count ? state.clipNorms : firstNorms }
    private var firstNorms: [Float] { table.entries.map { Float(Double(float(rules.firstClip)) * Double($0.count).squareRoot()) } }

    /// Each tensor's norm, in Double over chunks by the rule, rounded once.
    public func tensorNorms(_ update: FloatBuffer) -> [Float] {
        kernels.job { table.entries.map { Float(kernels.sumSquares($0.count, update.pointer + $0.offset).squareRoot()) } }
    }

    /// Brings a payload into the form in which it is judged and aggregated.
    public func admit(_ update: FloatBuffer, _ state: OuterState) {
        if rules.aggregation != .mean { clip(update, to: norms(state)) }
    }

    /// Scales every tensor whose norm is above its limit down to it.
    public func clip(_ update: FloatBuffer, to limits: [Float]) {
        let norms = tensorNorms(update)
        kernels.job {
            for (entry, (norm, limit)) in zip(table.entries, zip(norms, limits)) where norm > limit {
                kernels.scale(entry.count, Float(Double(limit) / Double(norm)), update.pointer + entry.offset, into: update.pointer + entry.offset)
            }
        }
    }

    /// θ(w + 2) from θ(w + 1) and the payloads of w.
    ///
    /// - Parameters:
    ///   - aggregated: decoded payloads by ascending trainer; none: θ and momentum stay.
    ///   - judged: all that were judged; the lower medians of their norms are the next limits, at most twice the ones before, where
    ///     those count as no less than 2^-10 of the first ones. So a tensor that a median of nothing has closed can open again.
    public func apply(_ state: OuterState, aggregated: [FloatBuffer], judged: [FloatBuffer]) -> OuterState {
        let limits = norms(state)
        var next = OuterState(parameters: state.parameters, momentum: state.momentum, clipNorms: nextNorms(state, limits, judged), pace: state.pace?.next(rules, effectiveRank: 0))
        guard !aggregated.isEmpty else { return next }
        let update = Aggregation(rules: rules, table: table, kernels: kernels).update(aggregated) { admit($0, state) }
        if let adaptation = rules.adaptation, let pace = state.pace {
            next.effectiveRank = EffectiveRank(table: table, kernels: kernels).measure(update, adaptation)
            next.pace = pace.next(rules, effectiveRank: next.effectiveRank)
        }
        next.parameters = state.parameters.copy()
        next.momentum = state.momentum.copy()
        kernels.job { OuterStep.nesterov(table.count, float(rules.outerLearningRate), float(rules.outerMomentum), update.pointer, next.momentum.pointer, next.parameters.pointer) }
        return next
    }

    /// u ← μu + Δ, θ ← θ − η(Δ + μu): each operation rounded by itself, nothing fused.
    private static func nesterov(
        _ count: Int, _ rate: Float, _ mu: Float, _ update: UnsafePointer<Float>, _ u: UnsafeMutablePointer<Float>, _ theta: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<count {
            let momentum = mu * u[index] + update[index]
            u[index] = momentum
            theta[index] = theta[index] - rate * (update[index] + mu * momentum)
        }
    }

    private func nextNorms(_ state: OuterState, _ limits: [Float], _ judged: [FloatBuffer]) -> [Float] {
        guard !judged.isEmpty else { return state.clipNorms }
        let measured = judged.map(tensorNorms), first = firstNorms
        return table.entries.indices.map { tensor in
            let sorted = measured.map { $0[tensor] }.sorted()
            let median = sorted[(sorted.count - 1) / 2]
            let most = 2 * max(limits[tensor], first[tensor] * 0x1p-10)
            return median > most ? most : median
        }
    }
}
