import AssayAudit
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

@Suite struct AuditTests {
    private let run = SmallRun()
    private func draw(_ segment: Int, withCompression: Bool = false) -> ReplayDraw {
        ReplayDraw(trainer: Address(number: 1), window: Window(0), segment: UInt32(segment), withCompression: withCompression)
    }
    private func replay(_ draw: ReplayDraw, _ opening: WindowOpening, _ result: WindowResult, served: [UInt8]? = nil, reveal: Reveal? = nil,
                        threads: Int = 1, path: KernelPath = .current, validator: Address = SmallRun.validator) throws -> Replay.Result {
        try Replay(try run.trainer(threads: threads, path: path))
            .replay(draw, opening: opening, served: served, trajectory: result.trajectory, reveal: reveal ?? run.reveal(result), validator: validator)
    }
    /// The second window of an honest trainer: it has a payload of its own and a residual behind it.
    private func secondWindow() throws -> (WindowOpening, WindowResult) {
        let first = try run.trainer().train(run.opening())
        let opening = run.opening(1, ownPayload: first.payload, residual: first.residual)
        return (opening, try run.trainer().train(opening))
    }

    @Test func `every segment of an honest window replays equal, from the opening and from what was served`() throws {
        let (opening, result) = try secondWindow(), trainer = try run.trainer()
        let reveal = run.reveal(result, residualIn: opening.residual!.blobRoot)
        #expect(result.trajectory.digests.count == 7)
        for segment in 0..<5 {
            let alone = try replay(draw(segment), opening, result, reveal: reveal)
            #expect(alone.fact.verdict == .equal && alone.fact.found == result.trajectory.digests[segment + 1])
            #expect(try replay(draw(segment), opening, result, served: trainer.state(at: segment, of: opening).blob, reveal: reveal) == alone)
        }
        let last = try replay(draw(4, withCompression: true), opening, result, reveal: reveal)
        #expect(last.fact.verdict == .equal && last.fact.found == result.trajectory.digests[6])
    }

    @Test func `two who replay agree on the fact whatever their threads and kernels, each with a witness of its own`() throws {
        let (opening, result) = try secondWindow()
        let reveal = run.reveal(result, residualIn: opening.residual!.blobRoot), last = draw(4, withCompression: true)
        let first = try replay(last, opening, result, reveal: reveal)
        #expect(try replay(last, opening, result, reveal: reveal, threads: 2) == first)
        for path in KernelPath.available { #expect(try replay(last, opening, result, reveal: reveal, path: path) == first) }
        let other = try replay(last, opening, result, reveal: reveal, validator: Address(number: 901))
        #expect(other.fact == first.fact && other.witness != first.witness)
    }

    @Test func `a lazy window fails in every segment that was not done`() throws {
        let opening = run.opening(), result = try run.trainer().train(opening, behaviour: .lazy)      // one step of ten
        for segment in 0..<5 { #expect(try replay(draw(segment), opening, result).fact.verdict == .differs) }
        // It cannot serve its way out either: from the states that it claims, training goes on.
        let claimed = try run.trainer().state(at: 0, of: opening).blob
        for segment in 1..<5 { #expect(try replay(draw(segment), opening, result, served: claimed).fact.verdict == .differs) }
    }

    @Test(arguments: [Behaviour.noise, .signflip])
    func `a payload that training does not give fails with the compression`(behaviour: Behaviour) throws {
        let opening = run.opening(), result = try run.trainer().train(opening, behaviour: behaviour)
        #expect(try replay(draw(4, withCompression: true), opening, result).fact.verdict == .differs)
    }

    @Test func `a true trajectory beside another training's payload differs`() throws {
        let opening = run.opening(), honest = try run.trainer().train(opening), turned = try run.trainer().train(opening, behaviour: .signflip)
        var shown = honest
        (shown.payload, shown.payloadRoot) = (turned.payload, turned.payloadRoot)
        let fact = try replay(draw(4, withCompression: true), opening, honest, reveal: run.reveal(shown)).fact
        #expect(fact.verdict == .differs && fact.found == honest.trajectory.digests[6] && fact.expected != fact.found)
        var residual = honest
        residual.residualRoot = turned.residualRoot
        #expect(try replay(draw(4, withCompression: true), opening, honest, reveal: run.reveal(residual)).fact.verdict == .differs)
    }

    @Test func `wrong data, a wrong start or a wrong window differ at once`() throws {
        let honest = try run.trainer().train(run.opening())
        #expect(try replay(draw(0), run.opening(trainer: 2), honest).fact.verdict == .differs)
        #expect(try replay(draw(0), run.opening(1), honest).fact.verdict == .differs)
        #expect(try replay(draw(0), run.opening(parameters: InnerLoop.initialParameters(shape: .micro, philox: Philox(key: 2))), honest).fact.verdict == .differs)
    }

    @Test func `a residual that is not there, not the one, or none of this model, was not served`() throws {
        let (opening, result) = try secondWindow(), last = draw(4, withCompression: true)
        func verdict(_ residual: FloatBuffer?, root: Digest? = nil) throws -> ReplayFact.Verdict {
            var opening = opening
            opening.residual = residual
            return try replay(last, opening, result, reveal: run.reveal(result, residualIn: root ?? residual!.blobRoot)).fact.verdict
        }
        let real = opening.residual!
        #expect(try verdict(nil, root: real.blobRoot) == .unserved)
        #expect(try verdict(randomFloats(real.count, seed: 9), root: real.blobRoot) == .unserved)
        #expect(try verdict(FloatBuffer([1])) == .unserved)
        let wild = real.copy()
        wild[3] = .nan
        #expect(try verdict(wild) == .unserved)
        wild[3] = 3e38
        #expect(try verdict(wild) == .unserved)
        wild[3] = 0x1p59                                              // in bounds, and beyond what a payload can say: no payload is true
        #expect(try verdict(wild) == .differs)
        #expect(try verdict(real) == .equal)
        #expect(try verdict(real, root: .zero) == .differs)           // a restart that was declared and not made
    }

    @Test func `a state that no training comes to is not replayed from, and traps nobody`() throws {
        let opening = run.opening(), honest = try run.trainer().train(opening), real = try run.trainer().state(at: 2, of: opening)
        func verdict(_ change: (inout InnerState) -> Void) throws -> ReplayFact.Verdict {
            var made = real.copy()
            change(&made)
            var digests = honest.trajectory.digests
            digests[2] = made.digest
            var result = honest
            result.trajectory = Trajectory(digests: digests)
            return try replay(draw(2), opening, result, served: made.blob).fact.verdict
        }
        // Each is put aside for the state computed from the opening, so that the segment is held against the truth.
        #expect(try verdict { $0.step = .max } == .equal)
        #expect(try verdict { $0.stepsSinceReset = .max } == .equal)
        #expect(try verdict { $0.beta1Power = 1 } == .equal)
        #expect(try verdict { $0.beta2Power = .nan } == .equal)
        #expect(try verdict { $0.parameters[5] = .nan } == .equal)
        #expect(try verdict { $0.m[5] = .infinity } == .equal)
        #expect(try verdict { $0.v[5] = -1 } == .equal)
        // A possible one is taken at the trainer's word, and fails.
        #expect(try verdict { $0.m[5] += 1 } == .differs)
    }

    @Test func `a served blob that is cut, long or changed is put aside`() throws {
        let opening = run.opening(), result = try run.trainer().train(opening)
        let blob = try run.trainer().state(at: 3, of: opening).blob, alone = try replay(draw(3), opening, result)
        var changed = blob
        changed[1_000] ^= 1
        for served in [[], Array(blob.dropLast()), blob + [0], changed] { #expect(try replay(draw(3), opening, result, served: served) == alone) }
        #expect(throws: InnerState.BlobError.wrongSize(found: 3, expected: 24 + 12 * SmallRun.table.count)) { try InnerState(blob: [1, 2, 3], count: SmallRun.table.count) }
    }

    @Test func `a trajectory of the wrong length, or a segment beyond the last, differs`() throws {
        let opening = run.opening(), result = try run.trainer().train(opening)
        for digests in [[], Array(result.trajectory.digests.dropLast()), result.trajectory.digests + [.zero]] {
            var short = result
            short.trajectory = Trajectory(digests: digests)
            #expect(try replay(draw(4, withCompression: true), opening, short).fact.verdict == .differs)
        }
        #expect(try replay(draw(5), opening, result).fact.verdict == .differs)
        #expect(try replay(draw(Int(UInt32.max)), opening, result).fact.verdict == .differs)
    }

    @Test func `a changed byte names its chunk`() throws {
        var bytes = SmallRun.text
        while bytes.count < 3 * Blob.chunkBytes { bytes += bytes }
        let expected = Blob.tree(bytes).levels[0]
        #expect(Blob.differingChunks(bytes, expected: expected) == [])
        var changed = bytes
        changed[2 * Blob.chunkBytes + 17] ^= 0x40
        #expect(Blob.differingChunks(changed, expected: expected) == [2])
        #expect(Blob.differingChunks(Array(bytes.dropLast()), expected: expected) == [expected.count - 1])
        #expect(Blob.differingChunks(bytes + [UInt8](repeating: 0, count: Blob.chunkBytes), expected: expected).last == expected.count)
    }
}
