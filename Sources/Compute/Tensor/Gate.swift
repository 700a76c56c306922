import CAssayKernels

/// A value that threads wait for: a lock with a condition. Blocks its thread, so it is for threads of one's own, never for tasks.
public final class Gate<Value>: @unchecked Sendable {
    private let gate = assay_gate_create()
    private var value: Value

    public init(_ value: Value) { self.value = value }
    deinit { assay_gate_destroy(gate) }

    /// Changes the value and wakes whoever waits.
    @discardableResult public func change<Result>(_ body: (inout Value) -> Result) -> Result {
        assay_gate_lock(gate)
        defer {
            assay_gate_wake(gate)
            assay_gate_unlock(gate)
        }
        return body(&value)
    }

    /// What `body` gives as soon as it gives something; nil when `seconds` went by since it was last asked in vain after a change that `counts`.
    ///
    /// - Parameter counts: whether a change that brought no result starts the time anew: a message that is on its way has not been lost.
    public func wait<Result>(seconds: Double, counts: (Value) -> Int = { _ in 0 }, _ body: (inout Value) -> Result?) -> Result? {
        assay_gate_lock(gate)
        defer { assay_gate_unlock(gate) }
        let seconds = min(max(0, seconds), 1e8)
        var seen = counts(value), end = ContinuousClock.now + .seconds(seconds)
        while true {
            if let result = body(&value) {
                assay_gate_wake(gate)
                return result
            }
            let count = counts(value)
            if count != seen { (seen, end) = (count, ContinuousClock.now + .seconds(seconds)) }
            let left = end - ContinuousClock.now
            guard left > .zero else { return nil }
            _ = assay_gate_wait(gate, left.inSeconds)
        }
    }
}
