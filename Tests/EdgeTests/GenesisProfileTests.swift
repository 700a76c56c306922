import AssayNode
import AssayProtocol
import Foundation
import Testing

@Suite struct GenesisProfileTests {
    private func rules(_ profile: String) throws -> ModelRules {
        let text = "{\"name\":\"x\",\"vocabulary\":256,\"context\":16,\"width\":16,\"heads\":2,\"layers\":1,\"biases\":false\(profile)}"
        return try JSONDecoder().decode(GenesisFile.Model.self, from: Data(text.utf8)).rules()
    }

    @Test func `a model is of profile f32 unless its file says i8, and another word is refused by name`() throws {
        #expect(try rules("").profile == .f32)
        #expect(try rules(",\"profile\":\"f32\"").profile == .f32)
        #expect(try rules(",\"profile\":\"i8\"").profile == .i8)
        let error = #expect(throws: Failure.self) { try rules(",\"profile\":\"bf16\"") }
        #expect(error?.description.contains("bf16") == true)
    }
}
