import AssayPrimitives
import AssayProtocol

/// A trainer's strength as OpenSkill's Plackett-Luce model estimates it, in billionths. Shown, and used to choose whom to aggregate; pay does not use it.
///
/// Source: Weng, Lin, "A Bayesian Approximation Method for Online Ranking" (JMLR 2011), algorithm 4, for single players, with OpenSkill's constants.
/// Computed in signed fixed point of 10^-18, products and quotients rounded toward −∞, so that it is the same everywhere.
public struct Rating: Hashable, Sendable, CanonicalCodable {
    public var mu: Int64
    public var sigma: Int64
    public init(mu: Int64, sigma: Int64) { (self.mu, self.sigma) = (mu, sigma) }

    /// mu = 25, σ = 25/3.
    public static let new = Rating(mu: 25_000_000_000, sigma: 8_333_333_333)

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(UInt64(bitPattern: mu))
        encoder.append(UInt64(bitPattern: sigma))
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        mu = Int64(bitPattern: try decoder.uint64())
        sigma = Int64(bitPattern: try decoder.uint64())
    }

    /// β and τ of the model, in 10^-18.
    public struct Constants: Sendable {
        let betaSquared: FixedPoint
        let tauSquared: FixedPoint
        public init(betaBillionths: Int64, tauBillionths: Int64) {
            let beta = FixedPoint(billionths: betaBillionths), tau = FixedPoint(billionths: tauBillionths)
            (betaSquared, tauSquared) = (beta * beta, tau * tau)
        }
        /// β = 7, τ = 0.1.
        public static let standard = Constants(betaBillionths: 7_000_000_000, tauBillionths: 100_000_000)
    }
    private static let kappa = FixedPoint(raw: 100_000_000_000_000)

    /// All ratings after one match in which a higher score ranks before a lower one. Order in, order out.
    public static func update(_ ratings: [Rating], scores: [Int64], _ constants: Constants = .standard) -> [Rating] {
        guard ratings.count == scores.count, ratings.count > 1 else { return ratings }
        let mus = ratings.map { FixedPoint(billionths: $0.mu) }
        let variances = ratings.map { FixedPoint(billionths: $0.sigma) * FixedPoint(billionths: $0.sigma) + constants.tauSquared }
        let ranks = scores.map { score in scores.count { $0 > score } }
        let c = variances.reduce(.zero) { $0 + $1 + constants.betaSquared }.squareRoot
        let top = mus.max()! / c
        let strengths = mus.map { FixedPoint.exp($0 / c - top) }
        let sums = ranks.map { rank in zip(strengths, ranks).reduce(FixedPoint.zero) { $1.1 >= rank ? $0 + $1.0 : $0 } }
        let ties = ranks.map { rank in FixedPoint(integer: Int64(ranks.count { $0 == rank })) }
        return ratings.indices.map { i in
            var omega = FixedPoint.zero, delta = FixedPoint.zero
            for q in ratings.indices where ranks[q] <= ranks[i] {
                let p = strengths[i] / sums[q]
                omega = omega + (q == i ? FixedPoint.one - p : .zero - p) / ties[q]
                delta = delta + p * (.one - p) / ties[q]
            }
            let sigma = variances[i].squareRoot
            omega = variances[i] / c * omega
            delta = sigma / c * (variances[i] / (c * c)) * delta
            let shrink = max(.one - delta, kappa).squareRoot
            return Rating(mu: (mus[i] + omega).billionths, sigma: (sigma * shrink).billionths)
        }
    }
}

/// A signed number in units of 10^-18 whose magnitude is below 2^127; products go through 256 bits.
struct FixedPoint: Hashable, Comparable, Sendable {
    let raw: Int128
    private static let unit: Int128 = 1_000_000_000_000_000_000
    static let zero = FixedPoint(raw: 0), one = FixedPoint(raw: unit)

    init(raw: Int128) { self.raw = raw }
    init(integer: Int64) { raw = Int128(integer) * FixedPoint.unit }
    init(billionths: Int64) { raw = Int128(billionths) * 1_000_000_000 }

    /// Rounded half to even.
    var billionths: Int64 {
        let (quotient, remainder) = FixedPoint.floorDivide(raw, 1_000_000_000)
        let up = remainder > 500_000_000 || (remainder == 500_000_000 && quotient % 2 != 0)
        return Int64(clamping: up ? quotient + 1 : quotient)
    }
    static func < (a: FixedPoint, b: FixedPoint) -> Bool { a.raw < b.raw }
    static func + (a: FixedPoint, b: FixedPoint) -> FixedPoint { FixedPoint(raw: saturating(a.raw.addingReportingOverflow(b.raw), a.raw)) }
    static func - (a: FixedPoint, b: FixedPoint) -> FixedPoint { FixedPoint(raw: saturating(a.raw.subtractingReportingOverflow(b.raw), a.raw)) }

    static func * (a: FixedPoint, b: FixedPoint) -> FixedPoint { scaled(a.raw, b.raw, unit) }
    static func / (a: FixedPoint, b: FixedPoint) -> FixedPoint { scaled(a.raw, unit, b.raw) }

    /// a·b ÷ c toward −∞, through a 256-bit product; the largest value where there is none.
    private static func scaled(_ a: Int128, _ b: Int128, _ c: Int128) -> FixedPoint {
        guard c != 0 else { return FixedPoint(raw: .max) }
        let negative = ((a < 0) != (b < 0)) != (c < 0)
        let product = U256(a.magnitude).multipliedFullWidth(by: U256(b.magnitude)).low
        guard let (quotient, remainder) = try? product.dividedBy(U256(c.magnitude)) else { return .zero }
        guard quotient.high == 0, quotient.low < UInt128(Int128.max) else { return FixedPoint(raw: negative ? .min : .max) }
        let magnitude = Int128(quotient.low)
        return FixedPoint(raw: negative ? -magnitude - (remainder.isZero ? 0 : 1) : magnitude)
    }
    private static func saturating(_ result: (partialValue: Int128, overflow: Bool), _ sign: Int128) -> Int128 {
        result.overflow ? (sign < 0 ? .min : .max) : result.partialValue
    }
    private static func floorDivide(_ a: Int128, _ b: Int128) -> (Int128, Int128) {
        let (quotient, remainder) = a.quotientAndRemainder(dividingBy: b)
        return remainder < 0 ? (quotient - 1, remainder + b) : (quotient, remainder)
    }

    /// Rounded down, by Newton's method from above. Zero for a negative number.
    var squareRoot: FixedPoint {
        guard raw > 0 else { return .zero }
        let target = U256(raw.magnitude).multipliedFullWidth(by: U256(FixedPoint.unit.magnitude)).low
        var root = U256(1 as UInt64).shiftedLeft((target.bitWidth + 1) / 2)
        while let quotient = try? target.dividedBy(root).quotient, let sum = try? root.adding(quotient) {
            let next = sum.shiftedRight(1)
            if next >= root { break }
            root = next
        }
        return FixedPoint(raw: Int128(root.low))
    }

    /// e^x for x ≤ 0: x = −k·ln 2 + r, and 18 terms of Taylor's series for e^r.
    static func exp(_ x: FixedPoint) -> FixedPoint {
        guard x.raw < 0 else { return .one }
        let ln2: Int128 = 693_147_180_559_945_309
        let k = floorDivide(-x.raw, ln2).0
        guard k < 100 else { return .zero }
        let r = FixedPoint(raw: x.raw + k * ln2)
        var term = FixedPoint.one, sum = FixedPoint.one
        for n in 1..<18 {
            term = term * r / FixedPoint(integer: Int64(n))
            sum = sum + term
        }
        return FixedPoint(raw: sum.raw >> k)
    }
}
