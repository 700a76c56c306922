import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// Answers that are due later, in the order of their time and then of their asking.
struct WorldAgenda<Item: Sendable>: Sendable {
    private var items: [(at: Instant, name: JobName?, item: Item)] = []

    mutating func add(_ item: Item, name: JobName?, at: Instant) {
        let position = items.firstIndex { $0.at > at } ?? items.endIndex
        items.insert((at, name, item), at: position)
    }
    mutating func cancel(_ name: JobName) { items.removeAll { $0.name == name } }
    mutating func next(until now: Instant) -> (at: Instant, item: Item)? {
        guard let first = items.first, first.at <= now else { return nil }
        items.removeFirst()
        return (first.at, first.item)
    }
    var nextTime: Instant? { items.first?.at }
}

/// A validator's judging part as a simulated process: the machine, and a table instead of Compute.
public struct ScorerShell: Sendable {
    public private(set) var machine: Scorer
    public private(set) var events: [Scorer.Event] = []
    private let compute: WorldCompute
    private let durations: WorldDurations
    private let owner: Address
    private var agenda = WorldAgenda<Scorer.Input>()
    private var troubles: WorldTroubles

    public init(machine: Scorer, owner: Address, compute: WorldCompute, durations: WorldDurations, troubles: WorldTroubles = .none) {
        (self.machine, self.owner, self.compute, self.durations, self.troubles) = (machine, owner, compute, durations, troubles)
    }

    public var nextTime: Instant? { agenda.nextTime }

    /// The ledger has moved. Gives the transactions to submit.
    public mutating func see(_ head: LedgerHead, now: Instant) -> [[UInt8]] { obey(.executed(head), now) }

    /// Lets time pass: answers of the table that are due reach the machine.
    public mutating func pass(until now: Instant) -> [[UInt8]] {
        var submitted: [[UInt8]] = []
        while let (at, input) = agenda.next(until: now) { submitted += obey(input, at) }
        return submitted
    }

    private mutating func obey(_ input: Scorer.Input, _ now: Instant) -> [[UInt8]] {
        var submitted: [[UInt8]] = []
        for effect in machine.handle(input, now: now) {
            switch effect {
            case .hold(let job):
                answer(.held(job.window, trainer: job.trainer, compute.hold(job, validator: owner)), JobName(.hold, job.window, job.trainer), now, durations.hold)
            case .score(let job):
                let (fact, witness) = compute.score(job)
                answer(.scored(job.name, fact, witness: witness), job.name, now, durations.score)
            case .replay(let job):
                let (fact, witness) = compute.replay(job)
                answer(.replayed(job.name, fact, witness: witness), job.name, now, durations.replay)
            case .aggregate(let job):
                let made = compute.aggregate(job)
                answer(.aggregated(job, made), job.name, now, durations.aggregate)
            case .cancel(let name): agenda.cancel(name)
            case .submit(_, let transaction): submitted.append(transaction)
            case .wake(let at): agenda.add(.woke, name: nil, at: at)
            case .note(let event): events.append(event)
            }
        }
        return submitted
    }
    private mutating func answer(_ input: Scorer.Input, _ name: JobName, _ now: Instant, _ milliseconds: UInt64) {
        agenda.add(troubles.strike(now) ? .unavailable(name) : input, name: name, at: now.advanced(by: milliseconds))
    }
}

/// A trainer as a simulated process.
public struct TrainerShell: Sendable {
    public private(set) var machine: Trainer
    public private(set) var events: [Trainer.Event] = []
    /// What a restart finds on the disk.
    public private(set) var records: [TrainedRecord] = []
    private let compute: WorldCompute
    private let durations: WorldDurations
    private var agenda = WorldAgenda<Trainer.Input>()
    private var troubles: WorldTroubles

    public init(machine: Trainer, records: [TrainedRecord] = [], compute: WorldCompute, durations: WorldDurations, troubles: WorldTroubles = .none) {
        (self.machine, self.records, self.compute, self.durations, self.troubles) = (machine, records, compute, durations, troubles)
    }

    public var nextTime: Instant? { agenda.nextTime }
    public mutating func see(_ head: LedgerHead, now: Instant) -> [[UInt8]] { obey(.viewed(head), now) }
    public mutating func pass(until now: Instant) -> [[UInt8]] {
        var submitted: [[UInt8]] = []
        while let (at, input) = agenda.next(until: now) { submitted += obey(input, at) }
        return submitted
    }

    private mutating func obey(_ input: Trainer.Input, _ now: Instant) -> [[UInt8]] {
        var submitted: [[UInt8]] = []
        for effect in machine.handle(input, now: now) {
            switch effect {
            case .persist(let record): records = records.filter { $0.window != record.window } + [record]
            case .train(let job): answer(.trained(job.window, compute.train(job)), JobName(.train, job.window, job.trainer), now, durations.train)
            case .store(let job): answer(.stored(job.window), nil, now, durations.store)
            case .serve(let job):
                let (state, residual) = compute.serve(job)
                answer(.served(job.window, stateRoot: state, residualRoot: residual), nil, now, durations.serve)
            case .cancel(let name): agenda.cancel(name)
            case .submit(_, let transaction): submitted.append(transaction)
            case .wake(let at): agenda.add(.woke, name: nil, at: at)
            case .note(let event): events.append(event)
            }
        }
        return submitted
    }
    private mutating func answer(_ input: Trainer.Input, _ name: JobName?, _ now: Instant, _ milliseconds: UInt64) {
        agenda.add(name.flatMap { troubles.strike(now) ? .unavailable($0) : nil } ?? input, name: name, at: now.advanced(by: milliseconds))
    }
}
