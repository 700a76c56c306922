import AssayPrimitives

/// What playing a range of seeds came to: for `assay simulate`, and for the tests that run the same.
public struct SimulationReport: Hashable, Sendable {
    public struct Violation: Hashable, Sendable {
        public let seed: UInt64
        public let checker: String
        public let message: String
        init(seed: UInt64, checker: String, message: String, faults: String?) {
            (self.seed, self.checker, self.message, self.faults) = (seed, checker, message, faults)
        }
        /// The command that brings it back.
        public var command: String { SimulationReport.command(seed: seed, faults: faults) }
        fileprivate let faults: String?
    }
    public private(set) var seeds: [UInt64] = []
    public private(set) var violations: [Violation] = []
    /// How often each kind of event turned up; a kind that never does is a fault that never struck.
    public private(set) var eventKinds: [String: Int] = [:]
    public private(set) var rounds: UInt64 = 0

    private let faults: String?

    /// - Parameter faults: the kinds that were played, as they are given to the command; nil for all.
    public init(faults: String? = nil) { self.faults = faults }

    public static func command(seed: UInt64, faults: String? = nil) -> String { "swift run assay simulate --seed \(seed)" + (faults.map { " --faults \($0)" } ?? "") }

    public mutating func add(seed: UInt64, violations: [(checker: String, message: String)], events: [String: Int], rounds: UInt64) {
        seeds.append(seed)
        self.violations += violations.map { Violation(seed: seed, checker: $0.checker, message: $0.message, faults: faults) }
        for (kind, count) in events { eventKinds[kind, default: 0] += count }
        self.rounds += rounds
    }
    public mutating func add(seed: UInt64, _ checks: WorldChecks) {
        add(seed: seed, violations: checks.violations.map { ($0.checker, $0.message) }, events: checks.seen, rounds: checks.rounds)
    }
}
