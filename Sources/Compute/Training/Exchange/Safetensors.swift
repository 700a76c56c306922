import AssayTensor

/// What a safetensors file holds: eight bytes of length, a JSON header, then the tensors' bytes without a gap.
///
/// Everything in the header is checked here, before anything is allocated for a tensor; the bytes themselves are read by `read`.
/// - Source: the format's own description, github.com/huggingface/safetensors, README.
public struct Safetensors: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public let name: String
        /// `F32`, `BF16` …
        public let type: String
        public let shape: [Int]
        /// Of the file's bytes.
        public let range: Range<Int>
        /// Elements: the product of `shape`.
        public let count: Int
    }

    /// In the order of their bytes.
    public let entries: [Entry]

    /// Far more than a model of 256 layers needs.
    public static let headerLimit = 4 << 20
    static let dimensionLimit = 8
    /// Bytes of an element.
    private static let sizes = ["BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8]

    public init(_ file: UnsafeRawBufferPointer) throws(SafetensorsError) {
        guard file.count >= 8 else { throw .tooShort(bytes: file.count) }
        let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(Safetensors.headerLimit) else { throw .headerTooLong(bytes: length, limit: Safetensors.headerLimit) }
        guard Int(length) <= file.count - 8 else { throw .headerBeyondTheFile(bytes: Int(length), available: file.count - 8) }
        let begin = 8 + Int(length)
        let json: JSONText
        do { json = try JSONText(file[8..<begin], limit: Safetensors.headerLimit) } catch { throw .header(error) }
        guard case .object(let members) = json else { throw .headerIsNoObject }
        var found: [Entry] = []
        for member in members {
            if member.name == "__metadata__" { try Safetensors.checkMetadata(member.value) } else { found.append(try Safetensors.entry(member, data: file.count - begin)) }
        }
        found.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        var next = 0
        for entry in found {
            guard entry.range.lowerBound == next else { throw .gapOrOverlap(entry.name, begins: entry.range.lowerBound, expected: next) }
            next = entry.range.upperBound
        }
        guard next == file.count - begin else { throw .bytesLeftOver(file.count - begin - next) }
        entries = found.map { Entry(name: $0.name, type: $0.type, shape: $0.shape, range: ($0.range.lowerBound + begin)..<($0.range.upperBound + begin), count: $0.count) }
    }

    private static func checkMetadata(_ value: JSONText) throws(SafetensorsError) {
        guard case .object(let members) = value, members.allSatisfy({ if case .string = $0.value { true } else { false } }) else { throw .metadataIsNotText }
    }

    /// With a range from where the tensors' bytes begin.
    private static func entry(_ member: JSONText.Member, data: Int) throws(SafetensorsError) -> Entry {
        let name = member.name
        guard case .object(let fields) = member.value, fields.count == 3, case .string(let type)? = member.value["dtype"],
              case .array(let dimensions)? = member.value["shape"], case .array(let offsets)? = member.value["data_offsets"], offsets.count == 2,
              let first = offsets[0].integer, let last = offsets[1].integer else { throw .fields(name) }
        guard let size = sizes[type] else { throw .unknownType(name, type) }
        guard dimensions.count <= dimensionLimit else { throw .tooManyDimensions(name, dimensions.count) }
        guard first >= 0, first <= last, last <= data else { throw .outsideTheFile(name, first, last, available: data) }
        var shape: [Int] = [], bytes = size
        for dimension in dimensions {
            guard let extent = dimension.integer, extent >= 0 else { throw .fields(name) }
            let (product, tooLarge) = bytes.multipliedReportingOverflow(by: extent)
            guard !tooLarge else { throw .wrongSize(name, found: last - first, expected: .max) }
            shape.append(extent)
            bytes = product
        }
        guard bytes == last - first else { throw .wrongSize(name, found: last - first, expected: bytes) }
        return Entry(name: name, type: type, shape: shape, range: first..<last, count: bytes / size)
    }

    /// Reads a tensor's elements one after the other, as Float32.
    ///
    /// - Parameters:
    ///   - file: the bytes that this was made from.
    ///   - put: index and value.
    /// - Exactness: F32, F16 and BF16 are all exact.
    public static func read(_ entry: Entry, of file: UnsafeRawBufferPointer, _ put: (Int, Float) -> Void) throws(SafetensorsError) {
        precondition(entry.range.upperBound <= file.count, "\(entry.name) ends at \(entry.range.upperBound) of \(file.count) bytes")
        let bytes = UnsafeRawBufferPointer(rebasing: file[entry.range])
        func half(_ index: Int) -> UInt16 { UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)) }
        switch entry.type {
        case "F32": for index in 0..<entry.count { put(index, Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))) }
        case "BF16": for index in 0..<entry.count { put(index, Float(bitPattern: UInt32(half(index)) << 16)) }
        case "F16": for index in 0..<entry.count { put(index, float(half: half(index))) }
        default: throw .notRead(entry.name, entry.type)
        }
    }

    /// IEEE binary16 as binary32, bit by bit: not every machine has the type.
    static func float(half: UInt16) -> Float {
        let sign = UInt32(half & 0x8000) << 16, exponent = UInt32(half >> 10 & 31), fraction = UInt32(half & 1_023)
        switch exponent {
        case 0: return Float(bitPattern: sign | (Float(fraction) * 0x1p-24).bitPattern)          // zero and subnormals
        case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }

    /// Length and header of a file of F32 tensors that follow in this order. `{"format":"pt"}` is what transformers asks for.
    static func header(_ tensors: [(name: String, shape: [Int])]) -> [UInt8] {
        var text = "{\"__metadata__\":{\"format\":\"pt\"}", next = 0
        for tensor in tensors {
            let end = next + 4 * tensor.shape.reduce(1, *)
            text += ",\(JSONText.quoted(tensor.name)):{\"dtype\":\"F32\",\"shape\":[\(tensor.shape.map(String.init).joined(separator: ","))],\"data_offsets\":[\(next),\(end)]}"
            next = end
        }
        text += "}"
        text += String(repeating: " ", count: (8 - text.utf8.count % 8) % 8)                     // so that floats lie aligned
        return withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Array($0) } + Array(text.utf8)
    }
}

/// Why a safetensors file was refused.
public enum SafetensorsError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooShort(bytes: Int)
    case headerTooLong(bytes: UInt64, limit: Int)
    case headerBeyondTheFile(bytes: Int, available: Int)
    case header(JSONTextError)
    case headerIsNoObject
    case metadataIsNotText
    /// A tensor's dtype, shape or data_offsets.
    case fields(String)
    case unknownType(String, String)
    case tooManyDimensions(String, Int)
    case outsideTheFile(String, Int, Int, available: Int)
    case wrongSize(String, found: Int, expected: Int)
    case gapOrOverlap(String, begins: Int, expected: Int)
    case bytesLeftOver(Int)
    /// Integers and eight-bit floats are no parameters of ours.
    case notRead(String, String)

    public var description: String {
        switch self {
        case .tooShort(let bytes): "it has \(bytes) bytes, too few for a safetensors file"
        case .headerTooLong(let bytes, let limit): "its header says it has \(bytes) bytes; at most \(limit) are read"
        case .headerBeyondTheFile(let bytes, let available): "its header says it has \(bytes) bytes, of which \(available) are there"
        case .header(let error): "its header: \(error)"
        case .headerIsNoObject: "its header is no JSON object"
        case .metadataIsNotText: "its __metadata__ is no object of strings"
        case .fields(let name): "tensor \(name) does not have exactly dtype, shape and data_offsets"
        case .unknownType(let name, let type): "tensor \(name) is of type “\(type)”, which the format does not have"
        case .tooManyDimensions(let name, let count): "tensor \(name) has \(count) dimensions"
        case .outsideTheFile(let name, let first, let last, let available): "tensor \(name) lies at \(first)…\(last) of \(available) bytes"
        case .wrongSize(let name, let found, let expected): "tensor \(name) has \(found) bytes; its shape and type need \(expected)"
        case .gapOrOverlap(let name, let begins, let expected): "tensor \(name) begins at \(begins); the one before ended at \(expected)"
        case .bytesLeftOver(let count): "\(count) bytes follow the last tensor"
        case .notRead(let name, let type): "tensor \(name) is of type \(type); F32, F16 and BF16 are read"
        }
    }
}
