import AssayPrimitives
import Testing

struct PhiloxTests {
    /// Known answers of Random123, `kat_vectors`, philox4x32 with 10 rounds.
    @Test func `philox gives Random123's known answers`() {
        let ones = UInt32.max
        #expect(Philox.block(counter: (0, 0, 0, 0), key: (0, 0)) == (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        #expect(Philox.block(counter: (ones, ones, ones, ones), key: (ones, ones)) == (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
        #expect(Philox.block(counter: (0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: (0xa409_3822, 0x299f_31d0))
            == (0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    }

    @Test func `draws below a bound stay below it and meet every value`() {
        var generator = SeededGenerator(seed: 7)
        var seen: Set<UInt64> = []
        for _ in 0..<1_000 {
            let value = generator.below(13)
            #expect(value < 13)
            seen.insert(value)
        }
        #expect(seen.count == 13)
    }

    @Test func `a sample has no element twice, and a seed gives it again`() {
        var first = SeededGenerator(seed: 3), second = SeededGenerator(seed: 3)
        let sample = first.sample(Array(0..<50), count: 20)
        #expect(Set(sample).count == 20)
        #expect(second.sample(Array(0..<50), count: 20) == sample)
    }
}

struct U256Tests {
    /// Values with long runs of ones and zeros, where carries go wrong.
    private static func random(_ generator: inout SeededGenerator) -> U256 {
        var value = U256(high: UInt128(generator.next()) << 64 | UInt128(generator.next()), low: UInt128(generator.next()) << 64 | UInt128(generator.next()))
        value = value.shiftedRight(Int(generator.below(256)))
        return generator.chance(1, in: 4) ? value.shiftedLeft(Int(generator.below(256))) : value
    }

    @Test func `division undoes multiplication, with the remainder below the divisor`() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            let a = U256Tests.random(&generator), b = U256Tests.random(&generator)
            if b.isZero {
                #expect(throws: ArithmeticError.divisionByZero) { try a.dividedBy(b) }
                continue
            }
            let (quotient, remainder) = try a.dividedBy(b)
            #expect(remainder < b)
            #expect(try quotient.multiplied(by: b).adding(remainder) == a)
        }
    }

    @Test func `scaling goes through 512 bits and rounds down`() throws {
        #expect(try U256.max.scaled(by: 7, over: 9) < U256.max)
        #expect(try U256.max.scaled(by: .max, over: .max) == .max)
        #expect(try U256(10 as UInt64).scaled(by: 2, over: 3) == 6)
        #expect(throws: ArithmeticError.overflow) { try U256.max.scaled(by: 2, over: 1) }
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<500 {
            let a = U256Tests.random(&generator), b = U256Tests.random(&generator), c = U256Tests.random(&generator)
            guard !c.isZero, let scaled = try? a.scaled(by: b, over: c) else { continue }
            let product = a.multipliedFullWidth(by: b), below = scaled.multipliedFullWidth(by: c)
            #expect((below.high, below.low) <= (product.high, product.low))
        }
    }

    @Test func `overflow, underflow and text that is no number are refused`() {
        #expect(throws: ArithmeticError.overflow) { try U256.max.adding(1) }
        #expect(throws: ArithmeticError.underflow) { try U256.zero.subtracting(1) }
        #expect(throws: ArithmeticError.overflow) { try U256(high: 1, low: 0).multiplied(by: U256(high: 1, low: 0)) }
        for text in ["", "0x", "12a", "-1", " 1", "1" + String(repeating: "0", count: 78)] { #expect(U256(text) == nil) }
    }

    @Test func `decimal and hexadecimal texts name the value`() {
        let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935"
        #expect(U256.max.description == largest)
        #expect(U256(largest) == .max)
        #expect(U256("0xff") == 255)
        #expect(U256("0")?.description == "0")
    }
}

struct CanonicalTests {
    private struct Sample: CanonicalCodable, Equatable {
        var number: UInt32
        var text: String
        var stakes: [Stake]
        var round: Round?
        func encode(into encoder: inout CanonicalEncoder) {
            encoder.append(number)
            encoder.append(text)
            encoder.append(stakes)
            encoder.append(optional: round)
        }
        init(number: UInt32, text: String, stakes: [Stake], round: Round?) { (self.number, self.text, self.stakes, self.round) = (number, text, stakes, round) }
        init(from decoder: inout CanonicalDecoder) throws(AssayPrimitives.DecodingError) {
            number = try decoder.uint32()
            text = try decoder.text(limit: 16)
            stakes = try decoder.array(limit: 4)
            round = try decoder.optional()
        }
    }

    @Test func `what was encoded is decoded, and every prefix of it is refused`() throws {
        let sample = Sample(number: 0x0102_0304, text: "Zürich", stakes: [Stake(1), Stake(.max)], round: Round(9))
        let bytes = sample.canonicalBytes
        #expect(Array(bytes.prefix(4)) == [4, 3, 2, 1])
        #expect(try Sample(canonicalBytes: bytes) == sample)
        for count in 0..<bytes.count { #expect(throws: AssayPrimitives.DecodingError.self) { try Sample(canonicalBytes: Array(bytes.prefix(count))) } }
        #expect(throws: AssayPrimitives.DecodingError.trailingBytes(count: 1)) { try Sample(canonicalBytes: bytes + [0]) }
    }

    @Test func `a count above its limit is refused before anything is read`() {
        let tooMany = Sample(number: 0, text: "", stakes: [Stake](repeating: Stake(0), count: 5), round: nil).canonicalBytes
        #expect(throws: AssayPrimitives.DecodingError.countTooLarge(found: 5, limit: 4)) { try Sample(canonicalBytes: tooMany) }
        #expect(throws: AssayPrimitives.DecodingError.countTooLarge(found: Int(UInt32.max), limit: 16)) { try Sample(canonicalBytes: [0, 0, 0, 0, 255, 255, 255, 255]) }
    }
}
