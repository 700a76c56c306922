import AssayTensor

/// Cosine and sine of position · 10,000^(−2i ÷ size), by a written rule: no machine's libm is asked.
///
/// All in Double, one IEEE operation at a time, in the order written; ⌊x⌉ is half to even, by adding and taking off 1.5 · 2⁵².
/// - Frequency i: y = (2i ÷ size) · ln 10,000; n = ⌊y · log₂e⌉; r = (y − n · LN2_HIGH) − n · LN2_LOW;
///   e = 1 − r÷1 · (1 − r÷2 · (… (1 − r÷18))), innermost first; frequency = e · 2⁻ⁿ.
/// - Angle of a position: a = position · frequency; n = ⌊a · (2 ÷ π)⌉; r = (a − n · HALF_PI_HIGH) − n · HALF_PI_LOW; z = r · r.
///   c = 1 − z÷(1·2) · (1 − z÷(3·4) · (… (1 − z÷(17·18)))), s = r · (1 − z÷(2·3) · (1 − z÷(4·5) · (… (1 − z÷(18·19))))).
///   By n mod 4: (cos, sin) = (c, s), (−s, c), (−c, −s), (s, −c). Each is rounded to Float once.
/// - Source: Su et al., "RoFormer" (2021), eq. 15; the split of π ÷ 2 as in Cody and Waite, "Software Manual for the Elementary Functions" (1980).
package struct RotaryTable: Sendable {
    /// [context, size ÷ 2].
    package let cosines, sines: FloatBuffer

    private static let logBase = 0x1.26bb1bbb55516p+3, logarithm2OfE = 0x1.71547652b82fep+0, ln2High = 0x1.62e42feep-1, ln2Low = 0x1.a39ef35793c76p-33
    /// The first 33 bits of π ÷ 2, so that products with n below 2²⁰ are exact; and the rest.
    private static let halfPiHigh = 0x1.921fb544p+0, halfPiLow = 0x1.0b4611a626331p-34, overHalfPi = 0x1.45f306dc9c883p-1

    package init(context: Int, size: Int) {
        let half = size / 2, frequencies = (0..<half).map { RotaryTable.frequency($0, size) }
        (cosines, sines) = (FloatBuffer(count: context * half), FloatBuffer(count: context * half))
        for position in 0..<context {
            for index in 0..<half {
                let (cosine, sine) = RotaryTable.turn(Double(position) * frequencies[index])
                cosines.pointer[position * half + index] = Float(cosine)
                sines.pointer[position * half + index] = Float(sine)
            }
        }
    }

    private static func nearest(_ x: Double) -> Double { (x + 0x1.8p+52) - 0x1.8p+52 }

    package static func frequency(_ index: Int, _ size: Int) -> Double {
        let y = Double(2 * index) / Double(size) * logBase, n = nearest(y * logarithm2OfE)
        let r = (y - n * ln2High) - n * ln2Low
        var sum = 1.0
        for term in stride(from: 18, through: 1, by: -1) { sum = 1 - r / Double(term) * sum }
        return sum * Double(sign: .plus, exponent: -Int(n), significand: 1)
    }

    package static func turn(_ angle: Double) -> (cosine: Double, sine: Double) {
        let n = nearest(angle * overHalfPi), r = (angle - n * halfPiHigh) - n * halfPiLow, square = r * r
        var cosine = 1.0, sine = 1.0
        for term in stride(from: 17, through: 1, by: -2) { cosine = 1 - square / Double(term * (term + 1)) * cosine }
        for term in stride(from: 18, through: 2, by: -2) { sine = 1 - square / Double(term * (term + 1)) * sine }
        sine = r * sine
        switch Int(n) & 3 {
        case 0: return (cosine, sine)
        case 1: return (-sine, cosine)
        case 2: return (-cosine, -sine)
        default: return (sine, -cosine)
        }
    }
}
