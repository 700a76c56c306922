import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

/// What the first stage tells the others: which steps of which window are to be done, and the counters of the state that they begin with.
public struct StageOrder: Hashable, Sendable, CanonicalCodable {
    public var assignment: Digest
    public var trainer: Address
    public var window: Window
    /// Of the window, from 0.
    public var first: UInt32
    public var count: UInt32
    /// Global, of the first.
    public var step: UInt64
    public var stepsSinceReset: UInt64
    public var beta1Power: Float
    public var beta2Power: Float

    public init(assignment: Digest, trainer: Address, window: Window, steps: Range<Int>, from state: InnerState) {
        (self.assignment, self.trainer, self.window, first, count) = (assignment, trainer, window, UInt32(steps.lowerBound), UInt32(steps.count))
        (step, stepsSinceReset, beta1Power, beta2Power) = (state.step, state.stepsSinceReset, state.beta1Power, state.beta2Power)
    }
    public init(_ shard: Shard, steps: Range<Int>, from state: InnerState) {
        self.init(assignment: shard.assignment, trainer: shard.trainer, window: shard.window, steps: steps, from: state)
    }
    /// Steps of the window.
    public var steps: Range<Int> { Int(first)..<Int(first) + Int(count) }
    public func shard(_ corpus: Corpus, _ rules: TrainingRules) -> Shard { Shard(corpus, assignment: assignment, trainer: trainer, window: window, rules: rules) }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(assignment)
        encoder.append(trainer)
        encoder.append(window)
        for number in [first, count] { encoder.append(number) }
        for number in [step, stepsSinceReset] { encoder.append(number) }
        for power in [beta1Power, beta2Power] { encoder.append(power.bitPattern) }
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        assignment = try decoder.value()
        trainer = try decoder.value()
        window = try decoder.value()
        first = try decoder.uint32()
        count = try decoder.uint32()
        step = try decoder.uint64()
        stepsSinceReset = try decoder.uint64()
        // Neither counter may overflow on the way.
        guard step < 1 << 62, stepsSinceReset <= step else { throw .invalidValue(field: "step", value: step) }
        beta1Power = Float(bitPattern: try decoder.uint32())
        beta2Power = Float(bitPattern: try decoder.uint32())
    }
}

extension PipelineStage {
    /// Stage 0: some steps from this state on, which is as it was if they fail.
    ///
    /// The parts of θ, m and v go up the line first, and come back at the end.
    /// - Returns: the loss of the last step, and where the stages' time went.
    public func lead(
        _ state: inout InnerState, _ order: StageOrder, next: any StageLink, batches: (Int) -> Batch, progress: (Int, Float) -> Void
    ) throws(StageError) -> (loss: Float, times: [StageTimes]) {
        precondition(part.isFirst && part.count > 1, "stage \(part.number) of \(part.count) was told to lead")
        self.next = PatientLink(next, before: nil)
        defer { self.next = nil }
        let tables = ModelPart.split(model.shape, stages: part.count).map { ParameterTable(model.shape, $0) }, whole = [state.parameters, state.m, state.v]
        try toNext(order.step) { (link, wait) throws(StageLinkError) in
            try link.send(StageMessage(.order, order.canonicalBytes), seconds: wait)
            for (stage, table) in tables.enumerated().dropFirst() {
                for (index, buffer) in whole.enumerated() { try link.send(.stateIn, step: order.step, part: 3 * stage + index, buffer, table.range, seconds: wait) }
            }
        }
        begin(order, whole.map { $0.copy(of: tables[0].range) })
        try shareTokens(order.step)
        var loss: Float = 0
        for step in order.steps {
            loss = try self.step(batches(step)).loss
            progress(step, loss)
        }
        var all = [times]
        let new = whole.map { FloatBuffer(count: $0.count) }
        try fromNext(self.state.step) { (link, wait) throws(StageLinkError) in
            let last = self.state.step
            all += readTimes(try link.receive(.times, step: last, part: 0, length: 16 * (part.count - 1), seconds: wait))
            for (stage, table) in tables.enumerated().dropFirst() {
                for (index, buffer) in new.enumerated() {
                    let bytes = try link.receive(.stateOut, step: last, part: 3 * stage + index, length: 4 * table.count, seconds: wait)
                    buffer.withUnsafeMutableBufferPointer { UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer($0)[4 * table.start..<4 * (table.start + table.count)]).copyBytes(from: bytes) }
                }
            }
        }
        for (buffer, own) in zip(new, [self.state.parameters, self.state.m, self.state.v]) { buffer.pointer.update(from: own.pointer, count: own.count) }
        state = InnerState(parameters: new[0], m: new[1], v: new[2], step: self.state.step, stepsSinceReset: self.state.stepsSinceReset,
                           beta1Power: self.state.beta1Power, beta2Power: self.state.beta2Power)
        return (loss, all)
    }

    /// A later stage: waits for one order, for as long as it takes, and does it.
    ///
    /// What goes wrong is thrown; it is the caller's to tell the stage before.
    /// - Parameter batches: of an order's window, by step.
    public func follow(previous: any StageLink, next: (any StageLink)?, batches: (StageOrder) -> (Int) -> Batch) throws(StageError) {
        precondition(!part.isFirst && part.isLast == (next == nil), "stage \(part.number) of \(part.count) has other neighbours")
        (self.previous, self.next) = (previous, next.map { PatientLink($0, before: previous) })
        defer { (self.previous, self.next) = (nil, nil) }
        try obey(batches)
    }

    private func obey(_ batches: (StageOrder) -> (Int) -> Batch) throws(StageError) {
        let table = model.table, behind = ModelPart.split(model.shape, stages: part.count).dropFirst(part.number + 1).map { ParameterTable(model.shape, $0) }
        var given: StageOrder?, parts: [FloatBuffer] = []
        try fromPrevious(nil) { (link, _) throws(StageLinkError) in
            let bytes = try link.receive(.order, step: 0, part: 0, length: nil, seconds: .infinity)
            do { given = try StageOrder(canonicalBytes: bytes) } catch { throw .unreadable(.order) }
        }
        guard let order = given else { preconditionFailure("an order was not refused and is not there") }
        try toNext(order.step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.order, order.canonicalBytes), seconds: wait) }
        func relay(_ stage: Int, _ table: ParameterTable, _ index: Int) throws(StageError) {
            var bytes: [UInt8] = []
            try fromPrevious(order.step) { (link, wait) throws(StageLinkError) in bytes = try link.receive(.stateIn, step: order.step, part: 3 * stage + index, length: 4 * table.count, seconds: wait) }
            try toNext(order.step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.stateIn, step: order.step, part: 3 * stage + index, bytes), seconds: wait) }
        }
        for index in 0..<3 {
            let buffer = FloatBuffer(count: table.count)
            try fromPrevious(order.step) { (link, wait) throws(StageLinkError) in try link.receive(.stateIn, step: order.step, part: 3 * part.number + index, into: buffer, seconds: wait) }
            parts.append(buffer)
        }
        for (offset, table) in behind.enumerated() { for index in 0..<3 { try relay(part.number + 1 + offset, table, index) } }
        begin(order, parts)
        try shareTokens(order.step)
        let batch = batches(order)
        for step in order.steps { _ = try self.step(batch(step)) }
        try giveBack(behind)
    }

    private func giveBack(_ behind: [ParameterTable]) throws(StageError) {
        let step = state.step, own = [state.parameters, state.m, state.v]
        var times = [times]
        try fromNext(step) { (link, wait) throws(StageLinkError) in times += readTimes(try link.receive(.times, step: step, part: 0, length: 16 * behind.count, seconds: wait)) }
        try toPrevious(step) { (link, wait) throws(StageLinkError) in
            try link.send(StageMessage(.times, step: step, times.flatMap { littleEndian($0.whole.bitPattern) + littleEndian($0.waiting.bitPattern) }), seconds: wait)
            for (index, buffer) in own.enumerated() { try link.send(.stateOut, step: step, part: 3 * part.number + index, buffer, seconds: wait) }
        }
        for (offset, table) in behind.enumerated() {
            for index in 0..<3 {
                let number = 3 * (part.number + 1 + offset) + index
                var bytes: [UInt8] = []
                try fromNext(step) { (link, wait) throws(StageLinkError) in bytes = try link.receive(.stateOut, step: step, part: number, length: 4 * table.count, seconds: wait) }
                try toPrevious(step) { (link, wait) throws(StageLinkError) in try link.send(StageMessage(.stateOut, step: step, part: number, bytes), seconds: wait) }
            }
        }
    }

    private func begin(_ order: StageOrder, _ parts: [FloatBuffer]) {
        state = InnerState(parameters: parts[0], m: parts[1], v: parts[2], step: order.step, stepsSinceReset: order.stepsSinceReset, beta1Power: order.beta1Power, beta2Power: order.beta2Power)
        restartTimes()
    }

    /// What another says of its time is shown and used for nothing.
    private func readTimes(_ bytes: [UInt8]) -> [StageTimes] {
        stride(from: 0, to: bytes.count, by: 16).map { at in
            func double(_ at: Int) -> Double { Double(bitPattern: number(Array(bytes[at..<at + 8]))) }
            return StageTimes(whole: double(at), waiting: double(at + 8))
        }
    }
}

extension FloatBuffer {
    fileprivate func copy(of range: Range<Int>) -> FloatBuffer {
        let copy = FloatBuffer(count: range.count)
        copy.pointer.update(from: pointer + range.lowerBound, count: range.count)
        return copy
    }
}
