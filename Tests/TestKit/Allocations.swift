import CAllocations

/// The heap, as the calling thread uses it. Not while the thread is counting already.
public enum Allocations {
    /// Only where the C library is glibc.
    public static var areCounted: Bool { allocations_are_counted() != 0 }

    /// Bytes that `body` gives back more than it takes.
    public static func givenBack(_ body: () -> Void) -> Int {
        allocations_begin(Int.max)
        body()
        let held = allocations_held()
        _ = allocations_end()
        return -held
    }

    /// The most bytes that `body` holds at a time beyond what was held before; nil where they are not counted.
    public static func peak(_ body: () throws -> Void) rethrows -> Int? {
        guard areCounted else { return nil }
        allocations_begin(1 << 40)
        do { try body() } catch {
            _ = allocations_end()
            throw error
        }
        return Int(allocations_end())
    }
}
