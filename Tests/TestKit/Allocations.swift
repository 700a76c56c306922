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

/// The heap, as the calling thread uses it.
public enum Allocations {
    /// Only where the C library is glibc.
    public static var areCounted: Bool { allocations_are_counted() != 0 }

    /// Bytes that `body` gives back more than it takes. The thread must not be counting already.
    public static func givenBack(_ body: () -> Void) -> Int {
        allocations_begin(Int.max)
        body()
        let held = allocations_held()
        _ = allocations_end()
        return -held
    }
}
