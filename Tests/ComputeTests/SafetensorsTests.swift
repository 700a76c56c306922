import AssayTensor
import AssayTraining
import Testing

@Suite struct SafetensorsTests {
    private func file(_ header: String, data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
        withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { Array($0) } + Array(header.utf8) + data
    }
    private func read(_ bytes: [UInt8]) throws(SafetensorsError) -> Safetensors {
        let result: Result<Safetensors, SafetensorsError> = bytes.withUnsafeBytes { raw in Result { () throws(SafetensorsError) in try Safetensors(raw) } }
        return try result.get()
    }
    private func values(_ type: String, _ data: [UInt8], count: Int) throws -> [Float] {
        let bytes = file("{\"x\":{\"dtype\":\"\(type)\",\"shape\":[\(count)],\"data_offsets\":[0,\(data.count)]}}", data: data)
        return try bytes.withUnsafeBytes { raw in
            var values = [Float](repeating: .nan, count: count)
            try Safetensors.read(try Safetensors(raw).entries[0], of: raw) { values[$0] = $1 }
            return values
        }
    }

    @Test func `tensors are found by their offsets, whatever the order of the header and of a tensor's fields`() throws {
        let bytes = file(#" { "b" : {"data_offsets":[4,8],"shape":[2,1],"dtype":"F16"},"__metadata__":{"format":"pt"}, "a\u0062":{"dtype":"F32","shape":[],"data_offsets":[0,4]}} "#, data: [UInt8](0..<8))
        let found = try read(bytes).entries, start = bytes.count - 8
        #expect(found.map(\.name) == ["ab", "b"] && found.map(\.count) == [1, 2] && found.map(\.shape) == [[], [2, 1]])
        #expect(found.map(\.range) == [start..<start + 4, start + 4..<start + 8])
        #expect(try read(file("{}")).entries.isEmpty)
    }

    @Test func `F32, F16 and BF16 are read exactly`() throws {
        #expect(try values("F32", [0, 0, 0x80, 0x3f, 0xdb, 0x0f, 0x49, 0xc0], count: 2) == [1, Float(bitPattern: 0xc049_0fdb)])
        #expect(try values("BF16", [0x80, 0x3f, 0x49, 0xc0, 0x01, 0x00], count: 3) == [1, -3.140625, Float(bitPattern: 0x1_0000)])
        // 1, −2, the largest, the smallest normal, the smallest and the largest subnormal, −0, infinity.
        let halves: [UInt16] = [0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x03ff, 0x8000, 0x7c00]
        let found = try values("F16", halves.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }, count: 8)
        #expect(found == [1, -2, 65_504, 0x1p-14, 0x1p-24, 1_023 * 0x1p-24, -0.0, .infinity] && found[6].sign == .minus)
        #expect(try values("F16", [0x01, 0x7c], count: 1)[0].isNaN)
        #expect(throws: SafetensorsError.notRead("x", "I64")) { try values("I64", [UInt8](repeating: 0, count: 8), count: 1) }
    }

    @Test func `every malformed file is refused with its own error`() {
        func tensor(_ fields: String) -> String { "{\"x\":{\(fields)}}" }
        let good = "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]", four = [UInt8](repeating: 0, count: 4)
        let cases: [([UInt8], SafetensorsError)] = [
            ([1, 2, 3], .tooShort(bytes: 3)),
            (file("{}", length: 1 << 60), .headerTooLong(bytes: 1 << 60, limit: Safetensors.headerLimit)),
            (file("{}", length: 3), .headerBeyondTheFile(bytes: 3, available: 2)),
            (file("{\"a\""), .header(.endsEarly)),
            (file("{} x"), .header(.unexpected(at: 3))),
            (file(String(repeating: "[", count: 1_000)), .header(.tooDeep(at: 8))),
            (file("{\"a\":1,\"\\u0061\":2}"), .header(.nameTwice("a"))),
            (file("{\"\\ud800\":1}"), .header(.notUnicode(at: 1))),
            (file("{\"a\":01}"), .header(.unexpected(at: 6))),
            (file("[]"), .headerIsNoObject),
            (file("{\"__metadata__\":{\"a\":1}}"), .metadataIsNotText),
            (file("{\"x\":1}"), .fields("x")),
            (file(tensor(good + ",\"more\":1"), data: four), .fields("x")),
            (file(tensor("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"), data: four), .fields("x")),
            (file(tensor("\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]"), data: four), .fields("x")),
            (file(tensor("\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]"), data: four), .unknownType("x", "F31")),
            (file(tensor("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]"), data: four), .tooManyDimensions("x", 9)),
            (file(tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"), data: four), .outsideTheFile("x", 0, 8, available: 4)),
            (file(tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), data: four), .outsideTheFile("x", 4, 0, available: 4)),
            (file(tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]"), data: four), .wrongSize("x", found: 4, expected: 8)),
            (file(tensor("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]"), data: four), .wrongSize("x", found: 4, expected: .max)),
            (file(tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"), data: four + four), .gapOrOverlap("x", begins: 4, expected: 0)),
            (file("{\"x\":{\(good)},\"y\":{\(good)}}", data: four), .gapOrOverlap("y", begins: 0, expected: 4)),
            (file(tensor(good), data: four + four), .bytesLeftOver(4)),
        ]
        for (bytes, expected) in cases {
            #expect(throws: expected) { try read(bytes) }
            #expect(!expected.description.isEmpty)
        }
    }
}
