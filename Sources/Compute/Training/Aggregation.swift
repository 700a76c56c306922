import AssayProtocol
import AssayTensor

/// Station 11's arithmetic: payloads of a window, by ascending trainer, become one update. All in Float32, nothing fused.
///
/// - `clippedMean`, `mean`: added in trainer order from +0, then divided by their number.
/// - `median`: of each coordinate, the lower one of an even number.
/// - `trimmedMean`: of each coordinate the ⌊n · share⌋ smallest and as many of the largest are left out, at most so many that one stays; the others are
///   added from the smallest up, from +0, and divided by their number.
/// - `centeredClip`: from v = 0, `centeringRounds` times v ← v + (Σ clip(x_i − v)) ÷ n, in trainer order, where clip scales a whole difference down
///   to a norm of τ = radius · the lower median of the payloads' norms.
///
/// Source: Yin et al., "Byzantine-Robust Distributed Learning" (arXiv 1803.01498), definitions 1 and 2; Karimireddy, He, Jaggi, "Learning from History"
/// (arXiv 2012.10333), equation 3.
struct Aggregation {
    let rules: TrainingRules
    let table: ParameterTable
    let kernels: Kernels

    /// - Parameters:
    ///   - payloads: not empty; they stay as they are.
    ///   - admit: clips a copy, where the rule clips.
    func update(_ payloads: [FloatBuffer], admit: (FloatBuffer) -> Void) -> FloatBuffer {
        precondition(!payloads.isEmpty, "an aggregate of no payloads")
        func admitted(_ payload: FloatBuffer) -> FloatBuffer {
            let copy = payload.copy()
            admit(copy)
            return copy
        }
        return kernels.job {
            switch rules.aggregation {
            case .clippedMean, .mean: mean(payloads, admitted)
            case .median: sorted(payloads.map(admitted), (payloads.count - 1) / 2...(payloads.count - 1) / 2)
            case .trimmedMean: sorted(payloads.map(admitted), kept(payloads.count))
            case .centeredClip: centered(payloads.map(admitted))
            }
        }
    }

    /// One copy at a time: the only rule that needs no more memory for more trainers.
    private func mean(_ payloads: [FloatBuffer], _ admit: (FloatBuffer) -> FloatBuffer) -> FloatBuffer {
        let sum = FloatBuffer(count: table.count)
        for payload in payloads {
            // A buffer lives no longer than it is used, and a pointer into it is no use of it.
            let admitted = admit(payload)
            withExtendedLifetime(admitted) { kernels.add(sum.count, sum.pointer, admitted.pointer, into: sum.pointer) }
        }
        Aggregation.divide(sum, by: Float(payloads.count))
        return sum
    }
    private static func divide(_ sum: FloatBuffer, by number: Float) {
        let values = sum.pointer
        for index in 0..<sum.count { values[index] = values[index] / number }
    }

    private func kept(_ count: Int) -> ClosedRange<Int> {
        let cut = min(Int(UInt64(count) * UInt64(rules.trimmedShare) / 1_000_000), (count - 1) / 2)
        return cut...(count - 1 - cut)
    }

    /// The mean of those that stand at these places of each coordinate's order; the payloads are sorted in place. A network of exchanges between neighbours sorts many coordinates at once.
    private func sorted(_ payloads: [FloatBuffer], _ kept: ClosedRange<Int>) -> FloatBuffer {
        let sum = FloatBuffer(count: table.count), number = Float(kept.count)
        let block = 1_024
        for start in stride(from: 0, to: table.count, by: block) {
            let length = min(block, table.count - start)
            for round in payloads.indices {
                for low in stride(from: round & 1, to: payloads.count - 1, by: 2) {
                    let (a, b) = (payloads[low].pointer + start, payloads[low + 1].pointer + start)
                    for index in 0..<length {
                        let (x, y) = (a[index], b[index])
                        a[index] = y < x ? y : x
                        b[index] = y < x ? x : y
                    }
                }
            }
            let out = sum.pointer + start
            for place in kept {
                let values = payloads[place].pointer + start
                for index in 0..<length { out[index] = out[index] + values[index] }
            }
            for index in 0..<length { out[index] = out[index] / number }
        }
        return sum
    }

    /// Over the whole model: tensors' sums of squares added in Double in table order, the root rounded once.
    private func norm(_ values: FloatBuffer) -> Float { Float(table.sumSquares(values, kernels).squareRoot()) }

    private func centered(_ payloads: [FloatBuffer]) -> FloatBuffer {
        let norms = payloads.map(norm).sorted(), radius = Float(bitPattern: rules.centeringRadius.bits) * norms[(norms.count - 1) / 2]
        let v = FloatBuffer(count: table.count), difference = FloatBuffer(count: table.count), sum = FloatBuffer(count: table.count)
        for _ in 0..<rules.centeringRounds {
            sum.fill(0)
            for payload in payloads {
                kernels.subtract(v.count, payload.pointer, v.pointer, into: difference.pointer)
                let norm = norm(difference)
                if norm > radius { kernels.scale(v.count, Float(Double(radius) / Double(norm)), difference.pointer, into: difference.pointer) }
                kernels.add(v.count, sum.pointer, difference.pointer, into: sum.pointer)
            }
            Aggregation.divide(sum, by: Float(payloads.count))
            kernels.add(v.count, v.pointer, sum.pointer, into: v.pointer)
        }
        return v
    }
}
