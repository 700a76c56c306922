import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// What a later stage does: what it is told, for its own part, and it hands on what is the others'.
extension PipelineStage {
    /// Does one order after another, for as long as the stage before is there. It forgets the window when that one is gone.
    ///
    /// What goes wrong is thrown; it is the caller's to tell the stage before.
    /// - Parameter batches: of a window, by step.
    public func follow(previous: any StageLink, next: (any StageLink)?, batches: (StageOpening) -> (Int) -> Batch) throws(StageError) {
        precondition(!part.isFirst && part.isLast == (next == nil), "stage \(part.number) of \(part.count) has other neighbours")
        (self.previous, self.next) = (previous, next.map { PatientLink($0, before: previous) })
        defer {
            (self.previous, self.next) = (nil, nil)
            forget()
        }
        let behind = ModelPart.split(model.shape, stages: part.count).dropFirst(part.number + 1).map { ParameterTable(model.shape, $0) }
        var batch: ((Int) -> Batch)?
        while true {
            switch try receiveOrder() {
            case .open(let order):
                try open(order, behind)
                batch = batches(order)
                try shareTokens(state.step)
                try report(behind)
            case .train(let first, let count):
                guard let batch, let opening, state.step == WindowArithmetic.firstStep(opening.window, opening.pace, arithmetic.rules) &+ UInt64(first) else { throw refusal("it was told to go on at step \(first) of a window, and had not come there") }
                for step in Int(first)..<Int(first) + Int(count) { _ = try self.step(batch(step)) }
                try report(behind)
            case .give(let buffer):
                guard opening != nil else { throw refusal("it was asked for the state of a window that it had not begun") }
                let step = state.step
                try toPrevious(step) { (link, wait) throws(StageLinkError) in try link.sendAll(.state, step: step, part: 3 * part.number + Int(buffer), buffers[Int(buffer)], seconds: wait) }
                for (offset, table) in behind.enumerated() { try relayUp(.state, step, part: 3 * (part.number + 1 + offset) + Int(buffer), table) }
            case .close:
                guard opening != nil else { throw refusal("it was asked for the payload of a window that it had not begun") }
                try close(behind)
                batch = nil
            }
        }
    }

    /// What this stage cannot do.
    private func refusal(_ reason: String) -> StageError { StageError(stage: part.number, stages: part.count, place: "its machine", step: opening == nil ? nil : state.step, microBatch: nil, reason: reason) }

    private func receiveOrder() throws(StageError) -> StageOrder {
        var given: StageOrder?
        try fromPrevious(nil) { (link, _) throws(StageLinkError) in
            let bytes = try link.receive(.order, step: 0, part: 0, length: nil, seconds: .infinity)
            do { given = try StageOrder(canonicalBytes: bytes) } catch { throw .unreadable(.order) }
        }
        guard let order = given else { preconditionFailure("an order was not refused and is not there") }
        try toNext(nil) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.order, order.canonicalBytes), seconds: wait) }
        return order
    }

    private func open(_ order: StageOpening, _ behind: [ParameterTable]) throws(StageError) {
        forget()
        let step = order.firstStep, parameters = FloatBuffer(count: table.count), residual = order.hasResidual ? FloatBuffer(count: table.count) : nil
        var payload: [UInt8]?
        try fromPrevious(step) { (link, wait) throws(StageLinkError) in
            try link.receiveAll(.parameters, step: step, part: part.number, into: parameters, seconds: wait)
            if order.hasPayload { payload = try link.receive(.payload, step: step, part: part.number, length: nil, seconds: wait) }
            if let residual { try link.receiveAll(.residual, step: step, part: part.number, into: residual, seconds: wait) }
        }
        for (offset, table) in behind.enumerated() {
            let number = part.number + 1 + offset
            try relayDown(.parameters, step, number, table)
            if order.hasPayload { try relayDown(.payload, step, number, nil) }
            if order.hasResidual { try relayDown(.residual, step, number, table) }
        }
        do { try begin(order.window(parameters: parameters, payload: payload, residual: residual)) } catch { throw refusal("it was given a payload that is none: \(error)") }
        guard state.step == step else { throw refusal("its rules have step \(state.step) first in window \(order.window), not \(step)") }
    }

    private func close(_ behind: [ParameterTable]) throws(StageError) {
        let step = state.step, own: (payload: [UInt8], residual: FloatBuffer)
        do { own = try compress() } catch { throw refusal("what it trained has no payload: \(error)") }
        try toPrevious(step) { (link, wait) throws(StageLinkError) in
            try link.send(StageMessage(.payload, step: step, part: part.number, own.payload), seconds: wait)
            try link.sendAll(.residual, step: step, part: part.number, own.residual, seconds: wait)
        }
        for (offset, table) in behind.enumerated() {
            try relayUp(.payload, step, part: part.number + 1 + offset, nil)
            try relayUp(.residual, step, part: part.number + 1 + offset, table)
        }
    }

    /// Times and outlines of this stage, then of those behind.
    private func report(_ behind: [ParameterTable]) throws(StageError) {
        let step = state.step, own = outlines
        var bytes = littleEndian(times.whole.bitPattern) + littleEndian(times.waiting.bitPattern)
        try fromNext(step) { (link, wait) throws(StageLinkError) in bytes += try link.receive(.times, step: step, part: 0, length: 16 * behind.count, seconds: wait) }
        try toPrevious(step) { (link, wait) throws(StageLinkError) in
            try link.send(StageMessage(.times, step: step, bytes), seconds: wait)
            for (buffer, outline) in own.enumerated() { try link.send(StageMessage(.outline, step: step, part: 3 * part.number + buffer, outline), seconds: wait) }
        }
        for offset in behind.indices {
            for buffer in 0..<3 { try relayUp(.outline, step, part: 3 * (part.number + 1 + offset) + buffer, nil) }
        }
    }

    /// One message, or a table's floats.
    private func relayUp(_ kind: StageMessage.Kind, _ step: UInt64, part: Int, _ table: ParameterTable?) throws(StageError) {
        for length in lengths(table) {
            var bytes: [UInt8] = []
            try fromNext(step) { (link, wait) throws(StageLinkError) in bytes = try link.receive(kind, step: step, part: part, length: length, seconds: wait) }
            try toPrevious(step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(kind, step: step, part: part, bytes), seconds: wait) }
        }
    }
    private func relayDown(_ kind: StageMessage.Kind, _ step: UInt64, _ part: Int, _ table: ParameterTable?) throws(StageError) {
        for length in lengths(table) {
            var bytes: [UInt8] = []
            try fromPrevious(step) { (link, wait) throws(StageLinkError) in bytes = try link.receive(kind, step: step, part: part, length: length, seconds: wait) }
            try toNext(step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(kind, step: step, part: part, bytes), seconds: wait) }
        }
    }
    private func lengths(_ table: ParameterTable?) -> [Int?] {
        guard let table else { return [nil] }
        return stride(from: 0, to: table.count, by: StageLimits.floatsAtOnce).map { 4 * min(StageLimits.floatsAtOnce, table.count - $0) }
    }
}

extension PipelineStage {
    /// Of θ, m and v.
    var outlines: [[UInt8]] { buffers.map { $0.withUnsafeBytes { Blob.outline($0, from: 4 * table.start) } } }
}
