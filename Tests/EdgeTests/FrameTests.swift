import AssayNetwork
import AssayPrimitives
import AssayProtocol
import NIOCore
import Testing

struct FrameTests {
    private func bytes(_ frame: Frame) -> ByteBuffer {
        var buffer = ByteBuffer()
        frame.write(into: &buffer)
        return buffer
    }
    private func read(_ buffer: inout ByteBuffer, limit: Int = Limits.frameBytes) throws -> Frame? { try Frame.read(from: &buffer, limit: limit) }

    @Test func `a frame comes out as it went in, packed or not, alone or in a row, and piece by piece`() throws {
        var chance = SeededGenerator(seed: 1)
        let frames = [0, 1, 1_023, 1_024, 5_000, 300_000].flatMap { size in
            [Frame(kind: 1, bytes: [UInt8](repeating: 7, count: size)), Frame(kind: 2, bytes: (0..<size).map { _ in UInt8(truncatingIfNeeded: chance.next()) })]
        }
        var row = ByteBuffer()
        for frame in frames { frame.write(into: &row) }
        for frame in frames { #expect(try read(&row) == frame) }
        #expect(try read(&row) == nil)
        var whole = bytes(frames[6])
        for count in 0..<whole.readableBytes {
            var part = whole.getSlice(at: 0, length: count)!
            #expect(try read(&part) == nil, "\(count) bytes of a frame are not one")
        }
        #expect(try read(&whole) == frames[6])
        #expect(bytes(frames[8]).readableBytes < 200, "5,000 equal bytes are packed")
    }

    @Test func `a length above the limit is refused before its bytes come`() {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt32.max)
        #expect(throws: Frame.Invalid.tooLarge(Int(UInt32.max))) { try read(&buffer) }
        var zero = ByteBuffer(integer: 0 as UInt32)
        #expect(throws: Frame.Invalid.empty) { try read(&zero) }
        var hello = bytes(Frame(kind: 0, bytes: [UInt8](repeating: 1, count: 300)))
        #expect(throws: Frame.Invalid.tooLarge(301)) { try read(&hello, limit: 256) }
    }

    @Test func `a packed frame that would unpack to more than it says, or than is allowed, is refused`() throws {
        let bomb = try #require(Frame.pack([UInt8](repeating: 0, count: 1 << 20)))
        #expect(bomb.count < 1_000)
        func frame(says size: UInt32) -> ByteBuffer {
            var buffer = ByteBuffer()
            buffer.writeInteger(UInt32(bomb.count + 5))
            buffer.writeInteger(1 as UInt8 | 0x80)
            buffer.writeInteger(size)
            buffer.writeBytes(bomb)
            return buffer
        }
        var honest = frame(says: 1 << 20), small = frame(says: 10), huge = frame(says: .max)
        #expect(try read(&honest)?.bytes.count == 1 << 20)
        #expect(throws: Frame.Invalid.notPacked) { try read(&small) }
        #expect(throws: Frame.Invalid.tooLarge(Int(UInt32.max))) { try read(&huge) }
    }

    @Test func `random bytes give a frame, an error or nothing, and never a trap`() {
        var chance = SeededGenerator(seed: 2)
        for _ in 0..<20_000 {
            var buffer = ByteBuffer()
            buffer.writeInteger(UInt32(chance.below(40)))
            buffer.writeBytes((0..<Int(chance.below(48))).map { _ in UInt8(truncatingIfNeeded: chance.next()) })
            while let _ = try? read(&buffer) {}
        }
    }
}
