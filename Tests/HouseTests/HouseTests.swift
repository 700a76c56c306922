import Foundation
import Testing

/// The house checks its own plan: what a room may know, what stands where, and what nothing is called.
struct HouseTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Swift sources below a folder, with their text.
    private static func sources(_ folder: String) -> [(path: String, text: String)] {
        let base = root.appending(path: folder)
        guard let walker = FileManager.default.enumerator(at: base, includingPropertiesForKeys: nil) else { return [] }
        return walker.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }.sorted { $0.path < $1.path }.compactMap { file in
            (try? String(contentsOf: file, encoding: .utf8)).map { (String(file.path.dropFirst(root.path.count + 1)), $0) }
        }
    }

    /// The text without comments and string literals, so that prose may say what code may not.
    private static func code(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            var kept = "", inString = false, previous: Character = " "
            for character in line {
                if character == "\"", previous != "\\" { inString.toggle() }
                if !inString, character == "/", previous == "/" { kept.removeLast(); break }
                kept.append(inString ? " " : character)
                previous = character
            }
            return kept
        }.joined(separator: "\n")
    }

    private static func words(_ text: String) -> Set<Substring> {
        Set(code(text).split { !($0.isLetter || $0.isNumber || $0 == "_") })
    }

    @Test(arguments: ["Sources/Chain", "Sources/Roles", "Sources/Base/Protocol", "Sources/Base/Primitives"])
    func `integers only, and no clock, die or world, in the rooms that decide`(folder: String) {
        let forbidden: Set<Substring> = ["Float", "Double", "Float32", "Float64", "Task", "async", "await", "Date", "Foundation", "Dispatch", "Glibc", "SystemRandomNumberGenerator", "ContinuousClock"]
        let files = HouseTests.sources(folder)
        #expect(!files.isEmpty)
        for (path, text) in files {
            let found = HouseTests.words(text).intersection(forbidden)
            #expect(found.isEmpty, "\(path) knows \(found.sorted().joined(separator: ", "))")
            let unseeded = HouseTests.code(text).contains(".random(") || HouseTests.code(text).contains(".shuffled()") || HouseTests.code(text).contains(".randomElement()")
            #expect(!unseeded, "\(path) draws without a seed")
        }
    }

    @Test func `imports go to lower lines only`() {
        let base: Set = ["AssayPrimitives", "AssayCrypto", "AssayProtocol"]
        let compute: Set = ["CAssayKernels", "AssayTensor", "AssayTraining", "AssayScoring"]
        let chain: Set = ["AssayConsensus", "AssayLedger"]
        let allowed: [String: Set<String>] = [
            "Sources/Base/Primitives": [], "Sources/Base/Crypto": ["AssayPrimitives"], "Sources/Base/Protocol": ["AssayPrimitives", "AssayCrypto"],
            "Sources/Compute/Tensor": base.union(["CAssayKernels"]), "Sources/Compute/Training": base.union(["CAssayKernels", "AssayTensor"]),
            "Sources/Compute/Scoring": base.union(compute).subtracting(["AssayScoring"]), "Sources/Compute/Audit": base.union(compute),
            "Sources/Compute/Gym": base.union(["AssayTensor", "AssayTraining"]),
            "Sources/Chain/Consensus": base, "Sources/Chain/Ledger": base, "Sources/Roles": base.union(chain),
            "Sources/Simulator": base.union(chain).union(["AssayRoles"]),
        ]
        for (folder, rooms) in allowed.sorted(by: { $0.key < $1.key }) {
            for (path, text) in HouseTests.sources(folder) {
                for line in text.split(separator: "\n") where line.contains("import ") {
                    let parts = line.split(separator: " ")
                    guard let at = parts.firstIndex(of: "import"), at + 1 < parts.count, at <= 1 else { continue }
                    let module = String(parts[at + 1])
                    if module.hasPrefix("Assay") || module == "CAssayKernels" { #expect(rooms.contains(module), "\(path) may not import \(module)") }
                }
            }
        }
    }

    @Test func `the twelve stations stand where the README says`() throws {
        let readme = try String(contentsOf: HouseTests.root.appending(path: "README.md"), encoding: .utf8)
        let rows = readme.split(separator: "\n").filter { $0.hasPrefix("| ") && $0.contains("](Sources/") }
        #expect(rows.count == 12, "the README lists \(rows.count) stations")
        for row in rows {
            for link in row.split(separator: "](").dropFirst() {
                guard let path = link.split(separator: ")").first else { continue }
                #expect(FileManager.default.fileExists(atPath: HouseTests.root.appending(path: String(path)).path), "\(path) is linked but not there")
            }
        }
    }

    @Test func `nothing is a drawer, and nothing is left for later`() {
        for (path, text) in HouseTests.sources("Sources") {
            let name = path.split(separator: "/").last!.dropLast(6)
            for drawer in ["Core", "Common", "Utils", "Helpers", "Misc", "Shared"] { #expect(!name.hasSuffix(drawer), "\(path) is a drawer") }
            for mark in ["TO" + "DO", "FIX" + "ME", "not imple" + "mented"] { #expect(!text.contains(mark), "\(path) has something left: \(mark)") }
        }
    }
}
