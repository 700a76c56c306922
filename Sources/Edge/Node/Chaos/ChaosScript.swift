import AssayPrimitives

/// What happens to a network's validators, one step after another: the function of a seed, and of who sits in the committee by then.
///
/// The first steps bring each kind once, in a drawn order; then kinds are drawn too.
package struct ChaosScript: Sendable {
    package enum Kind: String, Codable, CaseIterable, Sendable {
        /// SIGKILL, and started again.
        case kill
        /// SIGSTOP, and continued.
        case stop
        /// The validators are cut into two groups that do not hear each other.
        case part
        /// SIGKILL, and the database is gone when it starts again.
        case wipe
        /// The database may not grow: the node ends by itself, and is started again with room.
        case fill
        /// Somebody registers as a validator, and sits from the next epoch on.
        case join
        /// A validator takes its whole stake out, and follows from the next epoch on.
        case leave

        /// Those that need no change of the committee.
        package static let standing: [Kind] = [.kill, .stop, .part, .wipe, .fill]
    }

    package struct Step: Hashable, Sendable {
        package var kind: Kind
        /// Whom it strikes, by their places in the list of validators; where the network is parted, one of the two groups.
        package var struck: [Int]
        /// Until it is put right.
        package var milliseconds: UInt64
        /// Killed or stopped meanwhile.
        package var also: Also?
        /// Where a database is wiped: the file beside it too, which says how far own blocks may go.
        package var losesLastRound = false
        package struct Also: Hashable, Sendable { package var kind: Kind, victim: Int }
    }

    private let kinds: [Kind]
    /// Of the committee, at the beginning.
    private let size: Int
    /// Validators made in all, at the most.
    private let most: Int
    private var firsts: [Kind]
    private var chance: SeededGenerator

    /// - Parameter kinds: what may happen; not empty.
    package init(seed: UInt64, kinds: [Kind], size: Int) {
        (self.kinds, self.size, most) = (kinds, size, size + 3)
        chance = SeededGenerator(seed: seed, stream: 0xC4A05)
        firsts = []
        var rest = kinds
        while !rest.isEmpty { firsts.append(rest.remove(at: Int(chance.below(UInt64(rest.count))))) }
    }

    /// - Parameter members: places of those in the committee. - Parameter count: of all validators that were ever made.
    package mutating func next(members: [Int], count: Int) -> Step {
        let kind = nextKind(members, count)
        var others = members
        func victim() -> Int { others.remove(at: Int(chance.below(UInt64(others.count)))) }
        var step = Step(kind: kind, struck: [], milliseconds: 500 + chance.below(4_000))
        switch kind {
        case .kill, .leave: step.struck = [victim()]
        case .stop:
            step.struck = [victim()]
            step.milliseconds += chance.below(6_000)
        case .part:
            // One alone, or a half: with a half on each side nothing can be ordered.
            step.struck = (0..<(chance.chance(1, in: 2) ? 1 : max(1, members.count / 2))).map { _ in victim() }.sorted()
            step.milliseconds += 2_000 + chance.below(8_000)
        case .wipe:
            step.struck = [victim()]
            step.losesLastRound = chance.chance(1, in: 2)
        case .fill: step.struck = [victim()]
        case .join: break
        }
        // Now and then a second one is in trouble at the same time, more than the network can do without: it waits, and goes on.
        if chance.chance(1, in: 3), kind != .join, kind != .leave, others.count > 1 { step.also = .init(kind: chance.chance(1, in: 2) ? .kill : .stop, victim: victim()) }
        return step
    }

    private mutating func nextKind(_ members: [Int], _ count: Int) -> Kind {
        func isPossible(_ kind: Kind) -> Bool {
            switch kind {
            // Each that leaves goes on as a process: so many fit on one machine.
            case .join: members.count <= size && count < most
            case .leave: members.count > size
            default: true
            }
        }
        if let place = firsts.firstIndex(where: isPossible) { return firsts.remove(at: place) }
        let possible = kinds.filter(isPossible)
        return possible.isEmpty ? .kill : possible[Int(chance.below(UInt64(possible.count)))]
    }
}

extension ChaosScript.Step: CustomStringConvertible {
    package var description: String {
        let who = struck.map { "validator-\($0)" }.joined(separator: ", ")
        let what = switch kind {
        case .kill: "\(who) killed"
        case .stop: "\(who) stopped"
        case .part: "\(who) cut off from the others"
        case .wipe: "\(who) killed, its disk wiped\(losesLastRound ? ", last-round too" : "")"
        case .fill: "\(who) out of room on its disk"
        case .join: "a validator joins"
        case .leave: "\(who) leaves"
        }
        let meanwhile = also.map { ", and validator-\($0.victim) \($0.kind == .kill ? "killed" : "stopped")" } ?? ""
        return kind == .join || kind == .leave ? what : "\(what)\(meanwhile) for \(Double(milliseconds / 100) / 10) s"
    }
}
