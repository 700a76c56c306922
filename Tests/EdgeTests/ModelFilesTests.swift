import AssayNode
import AssayPrimitives
import AssayProtocol
import AssayTraining
import Foundation
import Testing

@Suite struct ModelFilesTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "assay-model-\(UUID().uuidString)")

    private func rules(_ more: String) throws -> ModelRules {
        let text = "{\"name\":\"x\",\"vocabulary\":256,\"context\":16,\"width\":16,\"heads\":2,\"layers\":1,\"biases\":false\(more)}"
        return try JSONDecoder().decode(GenesisFile.Model.self, from: Data(text.utf8)).rules()
    }
    private func complaint(_ body: () throws -> Void) -> String {
        do { try body() } catch { return "\(error)" }
        return "nothing was refused"
    }

    @Test func `a genesis model is of style gpt2 unless its file says llama, and what cannot be is refused by name`() throws {
        let plain = try rules(""), llama = try rules(#","style":"llama","hidden":40,"keyValueHeads":1"#)
        #expect(plain.style == .gpt2 && plain.hidden == 64 && plain.keyValueHeads == 2 && plain.tied)
        #expect(llama.style == .llama && llama.hidden == 40 && llama.keyValueHeads == 1 && !llama.tied)
        for (more, expected) in [(#","style":"bert""#, "bert"), (#","hidden":0"#, "hidden is 0, allowed is 1…16384"), (#","style":"llama","keyValueHeads":3"#, "keyValueHeads")] {
            #expect(complaint { _ = try rules(more) }.contains(expected))
        }
    }

    @Test func `a model is written and read again, as a directory and as a file, and another one is refused`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        for shape in [ModelShape.micro, .microLlama] {
            let place = folder.appending(path: shape.style.name), parameters = InnerLoop.initialParameters(shape: shape, philox: Philox(key: 1))
            try ModelFiles.write(parameters, shape: shape, to: place)
            try ModelFiles.write(parameters, shape: shape, to: place)
            #expect(try ModelFiles.read(place, shape: shape).blobRoot == parameters.blobRoot)
            #expect(try ModelFiles.read(place.appending(path: "model.safetensors"), shape: shape).blobRoot == parameters.blobRoot)
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.path).sorted() == ["config.json", "model.safetensors"])
        }
        let otherHeads = ModelShape(vocabulary: 256, context: 32, width: 32, heads: 4, layers: 2)
        #expect(complaint { _ = try ModelFiles.read(folder.appending(path: "gpt2"), shape: otherHeads) }.contains("heads is 2, the one to train has 4"))
        #expect(complaint { _ = try ModelFiles.read(folder.appending(path: "nothing"), shape: .micro) }.contains("no model"))
    }
}
