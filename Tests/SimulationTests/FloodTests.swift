import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Glibc
import TestKit
import Testing

/// Memory under a flood: what an honest validator holds does not grow with the time that others send it what they please.
///
/// Three virtual minutes; `ASSAY_FLOOD_MINUTES=60` makes it an hour.
struct FloodTests {
    /// A flood of so many minutes, and the bytes that an honest validator holds at its end: what is given back once only they are left, and go.
    private static func heldByOne(after minutes: UInt64, trainers: Int) -> Int {
        var world = flooded(trainers: trainers)
        world.play(milliseconds: minutes * 60_000)
        let validators = world.sizes.count
        world.leaveOnlyValidators()
        return Allocations.givenBack { world.dropValidators() } / validators
    }

    private static func flooded(trainers: Int) -> World<Ledger> {
        var options = World<Ledger>.Options()
        options.faults = .none
        options.byzantine = [1: .flooder, 4: .spammer]
        (options.flood, options.spam, options.prunesDisks) = (3, 8, true)
        return World(WorldGenesis(validators: 7, trainers: trainers, windows: 100_000), seed: 60, options: options)
    }

    @Test func `blocks far ahead and twins without end leave an honest validator's containers as they were`() {
        let minutes = getenv("ASSAY_FLOOD_MINUTES").flatMap { UInt64(String(cString: $0)) } ?? 3
        var world = FloodTests.flooded(trainers: 3)
        let containers: [(name: String, path: WritableKeyPath<AuthoritySizes, Int>)] = [
            ("suspended", \.suspended), ("missing", \.missing), ("blocks", \.blocks), ("rounds", \.rounds), ("unordered", \.unordered), ("votes", \.votes), ("pool", \.pool), ("sync", \.sync),
        ]
        // The most that any honest validator held, in each third of the time; the first third fills what fills.
        var thirds = Array(repeating: AuthoritySizes(), count: 3)
        for sample in 1...60 as ClosedRange<UInt64> {
            world.play(milliseconds: minutes * 1_000 * sample)
            for sizes in world.sizes {
                for container in containers { thirds[Int((sample - 1) / 20)][keyPath: container.path] = max(thirds[Int((sample - 1) / 20)][keyPath: container.path], sizes[keyPath: container.path]) }
            }
        }
        #expect(world.checks.violations.isEmpty)
        #expect(world.checks.seen["byzantine: flooded", default: 0] > Int(minutes) * 60 && world.checks.seen["byzantine: equivocated at length", default: 0] > Int(minutes) * 60)
        #expect(thirds[2].suspended > 0 && thirds[2].missing > 0, "the flood does not arrive")
        for container in containers {
            let before = max(thirds[0][keyPath: container.path], thirds[1][keyPath: container.path]), after = thirds[2][keyPath: container.path]
            #expect(after <= before + before / 4 + 40, "\(container.name): \(before) in the first two thirds, \(after) in the last")
        }
        if minutes > 10 { print("flood: \(minutes) min, \(world.checks.commits) commits, the most held in each third: \(thirds)") }
    }

    @Test(.enabled(if: Allocations.areCounted)) func `after thrice the flood an honest validator holds as many bytes`() {
        let minutes = getenv("ASSAY_FLOOD_MINUTES").flatMap { UInt64(String(cString: $0)) } ?? 3
        // Nobody trains: the records that a ledger keeps of each window would be all that grows, flood or not.
        let held = (1...3).map { FloodTests.heldByOne(after: minutes * $0 / 3, trainers: 0) }
        #expect(held[0] > 100_000, "a validator of \(held[0]) bytes: something else was measured")
        #expect(held[2] < held[0] + held[0] / 4, "\(held) bytes after each third of \(minutes) minutes")
        if minutes > 10 { print("flood: \(minutes) min, \(held) bytes in an honest validator after each third") }
    }
}
