import AssayConsensus
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// How long ordering takes, in delays δ of the network, as the papers count it.
///
/// Source: Babel et al., "Mysticeti" (arXiv 2310.14821): three delays for a leader's block.
struct LatencyTests {
    private static let delay: UInt64 = 100
    private static let timeout: UInt64 = 1_000

    /// No waiting but for messages and the leader's time-out.
    private static func room(_ count: Int, reputationPeriod: UInt64 = 1_000_000) throws -> Room {
        var parameters = Room.Machine.Parameters()
        parameters.pacing = Proposer.Parameters(busyDelayMilliseconds: 0, idleDelayMilliseconds: 0, leaderTimeoutMilliseconds: timeout)
        parameters.reputationPeriod = reputationPeriod
        return try Room(count: count, delay: delay, parameters: parameters)
    }

    @Test(arguments: [4, 7, 10]) func `with nothing amiss a leader's block is committed after 3 δ, and all blocks after at most 4.5 δ on average`(count: Int) throws {
        var room = try LatencyTests.room(count)
        room.run(until: 21_000)
        let settled = room.latencies.filter { $0.round > Round(5) }, leaders = settled.filter(\.leads)
        #expect(leaders.count > 150 && leaders.allSatisfy { $0.milliseconds == 3 * LatencyTests.delay })
        let mean = Double(settled.reduce(0) { $0 + $1.milliseconds }) / Double(settled.count) / Double(LatencyTests.delay)
        #expect(mean <= 4.5, "\(mean) δ")
        #expect(settled.count >= (leaders.count - 2) * count, "every block is committed, not the leaders' alone")
    }

    @Test func `a crashed leader of four costs at most one time-out more, and leads no more when its record is known`() throws {
        func play(reputationPeriod: UInt64) throws -> (slowest: UInt64, skipped: Int) {
            var room = try LatencyTests.room(4, reputationPeriod: reputationPeriod)
            room.run(until: 3_000)
            room.crash(2)
            room.run(until: 63_000)
            // What was on its way when it crashed apart.
            let later = room.latencies.drop { $0.round.rawValue < 25 }.filter(\.leads)
            #expect(later.count > 50)
            let skips = room.events.filter { if case .leaderSkipped(AuthorityIndex(2), _) = $0 { true } else { false } }
            return (later.map(\.milliseconds).max() ?? 0, skips.count)
        }
        let without = try play(reputationPeriod: 1_000_000), with = try play(reputationPeriod: 20)
        #expect(without.slowest <= 3 * LatencyTests.delay + LatencyTests.timeout)
        #expect(without.skipped > 60 && with.skipped < 30, "skipped \(without.skipped) times without records, \(with.skipped) with (three authorities note each)")
    }
}
