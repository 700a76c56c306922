import AssayNode
import Foundation
import Testing

/// `assay bench consensus`: that it does what it measures, not how fast.
@Suite(.serialized) struct ConsensusBenchTests {
    @Test(arguments: ["opaque", "signed"])
    func `a short run in one process commits what was offered and sums it up`(load: String) async throws {
        var options = try ConsensusBench.Options(load: load)
        (options.validators, options.rate, options.seconds, options.warmUpSeconds, options.bytes) = (4, 200, 2, 1, 256)
        (options.inOneProcess, options.fsync) = (true, false)
        let report = try await ConsensusBench.run(options) { _ in }

        #expect(report.stateRootsEqual && report.comparedCommits > 0)
        #expect(report.refused == 0 && report.lost == 0, "\(report.text)")
        #expect((380...420).contains(report.offeredPerSecond * report.seconds))
        // All of it was committed, none was lost or refused; how much of it before measuring ended is up to a busy machine.
        let latency = report.latencyMilliseconds
        #expect(0 < latency.p50 && latency.p50 <= latency.p90 && latency.p90 <= latency.p99 && latency.p99 <= latency.max)
        #expect(report.rounds > 0 && report.commits > 0)
        #expect(report.networkBytesPerTransaction > 3 * 256, "three others get each transaction")
        #expect(report.cpuMicrosecondsPerTransaction > 0)
        #expect(report.text.contains("equal over"))
        _ = try JSONEncoder().encode(report)
    }

    @Test func `options that make no sense are refused by name`() throws {
        #expect(throws: Failure.self) { try ConsensusBench.Options(load: "heavy") }
        func refusal(_ change: (inout ConsensusBench.Options) -> Void) throws -> String? {
            var options = try ConsensusBench.Options(load: "signed")
            change(&options)
            do { try options.check() } catch { return "\(error)" }
            return nil
        }
        #expect(try refusal { _ in } == nil)
        #expect(try refusal { $0.rate = 0 }?.contains("--rate") == true)
        #expect(try refusal { $0.validators = 33 }?.contains("--validators 33") == true)
        #expect(try refusal { $0.bytes = 40 }?.contains("--bytes 40") == true)
        #expect(try refusal { $0.seconds = .nan }?.contains("--seconds") == true)
    }
}
