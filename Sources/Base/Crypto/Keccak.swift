/// Keccak-256 as Ethereum uses it: rate 136 bytes, padding 0x01 … 0x80 (not SHA-3's 0x06).
///
/// Source: Bertoni, Daemen, Peeters, Van Assche, "The Keccak reference", version 3.0 (2011).
public func keccak256(_ input: some Sequence<UInt8>) -> [UInt8] {
    input.withContiguousStorageIfAvailable { keccak256(UnsafeRawBufferPointer($0)) } ?? Array(input).withUnsafeBytes { keccak256($0) }
}

private func keccak256(_ input: UnsafeRawBufferPointer) -> [UInt8] {
    let rate = 136
    return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 25) { state in
        state.initialize(repeating: 0)
        func absorb(_ block: UnsafeRawBufferPointer) {
            for lane in 0..<rate / 8 { state[lane] ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: lane * 8, as: UInt64.self)) }
            permute(state)
        }
        var position = 0
        while input.count - position >= rate {
            absorb(UnsafeRawBufferPointer(rebasing: input[position..<position + rate]))
            position += rate
        }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: rate) { last in
            let rest = input[position...]
            last.initialize(repeating: 0)
            for (index, byte) in rest.enumerated() { last[index] = byte }
            last[rest.count] = 1
            last[rate - 1] |= 0x80
            absorb(UnsafeRawBufferPointer(last))
        }
        return (0..<32).map { UInt8(truncatingIfNeeded: state[$0 / 8] >> UInt64(8 * ($0 % 8))) }
    }
}

private let roundConstants: [UInt64] = [
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B, 0x0000000080000001,
    0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
    0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
    0x000000000000800A, 0x800000008000000A, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
]
private let rotations: [UInt64] = [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44]
private let lanes: [Int] = [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1]

private func permute(_ s: UnsafeMutableBufferPointer<UInt64>) {
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 5) { column in
        for constant in roundConstants {
            for x in 0..<5 { column[x] = s[x] ^ s[x + 5] ^ s[x + 10] ^ s[x + 15] ^ s[x + 20] }
            for x in 0..<5 {
                let next = column[(x + 1) % 5]
                let mix = column[(x + 4) % 5] ^ (next << 1 | next >> 63)
                for y in stride(from: x, to: 25, by: 5) { s[y] ^= mix }
            }
            var carried = s[1]
            for step in 0..<24 {
                let lane = lanes[step]
                let held = s[lane]
                s[lane] = carried << rotations[step] | carried >> (64 - rotations[step])
                carried = held
            }
            for y in stride(from: 0, to: 25, by: 5) {
                for x in 0..<5 { column[x] = s[y + x] }
                for x in 0..<5 { s[y + x] = column[x] ^ (~column[(x + 1) % 5] & column[(x + 2) % 5]) }
            }
            s[0] ^= constant
        }
    }
}
