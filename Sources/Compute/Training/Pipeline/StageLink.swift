import AssayCrypto
import AssayPrimitives
import AssayTensor

/// A way to a neighbouring stage. Messages arrive whole and in the order in which they were sent.
///
/// One thread sends and receives at a time. `send` hands over and returns: a writer of the link's own sends while the stage goes on computing. It waits
/// only while too much of what was sent before has not left yet. Both wait as long as bytes keep coming or leaving, and else for so many seconds.
public protocol StageLink: AnyObject, Sendable {
    /// Where the other end is, for people.
    var place: String { get }
    func send(_ message: StageMessage, seconds: Double) throws(StageLinkError)
    func receive(seconds: Double) throws(StageLinkError) -> StageMessage
    /// Grows with everything that comes or leaves.
    var activity: Int { get }
    /// Ends the link both ways; whoever waits on it gets `closed`.
    func close()
}

/// What is wrong with a link, or with what came over it.
public enum StageLinkError: Error, Hashable, Sendable {
    case closed(String)
    case timedOut(seconds: Double)
    case noHeader(bytes: Int)
    case unknownKind(UInt8)
    case tooLong(StageMessage.Kind, found: UInt64, limit: Int)
    case wrongKind(found: StageMessage.Kind, expected: StageMessage.Kind)
    case wrongStep(StageMessage.Kind, found: UInt64, expected: UInt64)
    case wrongPart(StageMessage.Kind, found: UInt32, expected: UInt32)
    case wrongLength(StageMessage.Kind, found: UInt64, expected: UInt64)
    case wrongDigest(StageMessage.Kind, found: Digest, expected: Digest)
    case unreadable(StageMessage.Kind)
    /// An order that does not follow from what was done, or what was sent with it is none.
    case impossible(String)
    /// The other end is no stage of this pipeline.
    case stranger(String)
    /// Told by the neighbour: it went wrong further on.
    case told(StageError)
}

extension StageLinkError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .closed(let reason): "the connection ended: \(reason)"
        case .timedOut(let seconds): "it does not answer: nothing came for \(Int(min(seconds, 1e9).rounded(.up))) s"
        case .noHeader(let bytes): "\(bytes) bytes are no header of a message"
        case .unknownKind(let kind): "there is no message of kind \(kind)"
        case .tooLong(let kind, let found, let limit): "a message “\(kind)” of \(found) bytes; this run's have at most \(limit)"
        case .wrongKind(let found, let expected): "“\(found)” came where “\(expected)” was expected"
        case .wrongStep(let kind, let found, let expected): "“\(kind)” of step \(found) came where that of step \(expected) was expected"
        case .wrongPart(let kind, let found, let expected): "“\(kind)” number \(found) came where number \(expected) was expected"
        case .wrongLength(let kind, let found, let expected): "“\(kind)” has \(found) bytes, expected are \(expected)"
        case .wrongDigest(let kind, let found, let expected): "“\(kind)” has the digest \(found), its header says \(expected)"
        case .unreadable(let kind): "“\(kind)” cannot be read"
        case .impossible(let reason), .stranger(let reason): reason
        case .told(let error): error.description
        }
    }
}

extension StageLink {
    /// The bytes of the one message that may come now, `waiting` aside.
    func receive(_ kind: StageMessage.Kind, step: UInt64, part: Int, length: Int?, seconds: Double) throws(StageLinkError) -> [UInt8] {
        var message = try receive(seconds: seconds)
        while message.header.kind == .waiting { message = try receive(seconds: seconds) }
        let header = message.header
        if header.kind == .failure, kind != .failure { throw .told(try StageError(message)) }
        guard header.kind == kind else { throw .wrongKind(found: header.kind, expected: kind) }
        guard header.step == step else { throw .wrongStep(kind, found: header.step, expected: step) }
        guard header.part == UInt32(part) else { throw .wrongPart(kind, found: header.part, expected: UInt32(part)) }
        if let length, message.bytes.count != length { throw .wrongLength(kind, found: UInt64(message.bytes.count), expected: UInt64(length)) }
        let digest = Digest.sha256(message.bytes)
        guard digest == header.digest else { throw .wrongDigest(kind, found: digest, expected: header.digest) }
        return message.bytes
    }
    func receive(_ kind: StageMessage.Kind, step: UInt64, part: Int, into buffer: FloatBuffer, count: Int? = nil, seconds: Double) throws(StageLinkError) {
        let count = count ?? buffer.count, bytes = try receive(kind, step: step, part: part, length: 4 * count, seconds: seconds)
        buffer.withUnsafeMutableBufferPointer { UnsafeMutableRawBufferPointer($0).copyBytes(from: bytes) }
    }
    /// Floats in messages of at most `StageLimits.floatsAtOnce`.
    func receiveAll(_ kind: StageMessage.Kind, step: UInt64, part: Int, count: Int, seconds: Double, _ take: ([UInt8]) throws(StageLinkError) -> Void) throws(StageLinkError) {
        for start in stride(from: 0, to: count, by: StageLimits.floatsAtOnce) {
            try take(try receive(kind, step: step, part: part, length: 4 * min(StageLimits.floatsAtOnce, count - start), seconds: seconds))
        }
    }
    func receiveAll(_ kind: StageMessage.Kind, step: UInt64, part: Int, into buffer: FloatBuffer, seconds: Double) throws(StageLinkError) {
        var at = 0
        try receiveAll(kind, step: step, part: part, count: buffer.count, seconds: seconds) { bytes in
            buffer.withUnsafeMutableBufferPointer { UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer($0)[at..<at + bytes.count]).copyBytes(from: bytes) }
            at += bytes.count
        }
    }
    func sendAll(_ kind: StageMessage.Kind, step: UInt64, part: Int, _ buffer: FloatBuffer, seconds: Double) throws(StageLinkError) {
        for start in stride(from: 0, to: buffer.count, by: StageLimits.floatsAtOnce) {
            try send(kind, step: step, part: part, buffer, start..<min(buffer.count, start + StageLimits.floatsAtOnce), seconds: seconds)
        }
    }
    func send(_ kind: StageMessage.Kind, step: UInt64, part: Int, _ buffer: FloatBuffer, _ range: Range<Int>? = nil, seconds: Double) throws(StageLinkError) {
        let range = range ?? 0..<buffer.count
        try send(StageMessage(kind, step: step, part: part, buffer.withUnsafeBytes { Array($0[4 * range.lowerBound..<4 * range.upperBound]) }), seconds: seconds)
    }
}

/// Why a step was not done: which stage did not answer as it must, where it is, and how far it had come.
public struct StageError: Error, Hashable, Sendable, CustomStringConvertible {
    public let stage: Int
    public let stages: Int
    public let place: String
    /// Global, and nil before the first; micro-batch, where it was one's turn.
    public let step: UInt64?
    public let microBatch: Int?
    public let reason: String

    public init(stage: Int, stages: Int, place: String, step: UInt64?, microBatch: Int?, reason: String) {
        (self.stage, self.stages, self.place, self.step, self.microBatch, self.reason) = (stage, stages, place, step, microBatch, reason)
    }
    public var description: String {
        let at = step.map { ", step \($0)" + (microBatch.map { ", micro-batch \($0)" } ?? "") } ?? ""
        return "stage \(stage)/\(stages) at \(place)\(at): \(reason)\n  Look after that machine, and start its stage again with the same command; training goes on by itself from the window's beginning."
    }

    private static func cut(_ text: String, _ limit: Int) -> String { String(decoding: Array(text.utf8.prefix(limit)), as: UTF8.self) }
    public var message: StageMessage {
        var encoder = CanonicalEncoder()
        for number in [UInt32(stage), UInt32(stages), microBatch.map { UInt32($0) } ?? .max] { encoder.append(number) }
        encoder.append(step ?? .max)
        encoder.append(StageError.cut(place, 200))
        encoder.append(StageError.cut(reason, 600))
        return StageMessage(.failure, encoder.bytes)
    }
    package init(_ message: StageMessage) throws(StageLinkError) {
        do {
            var decoder = CanonicalDecoder(message.bytes)
            let stage = try decoder.uint32(), stages = try decoder.uint32(), microBatch = try decoder.uint32(), step = try decoder.uint64()
            let place = try decoder.text(limit: 640), reason = try decoder.text(limit: 1_024)
            try decoder.finish()
            self.init(stage: Int(stage), stages: Int(stages), place: place, step: step == .max ? nil : step, microBatch: microBatch == .max ? nil : Int(microBatch), reason: reason)
        } catch { throw .unreadable(.failure) }
    }
}
