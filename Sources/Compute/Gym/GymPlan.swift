import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining

/// A gym file with everything settled: the model, the data, and arms that all train on equally many tokens.
///
/// The rule of equal tokens: a step's sequences are shared evenly by an arm's workers, and steps · rows is the same for all arms. An arm with other `rows` than the
/// file takes so many more or fewer steps.
public struct GymPlan: Sendable {
    public let name: String
    public let shape: ModelShape
    public let evaluation: GymFile.Evaluation
    public let arms: [GymArm]
    public let seeds: [UInt64]
    public let data: GymData
    /// That every arm trains on.
    public let tokens: Int
    public let parameters: Int

    public init(_ file: GymFile, data: GymData) throws(GymError) {
        let model = file.model
        for (field, value, range) in [("context", model.context, 1...4_096), ("width", model.width, 1...4_096), ("heads", model.heads, 1...256), ("layers", model.layers, 1...256)]
        where !range.contains(value) { throw .field("model.\(field)", "is \(value), allowed is \(range.lowerBound)…\(range.upperBound)") }
        guard model.width.isMultiple(of: model.heads) else { throw .field("model.width", "\(model.width) is not a multiple of heads \(model.heads)") }
        guard let profile = NumericsProfile(named: model.profile ?? "f32") else {
            throw .field("model.profile", "there is no “\(model.profile ?? "")”; known are \(NumericsProfile.allCases.map(\.name).joined(separator: ", "))")
        }
        precondition(data.context == model.context, "data cut for a context of \(data.context), a model of \(model.context)")
        guard !file.seeds.isEmpty, file.seeds.count <= 1_000, Set(file.seeds).count == file.seeds.count else { throw .field("seeds", "there must be at least one, and none twice") }
        guard file.evaluation.every > 0, file.evaluation.sequences >= 0, file.evaluation.finalSequences >= 0 else {
            throw .field("evaluation", "every must be at least 1, sequences and finalSequences at least 0 (0 for the whole validation part)")
        }
        guard (1...65_536).contains(file.rows) else { throw .field("rows", "is \(file.rows), allowed is 1…65536") }
        let sequences = try GymPlan.sequences(file)
        var written: [String: GymFile.Arm] = [:], arms: [GymArm] = []
        for (index, arm) in file.arms.enumerated() {
            let field = "arms[\(index)]", name = arm.name ?? ""
            var whole = arm.over(file.defaults)
            if let like = arm.like {
                guard let other = written[like] else { throw .field("\(field).like", "there is no arm “\(like)” before this one") }
                whole = arm.over(other)
            }
            let settled = try GymArm(whole, name: name, fileRows: file.rows, sequences: sequences, fileOptimizer: file.optimizer, at: field)
            guard written.updateValue(whole, forKey: name) == nil else { throw .field("\(field).name", "there are two arms “\(name)”") }
            arms.append(settled)
        }
        guard !arms.isEmpty, arms.count <= 1_000 else { throw .field("arms", "there must be between 1 and 1000") }
        (name, evaluation, self.arms, seeds, self.data) = (file.name, file.evaluation, arms, file.seeds, data)
        shape = ModelShape(vocabulary: data.vocabulary, context: model.context, width: model.width, heads: model.heads, layers: model.layers, biases: model.biases, profile: profile)
        tokens = sequences * model.context
        let table = ParameterTable(shape)
        parameters = table.count
        // What cannot be made is said before hours are spent on the arms before it.
        for (index, arm) in arms.enumerated() where arm.strategy == .diloco {
            do { _ = try Compressors.make(arm.rules, table: table) } catch { throw .field("arms[\(index)].compressor", "\(error)") }
        }
    }

    /// Sequences that every arm trains on.
    private static func sequences(_ file: GymFile) throws(GymError) -> Int {
        switch (file.steps, file.tokens) {
        case (let steps?, nil):
            guard (1...100_000_000).contains(steps) else { throw .field("steps", "is \(steps), allowed is 1…100000000") }
            return steps * file.rows
        case (nil, let tokens?):
            let ofStep = file.rows * file.model.context
            guard tokens > 0, tokens <= 1 << 50, tokens.isMultiple(of: ofStep) else { throw .field("tokens", "\(tokens) are no whole number of steps of \(ofStep) tokens (rows · context)") }
            return tokens / file.model.context
        default: throw .field("steps", "give either steps or tokens")
        }
    }

    /// What the numbers of an arm and a seed depend on; a checkpoint is bound to it. Other arms, seeds and the words of the file are not in it.
    public func digest(_ arm: GymArm, seed: UInt64) -> Digest {
        Digest.tagged("assay/gym/arm/1") {
            $0.append(data.digest)
            for number in [shape.vocabulary, shape.context, shape.width, shape.heads, shape.layers, shape.biases ? 1 : 0, evaluation.every, evaluation.sequences, evaluation.finalSequences] {
                $0.append(UInt64(number))
            }
            $0.append(shape.profile)
            arm.encode(into: &$0)
            $0.append(seed)
        }
    }
}
