import AssayTensor

/// The largest values of one chunk, found and written. One serves all chunks of a payload.
final class ChunkSelection {
    private let values = FloatBuffer(count: Chunks.whole)
    /// How many magnitudes have which upper eleven bits.
    private var bins = [UInt16](repeating: 0, count: 2_048)
    private var keys: [UInt64] = []
    private var size = 0
    /// Chosen, by rising index.
    private var chosen: [(index: Int, value: Float)] = []

    init() {
        keys.reserveCapacity(Chunks.whole)
        chosen.reserveCapacity(Chunks.whole)
    }

    func gather(_ start: UnsafePointer<Float>, _ tensor: Chunks.Tensor) {
        size = tensor.size
        for row in 0..<tensor.height { (values.pointer + row * tensor.width).update(from: start + row * tensor.columns, count: tensor.width) }
    }

    /// 0 for what is never chosen.
    private static func magnitude(_ x: Float) -> UInt32 {
        let bits = x.bitPattern & 0x7FFF_FFFF
        return bits > 0x7F80_0000 || bits < QuantisedRun.smallest.bitPattern ? 0 : bits
    }

    /// The smallest magnitude whose bin may hold one of the k largest; at least 1.
    private func least(_ k: Int) -> UInt32 {
        let (x, size) = (values.pointer, size)
        return bins.withUnsafeMutableBufferPointer { bins in
            bins.update(repeating: 0)
            for index in 0..<size { bins[Int(ChunkSelection.magnitude(x[index]) >> 20)] &+= 1 }
            var bin = bins.count - 1, above = Int(bins[bin])
            while bin > 0, above < k {
                bin -= 1
                above += Int(bins[bin])
            }
            return max(UInt32(bin) << 20, 1)
        }
    }

    func select(_ k: Int) {
        keys.removeAll(keepingCapacity: true)
        chosen.removeAll(keepingCapacity: true)
        let least = least(k)
        for index in 0..<size {
            let magnitude = ChunkSelection.magnitude(values.pointer[index])
            if magnitude >= least { keys.append(UInt64(magnitude) << 12 | UInt64(Chunks.whole - 1 - index)) }
        }
        if keys.count > k {
            keys.sort(by: >)
            keys.removeLast(keys.count - k)
        }
        // The lower part of a key falls with the index.
        for key in keys {
            let index = Chunks.whole - 1 - Int(key & 4_095)
            chosen.append((index, values.pointer[index]))
        }
        chosen.sort { $0.index < $1.index }
    }

    /// Writes count, scale and entries, and gives their bytes.
    func write(_ bits: TopKCompressor.ValueBits, _ bytes: UnsafeMutablePointer<UInt8>) -> Int {
        var largest: Float = 0
        for (_, value) in chosen where abs(value) > largest { largest = abs(value) }
        let scale: Float
        var codes = [Int](repeating: 0, count: chosen.count)
        switch bits {
        case .eight:
            let inverse = 127 / largest
            scale = largest / 127
            for (place, entry) in chosen.enumerated() {
                // What is infinite stays so, and its scale is refused by whoever reads it.
                let x = entry.value.isInfinite ? entry.value : entry.value * inverse, clamped = x > 127 ? 127 : x < -127 ? -127 : x
                codes[place] = clamped == clamped ? Int(clamped.rounded(.toNearestOrEven)) : 0
            }
        case .two:
            let inverse = 3 / largest
            var sum: Float = 0, squares = 0
            for (place, entry) in chosen.enumerated() {
                let magnitude = abs(entry.value), code = magnitude * inverse > 2 ? 3 : 1
                sum += magnitude * Float(code)
                squares += code * code
                codes[place] = entry.value < 0 ? -code : code
            }
            scale = sum / Float(squares) * 3 / 3
        case .one:
            var sum: Float = 0
            for (place, entry) in chosen.enumerated() {
                sum += abs(entry.value)
                codes[place] = entry.value < 0 ? -1 : 1
            }
            scale = sum / Float(chosen.count)
        }
        var writer = BitWriter(bytes + 6), count = 0
        for (entry, code) in zip(chosen, codes) where code != 0 {
            let written: Int = switch bits { case .eight: code & 255; case .two: (abs(code) == 3 ? 1 : 0) | (code < 0 ? 2 : 0); case .one: code < 0 ? 1 : 0 }
            writer.put(entry.index | written << 12, 12 + Int(bits.rawValue))
            count += 1
        }
        bytes[0] = UInt8(count & 255)
        bytes[1] = UInt8(count >> 8)
        guard count > 0 else { return 2 }
        PayloadBytes.store(scale.bitPattern, bytes + 2)
        return 6 + writer.finish()
    }
}

/// Numbers of some bits each, the least bit first.
struct BitWriter {
    private let bytes: UnsafeMutablePointer<UInt8>
    private var held: UInt64 = 0, heldBits = 0, written = 0
    init(_ bytes: UnsafeMutablePointer<UInt8>) { self.bytes = bytes }
    mutating func put(_ number: Int, _ bits: Int) {
        held |= UInt64(number) << UInt64(heldBits)
        heldBits += bits
        while heldBits >= 8 { flush() }
    }
    private mutating func flush() {
        bytes[written] = UInt8(truncatingIfNeeded: held)
        written += 1
        held >>= 8
        heldBits = max(0, heldBits - 8)
    }
    /// Fills the last byte with zeros; gives the bytes written.
    mutating func finish() -> Int {
        if heldBits > 0 { flush() }
        return written
    }
}
struct BitReader {
    private let bytes: UnsafePointer<UInt8>
    private var held: UInt64 = 0, heldBits = 0, read = 0
    init(_ bytes: UnsafePointer<UInt8>) { self.bytes = bytes }
    mutating func take(_ bits: Int) -> Int {
        while heldBits < bits {
            held |= UInt64(bytes[read]) << UInt64(heldBits)
            heldBits += 8
            read += 1
        }
        defer {
            held >>= UInt64(bits)
            heldBits -= bits
        }
        return Int(held & (1 << UInt64(bits) - 1))
    }
}
