import AssayNode
import Foundation
import Testing

/// Real processes in trouble. `assay localnet chaos` plays longer, and other seeds.
@Suite(.serialized)
struct ChaosTests {
    private func steps(seed: UInt64, _ count: Int, kinds: [ChaosScript.Kind] = ChaosScript.Kind.standing) -> [ChaosScript.Step] {
        var script = ChaosScript(seed: seed, kinds: kinds, size: 4)
        return (0..<count).map { _ in script.next(members: [0, 1, 2, 3], count: 4) }
    }

    @Test func `troubles follow from the seed, and each kind has come before one comes again`() {
        for seed in UInt64(0)..<50 {
            #expect(steps(seed: seed, 40) == steps(seed: seed, 40))
            #expect(Set(steps(seed: seed, 5).map(\.kind)) == Set(ChaosScript.Kind.standing))
        }
        #expect(Set((UInt64(0)..<50).map { steps(seed: $0, 8).map(\.description) }).count == 50)
    }

    @Test func `no trouble strikes one twice, or more than half of the committee, or two disks at once`() {
        for seed in UInt64(0)..<200 {
            for step in steps(seed: seed, 50) {
                let victims = step.struck + (step.also.map { [$0.victim] } ?? [])
                #expect(Set(victims).count == victims.count && victims.allSatisfy { (0..<4).contains($0) }, "\(step)")
                #expect(step.kind == .part ? (1...2).contains(step.struck.count) : step.struck.count == 1, "\(step)")
                #expect(step.also.map { [.kill, .stop].contains($0.kind) } ?? true, "\(step)")
                #expect((500..<20_000).contains(step.milliseconds))
            }
        }
    }

    @Test func `somebody leaves only after somebody has joined, and no more join than fit`() {
        for seed in UInt64(0)..<50 {
            var script = ChaosScript(seed: seed, kinds: ChaosScript.Kind.allCases, size: 4), members = [0, 1, 2, 3], count = 4
            for _ in 0..<100 {
                let step = script.next(members: members, count: count)
                #expect(step.struck.allSatisfy { members.contains($0) })
                if step.kind == .join {
                    members.append(count)
                    count += 1
                }
                if step.kind == .leave { members.removeAll { $0 == step.struck[0] } }
                #expect((4...5).contains(members.count) && count <= 7)
            }
            #expect(count == 7)
        }
    }

    @Test(.enabled(if: Program.isThere, "\(Program.absent)"), .timeLimit(.minutes(20)))
    func `killed, stopped, parted, wiped and out of room, validators come back; no fork, and nobody is slashed for it`() async throws {
        let outcome = try await Program.run(["localnet", "chaos", "--data", Program.text!, "--only", "kill,stop,part,wipe,fill", "--steps", "6", "--seconds", "900", "--json"])
        #expect(outcome.status == 0, "\(outcome.errors.suffix(3_000))")
        let report = try JSONDecoder().decode(Chaos.Report.self, from: Data(outcome.output.utf8))
        #expect(report.violation == nil && report.steps == 6 && report.compared >= 6 && report.commits > 0 && report.windows > 1)
        for kind in ["kill", "stop", "part", "wipe", "fill"] { #expect((report.troubles[kind]?.count ?? 0) > 0, "\(kind): \(report.text)") }
        print(outcome.errors)
    }

    @Test(.enabled(if: Program.isThere, "\(Program.absent)"), .timeLimit(.minutes(20)))
    func `one joins by stake and one leaves, and nobody restarts for it`() async throws {
        let outcome = try await Program.run(["localnet", "chaos", "--data", Program.text!, "--only", "join,leave", "--steps", "2", "--epoch-seconds", "10", "--seconds", "900", "--json"])
        #expect(outcome.status == 0, "\(outcome.errors.suffix(3_000))")
        let report = try JSONDecoder().decode(Chaos.Report.self, from: Data(outcome.output.utf8))
        #expect(report.violation == nil && report.troubles["join"]?.count == 1 && report.troubles["leave"]?.count == 1 && report.epochs >= 2, "\(report.text)")
        print(outcome.errors)
    }

    @Test(.enabled(if: Program.isThere, "\(Program.absent)")) func `a trouble that nobody knows is wrong usage`() async throws {
        let outcome = try await Program.run(["localnet", "chaos", "--data", Program.text!, "--only", "kill,earthquake"])
        #expect(outcome.status == 2 && outcome.errors.contains("earthquake") && outcome.errors.contains("wipe"), "\(outcome.errors)")
    }
}
