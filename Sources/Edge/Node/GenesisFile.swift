import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTraining
import Foundation

/// A network's genesis as people and programs read it: `genesis.json`. Hashes never see this text; they see `Genesis`.
public struct GenesisFile: Codable, Sendable {
    public var name: String
    public var timeMilliseconds: UInt64
    /// 0: the first committee stays.
    public var epochSeconds: Double
    public var model: Model
    public var training: Training
    public var run: Run
    public var data: DataFile
    public var parametersRoot: String
    public var validators: [Validator]
    public var accounts: [Account]
    /// Of the canonical genesis, so that an edited file is noticed.
    public var digest: String?
    public var chainId: UInt64?

    public struct Model: Codable, Sendable {
        public var name: String
        public var vocabulary, context, width, heads, layers: UInt32
        public var biases: Bool
        /// f32 where it is not said.
        public var profile: String?
        /// gpt2 where it is not said; llama.
        public var style: String?
        /// Four times the width where it is not said; keys and values of as many heads as queries.
        public var hidden, keyValueHeads: UInt32?
        /// In style gpt2 true where it is not said, in style llama false.
        public var tied: Bool?
    }
    public struct Training: Codable, Sendable {
        public var innerSteps, segmentSteps, rows: UInt32
        public var delay, compressor: String
        public var rank: UInt32
        public var feedbackDecay: Double
        public var residualRestart: UInt32
        public var outerLearningRate, outerMomentum, evaluationFactor, firstClip, learningRate, minimumLearningRate: Double
        public var warmupSteps, decaySteps: UInt32
        public var beta1, beta2, epsilon, weightDecay, gradientClip: Double
        public var randomBatches, ownBatches: UInt32
        public var seed: UInt64
        // What follows may be left out; the rule is then what it is in `TrainingRules`.
        public var innerState, aggregation: String?
        public var minimumSteps, maximumSteps, keptValues, valueBits, oneOf, trimmedSharePerMillion, centeringRounds: UInt32?
        public var centeringRadius: Double?
        public var adaptation: Adaptation?
        public var microBatches: UInt32?
    }
    public struct Adaptation: Codable, Sendable {
        public var windows, energyPerMillion, minimumRank, maximumRank: UInt32
        public init(windows: UInt32, energyPerMillion: UInt32, minimumRank: UInt32, maximumRank: UInt32) {
            (self.windows, self.energyPerMillion, self.minimumRank, self.maximumRank) = (windows, energyPerMillion, minimumRank, maximumRank)
        }
    }
    public struct Run: Codable, Sendable {
        public var windowSeconds: Double
        public var windows: UInt64
        public var trainersToStart, lookBack, maturity, scorers, replayers, replayFloorPerMillion, aggregateLimit, scoreTolerancePerMillion: UInt32
        public var emissionTokens, trainerMinimumStakeTokens, validatorMinimumStakeTokens: String
        public var unbondingSeconds: Double
    }
    public struct DataFile: Codable, Sendable {
        public var root: String
        public var bytes: UInt64
    }
    public struct Validator: Codable, Sendable {
        public var owner, nodeKey, consensusKey, networkKey, beaconTip: String
        public var stakeTokens, endpoint: String
    }
    public struct Account: Codable, Sendable {
        public var address: String
        public var balanceTokens: String
    }

    /// The checked genesis.
    /// - Throws: `Failure` that names the field.
    public func genesis() throws -> Genesis {
        // What is longer could not be read back from its canonical bytes.
        guard name.utf8.count <= Limits.nameBytes, model.name.utf8.count <= Limits.nameBytes else { throw Failure("genesis.json: the network's and the model's name have at most \(Limits.nameBytes) bytes") }
        for (index, validator) in validators.enumerated() where validator.endpoint.utf8.count > Limits.endpointBytes {
            throw Failure("validators[\(index)].endpoint has more than \(Limits.endpointBytes) bytes")
        }
        guard epochSeconds == 0 || (1...31_536_000).contains(epochSeconds) else { throw Failure("genesis.json: epochSeconds is \(epochSeconds), allowed is 0 for a committee that stays, or 1…31536000") }
        let genesis = Genesis(
            name: name, time: Instant(timeMilliseconds), epochMilliseconds: UInt64(epochSeconds * 1_000),
            validators: try validators.enumerated().map { index, validator in
                try Genesis.Validator(
                    owner: address(validator.owner, "validators[\(index)].owner"), nodeKey: address(validator.nodeKey, "validators[\(index)].nodeKey"),
                    consensusKey: publicKey(validator.consensusKey, "validators[\(index)].consensusKey"), networkKey: digestOf(validator.networkKey, "validators[\(index)].networkKey"),
                    beaconTip: digestOf(validator.beaconTip, "validators[\(index)].beaconTip"), stake: wei(validator.stakeTokens, "validators[\(index)].stakeTokens"), endpoint: validator.endpoint)
            },
            accounts: try accounts.enumerated().map { index, account in
                try Genesis.Account(address: address(account.address, "accounts[\(index)].address"), balance: wei(account.balanceTokens, "accounts[\(index)].balanceTokens"))
            },
            model: try model.rules(), training: try training.rules(), run: try run.rules(),
            dataRoot: try digestOf(data.root, "data.root"), dataBytes: data.bytes, parametersRoot: try digestOf(parametersRoot, "parametersRoot"))
        do { _ = try genesis.committee() } catch { throw Failure("genesis.json: the validators are no committee: \(error)") }
        if let expected = self.digest, expected != genesis.digest.description {
            throw Failure("genesis.json was changed: its digest is \(genesis.digest), but the file says \(expected)", remedy: "Take the file from whoever runs the network; every node must have the same one.")
        }
        return genesis
    }

    /// The file with its digest and chain id written down.
    public func sealed() throws -> GenesisFile {
        var file = self
        file.digest = nil
        let genesis = try file.genesis()
        file.digest = genesis.digest.description
        file.chainId = genesis.chainID
        return file
    }

    public static func read(_ url: URL) throws -> GenesisFile { try readJSON(GenesisFile.self, url, what: "genesis file") }
}

extension GenesisFile.Model {
    public func rules() throws -> ModelRules {
        let profile: NumericsProfile = try rule(self.profile ?? "f32", "profile", of: "model \(name)"), style: ModelStyle = try rule(self.style ?? "gpt2", "style", of: "model \(name)")
        let rules = ModelRules(name: name, vocabulary: vocabulary, context: context, width: width, heads: heads, layers: layers, biases: biases, style: style, hidden: hidden,
                               keyValueHeads: keyValueHeads, tied: tied ?? (style == .gpt2), profile: profile)
        do { _ = try ModelShape(rules) } catch { throw Failure("model \(name): \(error)") }
        return rules
    }
}

extension GenesisFile.Training {
    public func rules() throws -> TrainingRules {
        guard segmentSteps >= 2, innerSteps.isMultiple(of: segmentSteps), (1...16).contains(innerSteps / segmentSteps) else {
            throw Failure("training: \(innerSteps) inner steps in segments of \(segmentSteps)", remedy: "segmentSteps must be at least 2, divide innerSteps, and give at most 16 segments.")
        }
        try checkSteps()
        guard rows > 0, rows <= 4_096, randomBatches > 0, residualRestart > 0 else { throw Failure("training: rows (1…4096), randomBatches and residualRestart must be positive") }
        guard (1...rows).contains(microBatches ?? 1), rows.isMultiple(of: microBatches ?? 1) else { throw Failure("training: microBatches is \(microBatches ?? 1), but must be positive and divide the \(rows) rows") }
        let delay: TrainingRules.Delay = try rule(self.delay, "delay"), compressor: TrainingRules.Compressor = try rule(self.compressor, "compressor")
        let aggregation: TrainingRules.Aggregation = try rule(self.aggregation ?? "clipped-mean", "aggregation")
        try checkCompressor(compressor)
        try checkAdaptation(compressor)
        try checkCarriedByLedger(delay)
        guard (trimmedSharePerMillion ?? 0) < 500_000 else { throw Failure("training: trimmedSharePerMillion is \(trimmedSharePerMillion ?? 0), allowed is 0…499999") }
        guard (1...64).contains(centeringRounds ?? 1), centeringRadius ?? 1 > 0 else { throw Failure("training: centeringRounds is 1…64, centeringRadius is above 0") }
        func bits(_ value: Double, _ field: String) throws -> FloatBits {
            guard value.isFinite, Float(value).isFinite else { throw Failure("training: \(field) is not a finite number") }
            return FloatBits(bits: Float(value).bitPattern)
        }
        return try TrainingRules(
            innerSteps: innerSteps, segmentSteps: segmentSteps, rows: rows, delay: delay, compressor: compressor, rank: rank,
            feedbackDecay: bits(feedbackDecay, "feedbackDecay"), residualRestart: residualRestart,
            outerLearningRate: bits(outerLearningRate, "outerLearningRate"), outerMomentum: bits(outerMomentum, "outerMomentum"),
            evaluationFactor: bits(evaluationFactor, "evaluationFactor"), firstClip: bits(firstClip, "firstClip"),
            learningRate: bits(learningRate, "learningRate"), minimumLearningRate: bits(minimumLearningRate, "minimumLearningRate"),
            warmupSteps: warmupSteps, decaySteps: decaySteps, beta1: bits(beta1, "beta1"), beta2: bits(beta2, "beta2"), epsilon: bits(epsilon, "epsilon"),
            weightDecay: bits(weightDecay, "weightDecay"), gradientClip: bits(gradientClip, "gradientClip"),
            randomBatches: randomBatches, ownBatches: ownBatches, seed: seed,
            minimumSteps: minimumSteps ?? 0, maximumSteps: maximumSteps ?? 0, keptValues: keptValues ?? 32, valueBits: valueBits ?? 8, oneOf: oneOf ?? 1_000, aggregation: aggregation,
            trimmedShare: trimmedSharePerMillion ?? 200_000, centeringRounds: centeringRounds ?? 3, centeringRadius: bits(centeringRadius ?? 1, "centeringRadius"),
            adaptation: adaptation.map { .init(windows: $0.windows, energy: $0.energyPerMillion, minimumRank: $0.minimumRank, maximumRank: $0.maximumRank) }, microBatches: microBatches ?? 1)
    }

    private func checkCompressor(_ compressor: TrainingRules.Compressor) throws {
        switch compressor {
        case .none, .int4, .int8: break
        case .lowRankInt4: guard (1...1_024).contains(rank) else { throw Failure("training: rank is \(rank), allowed with lowrank-int4 is 1…1024") }
        case .topK, .dctTopK:
            guard (1...4_096).contains(keptValues ?? 32) else { throw Failure("training: keptValues is \(keptValues ?? 32), allowed is 1…4096 (of a chunk of 4096)") }
            guard [1, 2, 8].contains(valueBits ?? 8) else { throw Failure("training: valueBits is \(valueBits ?? 8), allowed with topk and dct-topk are 1, 2 and 8") }
        case .sparta:
            guard (1...1_000_000).contains(oneOf ?? 1_000) else { throw Failure("training: oneOf is \(oneOf ?? 1_000), allowed is 1…1000000") }
            guard [8, 32].contains(valueBits ?? 8) else { throw Failure("training: valueBits is \(valueBits ?? 8), allowed with sparta are 8 and 32") }
        }
    }

    /// Rank and H that follow the updates' effective rank.
    private func checkAdaptation(_ compressor: TrainingRules.Compressor) throws {
        guard let adaptation else { return }
        guard compressor == .lowRankInt4 else { throw Failure("training: adaptation with the compressor \(self.compressor)", remedy: "Only lowrank-int4 has a rank: take that, or leave adaptation out.") }
        guard (1...WindowPace.longestMemory).contains(Int(adaptation.windows)), (1...1_000_000).contains(adaptation.energyPerMillion),
              adaptation.minimumRank >= 1, adaptation.minimumRank <= rank, rank <= adaptation.maximumRank, adaptation.maximumRank <= 1_024 else {
            throw Failure("training: adaptation over \(adaptation.windows) windows, \(adaptation.energyPerMillion) millionths of the energy, ranks \(adaptation.minimumRank) to \(adaptation.maximumRank)",
                          remedy: "Allowed are 1…1000 windows, 1…1000000 millionths, and ranks of 1…1024 on both sides of rank (\(rank)). minimumSteps and maximumSteps are the limits of H.")
        }
    }

    /// H_min and H_max, between which a trainer may choose by its speed.
    private func checkSteps() throws {
        let least = minimumSteps ?? innerSteps, most = maximumSteps ?? innerSteps
        guard least > 0, least.isMultiple(of: segmentSteps), most.isMultiple(of: segmentSteps), least <= innerSteps, innerSteps <= most, most / segmentSteps <= 16 else {
            throw Failure("training: minimumSteps is \(least), maximumSteps \(most)", remedy: "Both are multiples of segmentSteps (\(segmentSteps)), at most and at least innerSteps (\(innerSteps)), and give at most 16 segments.")
        }
    }

    /// What training can do and the ledger's windows do not carry: for laboratories, not for a network.
    private func checkCarriedByLedger(_ delay: TrainingRules.Delay) throws {
        let laboratory = "It is there for runs without a ledger."
        if delay == .none { throw Failure("training: delay “none” has no network: the ledger adds the payloads of a window two windows later", remedy: "Take continued, or plain. \(laboratory)") }
        let innerState: TrainingRules.InnerState = try rule(self.innerState ?? "reset", "innerState")
        if innerState == .carry {
            throw Failure("training: innerState is “carry”, a network has reset only: with carry a window's opening state is not public, so nobody could replay it", remedy: "Take reset. \(laboratory)")
        }
    }
}

/// A rule by its name.
private func rule<Rule: NamedRule>(_ name: String, _ field: String, of part: String = "training") throws -> Rule {
    guard let rule = Rule(named: name) else { throw Failure("\(part): unknown \(field) “\(name)”", remedy: "Known are: \(Rule.names.joined(separator: ", ")).") }
    return rule
}

extension GenesisFile.Run {
    public func rules() throws -> RunRules {
        guard windowSeconds >= 1, windowSeconds <= 604_800 else { throw Failure("run: windowSeconds is \(windowSeconds), allowed is 1…604800") }
        guard trainersToStart > 0, lookBack > 0, scorers > 0, replayers > 0, aggregateLimit > 0, replayFloorPerMillion <= 1_000_000 else {
            throw Failure("run: trainersToStart, lookBack, scorers, replayers and aggregateLimit must be positive, replayFloorPerMillion at most 1000000")
        }
        guard unbondingSeconds >= 0, unbondingSeconds <= 315_360_000 else { throw Failure("run: unbondingSeconds is \(unbondingSeconds), allowed is 0…315360000") }
        guard scoreTolerancePerMillion <= 100_000 else { throw Failure("run: scoreTolerancePerMillion is \(scoreTolerancePerMillion), allowed is 0…100000") }
        return try RunRules(
            windowMilliseconds: UInt64(windowSeconds * 1_000), windows: windows, trainersToStart: trainersToStart, lookBack: lookBack, maturity: maturity,
            scorers: scorers, replayers: replayers, replayFloor: replayFloorPerMillion, aggregateLimit: aggregateLimit, scoreTolerance: scoreTolerancePerMillion * 1_000,
            emission: wei(emissionTokens, "run.emissionTokens"), trainerMinimumStake: wei(trainerMinimumStakeTokens, "run.trainerMinimumStakeTokens"),
            validatorMinimumStake: wei(validatorMinimumStakeTokens, "run.validatorMinimumStakeTokens"), unbondingMilliseconds: UInt64(unbondingSeconds * 1_000))
    }
}

/// Wei from a decimal number of tokens with at most 18 digits after the point.
public func wei(_ tokens: String, _ field: String) throws -> U256 {
    let parts = tokens.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, parts.allSatisfy({ $0.allSatisfy { ("0"..."9").contains($0) } }), !parts[0].isEmpty else { throw Failure("\(field): “\(tokens)” is no amount of tokens", remedy: "Write it like 12 or 0.5.") }
    let fraction = parts.count == 2 ? String(parts[1]) : ""
    guard fraction.count <= 18, let value = U256(parts[0] + fraction + String(repeating: "0", count: 18 - fraction.count)) else { throw Failure("\(field): “\(tokens)” has more than 18 digits after the point, or is too large") }
    return value
}

/// Wei as a decimal number of tokens, without trailing zeros.
public func tokens(_ wei: U256, digits: Int = 18) -> String {
    let text = wei.description
    let padded = String(repeating: "0", count: max(0, 19 - text.count)) + text
    var fraction = String(padded.suffix(18).prefix(digits))
    while fraction.hasSuffix("0") { fraction.removeLast() }
    return String(padded.dropLast(18)) + (fraction.isEmpty ? "" : "." + fraction)
}

func address(_ text: String, _ field: String) throws -> Address {
    guard let address = Address(text) else { throw Failure("\(field): “\(text)” is no address", remedy: "An address is 0x and 40 hexadecimal digits; mixed case must carry a right checksum.") }
    return address
}
func digestOf(_ text: String, _ field: String) throws -> Digest {
    guard let digest = Digest(hex: text) else { throw Failure("\(field): “\(text)” is no digest of 32 bytes") }
    return digest
}
func publicKey(_ text: String, _ field: String) throws -> PublicKey {
    guard let raw = bytes(hex: text), let key = try? PublicKey(raw) else { throw Failure("\(field): “\(text)” is no secp256k1 public key") }
    return key
}

/// Reads a JSON file, and says which file, which field and why if it cannot.
public func readJSON<Value: Decodable>(_ type: Value.Type, _ url: URL, what: String) throws -> Value {
    let data: Data
    do { data = try Data(contentsOf: url) } catch { throw Failure("no \(what) at \(url.path)") }
    do { return try JSONDecoder().decode(type, from: data) } catch let error as Swift.DecodingError {
        let (path, reason) = switch error {
        case .keyNotFound(let key, let context): (context.codingPath + [key], "is missing")
        case .typeMismatch(_, let context), .valueNotFound(_, let context): (context.codingPath, context.debugDescription)
        case .dataCorrupted(let context): (context.codingPath, context.debugDescription)
        @unknown default: ([], "\(error)")
        }
        throw Failure("\(what) \(url.path): \(path.map(\.stringValue).joined(separator: ".")) \(reason)")
    }
}

/// Writes JSON for people to read too; whole or not at all.
public func writeJSON(_ value: some Encodable, to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do { try encoder.encode(value).write(to: url, options: .atomic) } catch { throw Failure("cannot write \(url.path): \(error.localizedDescription)", remedy: "Is the directory there and writable, and the disk not full?") }
}
