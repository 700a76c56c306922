import AssayCrypto
import AssayNode
import AssayPrimitives
import Foundation
import TestKit
import Testing

/// Keystore version 3, held to eth-account, by way of Tests/Python/keystore.py.
struct KeystoreTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "assay-keystore-\(UUID().uuidString)")
    private let key = KeyPair(seed: "keystore")

    @Test(.enabled(if: Python.isThere, "\(Python.absent)")) func `eth-account opens what is written here, and what it writes is opened here`() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let ours = folder.appending(path: "ours.json"), theirs = folder.appending(path: "theirs.json"), password = "pässword 1"
        try Keystore.write(key, to: ours, password: password, n: 4_096)
        let answer = try #require(try Python.json("keystore.py", ["ours": ours.path, "theirs": theirs.path, "password": password, "key": hex(key.privateBytes)]) as? [String: String])
        #expect(answer["opened"] == hex(key.privateBytes))
        #expect(try Keystore.read(theirs, password: password).privateBytes == key.privateBytes)
        #expect(try Keystore.address(theirs) == key.address)
    }

    @Test func `a wrong password, a broken file and absurd parameters each have their error, which names the file`() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "key.json")
        try Keystore.write(key, to: file, password: "right", n: 1_024)
        #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o600)
        func refusal(_ change: (String) -> String) throws -> String {
            let other = folder.appending(path: "other.json")
            try change(try String(contentsOf: file, encoding: .utf8)).write(to: other, atomically: true, encoding: .utf8)
            do {
                _ = try Keystore.read(other, password: "right")
                return "none"
            } catch {
                #expect("\(error)".contains("other.json"), "\(error)")
                return "\(error)"
            }
        }
        #expect(throws: (any Error).self) { try Keystore.read(file, password: "wrong") }
        #expect(try refusal { $0 } == "none")
        #expect(try refusal { _ in "{" }.contains("other.json"))
        #expect(try refusal { _ in "" }.contains("other.json"))
        #expect(try refusal { $0.replacingOccurrences(of: "aes-128-ctr", with: "rot13") }.contains("rot13"))
        #expect(try refusal { $0.replacingOccurrences(of: "\"kdf\" : \"scrypt\"", with: "\"kdf\" : \"pbkdf2\"").replacingOccurrences(of: "\"n\" : 1024", with: "\"c\" : 1024") }.contains("not pbkdf2"))
        #expect(try refusal { $0.replacingOccurrences(of: "\"version\" : 3", with: "\"version\" : 4") }.contains("version 4"))
        #expect(try refusal { $0.replacingOccurrences(of: "\"n\" : 1024", with: "\"n\" : 18446744073709551615") }.contains("out of range"))
        #expect(try refusal { $0.replacingOccurrences(of: "\"n\" : 1024", with: "\"n\" : 0") }.contains("out of range"))
        #expect(try refusal { $0.replacingOccurrences(of: "\"r\" : 8", with: "\"r\" : 100000000") }.contains("out of range"))
        #expect(try refusal { $0.replacingOccurrences(of: "\"mac\" : \"", with: "\"mac\" : \"00") }.contains("wrong password"))
        #expect(try refusal { $0.replacingOccurrences(of: "\"salt\" : \"", with: "\"salt\" : \"xx") }.contains("salt"))
    }
}
