import CAllocations

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
