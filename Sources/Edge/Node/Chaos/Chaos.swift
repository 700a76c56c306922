import AssayPrimitives
import Foundation
import Synchronization

/// `assay localnet chaos`: a local network of real processes, whose validators get into trouble by a seed, and must come out of it.
public enum Chaos {
    public struct Options: Sendable {
        public var data: URL
        /// Where the network is made; a temporary directory if nil, which goes when all held.
        public var home: URL?
        public var seed: UInt64 = 1
        /// After so many no new trouble begins.
        public var seconds = 600.0
        /// The end after so many troubles, if that is sooner.
        public var steps: Int?
        public var validators = 4
        public var trainers = 2
        /// The committee is read anew from the stakes after so many.
        public var epochSeconds = 20.0
        /// All of them, if nil: without epochs, those that need none.
        var only: [ChaosScript.Kind]?
        var kinds: [ChaosScript.Kind] { only ?? (epochSeconds == 0 ? ChaosScript.Kind.standing : ChaosScript.Kind.allCases) }

        public init(data: URL) { self.data = data.standardizedFileURL }

        public static let known = ChaosScript.Kind.allCases.map(\.rawValue)

        /// - Parameter only: kinds of troubles, by name.
        public mutating func choose(only names: [String]) throws {
            only = try names.map { name in
                guard let kind = ChaosScript.Kind(rawValue: name) else { throw Failure("--only: there is no trouble “\(name)”", remedy: "Known are: \(Options.known.joined(separator: ", ")).") }
                return kind
            }
        }

        func check() throws {
            guard (4...16).contains(validators) else { throw Failure("--validators \(validators): allowed is 4…16: with fewer, one that fails stops all") }
            guard (1...16).contains(trainers) else { throw Failure("--trainers \(trainers): allowed is 1…16") }
            guard (1...86_400).contains(seconds) else { throw Failure("--seconds \(seconds): allowed is 1…86400") }
            guard (0...86_400).contains(epochSeconds) else { throw Failure("--epoch-seconds \(epochSeconds): allowed is 0…86400") }
            if epochSeconds == 0, kinds.contains(where: { !ChaosScript.Kind.standing.contains($0) }) { throw Failure("nobody joins or leaves without epochs", remedy: "Give --epoch-seconds above 0.") }
            if let steps, steps < 1 { throw Failure("--steps \(steps): at least one") }
            guard !kinds.isEmpty else { throw Failure("--only names no trouble") }
        }

        /// The same troubles again, in the same order.
        func command(steps played: Int) -> String {
            var words = ["assay localnet chaos", "--data \(data.path)", "--seed \(seed)", "--steps \(max(1, played))", "--seconds \(Int(max(seconds, 3_600)))"]
            if validators != 4 { words.append("--validators \(validators)") }
            if trainers != 2 { words.append("--trainers \(trainers)") }
            if epochSeconds != 20 { words.append("--epoch-seconds \(epochSeconds)") }
            if let only { words.append("--only \(only.map(\.rawValue).joined(separator: ","))") }
            return words.joined(separator: " ")
        }
    }

    /// What came of it, for people and programs.
    public struct Report: Codable, Sendable {
        public struct Trouble: Codable, Sendable {
            public var count = 0
            /// The longest from the moment at which all was put right to that at which all were at work again.
            public var slowestSeconds = 0.0
        }
        public var seed: UInt64
        public var seconds = 0.0
        public var steps = 0
        /// Second ones at the same time are counted by themselves.
        public var troubles: [String: Trouble] = [:]
        public var alsoKilled = 0, alsoStopped = 0
        public var commits: Int64 = 0, windows: Int64 = 0, epochs: Int64 = 0
        /// Heights at which all validators were asked for their block.
        public var compared = 0
        /// What did not hold; nil if all did.
        public var violation: String?
        /// Where the network's files are, if they were kept.
        public var home: String?

        public init(seed: UInt64) { self.seed = seed }

        public var text: String {
            let counts = troubles.sorted { $0.key < $1.key }.map { "  \($0.key)  \($0.value.count), all at work again within \(String(format: "%.1f", $0.value.slowestSeconds)) s" }
            let ends = violation == nil ? "no fork, nobody slashed, all caught up" : "VIOLATED"
            return (["troubles: \(steps) in \(Int(seconds)) s, beside them \(alsoKilled) killed and \(alsoStopped) stopped at the same time; \(commits) commits, \(windows) windows, \(epochs) epochs ended, blocks compared \(compared) times: \(ends)"] + counts + (home.map { ["The network's files are in \($0)"] } ?? [])).joined(separator: "\n")
        }
    }

    /// Runs it to its end, or until it is told to end.
    /// - Parameter progress: a line for people, now and then.
    /// - Returns: also if something did not hold. - Throws: `Failure` if it could not begin.
    public static func run(_ options: Options, progress: @escaping @Sendable (String) -> Void) async throws -> Report {
        try options.check()
        let home = options.home ?? FileManager.default.temporaryDirectory.appending(path: "assay-chaos-\(ProcessInfo.processInfo.processIdentifier)")
        let layout = try Localnet.prepare(.init(home: home, validators: options.validators, trainers: options.trainers, windows: nil, data: options.data, model: "tiny", adversaries: [], threads: 1, epochSeconds: options.epochSeconds))
        let result = Mutex(Report(seed: options.seed))
        try await NodeProcess.untilTold(exitWithParent: false) {
            let run = ChaosRun(options, layout, home, progress)
            await run.play()
            await run.end()
            let report = await run.report
            result.withLock { $0 = report }
        }
        var report = result.withLock { $0 }
        if report.violation == nil, options.home == nil { try? FileManager.default.removeItem(at: home) } else { report.home = home.path }
        return report
    }
}

/// Something that must hold and did not.
struct ChaosViolation: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
