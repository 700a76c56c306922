import AssayTensor

/// A link within one process, for stages that are threads. At most so many messages wait each way; more hold the sender up.
public final class MemoryLink: StageLink {
    private struct Way {
        var waiting: [StageMessage] = []
        /// Messages so far.
        var came = 0
        var isClosed = false
    }
    private let inbound, outbound: Gate<Way>
    private let capacity: Int
    public let place: String

    private init(_ inbound: Gate<Way>, _ outbound: Gate<Way>, _ capacity: Int, _ place: String) { (self.inbound, self.outbound, self.capacity, self.place) = (inbound, outbound, capacity, place) }

    /// Both ends. A stage sends ahead of its neighbour by as many micro-batches as there are stages at the most, and three messages at a step's end.
    public static func pair(stages: Int, capacity: Int? = nil) -> (MemoryLink, MemoryLink) {
        let there = Gate(Way()), back = Gate(Way()), capacity = capacity ?? stages + 3
        return (MemoryLink(back, there, capacity, "this process"), MemoryLink(there, back, capacity, "this process"))
    }

    public func send(_ message: StageMessage, seconds: Double) throws(StageLinkError) {
        let sent: Bool? = outbound.wait(seconds: seconds) { way in
            if way.isClosed { return false }
            guard way.waiting.count < capacity else { return nil }
            way.waiting.append(message)
            way.came += 1
            return true
        }
        guard let sent else { throw .timedOut(seconds: seconds) }
        guard sent else { throw .closed("the other stage is gone") }
    }

    public func receive(seconds: Double) throws(StageLinkError) -> StageMessage {
        let got: StageMessage?? = inbound.wait(seconds: seconds) { way in
            if !way.waiting.isEmpty { return .some(way.waiting.removeFirst()) }
            return way.isClosed ? .some(nil) : nil
        }
        guard let got else { throw .timedOut(seconds: seconds) }
        guard let message = got else { throw .closed("the other stage is gone") }
        return message
    }

    public var activity: Int { inbound.change { $0.came } + outbound.change { $0.came - $0.waiting.count } }

    public func close() {
        inbound.change { $0.isClosed = true }
        outbound.change { $0.isClosed = true }
    }
}
