import AssayPrimitives
import AssayProtocol
import AssayRoles

/// When a validator's disk is written, as the node outside writes it, and what becomes of it in a crash.
extension World {
    /// One flush for all that waits, before anything leaves that relies on it; before a reading everything, the small file at once.
    /// False if the validator crashes in the middle of it: then nothing of the flush is on the disk, and the effect does not happen.
    mutating func isWritten(before effect: Machine.Effect, of index: Int) -> Bool {
        switch effect {
        case .send, .broadcast: return flush(index)
        case .load, .loadRounds, .loadCommits, .loadCommitted: return flush(index, all: true)
        case .reserve(let reservation):
            guard crashesInWrite() else { return true }
            // The file may have been finished.
            if chance.chance(1, in: 2) { nodes[index].disk.reserved = reservation }
            return false
        default: return true
        }
    }

    /// False if the validator crashes in the middle of it.
    mutating func flush(_ index: Int, all: Bool = false) -> Bool {
        guard nodes[index].disk.isDue || all && nodes[index].disk.isWaiting else { return true }
        if crashesInWrite() { return false }
        nodes[index].disk.flush()
        if options.prunesDisks, let commit = nodes[index].authority?.lastCommit { nodes[index].disk.prune(below: commit.leader.round.lowered(by: options.gcDepth), of: commit.epoch) }
        return true
    }

    private mutating func crashesInWrite() -> Bool {
        guard options.faults.crashInWritePer100000 > 0, now < faultsEnd, areAllWell, chance.below(100_000) < options.faults.crashInWritePer100000 else { return false }
        checks.count("crashed in mid-write")
        return true
    }

    /// What the crash of its machine does to a disk.
    mutating func crashDisk(of index: Int) {
        if nodes[index].disk.isWaiting { checks.count("unwritten blocks lost") }
        nodes[index].disk.crash()
        switch options.byzantine[index] {
        case .amnesiac:
            checks.count("byzantine: \(ByzantineHabit.amnesiac.deed)")
            nodes[index].disk = WorldDisk()
        case .lyingDisk:
            if nodes[index].disk.lose(flushes: 1 + Int(chance.below(8)), withFile: chance.chance(1, in: 2)) { checks.count("byzantine: \(ByzantineHabit.lyingDisk.deed)") }
        default:
            guard chance.below(1_000) < options.faults.diskLostPerMille, canForget(index) else { return }
            // The small file may go with the rest or not.
            checks.count("validator's disk lost")
            nodes[index].disk = WorldDisk(reserved: chance.chance(1, in: 2) ? nil : nodes[index].disk.reserved, isForgetful: true, id: nodes[index].disk.id + 1)
        }
    }

    /// A validator that forgot is one of the fewer than a third that may be faulty, until it makes blocks again.
    private func canForget(_ index: Int) -> Bool {
        let others = nodes.indices.filter { $0 != index && (isForgetful($0) || options.byzantine[$0] != nil) }
        return options.byzantine[index] == nil && others.count < (world.genesis.validators.count - 1) / 3
    }
    /// It has made no block since, or may have forgotten some of the next epoch.
    private func isForgetful(_ index: Int) -> Bool {
        nodes[index].disk.isForgetful || world.genesis.epochMilliseconds > 0 && nodes[index].disk.reserved?.isDoubtful ?? true
    }
}
