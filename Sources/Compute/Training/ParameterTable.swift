/// Where each tensor lies in the one flat allocation. Gradients, moments and residuals lie the same way.
///
/// Names and layouts are those of Hugging Face's GPT2LMHeadModel, so weights of linear layers are [in, out] and an export renames nothing.
public struct ParameterTable: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public let name: String
        /// 1 for a vector.
        public let rows: Int
        public let columns: Int
        public let offset: Int
        /// Matrices shrink by weight decay; norms and biases do not.
        public let decays: Bool
        public var count: Int { rows * columns }
        public var range: Range<Int> { offset..<(offset + count) }
    }

    public let entries: [Entry]
    public let count: Int

    public init(_ shape: ModelShape) {
        var entries: [Entry] = []
        var offset = 0
        func add(_ name: String, _ rows: Int, _ columns: Int, decays: Bool) {
            entries.append(Entry(name: name, rows: rows, columns: columns, offset: offset, decays: decays))
            offset += rows * columns
        }
        func norm(_ name: String) {
            add(name + ".weight", 1, shape.width, decays: false)
            if shape.biases { add(name + ".bias", 1, shape.width, decays: false) }
        }
        func linear(_ name: String, _ inputs: Int, _ outputs: Int) {
            add(name + ".weight", inputs, outputs, decays: true)
            if shape.biases { add(name + ".bias", 1, outputs, decays: false) }
        }
        add("wte.weight", shape.vocabulary, shape.width, decays: true)
        add("wpe.weight", shape.context, shape.width, decays: true)
        for layer in 0..<shape.layers {
            norm("h.\(layer).ln_1")
            linear("h.\(layer).attn.c_attn", shape.width, 3 * shape.width)
            linear("h.\(layer).attn.c_proj", shape.width, shape.width)
            norm("h.\(layer).ln_2")
            linear("h.\(layer).mlp.c_fc", shape.width, 4 * shape.width)
            linear("h.\(layer).mlp.c_proj", 4 * shape.width, shape.width)
        }
        norm("ln_f")
        self.entries = entries
        count = offset
    }

    public subscript(name: String) -> Entry? { entries.first { $0.name == name } }
}
