import AssayCrypto
import AssayPrimitives

/// What neighbouring stages tell each other: a header that says what it is, and bytes. Floats are little-endian, exact.
///
/// Header: kind (u8), step (u64), part (u32), length (u64), digest of the bytes (32).
public struct StageMessage: Hashable, Sendable {
    public enum Kind: UInt8, CaseIterable, Sendable {
        /// The first on a connection, both ways.
        case greeting = 0
        /// What is to be done next.
        case order = 1
        /// What stage `part` begins a window with: its part of θ(w), of the own payload of the window before, of the residual; the last two are its answers too.
        case parameters = 2, payload = 3, residual = 4
        /// The residual stream of micro-batch `part`, and its gradient.
        case activation = 5, activationGradient = 6
        /// A tied token matrix: the head's part of its gradient on the way to the first stage, its parameters on the way to the last.
        case tokenGradient = 7, tokenParameters = 8
        /// Sum of squares of the gradient so far; then loss and norm of the step, on which all stages decide alike.
        case norm = 9, result = 10
        /// Where the stages' time went, at the end of an order.
        case times = 11
        /// What stage ⌊part ÷ 3⌋ has of the tree over θ, m or v (part mod 3): `Blob.outline`.
        case outline = 12
        /// θ, m or v of stage ⌊part ÷ 3⌋.
        case state = 13
        /// Why there is no answer, from wherever it went wrong.
        case failure = 14
        /// Whoever sends it waits for the stage behind it, and is not itself what is waited for.
        case waiting = 15
    }
    public static let headerBytes = 53

    public struct Header: Hashable, Sendable {
        public var kind: Kind
        public var step: UInt64
        public var part: UInt32
        public var length: UInt64
        public var digest: Digest
    }
    public var header: Header
    public var bytes: [UInt8]

    public init(_ kind: Kind, step: UInt64 = 0, part: Int = 0, _ bytes: [UInt8]) {
        header = Header(kind: kind, step: step, part: UInt32(part), length: UInt64(bytes.count), digest: Digest.sha256(bytes))
        self.bytes = bytes
    }
    /// What came over a link. Its length is checked here, its digest where somebody takes it.
    public init(_ header: Header, received bytes: [UInt8]) throws(StageLinkError) {
        guard header.length == UInt64(bytes.count) else { throw .wrongLength(header.kind, found: UInt64(bytes.count), expected: header.length) }
        (self.header, self.bytes) = (header, bytes)
    }
}

extension StageMessage.Header {
    public var encoded: [UInt8] {
        var encoder = CanonicalEncoder(reserving: StageMessage.headerBytes)
        encoder.append(kind.rawValue)
        encoder.append(step)
        encoder.append(part)
        encoder.append(length)
        encoder.append(digest)
        return encoder.bytes
    }

    /// - Parameter limits: of lengths, from the shape; what is longer is refused before anything waits for it.
    public init(_ bytes: [UInt8], limits: StageLimits) throws(StageLinkError) {
        guard bytes.count == StageMessage.headerBytes, let first = bytes.first else { throw .noHeader(bytes: bytes.count) }
        guard let kind = StageMessage.Kind(rawValue: first) else { throw .unknownKind(first) }
        var decoder = CanonicalDecoder(bytes)
        do {
            _ = try decoder.uint8()
            let step = try decoder.uint64(), part = try decoder.uint32(), length = try decoder.uint64()
            self.init(kind: kind, step: step, part: part, length: length, digest: try decoder.value())
        } catch { throw .noHeader(bytes: bytes.count) }
        let limit = limits.bytes(of: kind)
        guard length <= UInt64(limit) else { throw .tooLong(kind, found: length, limit: limit) }
    }
}

/// The longest that a message of each kind can be in a run: from the model's shape, never from what a peer says.
public struct StageLimits: Hashable, Sendable {
    private let activation, tokens, floats, payload, outline: Int
    public static let small = 1_024
    /// More floats go in several messages.
    static let floatsAtOnce = 1 << 22

    public init(shape: ModelShape, rows: Int, microBatches: Int, stages: Int) {
        let count = ModelPart.split(shape, stages: stages).map { ParameterTable(shape, $0).count }.max() ?? 0
        activation = rows / microBatches * shape.context * shape.width * 4
        tokens = shape.vocabulary * shape.width * 4
        floats = min(count, StageLimits.floatsAtOnce) * 4
        // No compressor writes more than nine bytes for a value that stands alone.
        payload = 12 * count + StageLimits.small
        outline = 2 * Blob.chunkBytes + 32 * (4 * count / Blob.chunkBytes + 1)
    }
    /// Before the peer has said who it is.
    public static let stranger = StageLimits()
    private init() { (activation, tokens, floats, payload, outline) = (0, 0, 0, 0, 0) }

    public func bytes(of kind: StageMessage.Kind) -> Int {
        switch kind {
        case .parameters, .residual, .state: floats
        case .payload: payload
        case .outline: outline
        case .activation, .activationGradient: activation
        case .tokenGradient, .tokenParameters: tokens
        case .waiting: 0
        case .norm: 8
        case .result: 12
        case .times: 4_096
        case .greeting, .order, .failure: StageLimits.small
        }
    }
    /// Of any kind.
    public var most: Int { [activation, tokens, floats, payload, outline, 4_096].max()! }
}
