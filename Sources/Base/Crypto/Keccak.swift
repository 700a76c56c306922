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
            UnsafeMutableRawBufferPointer(last).copyBytes(from: rest)
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

/// Keccak-f[1600]: each round written out, lane x + 5y as a constant, since the compiler keeps them in registers then.
private func permute(_ s: UnsafeMutableBufferPointer<UInt64>) {
    func turned(_ word: UInt64, _ bits: UInt64) -> UInt64 { word << bits | word >> (64 - bits) }
    for constant in roundConstants {
        // θ: the parities of the columns, and what each lane takes of its neighbours'.
        let c0 = s[0] ^ s[5] ^ s[10] ^ s[15] ^ s[20]
        let c1 = s[1] ^ s[6] ^ s[11] ^ s[16] ^ s[21]
        let c2 = s[2] ^ s[7] ^ s[12] ^ s[17] ^ s[22]
        let c3 = s[3] ^ s[8] ^ s[13] ^ s[18] ^ s[23]
        let c4 = s[4] ^ s[9] ^ s[14] ^ s[19] ^ s[24]
        let d0 = c4 ^ turned(c1, 1)
        let d1 = c0 ^ turned(c2, 1)
        let d2 = c1 ^ turned(c3, 1)
        let d3 = c2 ^ turned(c4, 1)
        let d4 = c3 ^ turned(c0, 1)
        // ρ and π: each lane turned, in its new place.
        let b0 = s[0] ^ d0, b1 = turned(s[6] ^ d1, 44), b2 = turned(s[12] ^ d2, 43), b3 = turned(s[18] ^ d3, 21), b4 = turned(s[24] ^ d4, 14)
        let b5 = turned(s[3] ^ d3, 28), b6 = turned(s[9] ^ d4, 20), b7 = turned(s[10] ^ d0, 3), b8 = turned(s[16] ^ d1, 45), b9 = turned(s[22] ^ d2, 61)
        let b10 = turned(s[1] ^ d1, 1), b11 = turned(s[7] ^ d2, 6), b12 = turned(s[13] ^ d3, 25), b13 = turned(s[19] ^ d4, 8), b14 = turned(s[20] ^ d0, 18)
        let b15 = turned(s[4] ^ d4, 27), b16 = turned(s[5] ^ d0, 36), b17 = turned(s[11] ^ d1, 10), b18 = turned(s[17] ^ d2, 15), b19 = turned(s[23] ^ d3, 56)
        let b20 = turned(s[2] ^ d2, 62), b21 = turned(s[8] ^ d3, 55), b22 = turned(s[14] ^ d4, 39), b23 = turned(s[15] ^ d0, 41), b24 = turned(s[21] ^ d1, 2)
        // χ, row by row, and ι.
        (s[0], s[1], s[2], s[3], s[4]) = (b0 ^ (~b1 & b2) ^ constant, b1 ^ (~b2 & b3), b2 ^ (~b3 & b4), b3 ^ (~b4 & b0), b4 ^ (~b0 & b1))
        (s[5], s[6], s[7], s[8], s[9]) = (b5 ^ (~b6 & b7), b6 ^ (~b7 & b8), b7 ^ (~b8 & b9), b8 ^ (~b9 & b5), b9 ^ (~b5 & b6))
        (s[10], s[11], s[12], s[13], s[14]) = (b10 ^ (~b11 & b12), b11 ^ (~b12 & b13), b12 ^ (~b13 & b14), b13 ^ (~b14 & b10), b14 ^ (~b10 & b11))
        (s[15], s[16], s[17], s[18], s[19]) = (b15 ^ (~b16 & b17), b16 ^ (~b17 & b18), b17 ^ (~b18 & b19), b18 ^ (~b19 & b15), b19 ^ (~b15 & b16))
        (s[20], s[21], s[22], s[23], s[24]) = (b20 ^ (~b21 & b22), b21 ^ (~b22 & b23), b22 ^ (~b23 & b24), b23 ^ (~b24 & b20), b24 ^ (~b20 & b21))
    }
}
