import CAssayKernels

/// Floats in one 64-byte-aligned allocation: parameters, gradients, moments, activations.
///
/// A reference, so that large tensors are never copied by accident: `copy()` says so. One writer at a time is the owner's affair.
public final class FloatBuffer: @unchecked Sendable {
    public let count: Int
    public let pointer: UnsafeMutablePointer<Float>

    /// All zero.
    public init(count: Int) {
        precondition(count >= 0, "a buffer of \(count) floats")
        self.count = count
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(64, (count * 4 + 63) / 64 * 64), alignment: 64)
        pointer = memory.bindMemory(to: Float.self, capacity: max(1, count))
        pointer.initialize(repeating: 0, count: count)
    }
    public convenience init(_ values: some Collection<Float>) {
        self.init(count: values.count)
        for (index, value) in values.enumerated() { pointer[index] = value }
    }
    deinit { UnsafeMutableRawPointer(pointer).deallocate() }

    public subscript(index: Int) -> Float {
        get {
            precondition(index >= 0 && index < count, "float \(index) of \(count)")
            return pointer[index]
        }
        set {
            precondition(index >= 0 && index < count, "float \(index) of \(count)")
            pointer[index] = newValue
        }
    }

    public func withUnsafeBufferPointer<Result>(_ body: (UnsafeBufferPointer<Float>) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(UnsafeBufferPointer(start: pointer, count: count)) }
    }
    public func withUnsafeMutableBufferPointer<Result>(_ body: (UnsafeMutableBufferPointer<Float>) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(UnsafeMutableBufferPointer(start: pointer, count: count)) }
    }
    /// The bytes as they lie in memory, which is little-endian on every machine that Assay runs on.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(UnsafeRawBufferPointer(start: pointer, count: count * 4)) }
    }

    public func copy(of range: Range<Int>) -> FloatBuffer {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "floats \(range) of \(count)")
        let copy = FloatBuffer(count: range.count)
        copy.pointer.update(from: pointer + range.lowerBound, count: range.count)
        return copy
    }
    public func copy() -> FloatBuffer { copy(of: 0..<count) }
    public func assign(_ other: FloatBuffer) {
        precondition(other.count == count, "assigning \(other.count) floats to \(count)")
        pointer.update(from: other.pointer, count: count)
    }
    public func fill(_ value: Float) { pointer.update(repeating: value, count: count) }

    /// Equal bits: +0 and −0 differ, a NaN equals itself.
    public static func == (a: FloatBuffer, b: FloatBuffer) -> Bool {
        a.count == b.count && a.withUnsafeBytes { x in b.withUnsafeBytes { y in x.elementsEqual(y) } }
    }
    public static func != (a: FloatBuffer, b: FloatBuffer) -> Bool { !(a == b) }

    public var allFinite: Bool { withUnsafeBufferPointer { $0.allSatisfy(\.isFinite) } }

    public func littleEndianBytes() -> [UInt8] { withUnsafeBytes { Array($0) } }

    public convenience init(littleEndianBytes bytes: some Collection<UInt8>) throws(FloatBufferError) {
        guard bytes.count % 4 == 0 else { throw .notWholeFloats(byteCount: bytes.count) }
        self.init(count: bytes.count / 4)
        UnsafeMutableRawBufferPointer(start: pointer, count: count * 4).copyBytes(from: bytes)
    }
}

public enum FloatBufferError: Error, Hashable, Sendable { case notWholeFloats(byteCount: Int) }
