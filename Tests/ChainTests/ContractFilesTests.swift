import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Foundation
import Testing

/// The published interfaces in `Contracts/` say what the ledger does: both are held to be equal, letter by letter.
///
/// `ASSAY_WRITE_CONTRACTS=1 swift test --filter ContractFiles` writes them anew after a change of the ledger.
struct ContractFilesTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "Contracts")
    private static let writes = ProcessInfo.processInfo.environment["ASSAY_WRITE_CONTRACTS"] != nil

    @Test func `the files in Contracts are the ledger's own interface`() throws {
        #expect(Ledger.interfaces.map(\.name) == ["Staking", "Runs", "Windows", "Scores", "Rewards", "Disputes", "Checkpoints"])
        for contract in Ledger.interfaces {
            let place = ContractFilesTests.folder.appending(path: contract.name)
            let wanted = [("abi.json", ContractText.json(contract)), ("\(contract.name).vyi", ContractText.vyper(contract))]
            for (name, text) in wanted {
                let file = place.appending(path: name)
                if ContractFilesTests.writes {
                    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
                    try text.write(to: file, atomically: true, encoding: .utf8)
                }
                let found = try String(contentsOf: file, encoding: .utf8)
                #expect(found == text, "Contracts/\(contract.name)/\(name) differs from the ledger; ASSAY_WRITE_CONTRACTS=1 writes it anew")
            }
        }
    }

    @Test func `an abi is JSON, with every entry once and no event anonymous`() throws {
        for contract in Ledger.interfaces {
            let parsed = try JSONSerialization.jsonObject(with: Data(ContractText.json(contract).utf8))
            let entries = try #require(parsed as? [[String: Any]])
            #expect(entries.count == contract.functions.count + contract.events.count + contract.errors.count)
            let names = entries.compactMap { entry in (entry["type"] as? String).flatMap { kind in (entry["name"] as? String).map { "\(kind) \($0)" } } }
            #expect(Set(names).count == entries.count, "\(contract.name) names something twice")
            for entry in entries where entry["type"] as? String == "event" { #expect(entry["anonymous"] as? Bool == false) }
        }
    }

    @Test func `each contract stands at its own address`() {
        #expect(Set(Ledger.interfaces.map(\.address)).count == Ledger.interfaces.count)
    }
}

/// A contract's interface as the texts that other tools read.
private enum ContractText {
    typealias Contract = (name: String, address: Address, functions: [Ledger.InterfaceFunction], events: [EventSignature], errors: [String])

    static func json(_ contract: Contract) -> String {
        func fields(_ names: [String], _ types: [String]) -> String {
            "[" + zip(names, types).map { #"{"name": "\#($0)", "type": "\#($1)"}"# }.joined(separator: ", ") + "]"
        }
        let functions = contract.functions.map { function in
            let kind = function.isView ? "view" : function.isPayable ? "payable" : "nonpayable"
            let inputs = fields(function.inputs, function.interface.inputs.map(\.description)), outputs = fields(function.outputs, function.interface.outputs.map(\.description))
            return #"{"type": "function", "name": "\#(function.interface.name)", "stateMutability": "\#(kind)", "inputs": \#(inputs), "outputs": \#(outputs)}"#
        }
        let events = contract.events.map { event in
            let inputs = event.fields.map { #"{"name": "\#($0.name)", "type": "\#($0.type)", "indexed": \#($0.isIndexed)}"# }.joined(separator: ", ")
            return #"{"type": "event", "name": "\#(event.name)", "anonymous": false, "inputs": [\#(inputs)]}"#
        }
        let errors = contract.errors.map { text in
            let (name, parts) = split(text)
            return #"{"type": "error", "name": "\#(name)", "inputs": \#(fields(parts.map(\.name), parts.map(\.type)))}"#
        }
        return "[\n" + (functions + events + errors).map { "  " + $0 }.joined(separator: ",\n") + "\n]\n"
    }

    static func vyper(_ contract: Contract) -> String {
        var text = "# \(contract.name), a contract that every node is: \(contract.address)\n# Bounds of Bytes, String and DynArray are those of this file; the law beside it says what the ledger takes.\n"
        for event in contract.events {
            text += "\nevent \(event.name):\n"
            for field in event.fields { text += "    \(field.name): \(field.isIndexed ? "indexed(\(vyper(field.type)))" : vyper(field.type))\n" }
        }
        for function in contract.functions {
            let inputs = zip(function.inputs, function.interface.inputs).map { "\($0): \(vyper($1))" }.joined(separator: ", ")
            let outputs = function.interface.outputs.map(vyper)
            let result = outputs.isEmpty ? "" : " -> " + (outputs.count == 1 ? outputs[0] : "(" + outputs.joined(separator: ", ") + ")")
            text += "\n@external\n" + (function.isView ? "@view\n" : function.isPayable ? "@payable\n" : "")
            text += "def \(function.interface.name)(\(inputs))\(result):\n    ...\n"
        }
        return text
    }

    private static func vyper(_ type: ABIType) -> String {
        switch type {
        case .bytes: "Bytes[65536]"
        case .string: "String[256]"
        case .array(let element): "DynArray[\(vyper(element)), 4096]"
        default: type.description
        }
    }

    /// Name and fields of `StakeTooLow(uint256 sent, uint256 minimum)`.
    private static func split(_ text: String) -> (name: String, parts: [(type: String, name: String)]) {
        let name = String(text.prefix { $0 != "(" })
        let parts = text.dropFirst(name.count + 1).dropLast().split(separator: ",").map { part in
            let words = part.split(separator: " ")
            return (String(words[0]), words.count > 1 ? String(words[1]) : "")
        }
        return (name, parts)
    }
}
