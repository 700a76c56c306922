/// In which order a stage computes the micro-batches of a step: a pure function of stage, number of stages and number of micro-batches.
///
/// First as many forward passes as there are stages behind, then one forward and one backward in turn, then the backward passes that are left. So both
/// go through the micro-batches in order, and at stage s the activations of at most S − s micro-batches are alive.
/// - Source: Narayanan et al., "Memory-Efficient Pipeline-Parallel DNN Training" (2006.09503), PipeDream-Flush, called 1F1B.
public enum PipelineSchedule {
    public enum Operation: Hashable, Sendable {
        case forward(Int)
        case backward(Int)
    }

    public static func operations(stage: Int, stages: Int, microBatches: Int) -> [Operation] {
        precondition(stages > 0 && (0..<stages).contains(stage) && microBatches > 0, "stage \(stage) of \(stages) with \(microBatches) micro-batches")
        let ahead = min(stages - 1 - stage, microBatches)
        return (0..<ahead).map { .forward($0) } + (ahead..<microBatches).flatMap { [.forward($0), .backward($0 - ahead)] }
            + (microBatches - ahead..<microBatches).map { .backward($0) }
    }

    /// Micro-batches whose activations a stage holds at the most.
    public static func inFlight(stage: Int, stages: Int, microBatches: Int) -> Int { min(stages - stage, microBatches) }

    /// Part of a step's time in which a stage has nothing to do, if all stages take equally long and sending takes no time: (S − 1) ÷ (M + S − 1).
    public static func bubbleShare(stages: Int, microBatches: Int) -> Double { Double(stages - 1) / Double(microBatches + stages - 1) }
}
