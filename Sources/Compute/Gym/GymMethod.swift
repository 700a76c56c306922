import AssayPrimitives
import AssayTensor
import AssayTraining

/// What came of the steps between two points at which all workers agree.
struct GymRound {
    let steps: Int
    /// Sum of the training loss over these steps, each the mean over the workers.
    let losses: Double
    /// Bytes that one worker sent and received.
    let sent, received: Int
    /// Seconds that one worker computed, if the workers were equally fast.
    let seconds: Double
}

/// How a strategy trains. Between two rounds its state is what a checkpoint holds.
protocol GymMethod {
    /// θ with everything in it that was trained so far.
    var parameters: FloatBuffer { get }
    /// - Parameter limit: steps that are left.
    mutating func round(at step: Int, limit: Int, _ place: Workplace) throws -> GymRound
    func encode(into encoder: inout CanonicalEncoder)
    mutating func restore(from decoder: inout CanonicalDecoder) throws
}

/// What all strategies train with: one model, that the workers use one after the other.
struct Workplace {
    let arm: GymArm
    let model: Model
    let loop: InnerLoop
    let batches: GymBatches

    /// A step's sequences are dealt out in worker order, so D workers see together what one worker would have seen.
    func batch(worker: Int, step: Int) -> Batch {
        let first = step * arm.rows + worker * arm.workerRows
        return batches.batch(first..<first + arm.workerRows)
    }
}

extension CanonicalEncoder {
    mutating func append(floats: FloatBuffer) { floats.withUnsafeBytes { append(fixed: $0) } }
    mutating func append(optional floats: FloatBuffer?) {
        append(floats != nil)
        if let floats { append(floats: floats) }
    }
    mutating func append(_ value: Double) { append(value.bitPattern) }
}

extension CanonicalDecoder {
    mutating func floats(_ count: Int) throws -> FloatBuffer { try FloatBuffer(littleEndianBytes: fixed(4 * count)) }
    mutating func optionalFloats(_ count: Int) throws -> FloatBuffer? { try bool() ? try floats(count) : nil }
    mutating func double() throws -> Double { Double(bitPattern: try uint64()) }
}

extension InnerState {
    func encode(into encoder: inout CanonicalEncoder) { encoder.append(fixed: blob) }
    init(from decoder: inout CanonicalDecoder, count: Int) throws { try self.init(blob: decoder.fixed(24 + 12 * count), count: count) }
}
