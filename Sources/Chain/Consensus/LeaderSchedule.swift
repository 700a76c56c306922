import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Who leads which round: a function of public facts, the same for everybody.
public enum LeaderSchedule: Sendable {
    /// Seats in turn, (round + offset) mod n: for tests that follow the papers' drawings.
    case roundRobin
    /// A shuffle weighted by stake, seeded by the round: no seat can count on leading next, and none leads many rounds running.
    case shuffled(seed: Digest)

    /// A network's: each epoch has its own.
    public static func shuffled(genesis: Digest, epoch: Epoch) -> LeaderSchedule {
        .shuffled(seed: Digest.tagged("assay/leaders/1") {
            $0.append(genesis)
            $0.append(epoch)
        })
    }

    var seed: Digest { if case .shuffled(let seed) = self { seed } else { .zero } }

    /// - Parameter offset: 0 for the first leader of a round with several.
    public func leader(of round: Round, offset: Int = 0, in committee: Committee) -> AuthorityIndex {
        switch self {
        case .roundRobin:
            return AuthorityIndex(Int((round.rawValue &+ UInt64(offset)) % UInt64(committee.size)))
        case .shuffled(let seed):
            var generator = SeededGenerator(Digest.tagged("assay/leader/1") {
                $0.append(seed)
                $0.append(round)
            })
            var seats = committee.indices
            var total = committee.totalStake.rawValue
            for _ in 0..<min(offset, committee.size - 1) { total -= committee.stake(seats.remove(at: draw(seats, total, committee, &generator))).rawValue }
            return seats[draw(seats, total, committee, &generator)]
        }
    }

    private func draw(_ seats: [AuthorityIndex], _ total: UInt64, _ committee: Committee, _ generator: inout SeededGenerator) -> Int {
        var rest = generator.below(total)
        for (index, seat) in seats.enumerated() {
            let stake = committee.stake(seat).rawValue
            if rest < stake { return index }
            rest -= stake
        }
        return seats.count - 1
    }
}
