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
    /// That every arm and seed starts from; nil: drawn by the seed.
    public let initial: FloatBuffer?

    /// - Parameter initial: of `shape(file, vocabulary:)`, where the file names any.
    public init(_ file: GymFile, data: GymData, initial: FloatBuffer? = nil) throws(GymError) {
        let model = file.model
        let shape = try GymPlan.shape(model, vocabulary: data.vocabulary)
        (self.shape, self.initial) = (shape, initial)
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
        tokens = sequences * model.context
        let table = ParameterTable(shape)
        parameters = table.count
        precondition((initial?.count ?? table.count) == table.count, "\(initial?.count ?? 0) first parameters for a model of \(table.count)")
        // What cannot be made is said before hours are spent on the arms before it.
        for (index, arm) in arms.enumerated() where arm.strategy == .diloco {
            do { _ = try Compressors.make(arm.rules, table: table) } catch { throw .field("arms[\(index)].compressor", "\(error)") }
        }
    }

    /// The shape of the file's model on data of this vocabulary.
    public static func shape(_ model: GymFile.Model, vocabulary: Int) throws(GymError) -> ModelShape {
        guard let profile = NumericsProfile(named: model.profile ?? "f32") else {
            throw .field("model.profile", "there is no “\(model.profile ?? "")”; known are \(NumericsProfile.allCases.map(\.name).joined(separator: ", "))")
        }
        guard let style = ModelStyle(named: model.style ?? "gpt2") else {
            throw .field("model.style", "there is no “\(model.style ?? "")”; known are \(ModelStyle.allCases.map(\.name).joined(separator: ", "))")
        }
        func number(_ value: Int) -> UInt32 { UInt32(clamping: value) }
        let rules = ModelRules(
            name: "gym", vocabulary: number(vocabulary), context: number(model.context), width: number(model.width), heads: number(model.heads), layers: number(model.layers), biases: model.biases,
            style: style, hidden: model.hidden.map(number), keyValueHeads: model.keyValueHeads.map(number), tied: model.tied ?? (style == .gpt2), profile: profile)
        do { return try ModelShape(rules) } catch {
            guard case .outOfRange(let field, let value, let range) = error else { throw .field("model", "\(error)") }
            throw .field("model.\(field)", "is \(value), allowed is \(range.lowerBound)…\(range.upperBound)")
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
            // What came later is only hashed where it is used, so that checkpoints from before stay good.
            if shape != ModelShape(vocabulary: shape.vocabulary, context: shape.context, width: shape.width, heads: shape.heads, layers: shape.layers, biases: shape.biases, profile: shape.profile) {
                $0.append("shape")
                $0.append(shape.style)
                for number in [shape.hidden, shape.keyValueHeads, shape.tied ? 1 : 0] { $0.append(UInt64(number)) }
            }
            if let initial {
                $0.append("initial")
                $0.append(initial.blobRoot)
            }
        }
    }
}
