import AssayCrypto
import AssayPrimitives

/// The four integer sums that a loss-delta comes from, in ticks of 2^-20 nat: a fact that anyone can recompute.
public struct ScoreFact: Codable, Hashable, Sendable, CanonicalCodable {
    public let randomBefore: Int64
    public let randomAfter: Int64
    public let ownBefore: Int64
    public let ownAfter: Int64

    /// What a payload earns whose loss is not finite anywhere.
    public static let notFinite = ScoreFact(randomBefore: 0, randomAfter: 0, ownBefore: 0, ownAfter: 0)
    private static let worst: Int64 = -1_000_000_000

    public init(randomBefore: Int64, randomAfter: Int64, ownBefore: Int64, ownAfter: Int64) {
        (self.randomBefore, self.randomAfter, self.ownBefore, self.ownAfter) = (randomBefore, randomAfter, ownBefore, ownAfter)
    }

    /// g = floor((R_before − R_after) · 10⁹ ÷ R_before), at least −10⁹.
    public var score: Score { Score(billionths: ScoreFact.drop(before: randomBefore, after: randomAfter)) }
    /// The same on the trainer's own batches.
    public var ownScore: Score { Score(billionths: ScoreFact.drop(before: ownBefore, after: ownAfter)) }

    private static func drop(before: Int64, after: Int64) -> Int64 {
        guard before > 0, after >= 0 else { return worst }
        let scaled = Int128(before - after) * 1_000_000_000
        var quotient = scaled / Int128(before)
        if scaled < 0, quotient * Int128(before) != scaled { quotient -= 1 }
        return Int64(clamping: max(quotient, Int128(worst)))
    }

    public func encode(into encoder: inout CanonicalEncoder) {
        for sum in [randomBefore, randomAfter, ownBefore, ownAfter] { encoder.append(UInt64(bitPattern: sum)) }
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        randomBefore = Int64(bitPattern: try decoder.uint64())
        randomAfter = Int64(bitPattern: try decoder.uint64())
        ownBefore = Int64(bitPattern: try decoder.uint64())
        ownAfter = Int64(bitPattern: try decoder.uint64())
    }
}

/// Which part of a trainer's window is replayed.
public struct ReplayDraw: Codable, Hashable, Sendable, CanonicalCodable {
    public let trainer: Address
    public let window: Window
    /// From 0; the segment's steps are segment·J ..< (segment + 1)·J.
    public let segment: UInt32
    /// Only with the last segment: the compression is replayed too.
    public let withCompression: Bool

    public init(trainer: Address, window: Window, segment: UInt32, withCompression: Bool) {
        (self.trainer, self.window, self.segment, self.withCompression) = (trainer, window, segment, withCompression)
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(trainer)
        encoder.append(window)
        encoder.append(segment)
        encoder.append(withCompression)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        trainer = try decoder.value()
        window = try decoder.value()
        segment = try decoder.uint32()
        withCompression = try decoder.bool()
    }
}

/// What a replay found: the trajectory's digest after the segment as recomputed, beside the one that the trainer committed to.
public struct ReplayFact: Codable, Hashable, Sendable, CanonicalCodable {
    public enum Verdict: UInt8, Codable, Sendable { case equal = 1, differs = 2, unserved = 3 }
    public let verdict: Verdict
    public let expected: Digest
    public let found: Digest

    public init(verdict: Verdict, expected: Digest, found: Digest) {
        (self.verdict, self.expected, self.found) = (verdict, expected, found)
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(verdict.rawValue)
        encoder.append(expected)
        encoder.append(found)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        verdict = try decoder.choice("verdict")
        expected = try decoder.value()
        found = try decoder.value()
    }
}

/// A validator's report is committed to before it is shown, so that nobody can copy another's.
public enum ReportCommitment {
    /// H(value ‖ witness ‖ validator ‖ salt), in the genesis' domain.
    public static func digest(value: [UInt8], witness: Digest, validator: Address, salt: Digest, genesis: Digest) -> Digest {
        Digest.tagged("assay/report/1") {
            $0.append(genesis)
            $0.append(counted: value)
            $0.append(witness)
            $0.append(validator)
            $0.append(salt)
        }
    }
}

/// The hash that a run's global state answers to after a window.
public enum OuterRoot {
    /// H(θ_root ‖ u_root ‖ clip norms ‖ H ‖ r): attesting θ alone would not let a validator that syncs compute the next one.
    ///
    /// - Parameters:
    ///   - pace: what the next windows' rank and H are made from, in a run where they adapt; a run where they do not has none and hashes none.
    public static func digest(parameters: Digest, momentum: Digest, clipNorms: [FloatBits], rules: TrainingRules, pace: WindowPace?) -> Digest {
        Digest.tagged("assay/outer/1") {
            $0.append(parameters)
            $0.append(momentum)
            $0.append(clipNorms)
            $0.append(rules.steps(pace))
            $0.append(pace?.rank ?? rules.rank)
            guard let pace else { return }
            $0.append(pace.firstStep)
            $0.append(UInt32(pace.effectiveRanks.count))
            for rank in pace.effectiveRanks { $0.append(rank) }
        }
    }
}

/// Digests that seed the draws of a window.
public enum Beacon {
    public static func first(genesis: Digest, run: Digest) -> Digest {
        Digest.tagged("assay/beacon/1") {
            $0.append(genesis)
            $0.append(run)
        }
    }
    /// B_w from B_{w−1} and the preimages that came in time, by seat.
    public static func next(after previous: Digest, genesis: Digest, run: Digest, window: Window, preimages: [(AuthorityIndex, Digest)]) -> Digest {
        Digest.tagged("assay/beacon/1") {
            $0.append(genesis)
            $0.append(run)
            $0.append(window)
            $0.append(previous)
            for (index, preimage) in preimages {
                $0.append(index)
                $0.append(preimage)
            }
        }
    }
    /// The seed of one purpose's draws in window w.
    public static func draw(_ beacon: Digest, _ purpose: String) -> Digest {
        Digest.tagged("assay/draw/1") {
            $0.append(beacon)
            $0.append(purpose)
        }
    }
    /// R_{w+2}: assigns window w + 2's data.
    public static func assignment(_ beacon: Digest) -> Digest { Digest.tagged("assay/assign/1") { $0.append(beacon) } }
}

extension ReportCommitment {
    /// One witness for a report of several lines: the hash of the lines' witnesses in their order.
    public static func witness(of lines: [Digest]) -> Digest { Digest.tagged("assay/witness/1") { $0.append(lines) } }

    /// HMAC(node key, run ‖ window ‖ kind ‖ index): a validator that restarts commits to the same again.
    public static func salt(nodeKey: KeyPair, run: Digest, duty: Duty) -> Digest {
        PasswordCipher.hmac(key: nodeKey.privateBytes, run.bytes + duty.window.canonicalBytes + [duty.kind.rawValue, duty.index])
    }
}
