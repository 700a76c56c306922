import AssayTensor

/// Little-endian words in the bytes of a payload. Offsets are ours: whoever reads has compared the size before.
struct PayloadBytes {
    static func word(_ bytes: UnsafePointer<UInt8>) -> UInt32 {
        UInt32(littleEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self))
    }
    static func float(_ bytes: UnsafePointer<UInt8>) -> Float { Float(bitPattern: word(bytes)) }
    static func store(_ word: UInt32, _ bytes: UnsafeMutablePointer<UInt8>) {
        UnsafeMutableRawPointer(bytes).storeBytes(of: word.littleEndian, as: UInt32.self)
    }

    /// Every payload with a head begins with its magic and the number of parameters.
    static let headBytes = 8
    static func storeHead(_ magic: UInt32, _ count: Int, _ bytes: UnsafeMutablePointer<UInt8>) {
        store(magic, bytes)
        store(UInt32(count), bytes + 4)
    }
    static func checkHead(_ magic: UInt32, _ count: Int, _ bytes: UnsafePointer<UInt8>) throws(PayloadError) {
        guard word(bytes) == magic else { throw .wrongMagic(word(bytes)) }
        guard word(bytes + 4) == UInt32(count) else { throw .wrongCount(found: word(bytes + 4), expected: count) }
    }
}

extension Array where Element == UInt8 {
    /// The bytes as a pointer, for bodies that throw `PayloadError` and nothing else.
    func reading<Result>(_ body: (UnsafePointer<UInt8>) throws(PayloadError) -> Result) throws(PayloadError) -> Result {
        let outcome: Swift.Result<Result, PayloadError> = withUnsafeBufferPointer { buffer in
            let pointer = buffer.baseAddress ?? UnsafePointer(bitPattern: 1)!       // of nothing, nothing is read
            do throws(PayloadError) { return .success(try body(pointer)) } catch { return .failure(error) }
        }
        return try outcome.get()
    }
    mutating func writing(_ body: (UnsafeMutablePointer<UInt8>) -> Void) {
        withUnsafeMutableBufferPointer { if let pointer = $0.baseAddress { body(pointer) } }
    }
}
