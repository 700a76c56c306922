import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// A ledger that a world can be played on.
public protocol WorldLedger: Executor {
    /// What the roles see after the last commit.
    var worldHead: LedgerHead { get }
    /// Identities that lost stake, in order, and what else must never be.
    var slashedIdentities: [Address] { get }
    var brokenInvariants: [String] { get }
    /// The committee of an epoch, by seat; empty if it is not known any more.
    func seats(of epoch: Epoch) -> [Address]
    /// What head, slashed identities and broken invariants are functions of; nil if each node must be asked by itself.
    var worldDigest: Digest? { get }
    /// Names of the events that a commit gave rise to.
    static func eventNames(_ executed: Executed) -> [String]
}

extension WorldLedger {
    public var worldDigest: Digest? { nil }
}

/// A ledger from outside.
struct WorldView: Sendable {
    let head: LedgerHead
    let broken: [String]
    init(_ ledger: some WorldLedger) { (head, broken) = (ledger.worldHead, ledger.brokenInvariants) }
}

/// The whole of Assay in one thread and by one seed: authorities that order, ledgers that execute, scorers and trainers that work, over
/// a network and disks that fail. Training is answered by a table; everything else is the machines that run in the world.
public struct World<Ledger: WorldLedger>: Sendable {
    typealias Machine = Succession<Ledger>
    enum Event: Sendable {
        case message(Letter, from: Int, to: Int)
        case connected(Int, to: Int)
        case duty([UInt8], to: Int)
        case wakeAuthority(Int, life: Int)
        case passScorer(Int, life: Int)
        case passTrainer(Int, life: Int)
        case poll(Int, life: Int)
        case change
        case crash, storm, restart(Int), crashTrainer, restartTrainer(Int), cut, heal, pulse
    }
    /// Who is cut off from all others, and which way.
    struct Cut: Sendable {
        enum Way: Sendable, CaseIterable { case both, unheard, deaf }
        let away: Set<Int>
        let way: Way
        func stops(from: Int, to: Int) -> Bool {
            let (leaves, enters) = (away.contains(from) && !away.contains(to), away.contains(to) && !away.contains(from))
            return switch way { case .both: leaves || enters; case .unheard: leaves; case .deaf: enters }
        }
        /// A lone one's trainers do not reach it either.
        func isAlone(_ index: Int) -> Bool { away == [index] }
    }
    struct Node: Sendable {
        var machine: Machine?
        var authority: Authority<Ledger>? { machine?.authority }
        var scorer: ScorerShell?
        var disk = WorldDisk()
        var life = 0
        /// As its scorer last saw it.
        var isOver = false
        var wakesAt: Instant?
        var passesAt: Instant?
    }

    public struct Options: Sendable {
        public var faults = WorldFaults.none
        public var behaviours: [Int: WorldCompute.Behaviour] = [:]
        public var habits: [Int: Trainer.Habit] = [:]
        public var liars: Set<Int> = []
        /// Validators whose kernels compute other parameters.
        public var miscomputing: Set<Int> = []
        /// Validators whose ordering part is not honest.
        public var byzantine: [Int: ByzantineHabit] = [:]
        public var durations = WorldDurations()
        /// Rounds below a leader that its commit still reaches: small ones make blocks fall under it.
        public var gcDepth: UInt64 = 60
        /// Commits after which leaders are swapped: few, so that a short world sees it.
        public var reputationPeriod: UInt64 = 10
        /// Twins of each of a spammer's blocks, and how much more than usual a flooder sends.
        public var spam = 3
        public var flood = 1
        /// Disks forget what ordering does not need any more: for runs without crashes whose memory is measured.
        public var prunesDisks = false
        /// Rounds long decided stay at hand, to be drawn.
        public var keepsHistory = false
        /// Ends with the first violation, as things stand then.
        public var stopsAtViolation = false
        /// Catching up by commits: small numbers, so that a short world sees much of it.
        public var commitSync = CommitSyncParameters.small
        /// Validators that keep their last commits only, and how many.
        public var keptCommits: [Int: UInt64] = [:]
        /// Owners' transactions that must be executed before the roles can work, in order.
        public var first: [[UInt8]] = []
        /// Those of owners whose validators come into the committee later, and of owners whose validators leave it once all of those are there.
        public var joining: [[UInt8]] = []
        public var leaving: [[UInt8]] = []
        public init() {}
    }

    public let world: WorldGenesis
    public let options: Options
    let memory: WorldMemory
    /// How ledgers look from outside, by their digest: nodes with one state share it.
    private var views: [Digest: WorldView] = [:]
    mutating func forgetViews() { views = [:] }
    let makeLedger: @Sendable (Genesis) -> Ledger
    /// Who runs a validator, by owner.
    let places: [Address: Int]
    var nodes: [Node] = []
    var trainers: [TrainerShell?] = []
    var trainerDisks: [[TrainedRecord]]
    var trainerLives: [Int]
    var trainerPassesAt: [Instant?]
    var queue = EventQueue<Event>()
    var chance: SeededGenerator
    var watches: [NodeWatch]
    /// When each validator last executed a commit, or started.
    var lastCommitAt: [Instant]
    var cut: Cut?
    /// How far ahead each validator's clock is.
    private var skews: [UInt64] = []
    private var slowLink: (from: Int, to: Int)?
    public private(set) var now: Instant
    public internal(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325
    public internal(set) var checks = WorldChecks()

    public init(_ world: WorldGenesis, seed: UInt64, options: Options, ledger: @escaping @Sendable (Genesis) -> Ledger) {
        self.init(world, seed: seed, options: options, memory: WorldMemory(), ledger: ledger)
    }
    init(_ world: WorldGenesis, seed: UInt64, options: Options, memory: WorldMemory, ledger: @escaping @Sendable (Genesis) -> Ledger) {
        (self.world, self.options, self.memory, makeLedger) = (world, options, memory, ledger)
        chance = SeededGenerator(seed: seed)
        now = world.genesis.time
        trainerLives = Array(repeating: 0, count: world.trainers.count)
        trainerDisks = Array(repeating: [], count: world.trainers.count)
        trainerPassesAt = Array(repeating: nil, count: world.trainers.count)
        guard let committee = try? world.genesis.committee() else { preconditionFailure("a world's genesis has a committee") }
        places = Dictionary(uniqueKeysWithValues: world.validators.enumerated().map { ($1.owner.address, $0) })
        nodes = world.validators.map { _ in Node() }
        lastCommitAt = nodes.map { _ in world.genesis.time }
        let watch = NodeWatch(committee, schedule: .shuffled(genesis: world.genesis.digest, epoch: committee.epoch), reputationPeriod: options.reputationPeriod, keepsAll: options.keepsHistory)
        watches = nodes.map { _ in watch }
        skews = nodes.map { _ in options.faults.clockSkew == 0 ? 0 : chance.below(options.faults.clockSkew + 1) }
        if options.faults.slowLink > 0 {
            let from = Int(chance.below(UInt64(nodes.count)))
            slowLink = (from, (from + 1 + Int(chance.below(UInt64(nodes.count - 1)))) % nodes.count)
        }
        trainers = world.trainers.map { _ in nil }
        for index in nodes.indices { start(index) }
        for index in trainers.indices { startTrainer(index) }
        // Owners try again until theirs is executed; what is executed already is refused.
        for attempt in 0..<10 as Range<UInt64> {
            for raw in options.first { for index in nodes.indices { queue.add(.duty(raw, to: index), at: now.advanced(by: 1 + attempt * 3_000)) } }
        }
        if !options.joining.isEmpty || !options.leaving.isEmpty { queue.add(.change, at: now.advanced(by: 5_000)) }
        let faults = options.faults
        if faults.crashEvery > 0 { queue.add(.crash, at: now.advanced(by: faults.crashEvery)) }
        if faults.stormEvery > 0 { queue.add(.storm, at: now.advanced(by: faults.stormEvery)) }
        if faults.trainerCrashEvery > 0 { queue.add(.crashTrainer, at: now.advanced(by: faults.trainerCrashEvery)) }
        if faults.cutEvery > 0 { queue.add(.cut, at: now.advanced(by: faults.cutEvery)) }
        queue.add(.pulse, at: faultsEnd)
    }

    /// Of each validator: its seat in its present epoch, and the last round of its own in it.
    public var seats: [AuthorityIndex?] { nodes.map { $0.authority?.index } }
    public var lastOwnRounds: [Round?] { nodes.map { $0.authority?.lastOwnRound } }
    public var ledgers: [Ledger] { nodes.compactMap { $0.authority?.executor } }
    public var validatorIndices: Range<Int> { nodes.indices }
    package var authorities: [Authority<Ledger>?] { nodes.map(\.authority) }
    public var isOver: Bool { nodes.allSatisfy { $0.authority != nil && $0.isOver } }
    var faultsEnd: Instant { world.genesis.time.advanced(by: options.faults.until) }

    /// Plays until the run is over everywhere, or virtual time is up: then liveness is broken.
    public mutating func run(limitMilliseconds: UInt64) { finish(limitMilliseconds) }

    /// Plays up to a time from the beginning on, and leaves things as they are then.
    public mutating func play(milliseconds: UInt64) { advance(milliseconds) }

    mutating func finish(_ limitMilliseconds: UInt64) {
        advance(limitMilliseconds)
        if options.stopsAtViolation, !checks.violations.isEmpty { return }
        if !isOver { checks.violate("liveness", "the run is not over after \(limitMilliseconds) ms: windows settled \(ledgers.map { $0.worldHead.status.settled }) opened \(ledgers.map { $0.worldHead.status.opened?.description ?? "none" })") }
        for (index, node) in nodes.enumerated() { checks.events(node.scorer, isFaulty: faulty.contains(index)) }
        for trainer in trainers { checks.events(trainer) }
        checks.finish(nodes.map { $0.disk.votes }, ledgers: ledgers, honest: honestIdentities)
    }

    mutating func advance(_ milliseconds: UInt64) {
        let end = world.genesis.time.advanced(by: milliseconds)
        while let time = queue.nextTime, time <= end, !isOver, let (time, event) = queue.next() {
            now = max(now, time)
            happen(event)
            if options.stopsAtViolation, !checks.violations.isEmpty { return }
        }
    }

    private var honestIdentities: Set<Address> {
        Set(world.validators.indices.filter { !faulty.contains($0) }.map { world.validators[$0].owner.address }
            + world.trainers.indices.filter { options.behaviours[$0] ?? .honest == .honest }.map { world.trainers[$0].owner.address })
    }

    /// Validators that are not merely unlucky.
    private var faulty: Set<Int> { options.liars.union(options.miscomputing).union(options.byzantine.keys) }

    func owner(_ index: Int) -> Address { world.validators[index].owner.address }
    var genesis: Digest { world.genesis.digest }

    private func clock(_ index: Int) -> Instant { now.advanced(by: skews[index]) }

    private mutating func happen(_ event: Event) {
        switch event {
        case .message(let message, let from, let to):
            guard nodes[to].machine != nil else { return }
            record(1, to)
            perform(nodes[to].machine!.handle(.received(message, from: owner(from)), now: clock(to)), of: to)
        case .connected(let peer, let to):
            guard nodes[to].machine != nil else { return }
            perform(nodes[to].machine!.handle(.connected(owner(peer)), now: clock(to)), of: to)
        case .duty(let raw, let to):
            guard nodes[to].machine != nil else { return }
            let (admission, effects) = nodes[to].machine!.submit(raw, now: clock(to))
            if case .refused(let reason) = admission { checks.count("refused: \(reason.prefix { !$0.isNumber && $0 != "(" })") }
            record(2, to)
            perform(effects, of: to)
        case .wakeAuthority(let index, let life):
            guard nodes[index].life == life, nodes[index].machine != nil else { return }
            if let at = nodes[index].wakesAt, at <= now { nodes[index].wakesAt = nil }
            perform(nodes[index].machine!.handle(.woke, now: clock(index)), of: index)
        case .passScorer(let index, let life):
            guard nodes[index].life == life, nodes[index].scorer != nil else { return }
            nodes[index].passesAt = nil
            submit(nodes[index].scorer!.pass(until: now), by: index)
        case .passTrainer(let index, let life):
            guard trainerLives[index] == life, trainers[index] != nil else { return }
            trainerPassesAt[index] = nil
            send(trainers[index]!.pass(until: now), fromTrainer: index)
        case .poll(let index, let life):
            guard trainerLives[index] == life, trainers[index] != nil else { return }
            queue.add(.poll(index, life: life), at: now.advanced(by: 200))
            let alive = nodes.indices.filter { nodes[$0].authority != nil && cut?.isAlone($0) != true }
            guard !alive.isEmpty, let ledger = nodes[alive[(index + Int(now.rawValue / 1_000 % 7)) % alive.count]].authority?.executor else { return }
            send(trainers[index]!.see(view(of: ledger).head, now: now), fromTrainer: index)
        case .change:
            for raw in changesDue() { for index in nodes.indices { queue.add(.duty(raw, to: index), at: now.advanced(by: 1)) } }
            queue.add(.change, at: now.advanced(by: 3_000))
        case .crash:
            if now < faultsEnd {
                queue.add(.crash, at: now.advanced(by: options.faults.crashEvery))
                let index = Int(chance.below(UInt64(nodes.count)))
                if areAllWell { crash(index) }
            }
        case .storm:
            if now < faultsEnd {
                queue.add(.storm, at: now.advanced(by: options.faults.stormEvery))
                guard areAllWell else { return }
                checks.count("all validators crashed")
                for index in nodes.indices { crash(index, for: 1 + chance.below(options.faults.crashFor)) }
            }
        case .restart(let index): start(index)
        case .crashTrainer:
            if now < faultsEnd {
                queue.add(.crashTrainer, at: now.advanced(by: options.faults.trainerCrashEvery))
                let index = Int(chance.below(UInt64(trainers.count)))
                guard trainers[index] != nil else { return }
                checks.events(trainers[index])
                // One in two loses its disk too.
                let loses = chance.chance(1, in: 2)
                if loses { checks.count("trainer's disk lost") }
                trainerDisks[index] = loses ? [] : trainers[index]?.records ?? []
                trainers[index] = nil
                trainerLives[index] += 1
                trainerPassesAt[index] = nil
                checks.count("trainer crashed")
                queue.add(.restartTrainer(index), at: now.advanced(by: options.faults.trainerCrashFor))
            }
        case .restartTrainer(let index): startTrainer(index)
        case .cut:
            if now < faultsEnd {
                queue.add(.cut, at: now.advanced(by: options.faults.cutEvery + options.faults.cutFor))
                guard nodes.allSatisfy({ $0.authority != nil }) else { return }
                let size = chance.chance(1, in: 3) ? nodes.count / 2 : 1
                let cut = Cut(away: Set(chance.sample(Array(nodes.indices), count: size)), way: Cut.Way.allCases[Int(chance.below(3))])
                self.cut = cut
                checks.count(size > 1 ? "split in two" : "cut off")
                if cut.way != .both { checks.count("cut one way") }
                queue.add(.heal, at: now.advanced(by: options.faults.cutFor))
            }
        case .heal:
            guard let away = cut?.away else { return }
            cut = nil
            for index in away.sorted() where nodes[index].authority != nil { connect(index) }
        case .pulse: lookForSilence()
        }
    }

    // MARK: who comes and goes

    /// First those who come, then, once all of them sit in the committee, those who go. What is executed already is refused.
    private func changesDue() -> [[UInt8]] {
        let candidates = world.validators[world.genesis.validators.count...].map(\.owner.address)
        let haveJoined = nodes.contains { node in node.authority.map { authority in candidates.allSatisfy { authority.committee.seat(of: $0) != nil } } ?? false }
        return haveJoined ? options.leaving : options.joining
    }

    // MARK: life and death

    private mutating func start(_ index: Int) {
        let disk = nodes[index].disk
        var ledger = makeLedger(world.genesis)
        // The ledger is a function of the commits: executed again they must give the roots that were voted for.
        for (commit, vote) in zip(disk.commits, disk.votes) where ledger.execute(commit).vote != vote {
            checks.violate("replay", "validator \(index) executes commit \(commit.commit.index) otherwise after its restart")
        }
        nodes[index].life += 1
        (nodes[index].wakesAt, nodes[index].passesAt) = (nil, nil)
        var parameters = Authority<Ledger>.Parameters()
        parameters.gcDepth = options.gcDepth
        parameters.reputationPeriod = options.reputationPeriod
        parameters.pacing = pacing(of: index)
        parameters.commitSync = options.commitSync
        if skews[index] > 0 { checks.count("clock ahead") }
        guard let committee = ledger.orderedBy ?? (try? world.genesis.committee()) else { preconditionFailure("a world's genesis has a committee") }
        let recovered = disk.recovered(committee, of: owner(index), gcDepth: options.gcDepth, reputationPeriod: options.reputationPeriod)
        nodes[index].machine = Machine(
            identity: .init(owner: owner(index), key: world.consensusKeys[index]), genesis: genesis, start: world.genesis.time, committee: committee, parameters: parameters, executor: ledger,
            recovered: .init(blocks: recovered.blocks, commits: recovered.commits, vote: recovered.vote, reserved: nil), reservation: disk.reserved, store: disk.id, isSigned: memory.isSigned, now: clock(index))
        nodes[index].scorer = ScorerShell(
            machine: Scorer(identity: world.validators[index].identity, genesis: world.genesis, beacon: world.beacons[index]), owner: world.validators[index].owner.address,
            compute: WorldCompute(behaviour: options.liars.contains(index) ? .liar : options.miscomputing.contains(index) ? .miscomputing : .honest,
                                  innerSteps: world.genesis.training.innerSteps, life: UInt64(nodes[index].life)), durations: options.durations, troubles: troubles())
        watchRestart(of: index, committee)
        perform(nodes[index].machine!.handle(.started, now: clock(index)), of: index)
        look(index)
        connect(index)
    }

    private mutating func connect(_ index: Int) {
        for peer in nodes.indices where peer != index && nodes[peer].authority != nil {
            queue.add(.connected(index, to: peer), at: now.advanced(by: options.faults.delay))
            queue.add(.connected(peer, to: index), at: now.advanced(by: options.faults.delay))
        }
    }

    /// The die by which blobs are not to be had for a while.
    private mutating func troubles() -> WorldTroubles {
        WorldTroubles(perMille: options.faults.unavailablePerMille, until: faultsEnd, seed: chance.next())
    }

    var areAllWell: Bool { nodes.allSatisfy { $0.authority != nil } && cut == nil }

    mutating func crash(_ index: Int, for milliseconds: UInt64? = nil) {
        checks.events(nodes[index].scorer, isFaulty: faulty.contains(index))
        checks.count("validator crashed")
        crashDisk(of: index)
        nodes[index].machine = nil
        nodes[index].scorer = nil
        nodes[index].life += 1
        queue.add(.restart(index), at: now.advanced(by: milliseconds ?? options.faults.crashFor))
    }

    private mutating func startTrainer(_ index: Int) {
        trainers[index] = TrainerShell(
            machine: Trainer(identity: world.trainers[index].identity, genesis: world.genesis, habit: options.habits[index] ?? .honest, recovered: trainerDisks[index]),
            records: trainerDisks[index], compute: WorldCompute(behaviour: options.behaviours[index] ?? .honest, innerSteps: world.genesis.training.innerSteps, life: UInt64(trainerLives[index])),
            durations: options.durations, troubles: troubles())
        queue.add(.poll(index, life: trainerLives[index]), at: now.advanced(by: 1 + UInt64(index) * 7))
    }

    // MARK: effects

    private mutating func perform(_ effects: [Machine.Effect], of index: Int) {
        var saw = false
        let life = nodes[index].life
        for effect in options.byzantine[index].map({ twisted(effects, of: index, $0) }) ?? effects {
            guard nodes[index].life == life, nodes[index].machine != nil else { return }
            guard isWritten(before: effect, of: index) else { return crash(index) }
            watch(effect, of: index)
            switch effect {
            case .keep(let blocks): nodes[index].disk.keep(blocks)
            case .reserve(let reservation): nodes[index].disk.reserved = reservation
            case .persist(let block): nodes[index].disk.persist(block)
            case .executed(let commit, let vote, let executed):
                for name in Ledger.eventNames(executed) { checks.count(name) }
                nodes[index].disk.executed(commit, vote)
                record(3, Int(truncatingIfNeeded: vote.stateRoot.bytes.prefix(4).reduce(0) { $0 << 8 | UInt64($1) }))
                saw = true
            case .send(let letter, let peer): if let to = places[peer] { send(letter, from: index, to: to) }
            case .broadcast(let letter): for peer in nodes.indices where peer != index { send(letter, from: index, to: peer) }
            case .load(let references, let epoch, let peer):
                let found = nodes[index].disk.blocks(references)
                perform(nodes[index].machine!.handle(.loaded(found, of: epoch, for: peer), now: clock(index)), of: index)
            case .loadRounds(let from, let to, let epoch, let peer):
                let found = nodes[index].disk.blocks(from: from, to: to, of: epoch, limit: Limits.fetchBlocks)
                perform(nodes[index].machine!.handle(.loaded(found, of: epoch, for: peer), now: clock(index)), of: index)
            case .loadCommits(let from, let to, let epoch, let peer):
                perform(nodes[index].machine!.handle(loadedCommits(from, to, of: epoch, by: index, for: peer), now: clock(index)), of: index)
            case .loadCommitted(let references, let epoch, let peer):
                perform(nodes[index].machine!.handle(.loadedCommitted(nodes[index].disk.blocks(references), of: epoch, for: peer), now: clock(index)), of: index)
            case .wake(let local):
                let time = local.lowered(by: skews[index])
                if let at = nodes[index].wakesAt, at > now, at <= time { continue }
                nodes[index].wakesAt = time
                queue.add(.wakeAuthority(index, life: nodes[index].life), at: max(time, now.next))
            case .evidence(let equivocation):
                if let duty = nodes[index].scorer?.machine.builder.evidence(equivocation) { queue.add(.duty(duty.raw, to: index), at: now) }
            case .note(let event, let epoch):
                let seats = nodes[index].authority?.executor.seats(of: epoch) ?? []
                checks.note(event, by: index, of: epoch, faulty: Set(seats.indices.filter { seat in places[seats[seat]].map(faulty.contains) ?? false }))
            }
        }
        guard flush(index) else { return crash(index) }
        guard saw else { return }
        measure(index)
        look(index)
    }

    /// The scorer sees the ledger after the last of some commits.
    private mutating func look(_ index: Int) {
        guard let ledger = nodes[index].authority?.executor, nodes[index].scorer != nil else { return }
        let view = view(of: ledger), head = view.head
        nodes[index].isOver = head.status.over
        checks.look(head, broken: view.broken)
        submit(nodes[index].scorer!.see(head, now: now), by: index)
    }

    /// Ledgers of one digest look the same, so each is looked at once.
    private mutating func view(of ledger: Ledger) -> WorldView {
        guard let digest = ledger.worldDigest else { return WorldView(ledger) }
        if let known = views[digest] { return known }
        if views.count >= 64 { views = [:] }
        let view = WorldView(ledger)
        views[digest] = view
        return view
    }

    private mutating func submit(_ transactions: [[UInt8]], by index: Int) {
        for raw in transactions { queue.add(.duty(raw, to: index), at: now) }
        guard let next = nodes[index].scorer?.nextTime else { return }
        if let at = nodes[index].passesAt, at > now, at <= next { return }
        nodes[index].passesAt = max(next, now.next)
        queue.add(.passScorer(index, life: nodes[index].life), at: max(next, now.next))
    }

    /// A trainer's duties go to f + 1 validators.
    private mutating func send(_ transactions: [[UInt8]], fromTrainer index: Int) {
        for raw in transactions {
            for hop in 0...((nodes.count - 1) / 3) {
                let to = (index + hop + Int(now.rawValue / 2_000 % 5)) % nodes.count
                if cut?.isAlone(to) != true { queue.add(.duty(raw, to: to), at: now.advanced(by: way())) }
            }
        }
        guard let next = trainers[index]?.nextTime else { return }
        if let at = trainerPassesAt[index], at > now, at <= next { return }
        trainerPassesAt[index] = max(next, now.next)
        queue.add(.passTrainer(index, life: trainerLives[index]), at: max(next, now.next))
    }

    private mutating func send(_ letter: Letter, from: Int, to: Int) {
        guard cut?.stops(from: from, to: to) != true else { return }
        let failing = now < faultsEnd
        if failing, chance.below(1_000) < options.faults.lostPerMille { return checks.count("lost") }
        var time = now.advanced(by: way())
        if case .block(let signed) = letter.message, options.faults.leaderLag > 0, leader(of: signed.block.round.next, as: from, sees: letter.epoch) == to {
            checks.count("slow to the next leader")
            time = time.advanced(by: options.faults.leaderLag)
        }
        if let slowLink, slowLink == (from, to) {
            checks.count("slow link")
            time = time.advanced(by: options.faults.slowLink)
        }
        queue.add(.message(letter, from: from, to: to), at: time)
        if failing, chance.below(1_000) < options.faults.doubledPerMille {
            checks.count("doubled")
            queue.add(.message(letter, from: from, to: to), at: now.advanced(by: way() * 3))
        }
    }
    private mutating func way() -> UInt64 { options.faults.delay + chance.below(options.faults.jitter + 1) }

    /// FNV-1a over what happened: equal for two runs of one seed.
    private mutating func record(_ kind: UInt64, _ index: Int) {
        for value in [now.rawValue, kind, UInt64(index)] { trace = (trace ^ value) &* 0x100_0000_01B3 }
    }
}
