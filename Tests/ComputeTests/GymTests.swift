import AssayGym
import AssayPrimitives
import AssayTensor
import AssayTraining
import Foundation
import Testing

/// A gym small enough for a test: two layers, 30 steps of 8 sequences, on the text of `SmallRun`.
struct SmallGym {
    var json: String
    var plan: GymPlan {
        get throws {
            let file = try JSONDecoder().decode(GymFile.self, from: Data(json.utf8))
            return try GymPlan(file, data: SmallGym.data)
        }
    }
    static let data = try! GymData(text: SmallRun.text, alphabet: .characters, context: 16, trainingShare: 0.9)

    /// - Parameter arms: JSON objects.
    init(_ arms: String..., extra: String = "") {
        json = """
            { "name": "small", "model": { "context": 16, "width": 32, "heads": 2, "layers": 2 }, "optimizer": { "learningRate": 0.003, "warmupSteps": 5 },
              "steps": 30, "rows": 8, "evaluation": { "every": 10, "sequences": 8, "finalSequences": 20 }, "defaults": { "workers": 4, "innerSteps": 5 }, \(extra)
              "arms": [\(arms.joined(separator: ",\n"))] }
            """
    }

    /// Trains an arm to its end.
    func result(_ arm: Int = 0, seed: UInt64 = 1, threads: Int = 1, path: KernelPath = .current) throws -> GymResult {
        let plan = try plan, run = try GymRun(plan, arm: plan.arms[arm], seed: seed, threads: threads, path: path)
        while !run.result.isFinished { run.advance() }
        return run.result
    }
    func loss(_ arm: Int = 0) throws -> Double { try #require(result(arm).finalLoss) }

    static let adaptive = #"{ "name": "adaptive", "strategy": "diloco", "delay": "continued", "compressor": "lowrank-int4", "rank": 4, "adaptation": { "windows": 1, "minimumRank": 2, "maximumRank": 8, "minimumSteps": 3, "maximumSteps": 8 } }"#
    static let everything = #"{ "name": "all", "strategy": "diloco", "delay": "continued", "compressor": "int4", "aggregation": "clipped-mean", "residualRestart": 4 }"#
}

@Suite struct GymTests {
    @Test(arguments: [#"{ "name": "a", "strategy": "adamw" }"#, #"{ "name": "b", "strategy": "allreduce" }"#, SmallGym.everything, SmallGym.adaptive])
    func `the same bits come out with two threads and on every path`(arm: String) throws {
        let gym = SmallGym(arm), one = try gym.result(), two = try gym.result(threads: 2)
        #expect(one.points.count >= 3 && one.step == 30 && one.root != nil)
        #expect(two.root == one.root && two.csv == one.csv && two.points == one.points && two.finalLoss == one.finalLoss)
        for path in KernelPath.available {
            let other = try gym.result(path: path)
            #expect(other.root == one.root && other.csv == one.csv, "\(path)")
        }
    }

    @Test(arguments: [#"{ "name": "a", "strategy": "adamw" }"#, #"{ "name": "b", "strategy": "allreduce" }"#, SmallGym.everything, SmallGym.adaptive,
                      #"{ "name": "c", "strategy": "diloco", "delay": "plain", "innerState": "reset", "innerSteps": 7 }"#])
    func `a run that is put down after every round and taken up again ends with the same bits`(arm: String) throws {
        let gym = SmallGym(arm), plan = try gym.plan, whole = try gym.result()
        var run = try GymRun(plan, arm: plan.arms[0], seed: 1, threads: 1)
        while !run.result.isFinished {
            run.advance()
            run = try GymRun(plan, arm: plan.arms[0], seed: 1, threads: 1, checkpoint: run.checkpoint())
        }
        #expect(run.result.root == whole.root && run.result.points == whole.points && run.result.finalLoss == whole.finalLoss && whole.finalLoss != nil)
        #expect(run.result.sent == whole.sent && run.result.received == whole.received)
    }

    @Test func `a gym trains in profile i8 as well`() throws {
        var gym = SmallGym(SmallGym.everything)
        let floats = try gym.result()
        gym.json.replace(#""layers": 2 }"#, with: #""layers": 2, "profile": "i8" }"#)
        let integers = try gym.result(), losses = (try #require(floats.finalLoss), try #require(integers.finalLoss))
        #expect(floats.root != integers.root && abs(losses.0 - losses.1) < 0.05, "\(losses)")
        #expect(try gym.result(threads: 2).root == integers.root)
    }

    @Test func `gradients averaged over four workers train as one worker does at the same batch, but for rounding`() throws {
        let gym = SmallGym(#"{ "name": "one", "strategy": "adamw" }"#, #"{ "name": "four", "strategy": "allreduce" }"#)
        let one = try gym.result(0), four = try gym.result(1)
        #expect(one.root != four.root)
        for (a, b) in zip(one.points, four.points) {
            #expect(abs(a.validationLoss - b.validationLoss) < 2e-4, "step \(a.step): \(a.validationLoss), \(b.validationLoss)")
        }
        #expect(try SmallGym(#"{ "name": "alone", "strategy": "allreduce", "workers": 1 }"#).result().root == one.root)
    }

    /// δ = θ − θ′ and θ − δ round once each; the moments are the same but for what that changes in the gradients.
    @Test func `an outer step after every inner step, undamped and alone, is AdamW but for rounding`() throws {
        let gym = SmallGym(
            #"{ "name": "one", "strategy": "adamw" }"#,
            #"{ "name": "outer", "strategy": "diloco", "workers": 1, "innerSteps": 1, "outerLearningRate": 1, "outerMomentum": 0, "compressor": "none", "delay": "none", "innerState": "carry" }"#)
        for (a, b) in zip(try gym.result(0).points, try gym.result(1).points) {
            #expect(abs(a.validationLoss - b.validationLoss) < 2e-4, "step \(a.step): \(a.validationLoss), \(b.validationLoss)")
        }
    }

    /// With one worker, η = 1 and μ = 0 a delayed window that starts from its own progress goes on where it was; one that does not makes it twice.
    @Test func `continued goes on from its own progress, plain counts it twice`() throws {
        let alone = #""strategy": "diloco", "workers": 1, "outerLearningRate": 1, "outerMomentum": 0"#
        let gym = SmallGym(#"{ "name": "one", "strategy": "adamw" }"#, "{ \"name\": \"c\", \(alone), \"delay\": \"continued\" }", "{ \"name\": \"p\", \(alone), \"delay\": \"plain\" }")
        let one = try gym.loss(0), continued = try gym.loss(1), plain = try gym.loss(2)
        #expect(abs(continued - one) < 1e-3, "\(continued), \(one)")
        #expect(abs(plain - one) > 1e-2, "\(plain), \(one)")
    }

    @Test func `bytes are counted as the formulas say`() throws {
        let gym = SmallGym(
            #"{ "name": "a", "strategy": "adamw" }"#, #"{ "name": "b", "strategy": "allreduce" }"#, #"{ "name": "c", "strategy": "diloco" }"#,
            #"{ "name": "d", "strategy": "diloco", "compressor": "int4", "innerSteps": 7 }"#)
        let count = try gym.plan.parameters, runs = ParameterTable(try gym.plan.shape).entries.reduce(0) { $0 + ($1.count + 63) / 64 * 4 + ($1.count + 1) / 2 }
        let results = try (0..<4).map { try gym.result($0) }
        #expect(results.map(\.sent) == [0, 30 * (2 * 3 * 4 * count / 4), 6 * 4 * count, 5 * (8 + runs)])   // 7 + 7 + 7 + 7 + 2 steps
        #expect(results.map(\.received) == [0, results[1].sent, 3 * results[2].sent, 3 * results[3].sent])
        #expect(results[1].points.map(\.sent) == [0, 10, 20, 30].map { $0 * 6 * count })
        #expect(Traffic.seconds(sent: 10, received: 125, bitsPerSecond: 1e3) == 1)
        #expect(Traffic.utilisation(compute: 3, transfer: 1, overlapped: false) == 0.75 && Traffic.utilisation(compute: 3, transfer: 1, overlapped: true) == 1)
    }

    @Test(arguments: ["int8", "int4", "lowrank-int4", "topk", "dct-topk", "sparta"])
    func `every compressor trains, and sends less than floats`(compressor: String) throws {
        let gym = SmallGym("{ \"name\": \"a\", \"strategy\": \"diloco\", \"compressor\": \"\(compressor)\", \"rank\": 2, \"oneOf\": 4, \"outerLearningRate\": 1, \"outerMomentum\": 0 }")
        let result = try gym.result(), count = try gym.plan.parameters
        #expect(try #require(result.finalLoss) < result.points[0].validationLoss - 0.1 && result.sent < 6 * 4 * count / 3)
    }

    @Test(arguments: ["mean", "clipped-mean", "median", "trimmed-mean", "centered-clip"])
    func `every aggregation trains`(aggregation: String) throws {
        let result = try SmallGym("{ \"name\": \"a\", \"strategy\": \"diloco\", \"aggregation\": \"\(aggregation)\", \"outerLearningRate\": 1, \"outerMomentum\": 0 }").result()
        #expect(try #require(result.finalLoss) < result.points[0].validationLoss - 0.1)
    }

    @Test func `an arm with other rows takes so many more or fewer steps`() throws {
        let gym = SmallGym(#"{ "name": "a", "strategy": "adamw" }"#, #"{ "name": "b", "strategy": "allreduce", "rows": 24 }"#), plan = try gym.plan
        #expect(plan.arms.map(\.steps) == [30, 10] && plan.tokens == 30 * 8 * 16)
        #expect(try gym.result(1).points.last?.tokens == plan.tokens)
    }

    @Test func `arms inherit, and seeds differ`() throws {
        let gym = SmallGym(
            #"{ "name": "a", "strategy": "diloco", "delay": "continued", "optimizer": { "clip": 0.5 } }"#,
            #"{ "name": "b", "like": "a", "compressor": "int4", "optimizer": { "learningRate": 0.001 } }"#)
        let arms = try gym.plan.arms
        #expect(arms[1].rules.delay == .continued && arms[1].workers == 4 && arms[1].rules.compressor == .int4 && arms[1].rules.innerSteps == 5)
        #expect(arms[1].optimizer.clip == 0.5 && arms[1].optimizer.learningRate == 0.001 && arms[1].optimizer.warmupSteps == 5 && arms[0].optimizer.learningRate == 0.003)
        #expect(try gym.result(seed: 1).root != gym.result(seed: 2).root)
    }

    @Test func `a checkpoint of another setting is refused, and so is a damaged one`() throws {
        let gym = SmallGym(SmallGym.everything), plan = try gym.plan
        let run = try GymRun(plan, arm: plan.arms[0], seed: 1, threads: 1)
        run.advance()
        let checkpoint = run.checkpoint()
        let other = try SmallGym(SmallGym.everything.replacing("\"continued\"", with: "\"plain\"")).plan
        #expect(throws: GymError.otherPlan(arm: "all", seed: 1)) { try GymRun(other, arm: other.arms[0], seed: 1, threads: 1, checkpoint: checkpoint) }
        #expect(throws: GymError.otherPlan(arm: "all", seed: 2)) { try GymRun(plan, arm: plan.arms[0], seed: 2, threads: 1, checkpoint: checkpoint) }
        for broken in [[], Array(checkpoint.dropLast()), Array(checkpoint.prefix(40)), checkpoint.enumerated().map { $0 == 100 ? $1 ^ 1 : $1 }] {
            #expect { try GymRun(plan, arm: plan.arms[0], seed: 1, threads: 1, checkpoint: broken) } throws: { if case .unreadableCheckpoint = $0 as? GymError { true } else { false } }
        }
        // More arms and other words are no other setting.
        let more = try SmallGym(SmallGym.everything, #"{ "name": "b", "strategy": "adamw" }"#, extra: #""seeds": [1, 2, 3],"#).plan
        #expect(try GymRun(more, arm: more.arms[0], seed: 1, threads: 1, checkpoint: checkpoint).result.step == 5)
    }

    @Test func `an arm that diverges ends there and says so`() throws {
        let gym = SmallGym(#"{ "name": "a", "strategy": "diloco", "delay": "plain", "outerLearningRate": 10, "outerMomentum": 0.99, "optimizer": { "learningRate": 10, "weightDecay": 10 } }"#, extra: #""seeds": [1],"#)
        let result = try gym.result(), summary = try GymSummary(gym.plan, [result], threads: 1, kernels: "any")
        #expect(result.diverged && result.isFinished)
        #expect(summary.lines[0].validationLoss == nil && summary.markdown.contains("diverged"))
        #expect(throws: Never.self) { try JSONEncoder().encode(summary) }
    }
}

@Suite struct GymFileTests {
    /// What is wrong with a file, as a person would read it.
    private func complaint(_ gym: SmallGym) -> String {
        do {
            _ = try gym.plan
            return ""
        } catch let error as Swift.DecodingError {
            guard case .dataCorrupted(let context) = error else { return "\(error)" }
            return (context.codingPath.map(\.stringValue) + [context.debugDescription]).joined(separator: " ")
        } catch { return "\(error)" }
    }

    @Test func `an arm's micro-batches divide its workers' sequences, and in f32 change nothing`() throws {
        let whole = try SmallGym(#"{ "name": "a", "strategy": "diloco" }"#).result(), parts = try SmallGym(#"{ "name": "a", "strategy": "diloco", "microBatches": 2 }"#).result()
        #expect(parts.root == whole.root && parts.points == whole.points)
        for wrong in [0, 3] { #expect(complaint(SmallGym("{ \"name\": \"a\", \"strategy\": \"diloco\", \"rows\": 16, \"microBatches\": \(wrong) }")).contains("microBatches")) }
    }

    @Test func `what cannot be is refused by its field`() {
        let a = #"{ "name": "a", "strategy": "adamw" }"#
        #expect(complaint(SmallGym(a)) == "")
        for (gym, words) in [
            (SmallGym(#"{ "name": "a", "strategy": "diloco", "compresor": "int4" }"#), ["compresor", "is no field of an arm", "compressor"]),
            (SmallGym(#"{ "name": "a", "strategy": "sgd" }"#), ["arms[0].strategy", "“sgd”", "adamw, allreduce, diloco"]),
            (SmallGym(#"{ "name": "a", "strategy": "diloco", "compressor": "zip" }"#), ["arms[0].compressor", "“zip”", "int4"]),
            (SmallGym(#"{ "name": "a", "strategy": "diloco", "delay": "soon" }"#), ["arms[0].delay", "none, continued, plain"]),
            (SmallGym(#"{ "name": "a", "strategy": "allreduce", "workers": 3 }"#), ["arms[0].rows", "8", "3 workers"]),
            (SmallGym(#"{ "name": "a", "strategy": "adamw", "rows": 7 }"#), ["arms[0].rows", "240", "7"]),
            (SmallGym(#"{ "name": "a/b", "strategy": "adamw" }"#), ["arms[0].name", "a/b"]),
            (SmallGym(a, a), ["arms[1].name", "two arms"]),
            (SmallGym(a, #"{ "name": "b", "like": "c" }"#), ["arms[1].like", "“c”"]),
            (SmallGym(a, extra: #""tokens": 1000,"#), ["steps", "either"]),
            (SmallGym(a, extra: #""seeds": [1, 1],"#), ["seeds", "twice"]),
            (SmallGym(#"{ "name": "a", "strategy": "diloco", "compressor": "topk", "valueBits": 3 }"#), ["arms[0].compressor", "3 bits", "1, 2 or 8"]),
            (SmallGym(#"{ "name": "a", "strategy": "diloco", "outerMomentum": 1 }"#), ["arms[0].outerMomentum", "0.9999"]),
        ] {
            let complaint = complaint(gym)
            for word in words { #expect(complaint.contains(word), "“\(complaint)” does not say \(word)") }
        }
    }

    @Test func `every built-in strategy is a file that can be trained`() throws {
        for (name, _) in BuiltIn.strategies {
            let file = try #require(BuiltIn.file(name)), data = try GymData(text: SmallRun.text, alphabet: .characters, context: 64, trainingShare: 0.9)
            #expect(try GymPlan(file, data: data).arms.map(\.name) == [name])
        }
        #expect(BuiltIn.file("sgd") == nil)
    }

    @Test(arguments: ["char", "ladder", "quick"])
    func `the files of the repository can be read`(name: String) throws {
        let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "Gym/\(name).json")
        let file = try JSONDecoder().decode(GymFile.self, from: Data(contentsOf: url))
        let data = try GymData(text: SmallRun.text, alphabet: .characters, context: file.model.context, trainingShare: 0.9)
        #expect(try !GymPlan(file, data: data).arms.isEmpty)
    }
}

@Suite struct GymDataTests {
    @Test func `characters are the text's distinct bytes in ascending order`() throws {
        let data = try GymData(text: Array("banana band ".utf8), alphabet: .characters, context: 1, trainingShare: 0.5)
        #expect(data.vocabulary == 5)                          // space a b d n
        #expect(data.tokens == [2, 1, 4, 1, 4, 1, 0, 2, 1, 4, 3, 0] && data.trainingTokens == 6)
        #expect(data.batch(at: [0, 3]) == Batch(inputs: [2, 1], targets: [1, 4], rows: 2, context: 1))
    }

    @Test func `shards are little-endian, one after the other, and must keep to the vocabulary`() throws {
        let tokens = try GymData(shards: [[1, 0, 0, 2], [3, 1, 4, 0, 5, 0, 6, 0]], vocabulary: 600, context: 1, trainingShare: 0.5).tokens
        #expect(tokens == [1, 512, 259, 4, 5, 6])
        #expect(throws: GymError.self) { try GymData(shards: [[1, 0, 0, 2], [3, 1, 4, 0, 5, 0, 6, 0]], vocabulary: 512, context: 1, trainingShare: 0.5) }
        #expect(throws: GymError.self) { try GymData(shards: [[1, 0, 0]], vocabulary: 600, context: 1, trainingShare: 0.5) }
        #expect(throws: GymError.self) { try GymData(text: Array(repeating: 65, count: 40), alphabet: .bytes, context: 16, trainingShare: 0.9) }
    }

    /// 2,001 validation tokens in sequences of 16: 125 whole ones hold 2,000 targets; with 2,005 tokens, 4 targets are left over.
    @Test(arguments: [(20_010, 2_000, 2_000), (20_050, 2_004, 2_004)])
    func `every token of the validation part but its first counts once`(tokens: Int, expected: Int, sum: Int) throws {
        let data = try GymData(text: Array(SmallRun.text.prefix(tokens - 10) + SmallRun.text.prefix(60)).prefix(tokens).map { $0 }, alphabet: .characters, context: 16, trainingShare: 0.9)
        try #require(data.tokens.count == tokens)
        let shape = ModelShape(vocabulary: data.vocabulary, context: 16, width: 32, heads: 2, layers: 1), model = Model(shape: shape, rows: 5)
        let parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 3)), validation = Validation(data, sequences: 0, model: model)
        #expect(validation.targets == expected)
        // By hand, target by target: as seen from the sequence that counts it.
        var losses: [Int: Float] = [:]
        var starts = Array(stride(from: data.trainingTokens, through: tokens - 17, by: 16))
        starts.append(tokens - 17)
        for start in starts {
            for (index, loss) in model.tokenLosses(parameters, data.batch(at: [start])).enumerated() where losses[start + index] == nil { losses[start + index] = loss }
        }
        #expect(losses.count == sum)
        let mean = losses.sorted { $0.key < $1.key }.reduce(0.0) { $0 + Double($1.value) } / Double(losses.count)
        #expect(abs(validation.loss(parameters) - mean) < 1e-12)
        #expect(Validation(data, sequences: 3, model: model).targets == 48)
    }
}

@Suite struct CurvePictureTests {
    @Test func `the picture and the table have every arm and are well formed`() throws {
        let gym = SmallGym(#"{ "name": "a", "strategy": "adamw" }"#, #"{ "name": "b", "strategy": "allreduce" }"#, SmallGym.everything, extra: #""seeds": [1, 2],"#)
        let results = try (0..<3).flatMap { arm in try [1, 2].map { try gym.result(arm, seed: $0) } }
        let plan = try gym.plan, svg = CurvePicture(plan, results).svg, summary = GymSummary(plan, results, threads: 1, kernels: "any")
        let parser = XMLDocumentCheck()
        #expect(parser.accepts(svg))
        for name in ["a", "b", "all"] { #expect(svg.contains(">\(name)</text>") && summary.markdown.contains("| \(name) |")) }
        #expect(!svg.contains("nan") && !svg.contains("inf"))
        let line = summary.lines[0], losses = line.validationLosses.compactMap { $0 }
        #expect(line.validationLoss == (losses[0] + losses[1]) / 2)
        #expect(abs(try #require(line.validationLossSpread) - abs(losses[0] - losses[1]) / 2.0.squareRoot()) < 1e-12)
        #expect(summary.lines[1].fewerSent == 1 && summary.lines[0].fewerSent == nil)
        #expect(summary.lines[2].gigabit?.overlapped != nil && summary.lines[1].gigabit?.overlapped == nil)
    }
}

/// That every element that is opened is closed, in order.
private struct XMLDocumentCheck {
    func accepts(_ text: String) -> Bool {
        var open: [Substring] = []
        for piece in text.split(separator: "<").map({ $0.split(separator: ">", maxSplits: 1)[0] }) {
            let name = piece.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber }
            if piece.hasPrefix("/") {
                guard open.popLast() == name else { return false }
            } else if !piece.hasSuffix("/") { open.append(name) }
        }
        return open.isEmpty
    }
}
