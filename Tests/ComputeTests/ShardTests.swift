import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTraining
import Testing

@Suite struct ShardTests {
    private let run = SmallRun()
    private func shard(_ assignment: String = "R", trainer: UInt64 = 1, window: UInt64 = 3) -> Shard {
        Shard(run.corpus, assignment: SmallRun.digest(assignment), trainer: Address(number: trainer), window: Window(window), rules: run.rules)
    }
    private func all(_ shard: Shard) -> [Int] { (0..<shard.steps).flatMap { shard.offsets(step: $0) } }

    @Test func `a shard is a pure function of beacon, trainer and window, and changes with each`() {
        #expect(all(shard()) == all(shard()))
        #expect(all(shard()) != all(shard("another R")))
        #expect(all(shard()) != all(shard(trainer: 2)))
        #expect(all(shard()) != all(shard(window: 4)))
        #expect(all(shard()).count == 20)
        #expect(Set(all(shard())).count > 15)
    }

    @Test func `a step's batch can be had without the steps before it`() {
        let backwards = (0..<10).reversed().map { shard().offsets(step: $0) }
        #expect(backwards.reversed().flatMap { $0 } == all(shard()))
    }

    @Test func `no sequence reaches into the validation part, not even by its last target`() throws {
        let corpus = run.corpus
        #expect(corpus.trainingTokens == corpus.bytes.count / 20 * 19)
        for window in UInt64(0)..<200 {
            for offset in all(shard(window: window)) { #expect(offset >= 0 && offset + corpus.context < corpus.trainingTokens) }
        }
        #expect(corpus.trainingOffset(.max) + corpus.context == corpus.trainingTokens - 1)
        #expect(corpus.trainingOffset(0) == 0)
    }

    @Test func `targets are the tokens that follow`() {
        let batch = shard().batch(step: 4), offsets = shard().offsets(step: 4)
        #expect(batch.rows == 2 && batch.context == 32)
        for (row, offset) in offsets.enumerated() {
            #expect(batch.inputs[row * 32..<row * 32 + 32].elementsEqual(run.corpus.bytes[offset..<offset + 32].map(UInt16.init)))
            #expect(batch.targets[row * 32..<row * 32 + 32].elementsEqual(run.corpus.bytes[offset + 1..<offset + 33].map(UInt16.init)))
        }
    }

    @Test func `validation goes once through the last twentieth and stays in it`() {
        let batches = run.corpus.validationBatches(rows: 2, sequences: 1_000)
        let inputs = batches.flatMap(\.inputs)
        #expect(inputs.elementsEqual(run.corpus.bytes[run.corpus.trainingTokens...].prefix(inputs.count).map(UInt16.init)))
        #expect(inputs.count > 900 && inputs.count < run.corpus.bytes.count - run.corpus.trainingTokens)
        #expect(run.corpus.validationBatches(rows: 2, sequences: 3).map(\.rows) == [2, 1])
    }

    @Test func `data that is not the run's is refused by what is wrong with it`() throws {
        let genesis = run.genesis, text = SmallRun.text
        #expect(try Corpus(text, genesis: genesis).trainingTokens == run.corpus.trainingTokens)
        #expect(throws: Corpus.Invalid.wrongSize(found: text.count - 1, expected: UInt64(text.count))) { try Corpus(Array(text.dropLast()), genesis: genesis) }
        var changed = text
        changed[100] ^= 1
        #expect(throws: Corpus.Invalid.wrongData(found: Blob.root(changed), expected: genesis.dataRoot)) { try Corpus(changed, genesis: genesis) }
        #expect(throws: Corpus.Invalid.tooShort(bytes: 0, needed: 1_320)) { try Corpus([], context: 32) }
        #expect(throws: Corpus.Invalid.tooShort(bytes: 1_319, needed: 1_320)) { try Corpus(Array(text.prefix(1_319)), context: 32) }
        _ = try Corpus(Array(text.prefix(1_320)), context: 32)
    }

    @Test func `scoring batches come from the beacon, the own ones out of what was assigned`() {
        let beacon = SmallRun.digest("B"), other = SmallRun.digest("another B")
        let random = ScoringBatches.random(run.corpus, beacon: beacon, rules: run.rules)
        #expect(random.count == 4 && random.map(\.inputs) == ScoringBatches.random(run.corpus, beacon: beacon, rules: run.rules).map(\.inputs))
        #expect(random.map(\.inputs) != ScoringBatches.random(run.corpus, beacon: other, rules: run.rules).map(\.inputs))
        let assigned = (0..<10).map { shard().batch(step: $0).inputs }
        for beacon in [beacon, other] {
            let own = ScoringBatches.own(shard(), trainer: Address(number: 1), beacon: beacon, rules: run.rules)
            #expect(own.count == 2 && own.allSatisfy { assigned.contains($0.inputs) })
        }
    }
}
