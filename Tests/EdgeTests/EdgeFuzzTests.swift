import AssayCrypto
import AssayLedger
import AssayNetwork
import AssayNode
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayRPC
import AssaySimulator
import Foundation
import NIOCore
import TestKit
import Testing

/// What reaches the Edge from a peer or a client, under mutated inputs: see `Docs/Fuzzing.md`.
@Suite(.serialized) struct EdgeFuzzTests {
    @Test(arguments: EdgeFuzz.all)
    func `no frame, message, request or file traps the Edge or is answered without measure`(decoder: Fuzz) async throws {
        // Apart from the threads that answers are made on.
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            Thread.detachNewThread { done.resume(with: Result { try decoder.run(in: EdgeFuzz.all, short: 4_000) }) }
        }
    }

    @Test func `a fee history for percentiles without end is refused, and a batch of large answers ends`() async throws {
        let many = "[" + Array(repeating: "1", count: 1_000_000).joined(separator: ",") + "]"
        let refused = try JSON(await RPCServer.answer(Data("{\"id\":1,\"method\":\"eth_feeHistory\",\"params\":[\"0x400\",\"latest\",\(many)]}".utf8), EdgeFuzz.backend))
        #expect(refused["error"]?["message"]?.string?.contains("query limit") == true)
        let large = "{\"id\":1,\"method\":\"eth_feeHistory\",\"params\":[\"0x400\",\"latest\",[]]}"
        let answer = try JSON(await RPCServer.answer(Data(("[" + Array(repeating: large, count: 1_000).joined(separator: ",") + "]").utf8), EdgeFuzz.backend))
        #expect(answer.array?.count == 1_000 && answer[0]?["result"] != nil)
    }

    @Test func `a blob's message or a greeting with bytes left over is none`() {
        let reply = BlobReply(id: 1, count: 1, proof: [], bytes: [1]).canonicalBytes
        #expect((try? BlobReply(canonicalBytes: reply)) != nil && (try? BlobReply(canonicalBytes: reply + [0])) == nil)
    }

    @Test func `a view with too few phases has the others unopened`() throws {
        let view = WindowView(window: Window(1), phases: [])
        #expect(WindowPhase.allCases.allSatisfy { !view[$0].isOpen && !view[$0].closed })
    }

    @Test func `a genesis file with an unbonding time that is no time, or a name too long, is refused by name`() throws {
        for unbonding in [-1, 1e300] {
            var file = EdgeFuzz.genesisFile
            file.run.unbondingSeconds = unbonding
            #expect(throws: Failure.self) { try file.genesis() }
        }
        var file = EdgeFuzz.genesisFile
        file.name = String(repeating: "n", count: Limits.nameBytes + 1)
        #expect(throws: Failure.self) { try file.genesis() }
    }
}

enum EdgeFuzz {
    static let world = WorldGenesis(windows: 2)
    static let backend: LedgerAlone = {
        guard let alone = try? LedgerAlone(world.genesis) else { preconditionFailure("a world's genesis is a ledger's") }
        return alone
    }()
    private static let ledger: Ledger = {
        guard let ledger = try? Ledger(genesis: world.genesis) else { preconditionFailure("a world's genesis is a ledger's") }
        return ledger
    }()
    private static let root = Digest.tagged("fuzz") { $0.append("root") }

    private static func canonical<Value: CanonicalCodable & Sendable>(_ name: String, _ value: Value) -> Fuzz {
        Fuzz(name, values: { [value.canonicalBytes] }) { input in
            guard let value = try? Value(canonicalBytes: input) else { return false }
            guard value.canonicalBytes == input else { throw Fuzz.Broken("it decodes, and encodes otherwise") }
            return true
        }
    }

    private static let frameLimit = 1 << 16
    private static func bytes(_ frames: [Frame]) -> [UInt8] {
        var buffer = ByteBuffer()
        for frame in frames { frame.write(into: &buffer) }
        return Array(buffer.readableBytesView)
    }

    static let network: [Fuzz] = [
        // A stream of frames until one is refused or not whole. What a packed one unpacks to is within the limit.
        Fuzz("frames", baseBytes: 512 << 10, factor: 32, values: { [bytes([Frame(kind: 1, bytes: [1, 2, 3]), Frame(kind: 2, bytes: [])]), bytes([Frame(kind: 1, bytes: [UInt8](repeating: 7, count: 3_000)), Frame(kind: 3, bytes: [9])])] }) { input in
            var buffer = ByteBuffer(bytes: input), isTaken = false
            while let frame = try? Frame.read(from: &buffer, limit: frameLimit) {
                guard frame.bytes.count <= frameLimit else { throw Fuzz.Broken("a frame of \(frame.bytes.count) bytes where \(frameLimit) are allowed") }
                var again = ByteBuffer(bytes: bytes([frame]))
                guard try Frame.read(from: &again, limit: frameLimit * 2) == frame else { throw Fuzz.Broken("a frame does not come back") }
                isTaken = true
            }
            return isTaken
        },
        canonical("blob request", BlobRequest(id: 7, root: root, chunk: 3)),
        canonical("blob reply", BlobReply(id: 7, count: 9, proof: [root, root], bytes: [UInt8](repeating: 3, count: 100))),
        canonical("stage greeting", StageGreeting(genesis: root, stage: 1, stages: 3)),
        canonical("greeting", Greeting(genesis: root, owner: Address(number: 2))),
    ]

    // MARK: JSON

    static let genesisFile: GenesisFile = {
        let genesis = world.genesis
        let text = """
            {"name":"fuzz","timeMilliseconds":1700000000000,"epochSeconds":0,"model":{"name":"tiny","vocabulary":256,"context":16,"width":16,"heads":2,"layers":1,"biases":false},
            "training":{"innerSteps":20,"segmentSteps":5,"rows":4,"delay":"continued","compressor":"int4","rank":0,"feedbackDecay":1,"residualRestart":8,"outerLearningRate":0.7,"outerMomentum":0.5,
            "evaluationFactor":0.25,"firstClip":0.01,"learningRate":0.001,"minimumLearningRate":0.0001,"warmupSteps":10,"decaySteps":1000,"beta1":0.9,"beta2":0.99,"epsilon":1e-8,"weightDecay":0.1,
            "gradientClip":1,"randomBatches":8,"ownBatches":4,"seed":1},
            "run":{"windowSeconds":20,"windows":3,"trainersToStart":2,"lookBack":2,"maturity":4,"scorers":2,"replayers":2,"replayFloorPerMillion":250000,"aggregateLimit":16,"scoreTolerancePerMillion":2000,
            "emissionTokens":"100","trainerMinimumStakeTokens":"100","validatorMinimumStakeTokens":"10000.5","unbondingSeconds":600},
            "data":{"root":"\(root)","bytes":4096},"parametersRoot":"\(root)","validators":[\(genesis.validators.prefix(2).map { validator in
                "{\"owner\":\"\(validator.owner)\",\"nodeKey\":\"\(validator.nodeKey)\",\"consensusKey\":\"\(hex(validator.consensusKey.bytes))\",\"networkKey\":\"\(validator.networkKey)\",\"beaconTip\":\"\(validator.beaconTip)\",\"stakeTokens\":\"10000\",\"endpoint\":\"127.0.0.1:30000\"}"
            }.joined(separator: ","))],"accounts":[{"address":"\(genesis.accounts[0].address)","balanceTokens":"1.25"}]}
            """
        do { return try JSONDecoder().decode(GenesisFile.self, from: Data(text.utf8)) } catch { preconditionFailure("the genesis file of the fuzzer: \(error)") }
    }()
    private static func json(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return Array((try? encoder.encode(value)) ?? Data())
    }

    /// A head with something in every list.
    private static let head: HeadView = {
        let trainer = world.trainers[0].owner.address, validator = world.validators[0].owner.address
        let reveal = Reveal(parametersRoot: root, payloadRoot: root, trajectoryRoot: root, residualIn: .zero, residualOut: root, steps: 20, salt: root)
        let fact = ScoreFact(randomBefore: 1_000, randomAfter: 900, ownBefore: 1_000, ownAfter: 800)
        let draw = ReplayDraw(trainer: trainer, window: Window(1), segment: 3, withCompression: true)
        let open = PhaseView(opened: 10, limit: 20_010, closed: false), closed = PhaseView(opened: 10, limit: 20_010, closed: true)
        var view = WindowView(window: Window(1), assignment: root, beacon: root, outer: OuterView(outerRoot: root, parametersRoot: root, momentumRoot: root, clipNorms: [FloatBits(bits: 0x3F80_0000)]))
        for phase in WindowPhase.allCases { view[phase] = phase < .scoreCommit ? closed : open }
        view.contributions = [ContributionView(trainer: trainer, commitment: root, reveal: reveal, state: .judged), ContributionView(trainer: validator, commitment: root, reveal: nil, state: .refused(rule: 6))]
        view.attested = [validator]
        view.scoreDraws = [ScoreDrawView(trainer: trainer, scorers: [validator], backups: [validator], fact: fact)]
        view.replays = [ReplayView(draw: draw, replayers: [validator], reveal: reveal, parametersRoot: root, assignment: root, ownPayload: root)]
        view.reports = [ReportView(validator: validator, kind: .score, index: 0, commitment: root, revealed: true)]
        view.aggregated = [trainer]
        view.contests = [ContestView(id: root, index: 0, kind: .replay, trainer: trainer, committing: open, revealing: open, votes: [.init(validator: validator, commitment: root, revealed: false)], closed: false)]
        var status = ledger.runStatus
        status.trainers = [trainer]
        status.residuals = [root]
        let object: JSON = ["status": (try? JSON(encoding: status)) ?? .null, "views": .array([(try? JSON(encoding: view)) ?? .null, (try? JSON(encoding: WindowView(window: Window(2), assignment: root, outer: view.outer))) ?? .null])]
        do { return try object.decoded() } catch { preconditionFailure("the head of the fuzzer: \(error)") }
    }()

    private static let requests: [String] = {
        let address = world.trainers[0].owner.address.description, hash = root.description, call = "{\"to\":\"\(ContractAddress.staking)\",\"data\":\"\(hex(ABIFunction("stakeOf(address)").call(.address(world.trainers[0].owner.address))))\",\"value\":\"0x0\"}"
        let raw = Transaction.dynamicFee(chainID: world.genesis.chainID, nonce: 0, maxFeePerGas: 2_000_000_000, gasLimit: 100_000, to: Address(number: 77), value: 5, by: world.trainers[0].owner).raw
        let calls: [(String, String)] = [
            ("eth_chainId", "[]"), ("eth_blockNumber", "[]"), ("eth_feeHistory", "[\"0x4\",\"latest\",[25,75]]"), ("eth_getBalance", "[\"\(address)\",\"latest\"]"), ("eth_getTransactionCount", "[\"\(address)\",\"pending\"]"),
            ("eth_getCode", "[\"\(ContractAddress.runs)\",\"latest\"]"), ("eth_getStorageAt", "[\"\(address)\",\"0x0\",\"latest\"]"), ("eth_call", "[\(call),\"latest\"]"), ("eth_estimateGas", "[\(call)]"),
            ("eth_sendRawTransaction", "[\"\(hex(raw))\"]"), ("eth_getTransactionByHash", "[\"\(hash)\"]"), ("eth_getTransactionReceipt", "[\"\(hash)\"]"), ("eth_getBlockByNumber", "[\"0x0\",true]"),
            ("eth_getBlockByHash", "[\"\(hash)\",false]"), ("eth_getBlockReceipts", "[\"latest\"]"), ("eth_getLogs", "[{\"fromBlock\":\"0x0\",\"toBlock\":\"latest\",\"address\":[\"\(ContractAddress.runs)\"],\"topics\":[[\"\(hash)\"],null]}]"),
            ("assay_networkInfo", "[]"), ("assay_window", "[0]"), ("assay_window", "[\"0x1\"]"), ("assay_trainers", "[]"), ("assay_submit", "[\"\(hex(raw))\"]"), ("assay_getCheckpoint", "[]"),
            ("assay_getInclusionProof", "[\"0x0\",\"0x0\"]"), ("assay_getConsistencyProof", "[\"0x0\",\"0x0\"]"),
        ]
        let one = calls.map { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\($0.0)\",\"params\":\($0.1)}" }
        return one + ["[\(one[0]),\(one[3])]"]
    }()

    static let documents: [Fuzz] = [
        // Answered on other threads, so what is bounded is the answer; the heap counted is that of reading it.
        Fuzz("json-rpc body", weight: 0.2, takesCorpus: false, baseBytes: 4 << 20, factor: 1_024, values: { requests.map { Array($0.utf8) } }) { input in
            let semaphore = DispatchSemaphore(value: 0), answered = Answer()
            Task {
                answered.set(await RPCServer.answer(Data(input), backend))
                semaphore.signal()
            }
            semaphore.wait()
            let answer = answered.get()
            guard answer.count <= RPCServer.answerLimit + 4 << 20 else { throw Fuzz.Broken("an answer of \(answer.count) bytes") }
            guard let json = try? JSON(answer) else { throw Fuzz.Broken("an answer that is no JSON: \(String(decoding: answer.prefix(200), as: UTF8.self))") }
            return json["result"] != nil || json.array != nil
        },
        Fuzz("genesis file", weight: 0.1, longest: 16_384, baseBytes: 4 << 20, factor: 1_024, values: { [json(genesisFile)] }) { input in
            guard let file = try? JSONDecoder().decode(GenesisFile.self, from: Data(input)), let genesis = try? file.genesis() else { return false }
            guard (try? Genesis(canonicalBytes: genesis.canonicalBytes)) == genesis else { throw Fuzz.Broken("its canonical bytes do not decode to it") }
            return true
        },
        // What a validator tells a trainer, who acts on it.
        Fuzz("head for a trainer", weight: 0.1, longest: 16_384, baseBytes: 4 << 20, factor: 1_024, values: { [json(head)] }) { input in
            guard let head = try? JSONDecoder().decode(HeadView.self, from: Data(input)) else { return false }
            var trainer = Trainer(identity: world.trainers[0].identity, genesis: world.genesis)
            let effects = trainer.handle(.viewed(head.head), now: Instant(1_700_000_100_000)) + trainer.handle(.woke, now: Instant(1_700_000_101_000))
            guard effects.count < 1_000 else { throw Fuzz.Broken("\(effects.count) effects of one head") }
            return true
        },
    ]

    static let all = network + documents

    private final class Answer: @unchecked Sendable {
        private let lock = NSLock()
        private var data = Data()
        func set(_ value: Data) { lock.withLock { data = value } }
        func get() -> Data { lock.withLock { data } }
    }
}
