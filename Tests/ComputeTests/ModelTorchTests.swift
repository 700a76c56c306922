import AssayPrimitives
import AssayTensor
import AssayTraining
import Foundation
import TestKit
import Testing

/// Beside PyTorch in float64, which nobody here wrote. Needs an interpreter with torch: `make test` makes one and sets ASSAY_PYTHON.
@Suite(.enabled(if: Python.interpreter != nil, Comment(rawValue: Python.absent)))
struct ModelTorchTests {
    private static let steps = 10, rows = 3

    struct Case: Encodable {
        struct Tensor: Encodable { let name: String, rows: Int, columns: Int, offset: Int, decays: Bool }
        let style: String, width: Int, heads: Int, keyValueHeads: Int, layers: Int, context: Int, biases: Bool, rows: Int, steps: Int
        let learningRate: Float, minimumLearningRate: Float, warmupSteps: Int, decaySteps: Int, beta1: Float, beta2: Float, epsilon: Float
        let weightDecay: Float, clip: Float
        let tensors: [Tensor]
    }

    private static let shapes = [
        ModelShape.micro, ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 2, biases: true),
        ModelShape(vocabulary: 256, context: 32, width: 32, heads: 2, layers: 2, biases: true, hidden: 72, tied: false),
        .microLlama, ModelShape(vocabulary: 256, context: 32, width: 36, heads: 3, layers: 2, style: .llama, hidden: 100),
    ]

    @Test(arguments: shapes)
    func `every gradient agrees to 1e-5 and ten steps agree in loss to 1e-4`(shape: ModelShape) throws {
        let rules = OptimizerRules(learningRate: 3e-3, minimumLearningRate: 3e-4, warmupSteps: 3, decaySteps: 20)
        let table = ParameterTable(shape)
        // Tokens and projections five times the usual spread, so that attention and GELU leave their linear parts; biases and norms off their flat start.
        let parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 11))
        var generator = SeededGenerator(seed: 12)
        for entry in table.entries {
            for index in entry.range {
                if entry.decays { parameters[index] *= entry.reads ? 1 : 5 } else { parameters[index] += Float(generator.below(1_000)) / 5_000 - 0.1 }
            }
        }
        let batches = (0..<Self.steps).map { _ in
            let tokens = (0..<(Self.rows * shape.context * 2)).map { _ in UInt16(generator.below(256)) }
            return Batch(inputs: Array(tokens.prefix(tokens.count / 2)), targets: Array(tokens.suffix(tokens.count / 2)), rows: Self.rows, context: shape.context)
        }
        let expected = try torch(shape, rules, table, parameters, batches)

        let model = Model(shape: shape, rows: Self.rows), gradient = FloatBuffer(count: table.count)
        _ = model.lossAndGradient(parameters, batches[0], into: gradient)
        for entry in table.entries {
            let difference = entry.range.map { Double(gradient[$0]) - expected.gradients[$0] }
            let relative = length(difference) / length(entry.range.map { expected.gradients[$0] })
            #expect(relative < 1e-5, "\(entry.name): \(relative)")
        }
        var state = InnerState(parameters: parameters)
        let loop = InnerLoop(shape: shape, rules: rules)
        for (step, batch) in batches.enumerated() {
            let loss = Double(loop.step(&state, batch: batch, model: model).loss)
            #expect(abs(loss - expected.losses[step]) < 1e-4, "step \(step): \(loss), PyTorch \(expected.losses[step])")
        }
    }

    private func length(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    private func torch(
        _ shape: ModelShape, _ rules: OptimizerRules, _ table: ParameterTable, _ parameters: FloatBuffer, _ batches: [Batch]
    ) throws -> (gradients: [Double], losses: [Double]) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "assay-torch-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let description = Case(
            style: shape.style.name, width: shape.width, heads: shape.heads, keyValueHeads: shape.keyValueHeads, layers: shape.layers, context: shape.context, biases: shape.biases, rows: Self.rows, steps: Self.steps,
            learningRate: rules.learningRate, minimumLearningRate: rules.minimumLearningRate, warmupSteps: rules.warmupSteps, decaySteps: rules.decaySteps,
            beta1: rules.beta1, beta2: rules.beta2, epsilon: rules.epsilon, weightDecay: rules.weightDecay, clip: rules.clip,
            tensors: table.entries.map { .init(name: $0.name, rows: $0.rows, columns: $0.columns, offset: $0.offset, decays: $0.decays) })
        try JSONEncoder().encode(description).write(to: folder.appending(path: "case.json"))
        try Data(parameters.littleEndianBytes()).write(to: folder.appending(path: "parameters.f32"))
        let tokens = batches.flatMap { $0.inputs + $0.targets }
        try tokens.withUnsafeBytes { try Data($0).write(to: folder.appending(path: "tokens.u16")) }

        _ = try Python.run("torch_gradients.py", arguments: [folder.path])
        func doubles(_ name: String) throws -> [Double] {
            let data = try Data(contentsOf: folder.appending(path: name))
            return data.withUnsafeBytes { raw in (0..<(raw.count / 8)).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self) } }
        }
        let (gradients, losses) = (try doubles("gradients.f64"), try doubles("losses.f64"))
        try #require(gradients.count == table.count && losses.count == Self.steps)
        return (gradients, losses)
    }
}
