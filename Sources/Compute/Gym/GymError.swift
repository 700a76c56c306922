import AssayPrimitives

/// What a gym was asked that cannot be: where, and what to write instead.
public enum GymError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A field of the file, named by its path, and what is wrong with it.
    case field(String, String)
    case data(String)
    /// A checkpoint of something else than what is asked for now.
    case otherPlan(arm: String, seed: UInt64)
    case unreadableCheckpoint(arm: String, seed: UInt64, reason: String)

    public var description: String {
        switch self {
        case .field(let field, let problem): "\(field): \(problem)"
        case .data(let problem): "the data: \(problem)"
        case .otherPlan(let arm, let seed):
            "the results of arm “\(arm)”, seed \(seed), are of another text, model or setting than the file has now. Give another --out, or delete the arm's files to train it anew"
        case .unreadableCheckpoint(let arm, let seed, let reason):
            "the checkpoint of arm “\(arm)”, seed \(seed), cannot be read (\(reason)). Delete it to train the arm anew"
        }
    }
}
