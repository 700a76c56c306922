import AssayCrypto
import AssayGym
import AssayTensor
import Foundation

/// A gym and its directory: reads the file and the data, trains what is not yet trained, and writes curves, pictures and tables.
///
/// Each arm and seed has a `.state` of its own, replaced whole while it trains, so a session may be killed at any time, and several may share a directory.
public struct GymSession {
    public struct Options: Sendable {
        public var file: URL?
        public var strategy: String?
        public var data: URL?
        public var out: URL
        public var threads = 1
        /// Only these arms; nil for all.
        public var arms: [String]?
        /// Instead of the file's.
        public var seeds: [UInt64]?
        /// Write each arm's model when it ends.
        public var exports = false
        public init(out: URL) { self.out = out }
    }

    /// Where a session is.
    public struct Progress: Sendable {
        public let arm: String
        public let seed: UInt64
        /// This run among those asked for, counted from 1.
        public let number, count: Int
        public let step, steps: Int
        /// The curve's last point; at the end the final loss.
        public let validationLoss: Double?
        public let tokensPerSecond: Double
        public let secondsLeft: Double?
        /// A point was added to the curve.
        public let isPoint: Bool
        public let diverged: Bool
    }

    public let plan: GymPlan
    private let options: Options
    private let arms: [GymArm]
    private let seeds: [UInt64]
    /// A killed session loses no more than this much work, and one window; longer for models whose checkpoints take so long to write that they would cost
    /// more than a twentieth of the time.
    private static let secondsBetweenCheckpoints = 20.0, shareOfCheckpoints = 0.05

    public init(_ options: Options) throws {
        self.options = options
        let (file, folder, name) = try GymSession.file(options)
        let data = try GymSession.data(file, folder, options.data)
        do {
            let initial = try file.initial.map { try ModelFiles.read($0.hasPrefix("/") ? URL(filePath: $0) : folder.appending(path: $0), shape: try GymPlan.shape(file.model, vocabulary: data.vocabulary)) }
            plan = try GymPlan(file, data: data, initial: initial)
        } catch let error as GymError { throw Failure("\(name): \(error)") }
        let known = plan.arms.map(\.name)
        for arm in options.arms ?? [] where !known.contains(arm) { throw Failure("\(name) has no arm “\(arm)”", remedy: "It has \(known.joined(separator: ", ")).") }
        arms = plan.arms.filter { options.arms?.contains($0.name) ?? true }
        seeds = options.seeds ?? plan.seeds
        do { try FileManager.default.createDirectory(at: options.out, withIntermediateDirectories: true) } catch {
            throw Failure("cannot make \(options.out.path): \(error.localizedDescription)", remedy: "Give another --out, or make room for it.")
        }
        _ = try results()             // what lies there of other settings is refused before any work
    }

    // MARK: What is asked for

    private static func file(_ options: Options) throws -> (GymFile, folder: URL, name: String) {
        if let url = options.file { return (try readJSON(GymFile.self, url, what: "gym file"), url.deletingLastPathComponent(), url.path) }
        let names = BuiltIn.strategies.map(\.name)
        guard let strategy = options.strategy else { throw Failure("nothing to train", remedy: "Give a gym file, or --strategy NAME: \(names.joined(separator: ", ")).") }
        guard let file = BuiltIn.file(strategy) else { throw Failure("there is no strategy “\(strategy)”", remedy: "Known are \(names.joined(separator: ", ")); everything else is said in a gym file.") }
        return (file, URL(filePath: "."), "--strategy \(strategy)")
    }

    private static func data(_ file: GymFile, _ folder: URL, _ given: URL?) throws -> GymData {
        let described = file.data
        func read(_ url: URL) throws -> [UInt8] {
            do { return [UInt8](try Data(contentsOf: url)) } catch { throw Failure("cannot read the data \(url.path)", remedy: "Is it there, and readable?") }
        }
        func place(_ path: String) -> URL { path.hasPrefix("/") ? URL(filePath: path) : folder.appending(path: path) }
        let shards = described.shards?.map(place)
        guard let urls = given.map({ [$0] }) ?? shards ?? described.text.map({ [place($0)] }), !urls.isEmpty else {
            throw Failure("there is no data to train on", remedy: "Give --data FILE, any text, or name it in the gym file as data.text.")
        }
        let parts = try urls.map(read)
        if let expected = described.sha256 {
            let found = Digest.sha256(parts.flatMap { $0 })
            guard let expected = Digest(hex: expected) else { throw Failure("data.sha256: “\(expected)” is no digest of 64 hexadecimal digits") }
            guard found == expected else {
                throw Failure("\(urls.map(\.path).joined(separator: ", ")) is not the data that the gym file is about: its SHA-256 is \(found), the file has \(expected)",
                              remedy: "Take the same data to compare with others, or leave data.sha256 out.")
            }
        }
        let share = described.trainingShare ?? 0.9, context = file.model.context
        do {
            guard described.shards != nil else {
                let name = described.alphabet ?? "bytes"
                guard let alphabet = GymData.Alphabet(rawValue: name) else { throw GymError.field("data.alphabet", "there is no “\(name)”; known are bytes, characters") }
                return try GymData(text: parts[0], alphabet: alphabet, context: context, trainingShare: share)
            }
            guard let vocabulary = described.vocabulary, (2...65_536).contains(vocabulary) else { throw GymError.field("data.vocabulary", "shards need it, between 2 and 65536") }
            return try GymData(shards: parts, vocabulary: vocabulary, context: context, trainingShare: share)
        } catch let error as GymError { throw Failure("\(urls.map(\.path).joined(separator: ", ")): \(error)") }
    }

    // MARK: Training

    private func url(_ name: String, _ kind: String) -> URL { options.out.appending(path: "\(name).\(kind)") }

    private func write(_ content: some Collection<UInt8>, _ url: URL) throws {
        do { try Data(content).write(to: url, options: .atomic) } catch {
            throw Failure("cannot write \(url.path): \(error.localizedDescription)", remedy: "Is the disk full? The same command goes on from the last checkpoint.")
        }
    }

    private func checkpoint(_ arm: GymArm, _ seed: UInt64) throws -> [UInt8]? {
        let url = url("\(arm.name)-\(seed)", "state")
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        do { return [UInt8](try Data(contentsOf: url)) } catch { throw Failure("cannot read \(url.path): \(error.localizedDescription)") }
    }

    /// What lies in the directory of the file's arms, whoever trained it.
    private func results() throws -> [GymResult] {
        let seeds = (plan.seeds + (options.seeds ?? [])).reduce(into: [UInt64]()) { if !$0.contains($1) { $0.append($1) } }
        return try plan.arms.flatMap { arm in
            try seeds.compactMap { seed in
                guard let bytes = try checkpoint(arm, seed) else { return nil }
                do { return try GymRun.result(of: bytes, plan: plan, arm: arm, seed: seed) } catch { throw Failure("\(url("\(arm.name)-\(seed)", "state").path): \(error)") }
            }
        }
    }

    /// Trains every arm with every seed, one after the other; what is done is not done again.
    public func run(progress: (Progress) -> Void) throws -> GymSummary {
        let runs = arms.flatMap { arm in seeds.map { (arm: arm, seed: $0) } }
        let start = ContinuousClock.now, before = try results()
        func tokensLeft(_ place: Int) -> Int {
            runs[place...].reduce(0) { sum, run in
                let found = before.first { $0.arm == run.arm && $0.seed == run.seed }
                return sum + (found.map { $0.isFinished ? 0 : plan.tokens - $0.step * run.arm.rows * plan.shape.context } ?? plan.tokens)
            }
        }
        let atStart = tokensLeft(0)
        for (place, (arm, seed)) in runs.enumerated() {
            if before.contains(where: { $0.arm == arm && $0.seed == seed && $0.isFinished }) { continue }
            let run: GymRun
            do { run = try GymRun(plan, arm: arm, seed: seed, threads: options.threads, checkpoint: try checkpoint(arm, seed)) } catch let error as GymError { throw Failure("\(error)") }
            var written = ContinuousClock.now, pause = GymSession.secondsBetweenCheckpoints, points = run.result.points.count
            let afterThis = place + 1 < runs.count ? tokensLeft(place + 1) : 0
            func save() throws {
                let began = ContinuousClock.now
                try write(run.checkpoint(), url(run.result.fileName, "state"))
                try write(run.result.csv.utf8, url(run.result.fileName, "csv"))
                written = .now
                pause = max(GymSession.secondsBetweenCheckpoints, began.duration(to: written).inSeconds / GymSession.shareOfCheckpoints)
            }
            while !run.result.isFinished {
                run.advance()
                let left = plan.tokens - run.result.step * arm.rows * plan.shape.context + afterThis
                let elapsed = start.duration(to: .now).inSeconds, rate = elapsed > 0 ? Double(atStart - left) / elapsed : 0
                progress(Progress(
                    arm: arm.name, seed: seed, number: place + 1, count: runs.count, step: run.result.step, steps: arm.steps, validationLoss: run.result.finalLoss ?? run.result.points.last?.validationLoss,
                    tokensPerSecond: rate, secondsLeft: rate > 0 ? Double(left) / rate : nil, isPoint: run.result.points.count > points, diverged: run.result.diverged))
                points = run.result.points.count
                if run.result.isFinished || written.duration(to: .now).inSeconds > pause { try save() }
            }
            if options.exports, !run.result.diverged { try ModelFiles.write(run.parameters, shape: plan.shape, to: options.out.appending(path: run.result.fileName)) }
            _ = try report()
        }
        return try report()
    }

    /// Writes the picture and the tables of all that lies in the directory.
    private func report() throws -> GymSummary {
        let results = try results(), summary = GymSummary(plan, results, threads: options.threads, kernels: KernelPath.current.rawValue)
        try write(CurvePicture(plan, results).svg.utf8, url("curves", "svg"))
        try writeJSON(summary, to: url("summary", "json"))
        try write(summary.markdown.utf8, url("summary", "md"))
        return summary
    }
}
