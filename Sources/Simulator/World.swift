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
    /// Names of the events that a commit gave rise to.
    static func eventNames(_ executed: Executed) -> [String]
}

/// The whole of Assay in one thread and by one seed: authorities that order, ledgers that execute, scorers and trainers that work, over
/// a network and disks that fail. Training is answered by a table; everything else is the machines that run in the world.
public struct World<Ledger: WorldLedger>: Sendable {
    typealias Machine = Authority<Ledger>
    enum Event: Sendable {
        case message(AuthorityMessage, from: Int, to: Int)
        case connected(Int, to: Int)
        case duty([UInt8], to: Int)
        case wakeAuthority(Int, life: Int)
        case passScorer(Int, life: Int)
        case passTrainer(Int, life: Int)
        case poll(Int, life: Int)
        case crash, storm, restart(Int), crashTrainer, restartTrainer(Int), cut, heal
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
    /// What survives a crash.
    struct Disk: Sendable {
        var blocks: [SignedBlock] = []
        var commits: [OrderedCommit] = []
        var votes: [CommitVote] = []
        /// The small file beside the rest.
        var reserved: Round? = Round(0)
        /// Lost, and no block made since: such a one counts as faulty.
        var isForgetful = false
    }
    struct Node: Sendable {
        var authority: Machine?
        var scorer: ScorerShell?
        var disk = Disk()
        var life = 0
        /// As its scorer last saw it.
        var isOver = false
        /// Written with the next thing that must be durable.
        var pending: [SignedBlock] = []
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
        /// Catching up by commits: small numbers, so that a short world sees much of it.
        public var commitSync = CommitSyncParameters.small
        /// Validators that keep their last commits only, and how many.
        public var keptCommits: [Int: UInt64] = [:]
        /// Owners' transactions that must be executed before the roles can work, in order.
        public var first: [[UInt8]] = []
        public init() {}
    }

    public let world: WorldGenesis
    public let options: Options
    let makeLedger: @Sendable (Genesis) -> Ledger
    let verifier: BlockVerifier
    var nodes: [Node] = []
    var trainers: [TrainerShell?] = []
    var trainerDisks: [[TrainedRecord]]
    var trainerLives: [Int]
    var trainerPassesAt: [Instant?]
    var queue = EventQueue<Event>()
    var chance: SeededGenerator
    var cut: Cut?
    /// How far ahead each validator's clock is.
    private var skews: [UInt64] = []
    private var slowLink: (from: Int, to: Int)?
    public private(set) var now: Instant
    public internal(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325
    public internal(set) var checks = WorldChecks()

    public init(_ world: WorldGenesis, seed: UInt64, options: Options, ledger: @escaping @Sendable (Genesis) -> Ledger) {
        (self.world, self.options, makeLedger) = (world, options, ledger)
        chance = SeededGenerator(seed: seed)
        now = world.genesis.time
        trainerLives = Array(repeating: 0, count: world.trainers.count)
        trainerDisks = Array(repeating: [], count: world.trainers.count)
        trainerPassesAt = Array(repeating: nil, count: world.trainers.count)
        guard let committee = try? world.genesis.committee() else { preconditionFailure("a world's genesis has a committee") }
        verifier = BlockVerifier(committee: committee, genesis: world.genesis.digest)
        nodes = world.validators.map { _ in Node() }
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
        let faults = options.faults
        if faults.crashEvery > 0 { queue.add(.crash, at: now.advanced(by: faults.crashEvery)) }
        if faults.stormEvery > 0 { queue.add(.storm, at: now.advanced(by: faults.stormEvery)) }
        if faults.trainerCrashEvery > 0 { queue.add(.crashTrainer, at: now.advanced(by: faults.trainerCrashEvery)) }
        if faults.cutEvery > 0 { queue.add(.cut, at: now.advanced(by: faults.cutEvery)) }
    }

    public var ledgers: [Ledger] { nodes.compactMap { $0.authority?.executor } }
    package var authorities: [Authority<Ledger>?] { nodes.map(\.authority) }
    public var isOver: Bool { nodes.allSatisfy { $0.authority != nil && $0.isOver } }
    private var faultsEnd: Instant { world.genesis.time.advanced(by: options.faults.until) }

    /// Plays until the run is over everywhere, or virtual time is up: then liveness is broken.
    public mutating func run(limitMilliseconds: UInt64) {
        let end = world.genesis.time.advanced(by: limitMilliseconds)
        while let time = queue.nextTime, time <= end, !isOver, let (time, event) = queue.next() {
            now = max(now, time)
            happen(event)
        }
        if !isOver { checks.violate("liveness", "the run is not over after \(limitMilliseconds) ms: windows settled \(ledgers.map { $0.worldHead.status.settled }) opened \(ledgers.map { $0.worldHead.status.opened?.description ?? "none" })") }
        for (index, node) in nodes.enumerated() { checks.events(node.scorer, isFaulty: faulty.contains(index)) }
        for trainer in trainers { checks.events(trainer) }
        checks.finish(nodes.map { $0.disk.votes }, ledgers: ledgers, honest: honestIdentities)
    }

    private var honestIdentities: Set<Address> {
        Set(world.validators.indices.filter { !faulty.contains($0) }.map { world.validators[$0].owner.address }
            + world.trainers.indices.filter { options.behaviours[$0] ?? .honest == .honest }.map { world.trainers[$0].owner.address })
    }

    /// Validators that are not merely unlucky.
    private var faulty: Set<Int> { options.liars.union(options.miscomputing).union(options.byzantine.keys) }

    private func clock(_ index: Int) -> Instant { now.advanced(by: skews[index]) }

    private mutating func happen(_ event: Event) {
        switch event {
        case .message(let message, let from, let to):
            guard nodes[to].authority != nil else { return }
            record(1, to)
            perform(nodes[to].authority!.handle(.received(message, from: AuthorityIndex(from)), now: clock(to)), of: to)
        case .connected(let peer, let to):
            guard nodes[to].authority != nil else { return }
            perform(nodes[to].authority!.handle(.connected(AuthorityIndex(peer)), now: clock(to)), of: to)
        case .duty(let raw, let to):
            guard nodes[to].authority != nil else { return }
            let (admission, effects) = nodes[to].authority!.submit(raw, now: clock(to))
            if case .refused(let reason) = admission { checks.count("refused: \(reason.prefix { !$0.isNumber && $0 != "(" })") }
            record(2, to)
            perform(effects, of: to)
        case .wakeAuthority(let index, let life):
            guard nodes[index].life == life, nodes[index].authority != nil else { return }
            if let at = nodes[index].wakesAt, at <= now { nodes[index].wakesAt = nil }
            perform(nodes[index].authority!.handle(.woke, now: clock(index)), of: index)
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
            send(trainers[index]!.see(ledger.worldHead, now: now), fromTrainer: index)
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
        }
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
        nodes[index].pending = []
        (nodes[index].wakesAt, nodes[index].passesAt) = (nil, nil)
        var parameters = Machine.Parameters()
        parameters.gcDepth = options.gcDepth
        parameters.reputationPeriod = options.reputationPeriod
        parameters.commitSync = options.commitSync
        parameters.pacing = Proposer.Parameters(busyDelayMilliseconds: 100, idleDelayMilliseconds: 500)
        nodes[index].authority = Machine(
            index: AuthorityIndex(index), verifier: verifier, key: world.consensusKeys[index], start: world.genesis.time, schedule: .shuffled(seed: verifier.genesis),
            parameters: parameters, executor: ledger, recovered: .init(blocks: disk.blocks, commits: disk.commits.map(\.commit), vote: disk.votes.last, reserved: disk.reserved), now: clock(index))
        nodes[index].scorer = ScorerShell(
            machine: Scorer(identity: world.validators[index].identity, genesis: world.genesis, beacon: world.beacons[index]), owner: world.validators[index].owner.address,
            compute: WorldCompute(behaviour: options.liars.contains(index) ? .liar : options.miscomputing.contains(index) ? .miscomputing : .honest,
                                  innerSteps: world.genesis.training.innerSteps, life: UInt64(nodes[index].life)), durations: options.durations, troubles: troubles())
        perform(nodes[index].authority!.handle(.started, now: clock(index)), of: index)
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

    /// A validator that forgot is one of the fewer than a third that may be faulty, until it makes blocks again.
    private func canForget(_ index: Int) -> Bool {
        let others = nodes.indices.filter { $0 != index && (nodes[$0].disk.isForgetful || options.byzantine[$0] != nil) }
        return options.byzantine[index] == nil && others.count < (nodes.count - 1) / 3
    }

    private var areAllWell: Bool { nodes.allSatisfy { $0.authority != nil } && cut == nil }

    private mutating func crash(_ index: Int, for milliseconds: UInt64? = nil) {
        checks.events(nodes[index].scorer, isFaulty: faulty.contains(index))
        checks.count("validator crashed")
        if options.byzantine[index] == .amnesiac {
            checks.count("byzantine: \(ByzantineHabit.amnesiac.deed)")
            nodes[index].disk = Disk()
        } else if chance.below(1_000) < options.faults.diskLostPerMille, canForget(index) {
            // The small file may go with the rest or not.
            checks.count("validator's disk lost")
            nodes[index].disk = Disk(reserved: chance.chance(1, in: 2) ? nil : nodes[index].disk.reserved, isForgetful: true)
        }
        nodes[index].authority = nil
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
            guard nodes[index].life == life, nodes[index].authority != nil else { return }
            if fails(effect, of: index) { return crash(index) }
            switch effect {
            case .keep(let blocks): nodes[index].pending += blocks.map(\.signed)
            case .reserve(let round): nodes[index].disk.reserved = round
            case .persist(let block):
                nodes[index].disk.isForgetful = false
                nodes[index].disk.blocks += nodes[index].pending + [block.signed]
                nodes[index].pending = []
            case .executed(let commit, let vote, let executed):
                for name in Ledger.eventNames(executed) { checks.count(name) }
                nodes[index].disk.blocks += nodes[index].pending
                nodes[index].pending = []
                nodes[index].disk.commits.append(commit)
                nodes[index].disk.votes.append(vote)
                record(3, Int(truncatingIfNeeded: vote.stateRoot.bytes.prefix(4).reduce(0) { $0 << 8 | UInt64($1) }))
                saw = true
            case .send(let message, let peer): send(message, from: index, to: peer.index)
            case .broadcast(let message): for peer in nodes.indices where peer != index { send(message, from: index, to: peer) }
            case .load(let references, let peer):
                let wanted = Set(references), genesis = verifier.genesis
                let found = nodes[index].disk.blocks.filter { wanted.contains(BlockReference(round: $0.block.round, author: $0.block.author, digest: $0.block.digest(genesis: genesis))) }
                perform(nodes[index].authority!.handle(.loaded(found, for: peer), now: clock(index)), of: index)
            case .loadRounds(let from, let to, let peer):
                let found = nodes[index].disk.blocks.filter { $0.block.round >= from && $0.block.round <= to }
                    .sorted { ($0.block.round, $0.block.author) < ($1.block.round, $1.block.author) }.prefix(Limits.fetchBlocks)
                perform(nodes[index].authority!.handle(.loaded(Array(found), for: peer), now: clock(index)), of: index)
            case .loadCommits(let from, let to, let peer): perform(nodes[index].authority!.handle(loadedCommits(from, to, by: index, for: peer), now: clock(index)), of: index)
            case .loadCommitted(let references, let peer): perform(nodes[index].authority!.handle(.loadedCommitted(committed(references, by: index), for: peer), now: clock(index)), of: index)
            case .wake(let local):
                let time = local.lowered(by: skews[index])
                if let at = nodes[index].wakesAt, at > now, at <= time { continue }
                nodes[index].wakesAt = time
                queue.add(.wakeAuthority(index, life: nodes[index].life), at: max(time, now.next))
            case .evidence(let equivocation):
                if let duty = nodes[index].scorer?.machine.builder.evidence(equivocation) { queue.add(.duty(duty.raw, to: index), at: now) }
            case .note(let event): checks.note(event, by: index, faulty: faulty)
            }
        }
        if saw { look(index) }
    }

    /// A write that is never finished: nothing of it is on the disk, and what was to follow does not happen.
    private mutating func fails(_ effect: Machine.Effect, of index: Int) -> Bool {
        switch effect {
        case .reserve, .persist, .executed: break
        default: return false
        }
        guard options.faults.crashInWritePer100000 > 0, now < faultsEnd, areAllWell, chance.below(100_000) < options.faults.crashInWritePer100000 else { return false }
        checks.count("crashed in mid-write")
        return true
    }

    /// The scorer sees the ledger after the last of some commits.
    private mutating func look(_ index: Int) {
        guard let ledger = nodes[index].authority?.executor, nodes[index].scorer != nil else { return }
        let head = ledger.worldHead
        nodes[index].isOver = head.status.over
        checks.look(head, broken: ledger.brokenInvariants)
        if let authority = nodes[index].authority { checks.bound(authority.suspendedCount, authority.missingCount, authority.poolCount, index) }
        submit(nodes[index].scorer!.see(head, now: now), by: index)
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

    private mutating func send(_ message: AuthorityMessage, from: Int, to: Int) {
        guard cut?.stops(from: from, to: to) != true else { return }
        let failing = now < faultsEnd
        if failing, chance.below(1_000) < options.faults.lostPerMille { return checks.count("lost") }
        var time = now.advanced(by: way())
        if let slowLink, slowLink == (from, to) { time = time.advanced(by: options.faults.slowLink) }
        queue.add(.message(message, from: from, to: to), at: time)
        if failing, chance.below(1_000) < options.faults.doubledPerMille {
            checks.count("doubled")
            queue.add(.message(message, from: from, to: to), at: now.advanced(by: way() * 3))
        }
    }
    private mutating func way() -> UInt64 { options.faults.delay + chance.below(options.faults.jitter + 1) }

    /// FNV-1a over what happened: equal for two runs of one seed.
    private mutating func record(_ kind: UInt64, _ index: Int) {
        for value in [now.rawValue, kind, UInt64(index)] { trace = (trace ^ value) &* 0x100_0000_01B3 }
    }
}
