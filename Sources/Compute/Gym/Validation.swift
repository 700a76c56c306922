import AssayTensor
import AssayTraining

/// The loss over the validation part.
///
/// Sequences begin at its token 0, T, 2T … as long as their targets are there. What is left at the end is fewer than T targets: one more sequence ends at the
/// last token, and of it only those count. So every token of the part but the first is predicted once.
public final class Validation {
    private struct Piece {
        let batch: Batch
        /// Targets at the front that another sequence has counted.
        let skipped: Int
    }
    private let pieces: [Piece]
    private let model: Model
    /// Targets that are counted.
    public let targets: Int

    /// - Parameter sequences: only so many from the front; 0 for all.
    public init(_ data: GymData, sequences: Int, model: Model) {
        let last = data.tokens.count - 1, context = data.context
        let starts = Array(stride(from: data.trainingTokens, through: last - context, by: context))
        let left = last - (starts[starts.count - 1] + context)
        let whole = sequences == 0 ? starts : Array(starts.prefix(sequences))
        var pieces = stride(from: 0, to: whole.count, by: model.rows).map { first in
            Piece(batch: data.batch(at: Array(whole[first..<min(first + model.rows, whole.count)])), skipped: 0)
        }
        if left > 0, sequences == 0 || sequences > starts.count { pieces.append(Piece(batch: data.batch(at: [last - context]), skipped: context - left)) }
        (self.pieces, self.model) = (pieces, model)
        targets = pieces.reduce(0) { $0 + $1.batch.tokens - $1.skipped }
    }

    /// Mean nats of a target: Float by token, added in Double in the tokens' order.
    public func loss(_ parameters: FloatBuffer) -> Double {
        var sum = 0.0
        for piece in pieces {
            for loss in model.tokenLosses(parameters, piece.batch).dropFirst(piece.skipped) { sum += Double(loss) }
        }
        return sum / Double(targets)
    }
}
