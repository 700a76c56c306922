import AssayProtocol
import CZstd
import NIOCore

/// What goes over a connection: a kind and bytes, behind their length. Large ones are packed by zstd if that makes them smaller.
///
/// Bytes: length (u32, big-endian, of what follows), kind (its highest bit says packed), content; packed content begins with its size unpacked.
public struct Frame: Hashable, Sendable {
    public let kind: UInt8
    public let bytes: [UInt8]
    public init(kind: UInt8, bytes: [UInt8]) { (self.kind, self.bytes) = (kind, bytes) }

    static let packed: UInt8 = 0x80
    /// What a frame that waits takes beside its bytes, so that empty ones are bounded too.
    static let overhead = 64
    static let packedFrom = 1_024

    public enum Invalid: Error, Hashable, Sendable { case tooLarge(Int), empty, notPacked }

    package func write(into buffer: inout ByteBuffer) {
        if bytes.count >= Frame.packedFrom, let small = Frame.pack(bytes), small.count + 4 < bytes.count {
            buffer.writeInteger(UInt32(small.count + 5))
            buffer.writeInteger(kind | Frame.packed)
            buffer.writeInteger(UInt32(bytes.count))
            buffer.writeBytes(small)
        } else {
            buffer.writeInteger(UInt32(bytes.count + 1))
            buffer.writeInteger(kind)
            buffer.writeBytes(bytes)
        }
    }

    /// The next frame, or nil if it is not whole yet. The length is checked before anything waits for it.
    package static func read(from buffer: inout ByteBuffer, limit: Int) throws(Invalid) -> Frame? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length > 0 else { throw .empty }
        guard length <= limit else { throw .tooLarge(Int(length)) }
        guard buffer.readableBytes >= 4 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        guard let kind = buffer.readInteger(as: UInt8.self) else { throw .empty }
        guard kind & packed != 0 else { return Frame(kind: kind, bytes: buffer.readBytes(length: Int(length) - 1) ?? []) }
        guard length >= 5, let size = buffer.readInteger(as: UInt32.self), let small = buffer.readBytes(length: Int(length) - 5) else { throw .notPacked }
        guard size <= limit else { throw .tooLarge(Int(size)) }
        guard let bytes = unpack(small, size: Int(size)) else { throw .notPacked }
        return Frame(kind: kind & ~packed, bytes: bytes)
    }

    package static func pack(_ bytes: [UInt8]) -> [UInt8]? {
        let bound = ZSTD_compressBound(bytes.count)
        var written = 0
        let small = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            let size = ZSTD_compress(buffer.baseAddress, bound, bytes, bytes.count, 1)
            written = ZSTD_isError(size) != 0 ? 0 : size
            count = written
        }
        return written > 0 ? small : nil
    }

    /// Nil unless the bytes unpack to exactly this size, which the caller has checked against its limit.
    static func unpack(_ small: [UInt8], size: Int) -> [UInt8]? {
        var isWhole = false
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            let written = ZSTD_decompress(buffer.baseAddress, size, small, small.count)
            isWhole = ZSTD_isError(written) == 0 && written == size
            count = isWhole ? size : 0
        }
        return isWhole ? bytes : nil
    }
}

struct FrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = Frame
    /// Small until the peer has said who it is.
    let limit: @Sendable () -> Int

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let frame = try Frame.read(from: &buffer, limit: limit()) else { return .needMoreData }
        context.fireChannelRead(wrapInboundOut(frame))
        return .continue
    }
    mutating func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) throws -> DecodingState { .needMoreData }
}

struct FrameEncoder: MessageToByteEncoder {
    typealias OutboundIn = Frame
    func encode(data: Frame, out: inout ByteBuffer) { data.write(into: &out) }
}
