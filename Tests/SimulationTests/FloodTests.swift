import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import Glibc
import Testing

/// Memory under a flood: what an honest validator holds does not grow with the time that others send it what they please.
///
/// Three virtual minutes; `ASSAY_FLOOD_MINUTES=60` makes it an hour, and the process's own memory is looked at too.
struct FloodTests {
    /// Bytes of this process that are in memory.
    private static func resident() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, 256, file) != nil else { return 0 }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4_096
    }

    @Test func `blocks far ahead and twins without end leave an honest validator's containers as they were`() {
        let minutes = getenv("ASSAY_FLOOD_MINUTES").flatMap { UInt64(String(cString: $0)) } ?? 3, isLong = minutes > 10
        var options = World<Ledger>.Options()
        options.faults = .none
        options.byzantine = [1: .flooder, 4: .spammer]
        (options.flood, options.spam, options.prunesDisks) = (3, 8, true)
        var world = World(WorldGenesis(validators: 7, trainers: 3, windows: 100_000), seed: 60, options: options)
        let containers: [(name: String, path: WritableKeyPath<AuthoritySizes, Int>)] = [
            ("suspended", \.suspended), ("missing", \.missing), ("blocks", \.blocks), ("rounds", \.rounds), ("unordered", \.unordered), ("votes", \.votes), ("pool", \.pool), ("sync", \.sync),
        ]
        // The most that any honest validator held, in each third of the time; the first third fills what fills.
        var thirds = Array(repeating: AuthoritySizes(), count: 3), memory: [Int] = []
        for sample in 1...60 as ClosedRange<UInt64> {
            world.play(milliseconds: minutes * 1_000 * sample)
            for sizes in world.sizes {
                for container in containers { thirds[Int((sample - 1) / 20)][keyPath: container.path] = max(thirds[Int((sample - 1) / 20)][keyPath: container.path], sizes[keyPath: container.path]) }
            }
            if sample.isMultiple(of: 20) { memory.append(FloodTests.resident()) }
        }
        #expect(world.checks.violations.isEmpty)
        #expect(world.checks.seen["byzantine: flooded", default: 0] > Int(minutes) * 60 && world.checks.seen["byzantine: equivocated at length", default: 0] > Int(minutes) * 60)
        #expect(thirds[2].suspended > 0 && thirds[2].missing > 0, "the flood does not arrive")
        for container in containers {
            let before = max(thirds[0][keyPath: container.path], thirds[1][keyPath: container.path]), after = thirds[2][keyPath: container.path]
            #expect(after <= before + before / 4 + 40, "\(container.name): \(before) in the first two thirds, \(after) in the last")
        }
        if isLong {
            // The world's own notes, and seven ledgers with a record for each window, are all that may grow.
            #expect(memory[2] < memory[1] + memory[1] / 2, "\(memory.map { $0 >> 20 }) MiB after each third")
            print("flood: \(minutes) min, \(world.checks.commits) commits, resident \(memory.map { $0 >> 20 }) MiB after each third, the most held in each: \(thirds)")
        }
    }
}
