import AssayCrypto
import AssayPrimitives
import AssayProtocol
import Testing

struct RLPTests {
    /// The examples of the Ethereum documentation.
    @Test func `encodings are the published ones`() {
        #expect(hex(RLP.list([.bytes(Array("cat".utf8)), .bytes(Array("dog".utf8))]).encoded) == "0xc88363617483646f67")
        #expect(hex(RLP.bytes([]).encoded) == "0x80")
        #expect(hex(RLP.number(0).encoded) == "0x80")
        #expect(hex(RLP.number(1024).encoded) == "0x820400")
        #expect(hex(RLP.list([.list([]), .list([.list([])]), .list([.list([]), .list([.list([])])])]).encoded) == "0xc7c0c1c0c3c0c1c0")
        #expect(hex(RLP.bytes(Array("Lorem ipsum dolor sit amet, consectetur adipisicing elit".utf8)).encoded).hasPrefix("0xb8384c6f"))
    }

    @Test(arguments: ["", "b800", "b90000", "8100", "817f", "c1", "83646f", "f800", "b83700", "8080", "bfffffffffffffffff", "ffffffffffffffffff"])
    func `what is not canonical or not whole is refused`(text: String) throws {
        let input = try #require(bytes(hex: text))
        #expect(throws: RLP.Invalid.self) { try RLP.decode(input) }
    }

    @Test func `deep nesting is refused without recursion to the end`() {
        #expect(throws: RLP.Invalid.self) { try RLP.decode([UInt8](repeating: 0xC1, count: 100_000)) }
    }

    @Test func `whatever bytes decode, encode to themselves`() {
        var generator = SeededGenerator(seed: 11)
        let sample = RLP.list([.number(1), .bytes([UInt8](repeating: 7, count: 60)), .list([.bytes([]), .number(U256.max)])]).encoded
        var decoded = 0
        for _ in 0..<20_000 {
            var input = sample
            for _ in 0...generator.below(3) { input[Int(generator.below(UInt64(input.count)))] = UInt8(truncatingIfNeeded: generator.next()) }
            if let item = try? RLP.decode(input) {
                decoded += 1
                #expect(item.encoded == input)
            }
        }
        #expect(decoded > 100)
    }
}

struct ABITests {
    /// The examples of the Solidity documentation's ABI specification.
    @Test func `calls are encoded as in Solidity's documentation`() throws {
        #expect(hex(ABIFunction("baz(uint32,bool)").call(.uint(69), .bool(true)))
            == "0xcdcd77c0" + String(repeating: "0", count: 62) + "45" + String(repeating: "0", count: 63) + "1")
        let f = ABIFunction("f(uint256,uint32[],bytes10,bytes)")
        let values: [ABIValue] = [.uint(0x123), .array([.uint(0x456), .uint(0x789)]), .fixedBytes(Array("1234567890".utf8)), .bytes(Array("Hello, world!".utf8))]
        let call = f.selector + ABI.encode(values)
        #expect(hex(call) == "0x8be65246"
            + "0000000000000000000000000000000000000000000000000000000000000123" + "0000000000000000000000000000000000000000000000000000000000000080"
            + "3132333435363738393000000000000000000000000000000000000000000000" + "00000000000000000000000000000000000000000000000000000000000000e0"
            + "0000000000000000000000000000000000000000000000000000000000000002" + "0000000000000000000000000000000000000000000000000000000000000456"
            + "0000000000000000000000000000000000000000000000000000000000000789" + "000000000000000000000000000000000000000000000000000000000000000d"
            + "48656c6c6f2c20776f726c642100000000000000000000000000000000000000")
        #expect(try ABI.decode(f.inputs, call.dropFirst(4)) == values)
    }

    @Test func `nested tuples and arrays come back`() throws {
        let types = [ABIType("(uint64,(bytes,address)[])")!, ABIType("int64")!, ABIType("string")!]
        let values: [ABIValue] = [
            .tuple([.uint(9), .array([.tuple([.bytes([1, 2, 3]), .address(Address(number: 5))]), .tuple([.bytes([]), .address(.zero)])])]),
            .int(-7), .string("größer"),
        ]
        #expect(try ABI.decode(types, ABI.encode(values)) == values)
    }

    @Test func `values out of their type's range are refused`() {
        let word = [UInt8](repeating: 255, count: 32)
        for name in ["uint8", "uint64", "address", "bool", "bytes4"] {
            #expect(throws: ABIError.self, "\(name)") { try ABI.decode([ABIType(name)!], word) }
        }
        #expect(throws: ABIError.truncated) { try ABI.decode([.bytes], word) }
        #expect(throws: ABIError.self) { try ABI.decode([.array(.uint(bits: 256))], U256(32 as UInt64).bigEndianBytes + U256(5_000 as UInt64).bigEndianBytes + [UInt8](repeating: 0, count: 64)) }
    }

    @Test func `mutated encodings never trap`() {
        var generator = SeededGenerator(seed: 12)
        let types = [ABIType("(uint64,(bytes,address)[])")!, ABIType("string")!]
        let sample = ABI.encode([.tuple([.uint(9), .array([.tuple([.bytes([1, 2, 3]), .address(Address(number: 5))])])]), .string("text")])
        var refused = 0
        for _ in 0..<20_000 {
            var input = sample
            for _ in 0...generator.below(4) { input[Int(generator.below(UInt64(input.count)))] = generator.chance(1, in: 2) ? 255 : UInt8(truncatingIfNeeded: generator.next()) }
            if (try? ABI.decode(types, input.prefix(Int(generator.below(UInt64(input.count + 1)))))) == nil { refused += 1 }
        }
        #expect(refused > 1_000)
    }
}

struct TransactionTests {
    @Test func `a signed transaction reads back with its sender`() throws {
        let key = KeyPair(seed: "sender")
        let made = Transaction.dynamicFee(chainID: 77, nonce: 3, maxPriorityFeePerGas: 1, maxFeePerGas: 2_000_000_000, gasLimit: 21_000, to: Address(number: 9), value: 5, data: [1, 2], by: key)
        let read = try Transaction(raw: made.raw, chainID: 77)
        #expect(read == made)
        #expect(read.sender == key.address)
        #expect(throws: Transaction.Invalid.wrongChain(found: 77, expected: 78)) { try Transaction(raw: made.raw, chainID: 78) }
    }

    @Test func `types that the ledger does not know are refused by name`() {
        for type in [3, 4, 0x7F] as [UInt8] {
            #expect(throws: Transaction.Invalid.typeNotSupported(type)) { try Transaction(raw: [type, 0xC0], chainID: 1) }
        }
        #expect(Transaction.Invalid.typeNotSupported(3).description == "transaction type not supported")
        #expect(throws: Transaction.Invalid.self) { try Transaction(raw: [], chainID: 1) }
        #expect(throws: Transaction.Invalid.tooLarge(20_000)) { try Transaction(raw: [UInt8](repeating: 2, count: 20_000), chainID: 1) }
    }

    @Test func `mutated transactions never trap, and never keep their sender with other content`() {
        let key = KeyPair(seed: "sender")
        let made = Transaction.dynamicFee(chainID: 77, nonce: 3, maxFeePerGas: 2_000_000_000, gasLimit: 21_000, to: Address(number: 9), value: 5, data: [1, 2], by: key)
        var generator = SeededGenerator(seed: 13)
        for _ in 0..<5_000 {
            var raw = made.raw
            raw[Int(generator.below(UInt64(raw.count)))] ^= UInt8(1 << generator.below(8))
            if let read = try? Transaction(raw: raw, chainID: 77) { #expect(read.sender != key.address) }
        }
    }
}

struct CommitteeTests {
    @Test(arguments: [(4, 3, 2), (7, 5, 3), (10, 7, 4), (1, 1, 1), (3, 3, 1)])
    func `quorum is more than two thirds and validity at least one third`(count: Int, quorum: UInt64, validity: UInt64) throws {
        let members = (0..<count).map { Committee.Member(owner: .zero, consensusKey: KeyPair(seed: "\($0)").publicKey, networkKey: .zero, stake: Stake(1)) }
        let committee = try Committee(epoch: Epoch(0), members: members)
        #expect(committee.quorum == Stake(quorum))
        #expect(committee.validity == Stake(validity))
        var tally = StakeTally(committee)
        for _ in 0..<3 { tally.add(AuthorityIndex(0)) }
        #expect(tally.stake == Stake(1))
        tally.add(AuthorityIndex(UInt16.max))
        #expect(tally.stake == Stake(1))
    }

    @Test func `a score rounds toward minus infinity and is bounded below`() {
        #expect(ScoreFact(randomBefore: 3, randomAfter: 2, ownBefore: 1, ownAfter: 1).score == Score(billionths: 333_333_333))
        #expect(ScoreFact(randomBefore: 3, randomAfter: 4, ownBefore: 1, ownAfter: 1).score == Score(billionths: -333_333_334))
        #expect(ScoreFact(randomBefore: 1, randomAfter: .max, ownBefore: 1, ownAfter: 1).score == Score(billionths: -1_000_000_000))
        #expect(ScoreFact.notFinite.score == Score(billionths: -1_000_000_000))
    }
}
