import AssayPrimitives

/// What playing a range of seeds came to: for `assay simulate`, and for the tests that run the same.
public struct SimulationReport: Hashable, Sendable {
    public struct Violation: Hashable, Sendable {
        public let seed: UInt64
        public let checker: String
        public let message: String
        public init(seed: UInt64, checker: String, message: String) {
            (self.seed, self.checker, self.message) = (seed, checker, message)
        }
        /// The command that brings it back.
        public var command: String { "swift run assay simulate --seed \(seed)" }
    }
    public private(set) var seeds: [UInt64] = []
    public private(set) var violations: [Violation] = []
    /// How often each kind of event turned up; a kind that never does is a fault that never struck.
    public private(set) var eventKinds: [String: Int] = [:]
    public private(set) var rounds: UInt64 = 0

    public init() {}

    public mutating func add(seed: UInt64, violations: [(checker: String, message: String)], events: [String: Int], rounds: UInt64) {
        seeds.append(seed)
        self.violations += violations.map { Violation(seed: seed, checker: $0.checker, message: $0.message) }
        for (kind, count) in events { eventKinds[kind, default: 0] += count }
        self.rounds += rounds
    }
    public mutating func add(seed: UInt64, _ checks: WorldChecks) {
        add(seed: seed, violations: checks.violations.map { ($0.checker, $0.message) }, events: checks.seen, rounds: checks.rounds)
    }
}
