import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator
import AssayTensor
import AssayTraining
import TestKit
import Testing

/// Everything that decodes what a peer sent, under mutated inputs: see `Docs/Fuzzing.md`. The short form, by a fixed seed; the long one is the same test.
struct DecoderFuzzTests {
    @Test(arguments: Decoders.all)
    func `no input traps a decoder, makes it take the machine's memory, or has two encodings`(decoder: Fuzz) throws {
        try decoder.run(in: Decoders.all)
    }

    /// The laws are only worth something if a decoder that breaks them is found.
    @Test func `a decoder that believes a length, one with two encodings and one that is never reached are each found`() {
        let number: [UInt8] = [1, 0, 0, 0, 7]
        let greedy = Fuzz("greedy", values: { [] }) { input in
            guard input.count >= 4 else { return false }
            let count = input.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            return withExtendedLifetime([UInt8](repeating: 1, count: min(count, 1 << 24))) { !$0.isEmpty }
        }
        let loose = Fuzz("loose", values: { [] }) { input in
            guard input.first == 1 else { return false }
            guard input.count == 5 else { throw Fuzz.Broken("two encodings") }
            return true
        }
        let unreached = Fuzz("unreached", values: { [] }) { _ in false }
        if Fuzz.countsAllocations { #expect(throws: Fuzz.Broken.self) { try greedy.run(inputs: 20_000, corpus: [number]) } }
        #expect(throws: Fuzz.Broken.self) { try loose.run(inputs: 1_000, corpus: [number]) }
        #expect(throws: Fuzz.Broken.self) { try unreached.run(inputs: 1_000, corpus: []) }
    }
}

/// Decoders of the rooms below the Edge.
enum Decoders {
    static let world = WorldGenesis(windows: 4)
    static let verifier: BlockVerifier = {
        guard let committee = try? world.genesis.committee() else { preconditionFailure("a world's genesis has a committee") }
        return BlockVerifier(committee: committee, genesis: world.genesis.digest)
    }()
    private static func digest(_ name: String) -> Digest { Digest.tagged("fuzz") { $0.append(name) } }

    /// Law of everything canonical: what decodes, encodes to the same bytes.
    private static func canonical<Value: CanonicalCodable & Sendable>(_ name: String, _ values: @escaping @Sendable () -> [Value], weight: Double = 1, then: @escaping @Sendable (Value) throws -> Void = { _ in }) -> Fuzz {
        Fuzz(name, weight: weight, values: { values().map(\.canonicalBytes) }) { input in
            guard let value = try? Value(canonicalBytes: input) else { return false }
            guard value.canonicalBytes == input else { throw Fuzz.Broken("it decodes, and encodes to \(hex(value.canonicalBytes, prefix: false))") }
            try then(value)
            return true
        }
    }

    static let all: [Fuzz] = consensus + ledger + compute

    // MARK: Consensus

    static let transaction = Transaction.dynamicFee(
        chainID: world.genesis.chainID, nonce: 3, maxPriorityFeePerGas: 1_000, maxFeePerGas: 2_000_000_000, gasLimit: 100_000, to: ContractAddress.staking, value: 5,
        data: ABIFunction("setEndpoint(string)").call(.string("127.0.0.1:30000")), by: world.trainers[0].owner)
    static let blocks: [SignedBlock] = {
        let genesis = verifier.genesisBlocks
        let vote = CommitVote(index: CommitIndex(1), commit: digest("commit"), stateRoot: digest("state"), logRoot: digest("log"))
        func block(_ seat: Int, _ round: UInt64, on ancestors: [BlockReference], _ transactions: [[UInt8]] = [], _ votes: [CommitVote] = []) -> SignedBlock {
            let own = ancestors.filter { $0.author.index == seat } + ancestors.filter { $0.author.index != seat }
            return SignedBlock(Block(epoch: Epoch(0), round: Round(round), author: AuthorityIndex(seat), timestamp: Instant(1_700_000_000_000 + round), ancestors: own, transactions: transactions, commitVotes: votes),
                               by: world.consensusKeys[seat], genesis: verifier.genesis)
        }
        let first = (0..<4).map { block($0, 1, on: genesis) }
        let references = first.map { verifier.reference(of: $0) }
        return first.prefix(2) + [block(2, 2, on: references, [transaction.raw], [vote]), block(3, 2, on: Array(references.dropLast()) + [references[3]], [[], [1]], [vote, vote])]
    }()
    private static let commit: Commit = {
        let references = blocks.map { verifier.reference(of: $0) }
        return Commit(epoch: Epoch(0), index: CommitIndex(7), previous: digest("previous"), timestamp: Instant(1_700_000_000_123), leader: references[2], blocks: references)
    }()

    static let consensus: [Fuzz] = [
        canonical("block", { blocks }, weight: 0.4) { signed in
            // Checked as a peer's block is, before anything is kept of it.
            _ = try? verifier.verify(signed)
        },
        // With its author's signature, so that what lies behind the signature's check is reached.
        Fuzz("block as signed", weight: 0.15, values: { blocks.map(\.block.canonicalBytes) }) { input in
            guard let block = try? Block(canonicalBytes: input) else { return false }
            guard block.canonicalBytes == input else { throw Fuzz.Broken("it decodes, and encodes otherwise") }
            let signed = SignedBlock(block, by: world.consensusKeys[block.author.index % 4], genesis: verifier.genesis)
            guard let verified = try? verifier.verify(signed) else { return false }
            var dag = DAG(committee: verifier.committee, genesisBlocks: verifier.genesisBlocks), manager = BlockManager()
            let outcome = manager.add(verified, to: &dag)
            guard outcome.accepted.count + manager.suspendedCount + (outcome.ignored ? 1 : 0) == 1 else { throw Fuzz.Broken("the block is neither accepted nor suspended nor ignored") }
            return true
        },
        canonical("commit", { [commit] }),
        canonical("attestation", { blocks.map { Attestation($0) } }) { attestation in _ = try? attestation.check(verifier.committee, genesis: verifier.genesis) },
        canonical("commit vote", { blocks.flatMap(\.block.commitVotes) }),
        canonical("committee", { [verifier.committee] }, weight: 0.2) { committee in
            _ = (committee.quorum, committee.validity)
            for offset in 0..<2 { _ = LeaderSchedule.shuffled(seed: .zero).leader(of: Round(1), offset: offset, in: committee) }
        },
        // As it comes over the wire.
        canonical("letter", {
            ([.block(blocks[2]), .advance(Round(9)), .fetch(blocks[2].block.ancestors), .fetchRounds(from: Slot(Round(1), AuthorityIndex(2)), to: Round(3)), .blocks(Array(blocks.prefix(3))), .recall, .recollection(own: blocks[1], highest: blocks[2]),
              .fetchCommits(from: CommitIndex(1), to: CommitIndex(9)), .commits([commit], proof: [Attestation(blocks[2]), Attestation(blocks[3])]), .noCommits(from: CommitIndex(1), kept: CommitIndex(4)),
              .fetchCommitted(blocks[2].block.ancestors), .committed(Array(blocks.suffix(2))), .ended(CommitIndex(9))] as [AuthorityMessage])
                .enumerated().map { Letter(Epoch(UInt64($0)), $1) }
        }),
    ]

    // MARK: Ledger

    private static func typed(_ kind: Transaction.Kind) -> [UInt8] {
        let key = world.trainers[1].owner, chain = world.genesis.chainID, to = RLP.bytes(ContractAddress.runs.bytes), data = RLP.bytes(ABIFunction("joinRun(bytes32)").call(.bytes32(world.genesis.runID)))
        let access = RLP.list([.list([to, .list([.bytes(digest("slot").bytes)])])])
        switch kind {
        case .legacy:
            let fields: [RLP] = [.number(1 as UInt64), .number(1_000_000_000 as UInt64), .number(90_000 as UInt64), to, .number(0 as UInt64), data]
            let signature = key.sign(hash: keccak256(RLP.list(fields + [.number(chain), .bytes([]), .bytes([])]).encoded))
            return RLP.list(fields + [.number(35 + 2 * chain + UInt64(signature.recovery)), .number(signature.r), .number(signature.s)]).encoded
        case .accessList, .dynamicFee:
            var fields: [RLP] = [.number(chain), .number(1 as UInt64), .number(1_000_000_000 as UInt64)]
            if kind == .dynamicFee { fields.append(.number(1_000_000_000 as UInt64)) }
            fields += [.number(90_000 as UInt64), to, .number(0 as UInt64), data, access]
            let signature = key.sign(hash: keccak256([kind.rawValue] + RLP.list(fields).encoded))
            return [kind.rawValue] + RLP.list(fields + [.number(UInt64(signature.recovery)), .number(signature.r), .number(signature.s)]).encoded
        }
    }
    private static let transactions: @Sendable () -> [[UInt8]] = { [transaction.raw] + [Transaction.Kind.legacy, .accessList, .dynamicFee].map { typed($0) } }

    /// The types of all duties' calls, and some deeper than any contract has.
    private static let shapes: [[ABIType]] = Duty.Kind.allCases.map { DutyFunction.of($0).function.inputs }
        + ["(string,bytes[])", "((uint64,bytes)[],bool)", "(uint256[][],int64,int256,address)", "(bytes[][][])", "(string[],(bytes4,(string)))", "(uint8,(uint64,uint64)[])"].map { name in
            guard case .tuple(let types)? = ABIType(name) else { preconditionFailure("\(name) is no type") }
            return types
        }
    private static func sample(_ type: ABIType) -> ABIValue {
        switch type {
        case .uint(let bits): .uint(UInt64(bits))
        case .int(let bits): .int(Int64(bits == 64 ? -1 : 5))
        case .address: .address(ContractAddress.runs)
        case .bool: .bool(true)
        case .fixedBytes(let count): .fixedBytes([UInt8](repeating: 7, count: count))
        case .bytes: .bytes([1, 2, 3, 4, 5])
        case .string: .string("an endpoint")
        case .array(let element): .array([sample(element), sample(element)])
        case .tuple(let parts): .tuple(parts.map { sample($0) })
        }
    }

    private static let reveal = Reveal(parametersRoot: digest("θ"), payloadRoot: digest("payload"), trajectoryRoot: digest("trajectory"), residualIn: .zero, residualOut: digest("residual"), steps: 20, salt: digest("salt"))
    private static let replay = ReplayFact(verdict: .differs, expected: digest("expected"), found: digest("found"))
    private static let score = ScoreFact(randomBefore: 1 << 40, randomAfter: 1 << 39, ownBefore: .max, ownAfter: .min)

    /// A proof as bytes: leaf, index, size, siblings, root, and the root of an older tree.
    private struct Proof: CanonicalCodable, Sendable {
        var leaf: Digest, index: UInt64, size: UInt64, path: [Digest], root: Digest, older: Digest
        init(_ index: Int, of size: Int) {
            let tree = MerkleTree(leaves: (0..<size).map { [UInt8($0)] })
            (leaf, self.index, self.size, path, root, older) = (tree.levels[0][index], UInt64(index), UInt64(size), tree.inclusionProof(of: index), tree.root, tree.root(size: index))
        }
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(leaf)
            encoder.append(index)
            encoder.append(size)
            encoder.append(path)
            encoder.append(root)
            encoder.append(older)
        }
        init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
            leaf = try decoder.value()
            index = try decoder.uint64()
            size = try decoder.uint64()
            path = try decoder.array(limit: 64)
            root = try decoder.value()
            older = try decoder.value()
        }
    }
    private static let proofs = [Proof(0, of: 1), Proof(4, of: 7), Proof(12, of: 21)]

    static let ledger: [Fuzz] = [
        Fuzz("transaction", weight: 0.15, values: transactions) { input in
            guard let transaction = try? Transaction(raw: input, chainID: world.genesis.chainID) else { return false }
            let content = transaction.kind == .legacy ? input : Array(input.dropFirst())
            guard transaction.raw == input, try RLP.decode(content).encoded == content else { throw Fuzz.Broken("it decodes, and encodes otherwise") }
            _ = transaction.effectiveGasPrice(baseFee: 1_000_000_000)
            _ = Duty.named(by: transaction.nonce)
            return true
        },
        Fuzz("rlp", factor: 128, values: { transactions().map { $0[0] < 3 ? Array($0.dropFirst()) : $0 } }) { input in
            guard let item = try? RLP.decode(input) else { return false }
            guard item.encoded == input else { throw Fuzz.Broken("it decodes, and encodes to \(hex(item.encoded, prefix: false))") }
            _ = try? item.u256()
            return true
        },
        // The first byte says which types are read. Offsets are the sender's to choose, so only the values must come back.
        Fuzz("abi", values: { shapes.enumerated().map { [UInt8($0)] + ABI.encode($1.map { sample($0) }) } }) { input in
            guard let first = input.first, let values = try? ABI.decode(shapes[Int(first) % shapes.count], input.dropFirst()) else { return false }
            let encoded = ABI.encode(values)
            guard try ABI.decode(shapes[Int(first) % shapes.count], encoded) == values else { throw Fuzz.Broken("the values do not come back from their encoding") }
            return true
        },
        canonical("genesis", { [world.genesis] }, weight: 0.2) { genesis in
            _ = (genesis.chainID, genesis.training.segments)
            _ = try? genesis.committee()
        },
        canonical("reveal", { [reveal] }),
        canonical("score line", { [ScoreLine(trainer: ContractAddress.runs, fact: score), ScoreLine(trainer: .zero, fact: .notFinite)] }) { line in _ = (line.fact.score, line.fact.ownScore) },
        canonical("replay line", { [ReplayLine(trainer: ContractAddress.runs, fact: replay)] }),
        canonical("replay draw", { [ReplayDraw(trainer: .zero, window: Window(3), segment: 2, withCompression: true)] }),
        // No proof but the right one proves a leaf of a tree whose size and root are known.
        Fuzz("merkle proof", weight: 0.5, values: { proofs.map(\.canonicalBytes) }) { input in
            guard let proof = try? Proof(canonicalBytes: input) else { return false }
            _ = MerkleTree.verifiesConsistency(old: proof.index, oldRoot: proof.older, new: proof.size, newRoot: proof.root, proof: proof.path)
            guard MerkleTree.verifiesInclusion(leafHash: proof.leaf, index: proof.index, size: proof.size, proof: proof.path, root: proof.root) else { return false }
            let known = proofs.first { $0.root == proof.root && $0.index == proof.index && $0.size == proof.size }
            if let known, known.leaf != proof.leaf || known.path != proof.path { throw Fuzz.Broken("another leaf or path proves the same") }
            return true
        },
        // What people write in JSON and on command lines.
        Fuzz("numbers and names as text", values: {
            ["0x0", "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "115792089237316195423570985008687907853269984665640564039457584007913129639935", "0x12ab",
             ContractAddress.runs.description, digest("text").description, world.trainers[0].owner.address.description].map { Array($0.utf8) }
        }) { input in
            let text = String(decoding: input, as: UTF8.self)
            let number = U256(text), address = Address(text), digest = Digest(hex: text), raw = bytes(hex: text)
            if let number, U256(number.description) != number { throw Fuzz.Broken("the number \(number) does not come back") }
            if let address, Address(address.description) != address { throw Fuzz.Broken("the address \(address) does not come back") }
            if let digest, Digest(hex: digest.description) != digest { throw Fuzz.Broken("the digest \(digest) does not come back") }
            if let raw, bytes(hex: hex(raw)) != raw { throw Fuzz.Broken("the bytes \(hex(raw)) do not come back") }
            return number != nil || address != nil || digest != nil || raw != nil
        },
    ]

    // MARK: Compute

    private static func floats(_ count: Int, _ stream: UInt64) -> FloatBuffer {
        var chance = SeededGenerator(seed: 1, stream: stream)
        return FloatBuffer((0..<count).map { _ in Float(Int64(chance.below(2_001)) - 1_000) / 977 })
    }
    private static let packed = QuantisedCompressor(.four, tensors: [201]), plain = UncompressedPayload(tensors: [33])
    /// 3,400 parameters in ragged tensors.
    private static let compressed = ParameterTable(ModelShape(vocabulary: 65, context: 13, width: 14, heads: 2, layers: 1, biases: true))
    private static let context = CompressionContext(assignment: digest("assignment"))

    /// Whatever is taken is finite, like itself, and no second way to write what a known payload says; but the factors of a matrix are its form, not it.
    private static func payload(_ name: String, _ compressor: any Compressor, hasOneForm: Bool = true) -> Fuzz {
        let known = [floats(compressed.count, 1), FloatBuffer(count: compressed.count), FloatBuffer((0..<compressed.count).map { $0 % 97 == 0 ? 1e10 : 1e-20 })].map { compressor.compress($0, context) }
        let decoded = known.map { try? compressor.decompress($0) }
        return Fuzz("\(name) payload", weight: 0.25, longest: 8_192, baseBytes: 256 << 10, values: { known }) { input in
            // Where the window is not known, a draw is believed, so that nothing may have several forms.
            if let values = try? compressor.decompress(input), values.count != compressed.count || !values.allFinite { throw Fuzz.Broken("it decodes to what is no update") }
            guard let values = try? compressor.decompress(input, context) else { return false }
            guard values.count == compressed.count, values.allFinite, compressor.likeness(input, input) == 1_000_000 else { throw Fuzz.Broken("it decodes to what is no update") }
            for (bytes, known) in zip(known, decoded) where hasOneForm && known.map({ $0 == values }) ?? false && bytes != input { throw Fuzz.Broken("it decodes to what another payload says") }
            return true
        }
    }

    private static let exchanged = [
        ModelShape(vocabulary: 5, context: 3, width: 4, heads: 2, layers: 1), ModelShape(vocabulary: 5, context: 3, width: 4, heads: 2, layers: 1, style: .llama, hidden: 3, keyValueHeads: 1, tied: false),
    ]

    private static let stageLimits = StageLimits(shape: .micro, rows: 2, microBatches: 1, stages: 2)
    private static let orders: [StageOrder] = [
        .open(StageOpening(assignment: digest("assignment"), trainer: Address(number: 7), window: Window(3), steps: 4, firstStep: 32)),
        .open(StageOpening(assignment: digest("assignment"), trainer: Address(number: 7), window: Window(4), steps: 4, firstStep: 36, rank: 9, hasPayload: true, hasResidual: true)),
        .train(first: 2, count: 2), .give(buffer: 2), .close,
    ]
    private static let failure = StageError(stage: 2, stages: 3, place: "10.0.0.3:4100", step: 32, microBatch: 1, reason: "the connection ended: the other end closed it")

    static let compute: [Fuzz] = [
        canonical("stage order", { orders }),
        Fuzz("stage failure", values: { [failure.message.bytes] }) { input in
            guard let message = try? StageMessage(StageMessage(.failure, input).header, received: input), let error = try? StageError(message) else { return false }
            return !error.description.isEmpty
        },
        Fuzz("stage header", values: { StageMessage.Kind.allCases.map { StageMessage($0, step: 32, part: 1, [UInt8](repeating: 1, count: min(8, stageLimits.bytes(of: $0)))).header.encoded } }) { input in
            guard let header = try? StageMessage.Header(input, limits: stageLimits) else { return false }
            guard header.encoded == input, header.length <= UInt64(stageLimits.most) else { throw Fuzz.Broken("it decodes to what no stage of this run sends") }
            return true
        },
        Fuzz("int4 payload", values: { [packed.compress(floats(201, 1)), packed.compress(FloatBuffer(count: 201)), packed.compress(FloatBuffer((0..<201).map { $0 < 64 ? 1e-20 : 1e10 }))] }) { input in
            guard let values = try? packed.decompress(input) else { return false }
            guard packed.compress(values) == input else { throw Fuzz.Broken("it decodes, and is compressed to \(hex(packed.compress(values), prefix: false))") }
            _ = packed.likeness(input, input)
            return true
        },
        Fuzz("plain payload", values: { [plain.compress(floats(33, 2)), plain.compress(FloatBuffer(count: 33))] }) { input in
            guard let values = try? plain.decompress(input) else { return false }
            guard plain.compress(values) == input, plain.likeness(input, input) == 1_000_000 else { throw Fuzz.Broken("it decodes, and is compressed otherwise") }
            return true
        },
        payload("int8", QuantisedCompressor(.eight, table: compressed)),
        payload("low-rank", LowRankCompressor(table: compressed, rank: 2, allowed: 1...3), hasOneForm: false),
        payload("top-k 8 bits", TopKCompressor(table: compressed, kept: 128, bits: .eight, transforms: false)),
        payload("top-k 2 bits", TopKCompressor(table: compressed, kept: 128, bits: .two, transforms: false)),
        payload("top-k 1 bit", TopKCompressor(table: compressed, kept: 128, bits: .one, transforms: false)),
        payload("transformed top-k", TopKCompressor(table: compressed, kept: 128, bits: .two, transforms: true)),
        payload("sparta", SpartaCompressor(table: compressed, oneOf: 10, quantised: true)),
        payload("sparta of floats", SpartaCompressor(table: compressed, oneOf: 10, quantised: false)),
        Fuzz("safetensors file", weight: 0.5, longest: 16_384, baseBytes: 256 << 10, values: { exchanged.map { ModelExchange($0).file(InnerLoop.initialParameters(shape: $0, philox: Philox(key: 1))) } }) { input in
            var taken = false
            for exchange in exchanged.map(ModelExchange.init) {
                guard let parameters = try? exchange.parameters(input) else { continue }
                guard parameters.allFinite, try exchange.parameters(exchange.file(parameters)) == parameters else { throw Fuzz.Broken("it is read as parameters that do not come back") }
                taken = true
            }
            return taken
        },
        Fuzz("model configuration", values: { exchanged.map { Array($0.configuration.utf8) } }) { input in
            guard let shape = try? ModelShape(configuration: input) else { return false }
            guard try ModelShape(configuration: Array(shape.configuration.utf8)) == shape else { throw Fuzz.Broken("the shape \(shape) does not come back") }
            return true
        },
        canonical("trajectory", { [Trajectory(digests: (0..<6).map { digest("step \($0)") }), Trajectory(digests: [])] }),
        Fuzz("inner state", values: { [InnerState(parameters: floats(9, 3), m: floats(9, 4), v: floats(9, 5), step: 7, stepsSinceReset: 3, beta1Power: 0.5, beta2Power: 0.25).blob] }) { input in
            guard let state = try? InnerState(blob: input, count: 9) else { return false }
            guard state.blob == input else { throw Fuzz.Broken("it decodes, and encodes otherwise") }
            return true
        },
    ]
}
