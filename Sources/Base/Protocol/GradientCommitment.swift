import AssayCrypto
import AssayPrimitives

/// What a trainer opens after everybody has committed: the roots of its window's work.
public struct Reveal: Codable, Hashable, Sendable, CanonicalCodable {
    /// θ(w) as the trainer had it.
    public let parametersRoot: Digest
    /// Blob root of the payload.
    public let payloadRoot: Digest
    /// Blob root of the canonical list of state digests at steps 0, J, 2J … H and after compression.
    public let trajectoryRoot: Digest
    /// Blob roots of the error-feedback residual before and after; zero for none.
    public let residualIn: Digest
    public let residualOut: Digest
    public let steps: UInt32
    public let salt: Digest

    public init(parametersRoot: Digest, payloadRoot: Digest, trajectoryRoot: Digest, residualIn: Digest, residualOut: Digest, steps: UInt32, salt: Digest) {
        (self.parametersRoot, self.payloadRoot, self.trajectoryRoot) = (parametersRoot, payloadRoot, trajectoryRoot)
        (self.residualIn, self.residualOut, self.steps, self.salt) = (residualIn, residualOut, steps, salt)
    }
    public func encode(into encoder: inout CanonicalEncoder) {
        for digest in [parametersRoot, payloadRoot, trajectoryRoot, residualIn, residualOut] { encoder.append(digest) }
        encoder.append(steps)
        encoder.append(salt)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        parametersRoot = try decoder.value()
        payloadRoot = try decoder.value()
        trajectoryRoot = try decoder.value()
        residualIn = try decoder.value()
        residualOut = try decoder.value()
        steps = try decoder.uint32()
        salt = try decoder.value()
    }
}

/// The hash that binds a trainer to a window's work before it sees anybody else's.
public struct GradientCommitment: Hashable, Sendable {
    public let digest: Digest
    public init(digest: Digest) { self.digest = digest }

    /// H(trainer ‖ run ‖ window ‖ reveal), in the genesis' domain.
    public init(_ reveal: Reveal, trainer: Address, run: Digest, window: Window, genesis: Digest) {
        digest = Digest.tagged("assay/commitment/1") {
            $0.append(genesis)
            $0.append(trainer)
            $0.append(run)
            $0.append(window)
            $0.append(reveal)
        }
    }

    /// HMAC(node key, run ‖ window): a trainer that restarts commits to the same again.
    public static func salt(nodeKey: KeyPair, run: Digest, window: Window) -> Digest {
        PasswordCipher.hmac(key: nodeKey.privateBytes, run.bytes + window.canonicalBytes)
    }
}
