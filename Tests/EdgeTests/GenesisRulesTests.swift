import AssayNode
import AssayProtocol
import Testing

/// What a genesis file may ask of training, and what it is told where a network cannot have it.
@Suite struct GenesisRulesTests {
    private func training(_ change: (inout GenesisFile.Training) -> Void = { _ in }) throws -> TrainingRules {
        var training = EdgeFuzz.genesisFile.training
        change(&training)
        return try training.rules()
    }
    private func refusal(_ change: (inout GenesisFile.Training) -> Void) -> String? {
        do { _ = try training(change) } catch { return "\(error)" }
        return nil
    }

    @Test func `every compressor and aggregation has a name, and the rest is as it was where nothing is said`() throws {
        for compressor in TrainingRules.Compressor.allCases { #expect(try training { ($0.compressor, $0.rank) = (compressor.name, 4) }.compressor == compressor) }
        for aggregation in TrainingRules.Aggregation.allCases { #expect(try training { $0.aggregation = aggregation.name }.aggregation == aggregation) }
        #expect(try training { $0.delay = "plain" }.delay == .plain)
        let rules = try training()
        #expect(rules.aggregation == .clippedMean && rules.innerState == .reset && rules.adaptation == nil && rules.allowedSteps == 20...20)
    }

    @Test func `micro-batches are one where nothing is said, and must divide the rows`() throws {
        #expect(try training().microBatches == 1 && training { $0.microBatches = 2 }.microBatches == 2)
        for wrong: UInt32 in [0, 3, 5, .max] { #expect(refusal { $0.microBatches = wrong }?.contains("microBatches is \(wrong)") == true) }
    }

    @Test func `rank and steps adapt with a compressor that has a rank, within limits around it`() throws {
        func adapted(_ compressor: String, windows: UInt32 = 5, energy: UInt32 = 950_000, _ least: UInt32, _ most: UInt32) -> (inout GenesisFile.Training) -> Void {
            { ($0.compressor, $0.rank, $0.adaptation) = (compressor, 8, .init(windows: windows, energyPerMillion: energy, minimumRank: least, maximumRank: most)) }
        }
        #expect(try training(adapted("lowrank-int4", 4, 16)).adaptation == .init(minimumRank: 4, maximumRank: 16))
        #expect(refusal(adapted("int4", 4, 16))?.contains("Only lowrank-int4 has a rank") == true)
        for wrong in [adapted("lowrank-int4", 9, 16), adapted("lowrank-int4", 4, 7), adapted("lowrank-int4", 0, 16), adapted("lowrank-int4", 4, 1_025), adapted("lowrank-int4", windows: 0, 4, 16), adapted("lowrank-int4", windows: 1_001, 4, 16), adapted("lowrank-int4", energy: 0, 4, 16)] {
            #expect(refusal(wrong)?.contains("adaptation over") == true)
        }
    }

    @Test func `what the ledger's windows do not carry is refused by name`() {
        #expect(refusal { $0.innerState = "carry" }?.contains("innerState") == true)
        #expect(refusal { $0.delay = "none" }?.contains("delay") == true)
        #expect(refusal { $0.innerState = "reset" } == nil)
    }

    @Test func `a range of steps holds H, in whole segments, sixteen at the most`() throws {
        let rules = try training { ($0.minimumSteps, $0.maximumSteps) = (10, 80) }
        #expect(rules.allowedSteps == 10...80 && [10, 15, 20, 80].allSatisfy(rules.allows) && ![0, 5, 12, 85].contains(where: rules.allows))
        for (least, most) in [(0, 20), (12, 20), (25, 30), (10, 15), (10, 22), (5, 85)] as [(UInt32, UInt32)] {
            #expect(refusal { ($0.minimumSteps, $0.maximumSteps) = (least, most) }?.contains("minimumSteps is \(least), maximumSteps \(most)") == true)
        }
    }

    @Test func `numbers that no compressor or rule takes are refused by their field`() {
        #expect(refusal { $0.compressor = "zip" }?.contains("dct-topk") == true)
        #expect(refusal { ($0.compressor, $0.rank) = ("lowrank-int4", 0) }?.contains("rank") == true)
        #expect(refusal { ($0.compressor, $0.keptValues) = ("topk", 5_000) }?.contains("keptValues") == true)
        #expect(refusal { ($0.compressor, $0.valueBits) = ("dct-topk", 4) }?.contains("valueBits") == true)
        #expect(refusal { ($0.compressor, $0.oneOf) = ("sparta", 0) }?.contains("oneOf") == true)
        #expect(refusal { $0.trimmedSharePerMillion = 500_000 }?.contains("trimmedShare") == true)
        #expect(refusal { $0.centeringRadius = .nan }?.contains("centering") == true)
    }
}
