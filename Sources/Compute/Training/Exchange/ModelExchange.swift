import AssayTensor

/// A model's parameters as Hugging Face transformers keeps them: `model.safetensors` of GPT2LMHeadModel or LlamaForCausalLM.
///
/// GPT-2's linear weights are [in, out] there as here; Llama's are [out, in] there and are turned around on the way. Where a GPT-2-style model of ours has no
/// biases, zeros are written for those that transformers must have, and only zeros are read for them.
public struct ModelExchange: Sendable {
    public let shape: ModelShape
    public let table: ParameterTable

    public init(_ shape: ModelShape) {
        self.shape = shape
        table = ParameterTable(shape)
    }

    /// A tensor as the file has it.
    private struct Tensor {
        let name: String
        let shape: [Int]
        /// Nil for a bias that we do not have.
        let entry: ParameterTable.Entry?
        let isTransposed: Bool
        var count: Int { shape.reduce(1, *) }
    }

    /// In the order of the table, each missing bias behind its weight.
    private var tensors: [Tensor] {
        table.entries.flatMap { entry -> [Tensor] in
            let isVector = !entry.decays, keepsSides = shape.style == .gpt2 || entry.name.hasSuffix("embed_tokens.weight") || entry.name == "lm_head.weight"
            let sides = isVector ? [entry.columns] : keepsSides ? [entry.rows, entry.columns] : [entry.columns, entry.rows]
            let tensor = Tensor(name: entry.name, shape: sides, entry: entry, isTransposed: !isVector && !keepsSides)
            guard shape.style == .gpt2, !shape.biases, entry.name.hasPrefix("h.") || entry.name.hasPrefix("ln_f") else { return [tensor] }
            return [tensor, Tensor(name: entry.name.dropLast("weight".count) + "bias", shape: [entry.columns], entry: nil, isTransposed: false)]
        }
    }
    /// GPT2LMHeadModel puts all but the head into `transformer`.
    private func fullName(_ name: String) -> String { shape.style == .gpt2 && name != "lm_head.weight" ? "transformer." + name : name }

    // MARK: Export

    /// Hands over the file's bytes piece by piece: header, then one tensor after the other.
    public func write(_ parameters: FloatBuffer, to sink: (UnsafeRawBufferPointer) throws -> Void) rethrows {
        precondition(parameters.count == table.count, "a model of \(table.count) parameters was given \(parameters.count)")
        let tensors = tensors
        try Safetensors.header(tensors.map { (fullName($0.name), $0.shape) }).withUnsafeBytes(sink)
        for tensor in tensors {
            guard let entry = tensor.entry else {
                try FloatBuffer(count: tensor.count).withUnsafeBytes(sink)
                continue
            }
            let values = UnsafeBufferPointer(start: UnsafePointer(parameters.pointer + entry.offset), count: entry.count)
            guard tensor.isTransposed else {
                try sink(UnsafeRawBufferPointer(values))
                continue
            }
            let turned = FloatBuffer(count: entry.count)
            for row in 0..<entry.rows { for column in 0..<entry.columns { turned.pointer[column * entry.rows + row] = values[row * entry.columns + column] } }
            try turned.withUnsafeBytes(sink)
        }
    }
    public func file(_ parameters: FloatBuffer) -> [UInt8] {
        var bytes: [UInt8] = []
        write(parameters) { bytes.append(contentsOf: $0) }
        return bytes
    }

    // MARK: Import

    /// The parameters in a file. Names may stand with and without `transformer.` or `model.`; attention masks and rotation frequencies, which older files
    /// hold as if they were parameters, are passed over; a tied head may stand there a second time.
    ///
    /// - Throws: `ModelExchangeError` if a tensor is missing, unknown, of another shape, not finite, or not read.
    public func parameters(_ file: UnsafeRawBufferPointer) throws(ModelExchangeError) -> FloatBuffer {
        let directory: Safetensors
        do { directory = try Safetensors(file) } catch { throw .file(error) }
        var found: [String: Safetensors.Entry] = [:]
        for entry in directory.entries where !isPassedOver(entry.name) {
            guard found.updateValue(entry, forKey: short(entry.name)) == nil else { throw .twice(entry.name) }
        }
        let wanted = tensors
        for tensor in wanted {                                   // everything is in order before memory for a model is asked for
            guard let entry = found[short(tensor.name)] else { throw .missing(fullName(tensor.name)) }
            guard entry.shape == tensor.shape else { throw .otherShape(entry.name, found: entry.shape, expected: tensor.shape) }
        }
        let head = shape.tied ? found["lm_head.weight"] : nil, known = Set(wanted.map { short($0.name) } + (head == nil ? [] : ["lm_head.weight"]))
        if let unknown = directory.entries.first(where: { !isPassedOver($0.name) && !known.contains(short($0.name)) }) { throw .unknown(unknown.name) }

        let parameters = FloatBuffer(count: table.count)
        for tensor in wanted {
            guard let entry = found[short(tensor.name)] else { throw .missing(tensor.name) }
            try read(entry, of: file, tensor, into: parameters)
        }
        if let head { try checkTied(head, of: file, parameters) }
        return parameters
    }
    public func parameters(_ file: [UInt8]) throws(ModelExchangeError) -> FloatBuffer {
        let result: Result<FloatBuffer, ModelExchangeError> = file.withUnsafeBytes { bytes in Result { () throws(ModelExchangeError) in try parameters(bytes) } }
        return try result.get()
    }

    private func short(_ name: String) -> String {
        let prefix = shape.style == .gpt2 ? "transformer." : "model."
        return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }
    private func isPassedOver(_ name: String) -> Bool { [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"].contains { name.hasSuffix($0) } }

    private func read(_ entry: Safetensors.Entry, of file: UnsafeRawBufferPointer, _ tensor: Tensor, into parameters: FloatBuffer) throws(ModelExchangeError) {
        var finite = true, zero = true
        let target = tensor.entry.map { parameters.pointer + $0.offset }, rows = tensor.entry?.rows ?? 1, columns = tensor.entry?.columns ?? 1
        do throws(SafetensorsError) {
            try Safetensors.read(entry, of: file) { index, value in
                finite = finite && value.isFinite
                zero = zero && value == 0
                target?[tensor.isTransposed ? index % rows * columns + index / rows : index] = value
            }
        } catch { throw .file(error) }
        guard finite else { throw .notFinite(entry.name) }
        if target == nil, !zero { throw .hasBiases(entry.name) }
    }

    private func checkTied(_ head: Safetensors.Entry, of file: UnsafeRawBufferPointer, _ parameters: FloatBuffer) throws(ModelExchangeError) {
        guard head.shape == [shape.vocabulary, shape.width] else { throw .otherShape(head.name, found: head.shape, expected: [shape.vocabulary, shape.width]) }
        var equal = true
        do throws(SafetensorsError) { try Safetensors.read(head, of: file) { equal = equal && parameters.pointer[$0] == $1 } } catch { throw .file(error) }
        guard equal else { throw .notTied }
    }
}

/// Why a file is not the parameters of a model.
public enum ModelExchangeError: Error, Hashable, Sendable, CustomStringConvertible {
    case file(SafetensorsError)
    case missing(String)
    case unknown(String)
    case twice(String)
    case otherShape(String, found: [Int], expected: [Int])
    case notFinite(String)
    /// A model without biases was asked for.
    case hasBiases(String)
    /// A model was asked for whose head is its tokens' matrix, and the file has another head.
    case notTied

    public var description: String {
        switch self {
        case .file(let error): "\(error)"
        case .missing(let name): "the model has a tensor \(name), the file has none"
        case .unknown(let name): "the file has a tensor \(name), the model has none"
        case .twice(let name): "tensor \(name) stands there twice, with and without its prefix"
        case .otherShape(let name, let found, let expected): "tensor \(name) has the shape \(found); the model needs \(expected)"
        case .notFinite(let name): "tensor \(name) holds an infinity or NaN"
        case .hasBiases(let name): "tensor \(name) is not zero; the model was said to have no biases"
        case .notTied: "lm_head.weight is not the tokens' matrix; the model was said to be tied"
        }
    }
}
