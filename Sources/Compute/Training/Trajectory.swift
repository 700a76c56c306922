import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor

extension FloatBuffer {
    /// Root of the blob that these floats are.
    public var blobRoot: Digest { withUnsafeBytes { Blob.root($0) } }
}

extension InnerState {
    /// H(θ_root ‖ m_root ‖ v_root ‖ compressor root ‖ scalars): what a trainer commits to at the end of each segment.
    public var digest: Digest { digest(roots: [parameters, m, v].map(\.blobRoot)) }
    /// - Parameter roots: of θ, m and v, where these are not all here.
    func digest(roots: [Digest]) -> Digest {
        Digest.tagged("assay/state/1") {
            for root in roots + [Digest.zero] { $0.append(root) }
            appendScalars(to: &$0)
        }
    }

    private func appendScalars(to encoder: inout CanonicalEncoder) {
        encoder.append(step)
        encoder.append(stepsSinceReset)
        encoder.append(beta1Power.bitPattern)
        encoder.append(beta2Power.bitPattern)
    }

    /// What the state's blob begins with.
    var scalarBytes: [UInt8] {
        var encoder = CanonicalEncoder(reserving: 24)
        appendScalars(to: &encoder)
        return encoder.bytes
    }
    /// Of a state of so many parameters.
    public static func blobBytes(count: Int) -> Int { 24 + 12 * count }

    /// The state as a blob, to be served to those who replay from it.
    public var blob: [UInt8] {
        var encoder = CanonicalEncoder(reserving: InnerState.blobBytes(count: parameters.count))
        appendScalars(to: &encoder)
        for buffer in [parameters, m, v] { buffer.withUnsafeBytes { encoder.append(fixed: $0) } }
        return encoder.bytes
    }

    public enum BlobError: Error, Hashable, Sendable { case wrongSize(found: Int, expected: Int), unreadable }

    /// - Parameter count: parameters of the model.
    public init(blob: [UInt8], count: Int) throws(BlobError) {
        let expected = InnerState.blobBytes(count: count)
        guard blob.count == expected else { throw .wrongSize(found: blob.count, expected: expected) }
        var decoder = CanonicalDecoder(blob)
        do {
            let step = try decoder.uint64(), since = try decoder.uint64(), power1 = try decoder.uint32(), power2 = try decoder.uint32()
            func buffer(_ number: Int) throws -> FloatBuffer { try FloatBuffer(littleEndianBytes: blob[(24 + 4 * count * number)..<(24 + 4 * count * (number + 1))]) }
            self.init(parameters: try buffer(0), m: try buffer(1), v: try buffer(2), step: step, stepsSinceReset: since, beta1Power: Float(bitPattern: power1), beta2Power: Float(bitPattern: power2))
        } catch { throw .unreadable }
    }
}

/// The digests of a window's states at steps 0, J, 2J … H, and after the compression: what replay is held against.
public struct Trajectory: Hashable, Sendable, CanonicalCodable {
    public let digests: [Digest]
    /// Segments of a window at the most.
    static let limit = 64

    public init(digests: [Digest]) { self.digests = digests }
    /// After the compression: H(state ‖ payload root ‖ residual root).
    public static func final(state: Digest, payload: Digest, residual: Digest) -> Digest {
        Digest.tagged("assay/compressed/1") {
            $0.append(state)
            $0.append(payload)
            $0.append(residual)
        }
    }
    public var bytes: [UInt8] { canonicalBytes }
    public var root: Digest { Blob.root(bytes) }
    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(digests) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) { digests = try decoder.array(limit: Trajectory.limit) }
}
