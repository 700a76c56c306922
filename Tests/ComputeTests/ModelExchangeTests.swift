import AssayPrimitives
import AssayTensor
import AssayTraining
import Testing

@Suite struct ModelExchangeTests {
    private static let shapes = [
        ModelShape.micro, ModelShape(vocabulary: 101, context: 7, width: 42, heads: 3, layers: 2, biases: true, hidden: 50, tied: false),
        .microLlama, ModelShape(vocabulary: 65, context: 9, width: 24, heads: 4, layers: 1, style: .llama, hidden: 40),
    ]
    private func parameters(_ shape: ModelShape) -> FloatBuffer {
        let parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 8))
        for index in 0..<parameters.count where parameters[index] == 0 { parameters[index] = Float(index) * 0x1p-20 }     // biases begin at zero
        return parameters
    }
    private func entries(_ file: [UInt8]) throws -> [Safetensors.Entry] { try file.withUnsafeBytes { try Safetensors($0).entries } }

    /// A file with the same tensors, changed one by one: nil leaves one out.
    private func rewritten(_ file: [UInt8], adding more: [(String, [Int])] = [], _ change: (Safetensors.Entry) -> (name: String, shape: [Int], data: [UInt8])?) throws -> [UInt8] {
        var header = "", data: [UInt8] = []
        func add(_ name: String, _ shape: [Int], _ bytes: [UInt8]) {
            header += "\(header.isEmpty ? "" : ",")\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(data.count),\(data.count + bytes.count)]}"
            data += bytes
        }
        for entry in try entries(file) { if let changed = change(entry) { add(changed.name, changed.shape, changed.data) } }
        for (name, shape) in more { add(name, shape, [UInt8](repeating: 0, count: 4 * shape.reduce(1, *))) }
        let text = Array("{\(header)}".utf8)
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text + data
    }

    @Test(arguments: shapes)
    func `what is exported comes back bit for bit, and its configuration is the shape again`(shape: ModelShape) throws {
        let parameters = parameters(shape), exchange = ModelExchange(shape), file = exchange.file(parameters)
        #expect(try exchange.parameters(file) == parameters)
        let found = try ModelShape(configuration: Array(shape.configuration.utf8))
        #expect(found == ModelShape(vocabulary: shape.vocabulary, context: shape.context, width: shape.width, heads: shape.heads, layers: shape.layers, biases: shape.style == .gpt2,
                                    style: shape.style, hidden: shape.hidden, keyValueHeads: shape.keyValueHeads, tied: shape.tied))
    }

    @Test func `names and shapes are those of transformers`() throws {
        func shapes(_ shape: ModelShape) throws -> [String: [Int]] {
            Dictionary(uniqueKeysWithValues: try entries(ModelExchange(shape).file(parameters(shape))).map { ($0.name, $0.shape) })
        }
        let gpt2 = try shapes(.micro), llama = try shapes(.microLlama)
        #expect(gpt2["transformer.wpe.weight"] == [32, 32] && gpt2["transformer.h.1.attn.c_attn.weight"] == [32, 96] && gpt2["transformer.h.1.attn.c_attn.bias"] == [96])
        #expect(gpt2["transformer.h.0.mlp.c_proj.weight"] == [128, 32] && gpt2["transformer.ln_f.bias"] == [32] && gpt2["lm_head.weight"] == nil && gpt2.count == 28)
        #expect(llama["model.layers.1.self_attn.k_proj.weight"] == [16, 32] && llama["model.layers.0.mlp.down_proj.weight"] == [32, 80])
        #expect(llama["model.norm.weight"] == [32] && llama["lm_head.weight"] == [256, 32] && llama.count == 21)
    }

    @Test func `a Llama weight is turned around on the way`() throws {
        let shape = ModelShape.microLlama, parameters = parameters(shape), file = ModelExchange(shape).file(parameters)
        let entry = try #require(try entries(file).first { $0.name == "model.layers.0.mlp.up_proj.weight" }), ours = try #require(ParameterTable(shape)[entry.name])
        try file.withUnsafeBytes { bytes in
            try Safetensors.read(entry, of: bytes) { index, value in
                let (output, input) = (index / shape.width, index % shape.width)
                if value != parameters[ours.offset + input * shape.hidden + output] { Issue.record("output \(output), input \(input)") }
            }
        }
    }

    @Test func `prefixes may be left out, and masks are passed over`() throws {
        for (shape, prefix, mask) in [(ModelShape.micro, "transformer.", "h.0.attn.bias"), (.microLlama, "model.", "layers.0.self_attn.rotary_emb.inv_freq")] {
            let parameters = parameters(shape), exchange = ModelExchange(shape), file = exchange.file(parameters)
            let bare = try rewritten(file, adding: [(mask, [1, 1, 2, 2])]) { ($0.name.hasPrefix(prefix) ? String($0.name.dropFirst(prefix.count)) : $0.name, $0.shape, Array(file[$0.range])) }
            #expect(try exchange.parameters(bare) == parameters)
        }
    }

    @Test func `a tied head may stand there a second time, if it is the tokens' matrix`() throws {
        let shape = ModelShape.micro, exchange = ModelExchange(shape), file = exchange.file(parameters(shape))
        let tokens = try #require(try entries(file).first { $0.name == "transformer.wte.weight" })
        let zero = try rewritten(file, adding: [("lm_head.weight", tokens.shape)]) { ($0.name, $0.shape, Array(file[$0.range])) }
        #expect(throws: ModelExchangeError.notTied) { try exchange.parameters(zero) }
        let copy = zero.dropLast(tokens.range.count) + file[tokens.range]
        #expect(try exchange.parameters(Array(copy)) == exchange.parameters(file))
    }

    @Test func `a file of another model is refused with what differs`() throws {
        let shape = ModelShape.micro, exchange = ModelExchange(shape), file = exchange.file(parameters(shape))
        func same(_ entry: Safetensors.Entry) -> (name: String, shape: [Int], data: [UInt8])? { (entry.name, entry.shape, Array(file[entry.range])) }
        func check(_ expected: ModelExchangeError, _ bytes: [UInt8]) { #expect(throws: expected) { try exchange.parameters(bytes) } }
        check(.missing("transformer.ln_f.weight"), try rewritten(file) { $0.name == "transformer.ln_f.weight" ? nil : same($0) })
        check(.unknown("transformer.h.7.ln_1.weight"), try rewritten(file, adding: [("transformer.h.7.ln_1.weight", [32])], same))
        check(.twice("wpe.weight"), try rewritten(file, adding: [("wpe.weight", [32, 32])], same))
        check(.otherShape("transformer.wte.weight", found: [32, 256], expected: [256, 32]),
              try rewritten(file) { $0.name == "transformer.wte.weight" ? ($0.name, [32, 256], Array(file[$0.range])) : same($0) })
        check(.notFinite("transformer.wpe.weight"), try rewritten(file) { entry in
            guard entry.name == "transformer.wpe.weight" else { return same(entry) }
            return (entry.name, entry.shape, [0, 0, 0x80, 0x7f] + file[entry.range].dropFirst(4))
        })
        check(.hasBiases("transformer.ln_f.bias"), try rewritten(file) { entry in
            guard entry.name == "transformer.ln_f.bias" else { return same(entry) }
            return (entry.name, entry.shape, [0, 0, 0x80, 0x3f] + file[entry.range].dropFirst(4))
        })
        check(.file(.tooShort(bytes: 2)), [1, 2])
        #expect(throws: ModelExchangeError.self) { try ModelExchange(.microLlama).parameters(file) }
    }

    @Test func `a configuration that our kernels do not compute is refused by its field`() {
        func read(_ shape: ModelShape, _ from: String, _ to: String) throws -> ModelShape { try ModelShape(configuration: Array(shape.configuration.replacing(from, with: to).utf8)) }
        let llama = ModelShape.microLlama
        for (shape, field, from, to) in [
            (ModelShape.micro, "activation_function", "gelu_new", "relu"), (.micro, "layer_norm_epsilon", "1e-05", "1e-06"), (.micro, "n_head", "\"n_head\": 2", "\"n_head\": 2.5"),
            (.micro, "model_type", "\"model_type\": \"gpt2\"", "\"model_type\": \"bert\""), (.micro, "tie_word_embeddings", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": 1"),
            (.micro, "n_embd", "n_embd", "n_other"), (llama, "rms_norm_eps", "\"rms_norm_eps\": 1e-05", "\"other\": 1"), (llama, "rope_theta", "10000.0", "500000.0"),
            (llama, "rope_scaling", "\"mlp_bias\": false", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}"), (llama, "attention_bias", "\"attention_bias\": false", "\"attention_bias\": true"),
            (llama, "head_dim", "\"head_dim\": 8", "\"head_dim\": 16"),
        ] {
            do {
                _ = try read(shape, from, to)
                Issue.record("\(field) was taken")
            } catch let ModelConfigurationError.field(found, _) { #expect(found == field) } catch { Issue.record("\(field): \(error)") }
        }
        #expect(throws: ModelConfigurationError.shape(.outOfRange("vocabulary", 70_000, 2...65_536))) { try read(.micro, "\"vocab_size\": 256", "\"vocab_size\": 70000") }
        #expect(throws: ModelConfigurationError.text(.endsEarly)) { try ModelShape(configuration: Array("{".utf8)) }
    }
}
