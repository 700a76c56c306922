/// An unsigned 256-bit integer: wei, and the words of the ABI. Every operation that can fail throws; nothing wraps or traps.
public struct U256: Hashable, Comparable, Sendable, ExpressibleByIntegerLiteral {
    // Words of 64 bits, least significant first: a stored UInt128 asks for an alignment that frames of async functions do not keep.
    private let word0: UInt64, word1: UInt64, word2: UInt64, word3: UInt64

    public var high: UInt128 { UInt128(word3) << 64 | UInt128(word2) }
    public var low: UInt128 { UInt128(word1) << 64 | UInt128(word0) }

    public static let zero = U256(high: 0, low: 0)
    public static let max = U256(high: .max, low: .max)

    public init(high: UInt128, low: UInt128) {
        (word0, word1) = (UInt64(truncatingIfNeeded: low), UInt64(truncatingIfNeeded: low >> 64))
        (word2, word3) = (UInt64(truncatingIfNeeded: high), UInt64(truncatingIfNeeded: high >> 64))
    }
    public init(_ value: some UnsignedInteger & FixedWidthInteger) { self.init(high: 0, low: UInt128(value)) }
    public init(integerLiteral value: UInt64) { self.init(value) }

    public var isZero: Bool { high == 0 && low == 0 }
    public var bitWidth: Int { high != 0 ? 256 - high.leadingZeroBitCount : 128 - low.leadingZeroBitCount }
    public static func < (a: U256, b: U256) -> Bool { (a.high, a.low) < (b.high, b.low) }

    /// The value, if 64 bits hold it.
    public var uint64: UInt64? { high == 0 ? UInt64(exactly: low) : nil }

    public func adding(_ other: U256) throws(ArithmeticError) -> U256 {
        let (low, carry) = low.addingReportingOverflow(other.low)
        let (sum, over1) = high.addingReportingOverflow(other.high)
        let (high, over2) = sum.addingReportingOverflow(carry ? 1 : 0)
        guard !over1, !over2 else { throw .overflow }
        return U256(high: high, low: low)
    }

    public func subtracting(_ other: U256) throws(ArithmeticError) -> U256 {
        guard self >= other else { throw .underflow }
        let (low, borrow) = low.subtractingReportingOverflow(other.low)
        return U256(high: high &- other.high &- (borrow ? 1 : 0), low: low)
    }

    public func multiplied(by other: U256) throws(ArithmeticError) -> U256 {
        let wide = multipliedFullWidth(by: other)
        guard wide.high.isZero else { throw .overflow }
        return wide.low
    }

    /// The 512-bit product.
    public func multipliedFullWidth(by other: U256) -> (high: U256, low: U256) {
        let a = limbs, b = other.limbs
        var product = [UInt64](repeating: 0, count: 8)
        for i in 0..<4 {
            var carry: UInt64 = 0
            for j in 0..<4 {
                let (high, low) = a[i].multipliedFullWidth(by: b[j])
                let (s1, c1) = product[i + j].addingReportingOverflow(low)
                let (s2, c2) = s1.addingReportingOverflow(carry)
                product[i + j] = s2
                carry = high &+ (c1 ? 1 : 0) &+ (c2 ? 1 : 0)
            }
            product[i + 4] = carry
        }
        return (U256(limbs: product[4...]), U256(limbs: product[..<4]))
    }

    /// Quotient rounded down, and remainder.
    public func dividedBy(_ divisor: U256) throws(ArithmeticError) -> (quotient: U256, remainder: U256) {
        guard !divisor.isZero else { throw .divisionByZero }
        return U256.divide(high: .zero, low: self, by: divisor)
    }

    /// floor(self × numerator ÷ denominator) through a 512-bit product.
    public func scaled(by numerator: U256, over denominator: U256) throws(ArithmeticError) -> U256 {
        guard !denominator.isZero else { throw .divisionByZero }
        let (high, low) = multipliedFullWidth(by: numerator)
        guard high < denominator else { throw .overflow }
        return U256.divide(high: high, low: low, by: denominator).quotient
    }

    public func shiftedLeft(_ bits: Int) -> U256 {
        switch bits {
        case ...0: self
        case 1..<128: U256(high: high << UInt128(bits) | low >> UInt128(128 - bits), low: low << UInt128(bits))
        case 128..<256: U256(high: low << UInt128(bits - 128), low: 0)
        default: .zero
        }
    }
    public func shiftedRight(_ bits: Int) -> U256 {
        switch bits {
        case ...0: self
        case 1..<128: U256(high: high >> UInt128(bits), low: low >> UInt128(bits) | high << UInt128(128 - bits))
        case 128..<256: U256(high: 0, low: high >> UInt128(bits - 128))
        default: .zero
        }
    }

    /// Invariant of the caller: `high < divisor`, so that the quotient fits.
    private static func divide(high: U256, low: U256, by divisor: U256) -> (quotient: U256, remainder: U256) {
        if high.isZero, low.high == 0, divisor.high == 0 {
            let (quotient, remainder) = low.low.quotientAndRemainder(dividingBy: divisor.low)
            return (U256(quotient), U256(remainder))
        }
        if high.isZero, divisor.high == 0, divisor.low <= UInt128(UInt64.max) {
            let word = UInt64(divisor.low)
            var remainder: UInt64 = 0
            var quotient = [UInt64](repeating: 0, count: 4)
            for (index, limb) in low.limbs.enumerated().reversed() { (quotient[index], remainder) = word.dividingFullWidth((remainder, limb)) }
            return (U256(limbs: quotient[...]), U256(remainder))
        }
        var remainder = high
        var quotient = U256.zero
        let bits = high.isZero ? low.bitWidth : 256
        if high.isZero { remainder = .zero }
        for bit in stride(from: bits - 1, through: 0, by: -1) {
            let carry = remainder.high >> 127 != 0
            remainder = remainder.shiftedLeft(1)
            if low.bit(bit) { remainder = U256(high: remainder.high, low: remainder.low | 1) }
            quotient = quotient.shiftedLeft(1)
            if carry || remainder >= divisor {
                let (l, borrow) = remainder.low.subtractingReportingOverflow(divisor.low)
                remainder = U256(high: remainder.high &- divisor.high &- (borrow ? 1 : 0), low: l)
                quotient = U256(high: quotient.high, low: quotient.low | 1)
            }
        }
        return (quotient, remainder)
    }

    private func bit(_ index: Int) -> Bool { index < 128 ? low >> UInt128(index) & 1 == 1 : high >> UInt128(index - 128) & 1 == 1 }
    private var limbs: [UInt64] { [word0, word1, word2, word3] }
    private init(limbs: ArraySlice<UInt64>) {
        let start = limbs.startIndex
        self.init(high: UInt128(limbs[start + 3]) << 64 | UInt128(limbs[start + 2]), low: UInt128(limbs[start + 1]) << 64 | UInt128(limbs[start]))
    }
}

extension U256: CustomStringConvertible, LosslessStringConvertible, CanonicalCodable {
    /// 32 bytes, most significant first: a word of the ABI.
    public var bigEndianBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        withUnsafeBytes(of: high.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: low.bigEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// - Precondition: at most 32 bytes.
    public init(bigEndianBytes bytes: some Collection<UInt8>) {
        precondition(bytes.count <= 32, "a U256 has at most 32 bytes, not \(bytes.count)")
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { UnsafeMutableRawBufferPointer(rebasing: $0[(32 - bytes.count)...]).copyBytes(from: bytes) }
        self.init(high: UInt128(words.0.bigEndian) << 64 | UInt128(words.1.bigEndian), low: UInt128(words.2.bigEndian) << 64 | UInt128(words.3.bigEndian))
    }

    /// Decimal digits.
    public var description: String {
        var rest = self
        var digits: [UInt8] = []
        while !rest.isZero {
            guard let (quotient, digit) = try? rest.dividedBy(10) else { break }
            digits.append(48 + UInt8(digit.low))
            rest = quotient
        }
        return digits.isEmpty ? "0" : String(decoding: digits.reversed(), as: UTF8.self)
    }

    /// Decimal digits, or hexadecimal ones after `0x`.
    public init?(_ text: String) {
        let hex = text.hasPrefix("0x")
        let digits = hex ? text.dropFirst(2) : text[...]
        guard !digits.isEmpty else { return nil }
        let radix = U256(hex ? 16 : 10 as UInt64)
        var value = U256.zero
        for character in digits {
            guard let digit = character.hexDigitValue, digit < (hex ? 16 : 10),
                  let next = try? value.multiplied(by: radix).adding(U256(UInt64(digit))) else { return nil }
            value = next
        }
        self = value
    }

    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(self) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) { self = try decoder.u256() }
}
