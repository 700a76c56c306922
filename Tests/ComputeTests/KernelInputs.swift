import AssayPrimitives
import AssayTensor

/// Numbers for kernel tests: ordinary ones, and every kind that trips a careless kernel up.
struct KernelInputs {
    private var generator: SeededGenerator
    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// Between −4 and 4; one in `special` of another kind: −0, +0, subnormal, infinite, NaN, huge or tiny.
    mutating func floats(_ count: Int, special: UInt64? = nil) -> FloatBuffer {
        let buffer = FloatBuffer(count: count)
        for index in 0..<count {
            if let special, generator.chance(1, in: special) { buffer[index] = odd() } else { buffer[index] = plain() }
        }
        return buffer
    }
    private mutating func plain() -> Float { Float(Int32(truncatingIfNeeded: generator.next() >> 40) - 0x80_0000) * 0x1p-21 }
    private mutating func odd() -> Float {
        let sign: Float = generator.chance(1, in: 2) ? -1 : 1
        switch generator.below(8) {
        case 0: return sign * 0
        case 1: return sign * Float(bitPattern: UInt32(generator.below(0x80_0000)))
        case 2: return sign * .infinity
        case 3: return .nan
        case 4: return sign * .greatestFiniteMagnitude
        case 5: return sign * .leastNormalMagnitude
        case 6: return sign * 0x1p-126 * Float(generator.below(1 << 20))
        default: return sign * Float(bitPattern: UInt32(generator.below(0x7f80_0000)))
        }
    }
}

extension FloatBuffer {
    /// The bits, every NaN as one pattern: NaN's payload is the vendor's.
    var comparableBits: [UInt32] { withUnsafeBufferPointer { $0.map { $0.isNaN ? 0x7fc0_0000 : $0.bitPattern } } }
}

/// The paths to hold to the reference.
let fastPaths = KernelPath.available.filter { $0 != .reference }
