import AssayPrimitives
import AssayTensor
import AssayTraining
import Foundation
import TestKit
import Testing

/// Beside Hugging Face transformers: what we write it loads, and what it writes we load. Needs an interpreter with transformers: `make test` makes one and sets ASSAY_PYTHON.
@Suite(.enabled(if: Python.interpreter != nil, Comment(rawValue: Python.absent)))
struct TransformersTests {
    private static let rows = 4
    private static let shapes = [
        ModelShape.micro, ModelShape(vocabulary: 256, context: 32, width: 32, heads: 4, layers: 2, biases: true),
        .microLlama, ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 2, style: .llama, hidden: 72, profile: .i8),
    ]

    private struct Answer: Decodable { let loss: Double, missing: [String], kind: String }

    /// Runs `body` in a folder of its own, which holds the tokens of the batch.
    private func inFolder(_ batch: Batch, _ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "assay-transformers-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("{\"context\": \(batch.context)}".utf8).write(to: folder.appending(path: "sequence.json"))
        var tokens: [UInt16] = []
        for start in stride(from: 0, to: batch.tokens, by: batch.context) {
            tokens += batch.inputs[start..<start + batch.context]
            tokens.append(batch.targets[start + batch.context - 1])
        }
        try tokens.withUnsafeBytes { try Data($0).write(to: folder.appending(path: "tokens.u16")) }
        try body(folder)
    }
    private func ask(_ arguments: String...) throws -> Answer { try JSONDecoder().decode(Answer.self, from: try Python.run("transformers_model.py", arguments: arguments)) }

    /// Sequences in which a token's successor is mostly the same, so that there is something to learn.
    private func batch(_ shape: ModelShape, seed: UInt64) -> Batch {
        var generator = SeededGenerator(seed: seed), inputs: [UInt16] = [], targets: [UInt16] = []
        for _ in 0..<Self.rows {
            var token = generator.below(256)
            for _ in 0..<shape.context {
                inputs.append(UInt16(token))
                token = (5 * token + 17 + generator.below(3)) % 256
                targets.append(UInt16(token))
            }
        }
        return Batch(inputs: inputs, targets: targets, rows: Self.rows, context: shape.context)
    }

    @Test(arguments: shapes)
    func `a trained model that is exported has the same loss in transformers, and comes back bit for bit`(shape: ModelShape) throws {
        let model = Model(shape: shape, rows: Self.rows), loop = InnerLoop(shape: shape, rules: OptimizerRules(learningRate: 1e-2, warmupSteps: 5, decaySteps: 100))
        var state = InnerState(parameters: InnerLoop.initialParameters(shape: shape, philox: Philox(key: 3)))
        for step in 0..<40 { _ = loop.step(&state, batch: batch(shape, seed: UInt64(step)), model: model) }
        let judged = batch(shape, seed: 99), exchange = ModelExchange(shape), file = exchange.file(state.parameters)
        // The export holds floats; what i8 rounds in a product is no part of it.
        let ours = Double(Model(shape: shape.with(.f32), rows: Self.rows).loss(state.parameters, judged))
        #expect(ours < 5.3, "it has learnt something: who guesses is at 5.55")
        try inFolder(judged) { folder in
            try Data(file).write(to: folder.appending(path: "model.safetensors"))
            try Data(shape.configuration.utf8).write(to: folder.appending(path: "config.json"))
            let theirs = try ask("loss", folder.path)
            #expect(abs(theirs.loss - ours) < 1e-4, "ours \(ours), transformers \(theirs.loss)")
            #expect(theirs.missing.isEmpty && theirs.kind == (shape.style == .gpt2 ? "GPT2LMHeadModel" : "LlamaForCausalLM"))
        }
        #expect(try exchange.parameters(file) == state.parameters)
    }

    @Test(arguments: ["gpt2", "llama"])
    func `a model that transformers wrote has the same loss here, and goes on training`(style: String) throws {
        let judged = batch(.micro, seed: 5)
        try inFolder(judged) { folder in
            let theirs = try ask("make", folder.path, style)
            let shape = try ModelShape(configuration: try Data(contentsOf: folder.appending(path: "config.json")))
            #expect(shape.style.name == style && shape.context == judged.context)
            let model = Model(shape: shape, rows: Self.rows)
            var state = InnerState(parameters: try ModelExchange(shape).parameters([UInt8](try Data(contentsOf: folder.appending(path: "model.safetensors")))))
            let before = Double(model.loss(state.parameters, judged))
            #expect(abs(before - theirs.loss) < 1e-4, "ours \(before), transformers \(theirs.loss)")
            let loop = InnerLoop(shape: shape, rules: OptimizerRules(learningRate: 3e-3, warmupSteps: 1, decaySteps: 100))
            for step in 0..<40 { _ = loop.step(&state, batch: batch(shape, seed: 100 + UInt64(step)), model: model) }
            #expect(Double(model.loss(state.parameters, judged)) < before - 0.3)
        }
    }
}
