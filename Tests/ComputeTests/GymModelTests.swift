import AssayCrypto
import AssayGym
import AssayPrimitives
import AssayTensor
import AssayTraining
import Foundation
import Testing

/// The models that a gym trains: both styles, and those that begin from imported parameters; and the shards they are trained on.
@Suite struct GymModelTests {
    private func plan(_ model: String = "", initial: FloatBuffer? = nil) throws -> GymPlan {
        let json = """
            { "name": "small", "model": { "context": 16, "width": 32, "heads": 2, "layers": 1\(model) }, "optimizer": { "learningRate": 0.003, "warmupSteps": 5 },
              "steps": 20, "rows": 8, "evaluation": { "every": 10, "sequences": 8, "finalSequences": 8 }, "arms": [{ "name": "a", "strategy": "adamw" }] }
            """
        return try GymPlan(try JSONDecoder().decode(GymFile.self, from: Data(json.utf8)), data: SmallGym.data, initial: initial)
    }
    private func trained(_ plan: GymPlan) throws -> GymRun {
        let run = try GymRun(plan, arm: plan.arms[0], seed: 1, threads: 1)
        while !run.result.isFinished { run.advance() }
        return run
    }
    private let llama = #", "style": "llama", "hidden": 48, "keyValueHeads": 1"#

    @Test func `a Llama-style model trains like the other, with a head of its own unless it is said`() throws {
        let plan = try plan(llama)
        #expect(plan.shape.style == .llama && plan.shape.hidden == 48 && plan.shape.keyValueHeads == 1 && !plan.shape.tied)
        #expect(try self.plan(llama + #", "tied": true"#).shape.tied && self.plan().shape.tied)
        let points = try trained(plan).result.points
        #expect(try #require(points.last).validationLoss < points[0].validationLoss - 0.3)
    }

    @Test func `a model that cannot be is refused by its field`() {
        for (model, expected) in [
            (#", "style": "bert""#, GymError.field("model.style", "there is no “bert”; known are gpt2, llama")), (#", "hidden": 0"#, .field("model.hidden", "is 0, allowed is 1…16384")),
            (#", "style": "llama", "keyValueHeads": 3"#, .field("model", "heads 2 is not a multiple of keyValueHeads 3")),
            (#", "style": "llama", "biases": true"#, .field("model", "biases: only a model of style gpt2 has them; allowed with llama is false")),
            (#", "keyValueHeads": 1"#, .field("model", "keyValueHeads below heads: only a model of style llama has them; allowed with gpt2 is the same number")),
        ] { #expect(throws: expected) { try plan(model) } }
    }

    @Test(arguments: [false, true])
    func `training goes on from imported parameters, and a checkpoint of drawn ones is not taken for it`(isLlama: Bool) throws {
        let first = try plan(isLlama ? llama : ""), before = try trained(first), exchange = ModelExchange(first.shape)
        let second = try plan(isLlama ? llama : "", initial: try exchange.parameters(exchange.file(before.parameters)))
        #expect(first.digest(first.arms[0], seed: 1) != second.digest(second.arms[0], seed: 1))
        let points = try trained(second).result.points
        #expect(points[0].validationLoss == before.result.points.last?.validationLoss && points[points.count - 1].validationLoss < points[0].validationLoss)
        #expect(second.initial?.blobRoot == before.parameters.blobRoot)
        #expect(throws: GymError.otherPlan(arm: "a", seed: 1)) { try GymRun(second, arm: second.arms[0], seed: 1, threads: 1, checkpoint: before.checkpoint()) }
    }

    // MARK: Batches

    @Test(arguments: [18, 30, 31, 64, 900, 4_113])
    func `a pass sees every part of the text once, and the next one in another order`(tokens: Int) throws {
        let data = try GymData(text: (0..<2 * tokens).map { UInt8(truncatingIfNeeded: $0) }, alphabet: .bytes, context: 16, trainingShare: 0.5), batches = GymBatches(data, seed: 3)
        let sequences = max(1, tokens / 16 - 1), passes = (0..<3).map { pass in (0..<sequences).map { batches.offset(UInt64(pass * sequences + $0)) } }
        for offsets in passes {
            let sorted = offsets.sorted()
            #expect(sorted[0] >= 0 && sorted[sequences - 1] + 16 < tokens)
            #expect(sorted == (0..<sequences).map { sorted[0] + 16 * $0 })
        }
        if sequences > 4 { #expect(Set(passes.map { offsets in offsets.map { $0 / 16 } }).count == 3) }
    }

    // MARK: Shards

    private func words(_ words: [UInt32]) -> [UInt8] { (words + [UInt32](repeating: 0, count: 256 - words.count)).flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } } }
    private func shards(_ shards: [[UInt8]]) throws(GymError) -> GymData { try GymData(shards: shards, vocabulary: 1_000, context: 8, trainingShare: 0.5) }
    private let tokens: [UInt8] = (0..<100).flatMap { [UInt8($0), 1] }

    @Test func `shards are read bare, or behind llm dot c's header`() throws {
        let bare = try shards([tokens, tokens]), headed = try shards([words([20_240_520, 1, 100]) + tokens, tokens])
        #expect(bare.tokens.count == 200 && bare.tokens[3] == 259 && headed.tokens == bare.tokens && headed.digest == bare.digest)
        #expect(throws: GymError.data("shard 0 has 200 bytes behind its header, which says it has 101 tokens of two bytes")) { try shards([words([20_240_520, 1, 101]) + tokens]) }
        #expect(throws: GymError.self) { try shards([tokens + [1]]) }
    }
}
