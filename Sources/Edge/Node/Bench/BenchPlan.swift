import AssayCrypto
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import Foundation

/// What one measured node is to do: `plan.json` in its home.
struct BenchPlan: Codable, Sendable {
    var index: Int
    var load: BenchLoad.Kind
    /// Of a transaction.
    var bytes: Int
    /// Transactions a second that this node's clients offer.
    var rate: Double
    var warmUpSeconds, seconds: Double
    var fsync: Bool
    var roundDelayMilliseconds: UInt64
    /// Canonical bytes.
    var genesis: Data
    var networkPEM: String

    static func consensusKey(_ index: Int) -> KeyPair { KeyPair(seed: "assay bench consensus \(index)") }

    /// A network's plans: one committee of equal stakes, and senders with enough to pay for what they send.
    static func all(_ options: ConsensusBench.Options, ports: [Int]) throws -> [BenchPlan] {
        let identities = try ports.map { _ in try NetworkIdentity.generate() }
        let plenty = U256(10_000_000 as UInt64), token = U256(1_000_000_000_000_000_000 as UInt64)
        guard let wealth = try? plenty.multiplied(by: token) else { preconditionFailure("ten million tokens fit in 256 bits") }
        let validators = ports.enumerated().map { index, port in
            Genesis.Validator(
                owner: KeyPair(seed: "assay bench owner \(index)").address, nodeKey: KeyPair(seed: "assay bench node \(index)").address, consensusKey: consensusKey(index).publicKey,
                networkKey: identities[index].keyDigest, beaconTip: .zero, stake: wealth, endpoint: "127.0.0.1:\(port)")
        }
        let senders = options.load == .signed ? ports.indices.flatMap { BenchLoad.keys($0) } : []
        let none = FloatBits(bits: 0)
        // No trainer joins, so no window opens: these rules are there to be hashed.
        let genesis = Genesis(
            name: "bench", time: ValidatorNode.now, validators: validators, accounts: senders.map { .init(address: $0.address, balance: wealth) },
            model: ModelRules(name: "none", vocabulary: 1, context: 1, width: 1, heads: 1, layers: 1, biases: false),
            training: TrainingRules(
                innerSteps: 2, segmentSteps: 2, rows: 1, delay: .none, compressor: .none, rank: 0, feedbackDecay: none, residualRestart: 1, outerLearningRate: none, outerMomentum: none,
                evaluationFactor: none, firstClip: none, learningRate: none, minimumLearningRate: none, warmupSteps: 0, decaySteps: 0, beta1: none, beta2: none, epsilon: none,
                weightDecay: none, gradientClip: none, randomBatches: 1, ownBatches: 1, seed: 0),
            run: RunRules(
                windowMilliseconds: 60_000, windows: 0, trainersToStart: 1, lookBack: 1, maturity: 1, scorers: 1, replayers: 1, replayFloor: 0, aggregateLimit: 1, emission: 0,
                trainerMinimumStake: token, validatorMinimumStake: token, unbondingMilliseconds: 0),
            dataRoot: .zero, dataBytes: 0, parametersRoot: .zero)
        let bytes = Data(genesis.canonicalBytes)
        return ports.indices.map { index in
            BenchPlan(index: index, load: options.load, bytes: options.bytes, rate: options.rate / Double(ports.count), warmUpSeconds: options.warmUpSeconds, seconds: options.seconds,
                      fsync: options.fsync, roundDelayMilliseconds: options.roundDelayMilliseconds, genesis: bytes, networkPEM: identities[index].pem)
        }
    }
}
