import AssayTensor

/// Where each tensor lies in the one flat allocation. Gradients, moments and residuals lie the same way.
///
/// Names are those of Hugging Face's GPT2LMHeadModel without its "transformer.", and of LlamaForCausalLM. Weights of linear layers are [in, out], as
/// GPT-2's are there and Llama's are not; tokens and head are [vocabulary, width] everywhere.
public struct ParameterTable: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public let name: String
        /// 1 for a vector.
        public let rows: Int
        public let columns: Int
        public let offset: Int
        /// Matrices shrink by weight decay; norms and biases do not.
        public let decays: Bool
        /// A linear layer out of the residual stream: it begins the smaller the wider its input is.
        public let reads: Bool
        /// A linear layer back into the residual stream, which begins smaller the deeper the model is.
        public let projects: Bool
        public var count: Int { rows * columns }
        public var range: Range<Int> { offset..<(offset + count) }
    }

    public let entries: [Entry]
    public let count: Int
    /// Where these tensors begin in the whole model's allocation: a stage's lie there one after the other, as they do in its own.
    public let start: Int
    /// The first tensor's number in the whole model, and the whole model's parameters.
    public let firstNumber: Int, wholeCount: Int
    public var range: Range<Int> { start..<start + count }

    /// - Parameter part: of the model whose tensors these are; nil for all.
    public init(_ shape: ModelShape, _ part: ModelPart? = nil) {
        let part = part ?? ModelPart(whole: shape)
        var entries: [Entry] = []
        var offset = 0, skipped = 0, skippedTensors = 0, whole = 0, isWanted = part.isFirst
        func add(_ name: String, _ rows: Int, _ columns: Int, decays: Bool, reads: Bool = false, projects: Bool = false) {
            whole += rows * columns
            guard isWanted else {
                if entries.isEmpty { (skipped, skippedTensors) = (skipped + rows * columns, skippedTensors + 1) }
                return
            }
            entries.append(Entry(name: name, rows: rows, columns: columns, offset: offset, decays: decays, reads: reads, projects: projects))
            offset += rows * columns
        }
        func norm(_ name: String) {
            add(name + ".weight", 1, shape.width, decays: false)
            if shape.biases { add(name + ".bias", 1, shape.width, decays: false) }
        }
        func linear(_ name: String, _ inputs: Int, _ outputs: Int, projects: Bool = false) {
            add(name + ".weight", inputs, outputs, decays: true, reads: !projects, projects: projects)
            if shape.biases { add(name + ".bias", 1, outputs, decays: false) }
        }
        switch shape.style {
        case .gpt2:
            add("wte.weight", shape.vocabulary, shape.width, decays: true)
            add("wpe.weight", shape.context, shape.width, decays: true)
            for layer in 0..<shape.layers {
                isWanted = part.layers.contains(layer)
                norm("h.\(layer).ln_1")
                linear("h.\(layer).attn.c_attn", shape.width, 3 * shape.width)
                linear("h.\(layer).attn.c_proj", shape.width, shape.width, projects: true)
                norm("h.\(layer).ln_2")
                linear("h.\(layer).mlp.c_fc", shape.width, shape.hidden)
                linear("h.\(layer).mlp.c_proj", shape.hidden, shape.width, projects: true)
            }
            isWanted = part.isLast
            norm("ln_f")
        case .llama:
            add("model.embed_tokens.weight", shape.vocabulary, shape.width, decays: true)
            for layer in 0..<shape.layers {
                let name = "model.layers.\(layer)."
                isWanted = part.layers.contains(layer)
                norm(name + "input_layernorm")
                linear(name + "self_attn.q_proj", shape.width, shape.width)
                linear(name + "self_attn.k_proj", shape.width, shape.keyWidth)
                linear(name + "self_attn.v_proj", shape.width, shape.keyWidth)
                linear(name + "self_attn.o_proj", shape.width, shape.width, projects: true)
                norm(name + "post_attention_layernorm")
                linear(name + "mlp.gate_proj", shape.width, shape.hidden)
                linear(name + "mlp.up_proj", shape.width, shape.hidden)
                linear(name + "mlp.down_proj", shape.hidden, shape.width, projects: true)
            }
            isWanted = part.isLast
            norm("model.norm")
        }
        if !shape.tied { add("lm_head.weight", shape.vocabulary, shape.width, decays: true) }
        (self.entries, count, start) = (entries, offset, skipped)
        (firstNumber, wholeCount) = (skippedTensors, whole)
    }

    public subscript(name: String) -> Entry? { entries.first { $0.name == name } }
}

extension ParameterTable {
    /// Sums of squares by chunk and tensor, added in Double in table order to those of the tensors before: of the whole model, or of a stage's part after the parts before it.
    func sumSquares(_ values: FloatBuffer, addedTo total: Double = 0, _ kernels: Kernels) -> Double {
        kernels.job { entries.reduce(total) { $0 + kernels.sumSquares($1.count, values.pointer + $1.offset) } }
    }
}
