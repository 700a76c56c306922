import AssayCrypto
import AssayPrimitives
import AssayTraining

/// A text as tokens: the first part to train on, the rest to validate.
public struct GymData: Sendable {
    public enum Alphabet: String, CaseIterable, Sendable {
        /// A byte is its own token: 256.
        case bytes
        /// The distinct bytes of the text, numbered in ascending order.
        case characters
    }

    public let tokens: [UInt16]
    public let vocabulary: Int
    public let context: Int
    /// The first ⌊share · tokens⌋.
    public let trainingTokens: Int
    /// Of the tokens and where the split is.
    public let digest: Digest

    public init(text: [UInt8], alphabet: Alphabet, context: Int, trainingShare: Double) throws(GymError) {
        switch alphabet {
        case .bytes: try self.init(tokens: text.map(UInt16.init), vocabulary: 256, context: context, trainingShare: trainingShare)
        case .characters:
            var seen = [Bool](repeating: false, count: 256)
            for byte in text { seen[Int(byte)] = true }
            var number = [UInt16](repeating: 0, count: 256), next: UInt16 = 0
            for byte in 0..<256 where seen[byte] {
                number[byte] = next
                next += 1
            }
            try self.init(tokens: text.map { number[Int($0)] }, vocabulary: max(2, Int(next)), context: context, trainingShare: trainingShare)
        }
    }

    /// A shard is tokens of little-endian u16 and nothing else, as nanoGPT writes them; or the same behind llm.c's header: 256 words of 32 bits,
    /// the first three being 20240520, version 1 and the number of tokens.
    ///
    /// - Parameter shards: files, one after the other.
    public init(shards: [[UInt8]], vocabulary: Int, context: Int, trainingShare: Double) throws(GymError) {
        var tokens: [UInt16] = []
        for (index, file) in shards.enumerated() {
            let shard = try GymData.withoutHeader(file, number: index)
            guard shard.count.isMultiple(of: 2) else { throw .data("shard \(index) has \(shard.count) bytes, which are no whole u16 tokens") }
            tokens.reserveCapacity(tokens.count + shard.count / 2)
            for at in stride(from: shard.startIndex, to: shard.endIndex, by: 2) {
                let token = UInt16(shard[at]) | UInt16(shard[at + 1]) << 8
                guard Int(token) < vocabulary else { throw .data("token \((at - shard.startIndex) / 2) of shard \(index) is \(token); the vocabulary has \(vocabulary)") }
                tokens.append(token)
            }
        }
        try self.init(tokens: tokens, vocabulary: vocabulary, context: context, trainingShare: trainingShare)
    }

    private static func withoutHeader(_ file: [UInt8], number: Int) throws(GymError) -> ArraySlice<UInt8> {
        func word(_ index: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(file[4 * index + $1]) << (8 * UInt32($1)) } }
        guard file.count >= 1_024, word(0) == 20_240_520, word(1) == 1, (3..<256).allSatisfy({ word($0) == 0 }) else { return file[...] }
        guard 2 * Int(word(2)) == file.count - 1_024 else { throw .data("shard \(number) has \(file.count - 1_024) bytes behind its header, which says it has \(word(2)) tokens of two bytes") }
        return file[1_024...]
    }

    private init(tokens: [UInt16], vocabulary: Int, context: Int, trainingShare: Double) throws(GymError) {
        guard trainingShare > 0, trainingShare < 1 else { throw .field("data.trainingShare", "is \(trainingShare); it must lie between 0 and 1, like 0.9") }
        let trainingTokens = Int(Double(tokens.count) * trainingShare)
        guard trainingTokens > context + 1, tokens.count - trainingTokens > context + 1 else {
            throw .data("it has \(tokens.count) tokens, \(trainingTokens) of them to train on; both parts need more than \(context + 1). Take a longer text")
        }
        (self.tokens, self.vocabulary, self.context, self.trainingTokens) = (tokens, vocabulary, context, trainingTokens)
        digest = Digest.tagged("assay/gym/data/1") {
            $0.append(tokens.withUnsafeBytes { Digest.sha256($0) })
            $0.append(UInt64(trainingTokens))
        }
    }

    /// Sequences that begin at these tokens, each with the token that follows every one of its tokens.
    public func batch(at offsets: [Int]) -> Batch {
        var inputs: [UInt16] = [], targets: [UInt16] = []
        inputs.reserveCapacity(offsets.count * context)
        targets.reserveCapacity(offsets.count * context)
        for offset in offsets {
            inputs.append(contentsOf: tokens[offset..<offset + context])
            targets.append(contentsOf: tokens[offset + 1..<offset + context + 1])
        }
        return Batch(inputs: inputs, targets: targets, rows: offsets.count, context: context)
    }
}

/// Which sequences are trained on: a function of the seed and the sequence's number, so all arms of a seed see the same ones in the same order.
///
/// The training part is gone through pass after pass, each in an order of its own: B = ⌊training tokens ÷ context⌋ − 1 sequences, cut from a token on that the
/// pass draws, in an order that a Feistel network of four rounds gives, walked until the number is below B (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
public struct GymBatches: Sendable {
    private let data: GymData
    private let seed: UInt64
    /// B, and half the bits of the smallest even number of bits that hold B − 1.
    private let sequences: UInt64
    private let halfBits: UInt64

    public init(_ data: GymData, seed: UInt64) {
        (self.data, self.seed) = (data, seed)
        sequences = UInt64(max(1, data.trainingTokens / data.context - 1))
        halfBits = UInt64((UInt64.bitWidth - (sequences - 1).leadingZeroBitCount + 1) / 2)
    }

    /// The sequences with these numbers.
    public func batch(_ numbers: Range<Int>) -> Batch { data.batch(at: numbers.map { offset(UInt64($0)) }) }

    /// The first token of a sequence.
    package func offset(_ number: UInt64) -> Int {
        let (pass, place) = number.quotientAndRemainder(dividingBy: sequences)
        let philox = Philox(Digest.tagged("assay/gym/pass/1") {
            $0.append(seed)
            $0.append(pass)
        })
        let draw = philox.block(0), first64 = UInt64(draw.1) << 32 | UInt64(draw.0)
        let room = min(UInt64(data.context), UInt64(data.trainingTokens) - sequences * UInt64(data.context))
        let first = room.multipliedFullWidth(by: first64).high
        return Int(first + UInt64(data.context) * walked(place, philox))
    }

    private func walked(_ place: UInt64, _ philox: Philox) -> UInt64 {
        let mask = (1 as UInt64) << halfBits - 1
        var value = place
        repeat {
            var (left, right) = (value >> halfBits, value & mask)
            for round in 1...4 as ClosedRange<UInt64> { (left, right) = (right, left ^ (UInt64(philox.block(round << 32 | right).0) & mask)) }
            value = left << halfBits | right
        } while value >= sequences
        return value
    }
}
