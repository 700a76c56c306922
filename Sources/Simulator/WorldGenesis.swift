import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles

/// The people of a simulated world and the genesis they share. All keys follow from their names.
public struct WorldGenesis: Sendable {
    public struct Person: Sendable {
        public let owner: KeyPair
        public let identity: Identity
        init(_ name: String) {
            owner = KeyPair(seed: "world/\(name)/owner")
            identity = Identity(owner: owner.address, nodeKey: KeyPair(seed: "world/\(name)/node"))
        }
    }
    public let genesis: Genesis
    public let validators: [Person]
    public let trainers: [Person]
    public let consensusKeys: [KeyPair]
    public let beacons: [BeaconChain]

    public static let token = U256(1_000_000_000_000_000_000 as UInt64)
    /// What each validator bonds.
    static let validatorStake = tokens(10_000)
    static func networkKey(_ seat: Int) -> Digest { Digest.tagged("world/network") { $0.append(UInt32(seat)) } }
    static func tokens(_ count: UInt64) -> U256 { (try? token.multiplied(by: U256(count))) ?? token }

    /// - Parameters:
    ///   - beaconLength: links of the first validator's chain, which may run out.
    ///   - allowedSteps: H_min … H_max; H is 20.
    ///   - adapts: rank and H follow the updates' effective rank.
    ///   - candidates: people with a validator's keys and enough tokens who are not in the first committee.
    public init(validators count: Int = 4, candidates: Int = 0, trainers trainerCount: Int = 5, windows: UInt64, windowMilliseconds: UInt64 = 20_000, delay: TrainingRules.Delay = .continued,
                beaconLength: Int = 1 << 10, aggregateLimit: UInt32 = 16, epochMilliseconds: UInt64 = 0, validatorMinimumTokens: UInt64 = 10_000,
                allowedSteps: ClosedRange<UInt32>? = nil, adapts: Bool = false) {
        validators = (0..<count + candidates).map { Person("validator \($0)") }
        trainers = (0..<trainerCount).map { Person("trainer \($0)") }
        consensusKeys = (0..<count + candidates).map { KeyPair(seed: "world/validator \($0)/consensus") }
        beacons = (0..<count + candidates).map { BeaconChain(seed: Array("world/validator \($0)/beacon".utf8), length: $0 == 0 ? beaconLength : 1 << 10) }
        let people = validators, keys = consensusKeys, chains = beacons
        let bits = { (value: UInt32) in FloatBits(bits: value) }
        let training = TrainingRules(
            innerSteps: 20, segmentSteps: 5, rows: 4, delay: delay, compressor: adapts ? .lowRankInt4 : .int4, rank: adapts ? 8 : 0, feedbackDecay: bits(0x3F80_0000), residualRestart: 8,
            outerLearningRate: bits(0x3F33_3333), outerMomentum: bits(0x3F00_0000), evaluationFactor: bits(0x3E80_0000), firstClip: bits(0x3C23_D70A),
            learningRate: bits(0x3A83_126F), minimumLearningRate: bits(0x38D1_B717), warmupSteps: 10, decaySteps: 1_000, beta1: bits(0x3F66_6666), beta2: bits(0x3F7D_70A4),
            epsilon: bits(0x322B_CC77), weightDecay: bits(0x3DCC_CCCD), gradientClip: bits(0x3F80_0000), randomBatches: 8, ownBatches: 4, seed: 1,
            minimumSteps: allowedSteps?.lowerBound ?? 0, maximumSteps: allowedSteps?.upperBound ?? 0, adaptation: adapts ? .init(windows: 2, minimumRank: 4, maximumRank: 16) : nil)
        let run = RunRules(
            windowMilliseconds: windowMilliseconds, windows: windows, trainersToStart: UInt32(max(1, trainerCount)), lookBack: 2, maturity: 4, scorers: 2, replayers: 2,
            replayFloor: 250_000, aggregateLimit: aggregateLimit, scoreTolerance: 2_000_000, emission: WorldGenesis.tokens(100), trainerMinimumStake: WorldGenesis.tokens(100),
            validatorMinimumStake: WorldGenesis.tokens(validatorMinimumTokens), unbondingMilliseconds: 600_000)
        genesis = Genesis(
            name: "world", time: Instant(1_700_000_000_000), epochMilliseconds: epochMilliseconds,
            validators: (0..<count).map { seat in
                Genesis.Validator(owner: people[seat].owner.address, nodeKey: people[seat].identity.nodeKey.address, consensusKey: keys[seat].publicKey,
                                  networkKey: WorldGenesis.networkKey(seat), beaconTip: chains[seat].tip,
                                  stake: WorldGenesis.validatorStake, endpoint: "127.0.0.1:\(30_000 + seat)")
            },
            accounts: (validators + trainers).enumerated().map { place, person in
                Genesis.Account(address: person.owner.address, balance: WorldGenesis.tokens(place >= count && place < count + candidates ? 11_000 : 1_000))
            },
            model: ModelRules(name: "table", vocabulary: 256, context: 16, width: 16, heads: 2, layers: 1, biases: false), training: training, run: run,
            dataRoot: Digest.tagged("world/data") { _ in }, dataBytes: 1 << 20, parametersRoot: Digest.tagged("world/first") { _ in })
    }
}
