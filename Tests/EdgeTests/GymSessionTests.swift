import AssayGym
import AssayNode
import Foundation
import Testing

/// A gym's directory: what comes out, what is gone on with, what is refused.
@Suite struct GymSessionTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "assay-gym-\(UUID().uuidString)")
    private var out: URL { folder.appending(path: "out") }

    private func file(_ arms: String = #"[{ "name": "a", "strategy": "adamw" }, { "name": "b", "strategy": "diloco", "compressor": "int4" }]"#, steps: Int = 20) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let text = """
            { "name": "small", "data": { "text": "text.txt" }, "model": { "context": 16, "width": 32, "heads": 2, "layers": 1 }, "steps": \(steps), "rows": 8,
              "evaluation": { "every": 5, "sequences": 8, "finalSequences": 8 }, "defaults": { "innerSteps": 5 }, "arms": \(arms) }
            """
        try Data(text.utf8).write(to: folder.appending(path: "gym.json"))
        let words = (0..<2_000).map { ["gold", "silver", "fire", "tests"][$0 * $0 % 7 % 4] }
        try Data(words.joined(separator: " ").utf8).write(to: folder.appending(path: "text.txt"))
    }
    private func session(_ change: (inout GymSession.Options) -> Void = { _ in }) throws -> GymSession {
        var options = GymSession.Options(out: out)
        options.file = folder.appending(path: "gym.json")
        change(&options)
        return try GymSession(options)
    }
    private func complaint(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "nothing was refused"
        } catch { return "\(error)" }
    }

    @Test func `curves, picture and tables come out, arms may come one by one, and what is done is not done again`() throws {
        try file()
        defer { try? FileManager.default.removeItem(at: folder) }
        var seen: [String] = []
        #expect(try session { $0.arms = ["b"] }.run { seen.append($0.arm) }.lines.map(\.arm) == ["b"])
        let whole = try session().run { seen.append($0.arm) }
        #expect(whole.lines.map(\.arm) == ["a", "b"] && seen == Array(repeating: "b", count: 4) + Array(repeating: "a", count: 20))
        let again = try session().run { _ in Issue.record("trained again") }
        #expect(again.lines.map(\.roots) == whole.lines.map(\.roots))
        for name in ["a-1.csv", "b-1.csv", "curves.svg", "summary.json", "summary.md"] { #expect(FileManager.default.fileExists(atPath: out.appending(path: name).path), "\(name)") }
        let csv = try String(contentsOf: out.appending(path: "b-1.csv"), encoding: .utf8)
        #expect(csv.split(separator: "\n").count == 6 && csv.hasPrefix("step,tokens,train_loss,validation_loss,bytes_sent_per_worker\n0,0,,"))
    }

    @Test func `a session that ends in the middle is gone on with by the same command`() throws {
        try file(#"[{ "name": "b", "strategy": "diloco", "delay": "continued", "compressor": "int4" }]"#)
        defer { try? FileManager.default.removeItem(at: folder) }
        let whole = try session { $0.out = folder.appending(path: "whole") }.run { _ in }
        let session = try session()
        // As after a kill: a checkpoint lies there, and nothing else.
        let run = try GymRun(session.plan, arm: session.plan.arms[0], seed: 1, threads: 1)
        run.advance()
        run.advance()
        try Data(run.checkpoint()).write(to: out.appending(path: "b-1.state"))
        var steps: [Int] = []
        #expect(try session.run { steps.append($0.step) }.lines.map(\.roots) == whole.lines.map(\.roots))
        #expect(steps == [15, 20])
    }

    @Test func `errors say what, where and what to do`() throws {
        try file()
        defer { try? FileManager.default.removeItem(at: folder) }
        _ = try session { $0.arms = ["a"] }.run { _ in }
        try file(steps: 40)
        let changed = complaint { _ = try session() }
        #expect(changed.contains("a-1.state") && changed.contains("another text, model or setting") && changed.contains("--out"), "\(changed)")
        #expect(complaint { _ = try session { $0.arms = ["c"] } }.contains("It has a, b"))
        #expect(complaint { _ = try session { ($0.file, $0.strategy) = (nil, "sgd") } }.contains("adamw, allreduce, diloco"))
        #expect(complaint { _ = try session { $0.data = folder.appending(path: "none.txt") } }.contains("none.txt"))
        try file(#"[{ "name": "a", "stratgy": "adamw" }]"#)
        #expect(complaint { _ = try session() }.contains("stratgy is no field of an arm"))
    }
}
