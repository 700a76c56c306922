import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

/// What holds for every compressor alike.
@Suite struct CompressorTests {
    private typealias Kit = CompressorKit
    private static let update = CompressorKit.update(1)

    @Test(arguments: CompressorKit.Kind.allCases, KernelPath.available)
    func `every path and number of threads writes and reads the same bits`(kind: CompressorKit.Kind, path: KernelPath) throws {
        let one = try kind.make(), payload = one.compress(Self.update, Kit.context), decoded = try one.decompress(payload, Kit.context)
        for threads in 1...3 {
            let other = try kind.make(path: path, threads: threads)
            #expect(other.compress(Self.update, Kit.context) == payload)
            #expect(try other.decompress(payload) == decoded)
        }
    }

    /// Stands for every machine. It changes with the rule of a compressor and with nothing else.
    static let roots: [CompressorKit.Kind: String] = [
        .none: "0x74165598388951623a5b35c7834bdd39b3e87fbb7938a276ed7ff6e8d30581a0",
        .int4: "0xe9c18822049891422123eded87c406e3f67087cdd86d0e54a66d2935b217f84d",
        .int8: "0x0ebea69339155952c7e7436f23af3bda4e2ec23caab96aca69a6c2c2c9dd8f53",
        .lowRank: "0x50d58f0824ac7f7f71a1728488644bc1d41b7448b7c377960a5d5e45ec92017e",
        .topK8: "0x04c796ae39743a434b1728c7a38b19a6bf9f87dc3647b851342c358b8a760855",
        .topK2: "0xa777740a3da88905792223081f19799d63021e6e0feb86257d502a55625ad055",
        .topK1: "0x6a59c118a76337ee3970a33944d1b934c67020e85475887dd1aac32b85ec3453",
        .dctTopK8: "0x81cac80d9d33336911bee76201af9ae75f3fda4f9c767d32465fbefde74db7e3",
        .dctTopK2: "0x36caeac25822651a5292243dc554bb56773810b7dc323eb06a0d54d8164d1f37",
        .dctTopK1: "0xd8bce0acd8b10f256cbd206a4146152f55532f36410a67a3373b50a1659b12c5",
        .sparta8: "0x8d403e8589da5a8bb913d52a3660c12505e27415b521cb366787a90a5570bac1",
        .sparta32: "0xcee7e9b1ebf1f056c5f1c7a27c9315c499a4150d15b67604414af99c889df59f",
    ]

    @Test(arguments: CompressorKit.Kind.allCases)
    func `payload and what it decodes to are the committed ones`(kind: CompressorKit.Kind) throws {
        let compressor = try kind.make(), payload = compressor.compress(Self.update, Kit.context)
        let root = Digest.tagged("payload and values") {
            $0.append(Blob.root(payload))
            if let decoded = try? compressor.decompress(payload) { $0.append(decoded.blobRoot) }
        }
        #expect("\(root)" == Self.roots[kind], "\(kind): \(payload.count) bytes")
    }

    /// ‖δ − δ̂‖ ÷ ‖δ‖ at the most, and bytes against those of floats.
    static let bounds: [CompressorKit.Kind: (error: Double, share: Double)] = [
        .none: (0, 1), .int4: (0.12, 0.16), .int8: (0.006, 0.28), .lowRank: (0.35, 0.12), .topK8: (0.83, 0.07), .topK2: (0.87, 0.06), .topK1: (0.85, 0.05),
        .dctTopK8: (0.9, 0.07), .dctTopK2: (0.92, 0.06), .dctTopK1: (0.9, 0.05), .sparta8: (1, 0.04), .sparta32: (1, 0.11),
    ]
    @Test(arguments: CompressorKit.Kind.allCases)
    func `what is decoded is as near as the kind promises, and what is sent as little`(kind: CompressorKit.Kind) throws {
        let compressor = try kind.make(), payload = compressor.compress(Self.update, Kit.context), bound = try #require(Self.bounds[kind])
        let error = Kit.relativeError(Self.update, try compressor.decompress(payload)), share = Double(payload.count) / Double(4 * Kit.table.count)
        #expect(error <= bound.error && share <= bound.share, "error \(error), share \(share)")
    }

    @Test(arguments: CompressorKit.Kind.allCases)
    func `nothing compresses to nothing, and numbers of any kind trap nowhere`(kind: CompressorKit.Kind) throws {
        let compressor = try kind.make(), count = Kit.table.count
        let nothing = compressor.compress(FloatBuffer(count: count), Kit.context)
        #expect(try compressor.decompress(nothing) == FloatBuffer(count: count))
        for strange in [Float.nan, .infinity, -.infinity, 3e38, 0x1p-149, -0.0] {
            let some = CompressorKit.update(2), all = FloatBuffer(count: count)
            for index in stride(from: 5, to: count, by: 701) { some[index] = strange }
            all.fill(strange)
            for values in [some, all] {
                if let decoded = try? compressor.decompress(compressor.compress(values, Kit.context), Kit.context) { #expect(decoded.allFinite) }
            }
        }
    }

    @Test(arguments: CompressorKit.Kind.allCases)
    func `decoded payloads and the last residual add up to what was trained`(kind: CompressorKit.Kind) throws {
        let compressor = try kind.make(), kernels = Kernels(), count = Kit.table.count
        var residual: FloatBuffer?, trained = [Double](repeating: 0, count: count), sent = trained
        for window in UInt64(0)..<5 {
            let progress = CompressorKit.update(40 + window), context = CompressionContext(assignment: SmallRun.digest("window \(window)"))
            let delta = PseudoGradient.delta(overwriting: progress.copy(), end: FloatBuffer(count: count), residual: residual, kernels)
            let decoded = try compressor.decompress(compressor.compress(delta, context), context)
            residual = PseudoGradient.residual(overwriting: delta, decoded: decoded, decay: 1, kernels)
            for index in 0..<count {
                trained[index] += Double(progress[index])
                sent[index] += Double(decoded[index])
            }
        }
        // Five roundings of numbers below ½, twice over.
        for index in 0..<count { #expect(abs(trained[index] - sent[index] - Double(residual![index])) < 10 * 0x1p-25) }
    }

    @Test(arguments: CompressorKit.Kind.allCases)
    func `a payload is like itself and like a copy with little changed, not like another trainer's`(kind: CompressorKit.Kind) throws {
        let compressor = try kind.make(), payload = compressor.compress(Self.update, Kit.context)
        #expect(compressor.likeness(payload, payload) == 1_000_000)
        #expect(compressor.likeness(payload, Array(payload.dropLast())) == 0 && compressor.likeness([], payload) == 0)
        #expect(compressor.likeness(payload, compressor.compress(CompressorKit.update(3), Kit.context)) < 700_000)
        let near = Self.update.copy()
        for index in stride(from: 0, to: near.count, by: 50) { near[index] *= 1.3 }
        // A change somewhere is a change of all coefficients.
        if !kind.rawValue.hasPrefix("dct") { #expect(compressor.likeness(payload, compressor.compress(near, Kit.context)) > 500_000) }
    }

    @Test(arguments: CompressorKit.Kind.allCases)
    func `wrong sizes, magics and counts are refused`(kind: CompressorKit.Kind) throws {
        let compressor = try kind.make(), payload = compressor.compress(Self.update, Kit.context)
        #expect(Kit.refusal(payload, compressor) == nil)
        for wrong in [[], Array(payload.prefix(7)), Array(payload.dropLast()), payload + [0], payload + payload] {
            switch Kit.refusal(wrong, compressor) {
            case .wrongSize, .truncated, .trailingBytes: break
            case let other: Issue.record("\(wrong.count) bytes instead of \(payload.count): \(String(describing: other))")
            }
        }
        guard kind != .none else { return }
        var magic = payload, count = payload
        magic[2] ^= 0x20
        CompressorKit.store(UInt32(Kit.table.count + 1), &count, at: 4)
        #expect(Kit.refusal(magic, compressor) == .wrongMagic(Kit.word(magic, at: 0)))
        #expect(Kit.refusal(count, compressor) == .wrongCount(found: UInt32(Kit.table.count + 1), expected: Kit.table.count))
    }

    @Test func `rules that no compressor can be made of are refused`() {
        func isRefused(_ change: (inout TrainingRules) -> Void) -> Bool {
            var rules = SmallRun.rules
            change(&rules)
            do { _ = try Compressors.make(rules, table: Kit.table) } catch { return error is Compressors.Unknown }
            return false
        }
        #expect(isRefused { $0.compressor = .lowRankInt4 })
        #expect(isRefused { ($0.compressor, $0.rank) = (.lowRankInt4, 1_025) })
        #expect(isRefused { ($0.compressor, $0.rank, $0.adaptation) = (.lowRankInt4, 4, .init(minimumRank: 5, maximumRank: 8)) })
        #expect(isRefused { ($0.compressor, $0.valueBits) = (.topK, 4) })
        #expect(isRefused { ($0.compressor, $0.keptValues) = (.dctTopK, 4_097) })
        #expect(isRefused { ($0.compressor, $0.valueBits) = (.sparta, 2) })
        #expect(isRefused { ($0.compressor, $0.oneOf) = (.sparta, 0) })
        #expect(!isRefused { ($0.compressor, $0.rank, $0.adaptation) = (.lowRankInt4, 4, .init(minimumRank: 1, maximumRank: 8)) })
    }
}
