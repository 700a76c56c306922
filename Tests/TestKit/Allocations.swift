import CAllocations

/// The most bytes of the heap that `body` holds at a time beyond what was held before, on this thread; nil where the C library does not let us count.
public func peakAllocation(_ body: () throws -> Void) rethrows -> Int? {
    guard allocations_are_counted() != 0 else { return nil }
    allocations_begin(1 << 40)
    do { try body() } catch {
        _ = allocations_end()
        throw error
    }
    return Int(allocations_end())
}
