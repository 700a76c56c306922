import CAssayKernels

/// A thread of one's own for work that blocks, with room for kernels on its stack.
public final class ComputeThread: @unchecked Sendable {
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    private var thread: OpaquePointer?

    public init(_ body: @escaping @Sendable () -> Void) {
        let work = Unmanaged.passRetained(Work(body))
        thread = assay_thread_start({ Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().body() }, work.toOpaque())
        precondition(thread != nil, "the system has no thread left")
    }
    /// Waits for its end; who started it does, once.
    public func join() {
        guard let thread else { return }
        assay_thread_join(thread)
        self.thread = nil
    }
}
