import AssayProtocol

extension ModelShape {
    /// `config.json` for transformers: GPT2LMHeadModel or LlamaForCausalLM with these sizes, no dropout, and no special tokens.
    public var configuration: String {
        let common: [(String, String)] = [("torch_dtype", "\"float32\""), ("tie_word_embeddings", "\(tied)"), ("bos_token_id", "null"), ("eos_token_id", "null")]
        let fields: [(String, String)] = switch style {
        case .gpt2:
            [("architectures", "[\"GPT2LMHeadModel\"]"), ("model_type", "\"gpt2\""), ("vocab_size", "\(vocabulary)"), ("n_positions", "\(context)"), ("n_ctx", "\(context)"),
             ("n_embd", "\(width)"), ("n_layer", "\(layers)"), ("n_head", "\(heads)"), ("n_inner", "\(hidden)"), ("activation_function", "\"gelu_new\""),
             ("layer_norm_epsilon", "1e-05"), ("scale_attn_weights", "true"), ("resid_pdrop", "0.0"), ("embd_pdrop", "0.0"), ("attn_pdrop", "0.0")]
        case .llama:
            [("architectures", "[\"LlamaForCausalLM\"]"), ("model_type", "\"llama\""), ("vocab_size", "\(vocabulary)"), ("max_position_embeddings", "\(context)"),
             ("hidden_size", "\(width)"), ("num_hidden_layers", "\(layers)"), ("num_attention_heads", "\(heads)"), ("num_key_value_heads", "\(keyValueHeads)"),
             ("head_dim", "\(headSize)"), ("intermediate_size", "\(hidden)"), ("hidden_act", "\"silu\""), ("rms_norm_eps", "1e-05"), ("rope_theta", "10000.0"),
             ("attention_bias", "false"), ("mlp_bias", "false"), ("attention_dropout", "0.0")]
        }
        return "{\n" + (fields + common).map { "  \(JSONText.quoted($0.0)): \($0.1)" }.joined(separator: ",\n") + "\n}\n"
    }

    /// The shape that a `config.json` of transformers names, biases as they are there. What our kernels do not compute is refused by its field.
    ///
    /// - Parameter profile: to train in; the file says nothing of it.
    public init(configuration text: some Collection<UInt8>, profile: NumericsProfile = .f32) throws(ModelConfigurationError) {
        let json: JSONText
        do { json = try JSONText(text, limit: ModelShape.configurationLimit) } catch { throw .text(error) }
        let fields = ConfigurationFields(json)
        guard case .string(let type)? = json["model_type"], let style = ModelStyle(named: type) else { throw .field("model_type", "known are \(ModelStyle.allCases.map(\.name).joined(separator: ", "))") }
        let rules: ModelRules
        switch style {
        case .gpt2:
            let width = try fields.number("n_embd")
            try fields.check("activation_function", ["gelu_new", "gelu_pytorch_tanh"], otherwise: "gelu_new")
            try fields.check("layer_norm_epsilon", 1e-5, otherwise: 1e-5)
            try fields.check("scale_attn_weights", true, otherwise: true)
            try fields.check("scale_attn_by_inverse_layer_idx", false, otherwise: false)
            try fields.check("add_cross_attention", false, otherwise: false)
            rules = ModelRules(
                name: type, vocabulary: try fields.number("vocab_size"), context: try fields.number("n_positions"), width: width, heads: try fields.number("n_head"),
                layers: try fields.number("n_layer"), biases: true, hidden: try fields.number("n_inner", otherwise: width &* 4), tied: try fields.truth("tie_word_embeddings", otherwise: true), profile: profile)
        case .llama:
            let heads = try fields.number("num_attention_heads"), width = try fields.number("hidden_size")
            try fields.check("hidden_act", ["silu", "swish"], otherwise: "silu")
            try fields.check("rms_norm_eps", 1e-5, otherwise: 1e-6)
            try fields.checkRotation()
            for field in ["attention_bias", "mlp_bias"] { try fields.check(field, false, otherwise: false) }
            if let size = json["head_dim"], size != .null, heads == 0 || size.integer != Int(width / heads) { throw .field("head_dim", "must be hidden_size ÷ num_attention_heads") }
            rules = ModelRules(
                name: type, vocabulary: try fields.number("vocab_size"), context: try fields.number("max_position_embeddings"), width: width, heads: heads,
                layers: try fields.number("num_hidden_layers"), biases: false, style: .llama, hidden: try fields.number("intermediate_size"),
                keyValueHeads: try fields.number("num_key_value_heads", otherwise: heads), tied: try fields.truth("tie_word_embeddings", otherwise: false), profile: profile)
        }
        do { try self.init(rules) } catch { throw .shape(error) }
    }

    static let configurationLimit = 1 << 20
}

/// Fields of a configuration, each missing one as transformers has it.
private struct ConfigurationFields {
    let json: JSONText
    init(_ json: JSONText) { self.json = json }

    private func given(_ name: String) -> JSONText? { json[name] == .null ? nil : json[name] }

    func number(_ name: String, otherwise fallback: UInt32? = nil) throws(ModelConfigurationError) -> UInt32 {
        guard let value = given(name) else {
            guard let fallback else { throw .field(name, "is missing") }
            return fallback
        }
        guard let number = value.integer.flatMap({ UInt32(exactly: $0) }) else { throw .field(name, "must be a whole number") }
        return number
    }
    func truth(_ name: String, otherwise fallback: Bool) throws(ModelConfigurationError) -> Bool {
        switch given(name) {
        case nil: return fallback
        case .boolean(let value)?: return value
        default: throw .field(name, "must be true or false")
        }
    }
    func check(_ name: String, _ allowed: Bool, otherwise fallback: Bool) throws(ModelConfigurationError) {
        guard try truth(name, otherwise: fallback) == allowed else { throw .field(name, "allowed is \(allowed)") }
    }
    func check(_ name: String, _ allowed: [String], otherwise fallback: String) throws(ModelConfigurationError) {
        guard case .string(let value) = given(name) ?? .string(fallback), allowed.contains(value) else { throw .field(name, "allowed is \(allowed.joined(separator: ", "))") }
    }
    func check(_ name: String, _ allowed: Double, otherwise fallback: Double) throws(ModelConfigurationError) {
        let value: Double? = switch given(name) { case nil: fallback; case .number(let text)?: Double(text); default: nil }
        guard value == allowed else { throw .field(name, "allowed is \(allowed)") }
    }

    /// Newer files have the rotation in an object of its own.
    func checkRotation() throws(ModelConfigurationError) {
        try check("rope_theta", 10_000, otherwise: 10_000)
        for name in ["rope_scaling", "rope_parameters"] {
            guard let rotation = given(name) else { continue }
            let inner = ConfigurationFields(rotation)
            do throws(ModelConfigurationError) {
                try inner.check("rope_theta", 10_000, otherwise: 10_000)
                for kind in ["rope_type", "type"] { try inner.check(kind, ["default"], otherwise: "default") }
            } catch { throw .field(name, "allowed is type default with rope_theta 10000") }
        }
    }
}

/// Why a configuration is not one of ours.
public enum ModelConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    case text(JSONTextError)
    case field(String, String)
    case shape(ModelShapeError)

    public var description: String {
        switch self {
        case .text(let error): "\(error)"
        case .field(let field, let problem): "\(field): \(problem)"
        case .shape(let error): "\(error)"
        }
    }
}
