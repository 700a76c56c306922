import AssayGym
import AssayTraining
import Foundation
import TestKit
import Testing

/// A gym beside PyTorch, which draws the same first parameters and batches by the rules of Docs/Gym.md.
@Suite(.enabled(if: Python.interpreter != nil, Comment(rawValue: Python.absent)))
struct GymTorchTests {
    private struct Reference: Decodable { let losses: [Double], validation: [String: Double], final: Double }

    /// In float64 what is left is our own rounding; in float32 the two round differently.
    @Test(arguments: [("float64", 2e-4), ("float32", 5e-4)])
    func `an arm's losses are PyTorch's`(kind: String, tolerance: Double) throws {
        let gym = SmallGym(#"{ "name": "a", "strategy": "adamw" }"#, extra: #""data": { "alphabet": "characters" },"#)
        let folder = FileManager.default.temporaryDirectory.appending(path: "assay-gym-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(gym.json.utf8).write(to: folder.appending(path: "gym.json"))
        try Data(SmallRun.text).write(to: folder.appending(path: "text"))
        let output = try Python.run("gym_reference.py", arguments: [folder.appending(path: "gym.json").path, "--data", folder.appending(path: "text").path, "--dtype", kind])
        let expected = try JSONDecoder().decode(Reference.self, from: output), result = try gym.result(), points = result.points
        #expect(expected.losses.count == 30 && expected.validation.count == points.count)
        let final = try #require(result.finalLoss)
        #expect(abs(final - expected.final) < tolerance, "\(final), PyTorch \(expected.final)")
        for point in points {
            let judged = try #require(expected.validation["\(point.step)"])
            #expect(abs(point.validationLoss - judged) < tolerance, "step \(point.step): \(point.validationLoss), PyTorch \(judged)")
            guard let trained = point.trainingLoss else { continue }
            let mean = expected.losses[point.step - 10..<point.step].reduce(0, +) / 10
            #expect(abs(trained - mean) < tolerance, "step \(point.step): \(trained), PyTorch \(mean)")
        }
    }
}
