import AssayConsensus
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// What is looked at while a world is played: honest machines by their witnesses, everybody's memory, and who stands still.
extension World {
    /// Commits are due this long after the last fault, at every honest validator: time to start again, to fetch what was missed, and for the
    /// time-outs of some absent leaders.
    static var silenceLimit: UInt64 { 40_000 }

    mutating func watchRestart(of index: Int, _ committee: Committee) {
        let disk = nodes[index].disk
        watches[index].restarted(committee, genesis: genesis, blocks: disk.written.filter { $0.block.epoch == committee.epoch }, commits: disk.commits.map(\.commit))
        lastCommitAt[index] = max(lastCommitAt[index], now)
    }

    /// Told before the effect is obeyed.
    mutating func watch(_ effect: Machine.Effect, of index: Int) {
        if case .executed(_, let vote, _) = effect {
            lastCommitAt[index] = now
            checks.agree(vote, by: index)
        }
        guard options.byzantine[index] == nil else { return }
        var objections: [NodeWatch.Objection] = []
        switch effect {
        case .keep(let blocks): watches[index].accepted(blocks)
        case .persist(let block): watches[index].accepted([block])
        case .executed(let ordered, _, _):
            checks.decisions += 1
            objections = watches[index].executed(ordered.commit)
        case .note(.leaderSkipped(let author, let round), _):
            checks.decisions += 1
            objections = watches[index].skipped(Slot(round, author))
        case .note(.syncing, _): watches[index].syncs(true)
        case .note(.live, _): watches[index].syncs(false)
        case .note(.epochEnded(let epoch), _):
            if let committee = nodes[index].authority?.committee, committee.epoch == epoch.next { watches[index].enter(committee, genesis: genesis) }
        case .broadcast(let letter), .send(let letter, _): if case .block(let signed) = letter.message { objections = watches[index].sent(signed) }
        default: break
        }
        for objection in objections { checks.violate(objection.checker, "validator \(index): \(objection.message)", node: index, round: objection.round) }
    }

    /// Whatever peers send, what a validator holds of it stays under its bounds.
    mutating func measure(_ index: Int) {
        guard let authority = nodes[index].authority else { return }
        checks.bound(authority.sizes, committee: nodes.count, gcDepth: options.gcDepth, index)
    }

    /// What honest validators hold.
    public var sizes: [AuthoritySizes] { nodes.indices.filter { options.byzantine[$0] == nil }.compactMap { nodes[$0].authority?.sizes } }

    /// The world ends, and all that is the world's own goes: disks, watches, what is under way. What stays is what honest validators hold in memory.
    package mutating func leaveOnlyValidators() {
        for index in nodes.indices {
            nodes[index].disk = WorldDisk()
            if options.byzantine[index] != nil { (nodes[index].machine, nodes[index].scorer) = (nil, nil) }
        }
        (queue, watches, trainers, trainerDisks, trainerPassesAt) = (EventQueue(), [], [], [], [])
        forgetViews()
    }
    package mutating func dropValidators() { nodes = [] }

    /// After the last fault commits go on at each honest validator, and never stop for long.
    mutating func lookForSilence() {
        for index in nodes.indices where options.byzantine[index] == nil && !nodes[index].isOver {
            let silent = now.milliseconds(since: max(lastCommitAt[index], faultsEnd))
            checks.longestSilence = max(checks.longestSilence, silent)
            if silent > Self.silenceLimit { checks.violate("liveness", "validator \(index) commits nothing for more than \(Self.silenceLimit) ms, with nothing amiss", node: index) }
        }
        queue.add(.pulse, at: now.advanced(by: 1_000))
    }
}
