import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import AssayTensor
import AssayTraining
import TestKit
import Testing

/// What fuzzing the decoders and reading them for it brought to light, each as the small input that shows it.
struct FoundByFuzzingTests {
    /// Offsets of an array's elements may all point at one place: a few kilobytes were then decoded into megabytes, by their square.
    @Test func `call data whose offsets overlap is refused, and what an encoder writes is not`() throws {
        let types: [ABIType] = [.array(.bytes)]
        let count = 64, long = [UInt8](repeating: 9, count: 4_096)
        var data = U256(32 as UInt64).bigEndianBytes + U256(UInt64(count)).bigEndianBytes
        for _ in 0..<count { data += U256(UInt64(32 * count)).bigEndianBytes }
        data += U256(UInt64(long.count)).bigEndianBytes + long
        #expect(throws: ABIError.overlapping) { try ABI.decode(types, data) }
        // Offsets that point back at their own array, over and over.
        guard case .tuple(let deep)? = ABIType("(uint256[][][])") else { preconditionFailure("a type") }
        let loop = U256(0 as UInt64).bigEndianBytes + (0..<60).flatMap { _ in U256(0 as UInt64).bigEndianBytes }
        #expect(throws: Never.self) { _ = try? ABI.decode(deep, loop) }
        let honest: [ABIValue] = [.array([.bytes(long), .bytes([]), .bytes([1])])]
        #expect(try ABI.decode(types, ABI.encode(honest)) == honest)
    }

    /// Such a group has scale 0 when it is compressed: with a scale of its own it was the same update with other bytes.
    @Test func `a group whose scale is smaller than any that is written is refused`() throws {
        let compressor = QuantisedCompressor(.four, tensors: [64])
        var payload = compressor.compress(FloatBuffer((0..<64).map { _ in 0x1p-100 }))
        #expect(throws: Never.self) { _ = try compressor.decompress(payload) }
        let least = (0..<4).reduce(0 as UInt32) { $0 | UInt32(payload[8 + $1]) << UInt32(8 * $1) }
        for bits in [least - 1, 1, 0x0080_0000] {
            for place in 0..<4 { payload[8 + place] = UInt8(truncatingIfNeeded: bits >> UInt32(8 * place)) }
            #expect(throws: PayloadError.scaleOutOfRange(group: 0, bits: bits)) { _ = try compressor.decompress(payload) }
        }
    }

    /// Two scales, a unit in the last place apart, may have one sevenfold: a group of ±7 and 0 then had two encodings.
    @Test func `of two scales with the same largest value only the one that is written is taken`() throws {
        let compressor = QuantisedCompressor(.four, tensors: [64])
        let values = FloatBuffer((0..<64).map { $0 == 0 ? 1.0041 : 0 })
        let written = compressor.compress(values)
        func word(_ payload: [UInt8]) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(payload[8 + $1]) << UInt32(8 * $1) } }
        for bits in [word(written) - 1, word(written) + 1] {
            var other = written
            for place in 0..<4 { other[8 + place] = UInt8(truncatingIfNeeded: bits >> UInt32(8 * place)) }
            let sevenfold = Float(bitPattern: bits) * 7
            guard let taken = try? compressor.decompress(other) else { continue }
            #expect(taken.withUnsafeBytes { Array($0) } != (try compressor.decompress(written)).withUnsafeBytes { Array($0) }, "the same values in other bytes, with the scale \(sevenfold / 7)")
            #expect(compressor.compress(taken) == other)
        }
        #expect(try compressor.compress(compressor.decompress(written)) == written)
        // Found so: this one's sevenfold is its neighbour's.
        var found = compressor.compress(FloatBuffer((0..<64).map { _ in 1 }))
        for (place, byte) in ([0x84, 0x6F, 0x12, 0x3E] as [UInt8]).enumerated() { found[8 + place] = byte }
        #expect(throws: PayloadError.groupNotNormal(group: 0)) { _ = try compressor.decompress(found) }
    }

    /// A validator may answer a trainer with anything that decodes: a view without phases ended the process, and a segment that does not exist was computed.
    @Test func `a trainer outlives a view without phases, and serves no segment that does not exist`() throws {
        let world = WorldGenesis(windows: 4), me = world.trainers[0], root = Digest.sha256([1])
        func effects(segment: UInt32, phases: [PhaseView]) -> [Trainer.Effect] {
            let reveal = Reveal(parametersRoot: root, payloadRoot: root, trajectoryRoot: root, residualIn: .zero, residualOut: root, steps: 20, salt: root)
            var view = WindowView(window: Window(1), assignment: root, outer: .first(parametersRoot: root), phases: phases)
            view.replays = [ReplayView(draw: ReplayDraw(trainer: me.owner.address, window: Window(1), segment: segment, withCompression: false), replayers: [], reveal: reveal, parametersRoot: root, assignment: root, ownPayload: nil)]
            let status = RunStatus(run: world.genesis.runID, runIndex: 0, head: CommitIndex(1), time: Instant(1), phaseClock: 1, opened: Window(1), settled: Window(0), over: false, trainers: [me.owner.address], residuals: [], validators: [])
            var trainer = Trainer(identity: me.identity, genesis: world.genesis)
            return trainer.handle(.viewed(LedgerHead(status: status, views: [view])), now: Instant(1))
        }
        func serves(_ effects: [Trainer.Effect]) -> Bool { effects.contains { if case .serve = $0 { true } else { false } } }
        let open = WindowPhase.allCases.map { _ in PhaseView(opened: 1, limit: nil, closed: false) }
        #expect(serves(effects(segment: world.genesis.training.segments - 1, phases: open)))
        for segment in [world.genesis.training.segments, .max] { #expect(!serves(effects(segment: segment, phases: open))) }
        #expect(!serves(effects(segment: 0, phases: [])))
    }
}
