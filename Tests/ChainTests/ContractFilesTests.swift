import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Foundation
import TestKit
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
            let wanted = [("abi.json", ContractText.json(contract)), ("\(contract.name).vyi", ContractText.vyper(contract)), ("vectors/calls.json", ContractText.vectors(contract))]
            for (name, text) in wanted {
                let file = place.appending(path: name)
                if ContractFilesTests.writes {
                    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
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

    @Test(.enabled(if: Python.isThere, "\(Python.absent)")) func `eth-abi encodes the vectors' calls, and gives their topics, as the files say`() throws {
        let said = try Python.run("contract_vectors.py", arguments: [ContractFilesTests.folder.path])
        let wanted = Ledger.interfaces.reduce(0) { $0 + $1.functions.count + $1.events.count }
        #expect(String(decoding: said, as: UTF8.self) == "\(wanted) agree\n")
    }

    @Test func `each contract has its law in a page that names every function that a transaction can call`() throws {
        for contract in Ledger.interfaces {
            let law = try String(contentsOf: ContractFilesTests.folder.appending(path: "\(contract.name)/README.md"), encoding: .utf8)
            for function in contract.functions where !function.isView { #expect(law.contains("**\(function.interface.name)**"), "Contracts/\(contract.name)/README.md says nothing of \(function.interface.name)") }
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

    /// A call of every function with arguments that follow from its types, and every event's topic.
    static func vectors(_ contract: Contract) -> String {
        let calls = contract.functions.map { function in
            let values = function.interface.inputs.enumerated().map { sample($0.element, $0.offset + 1) }
            let types = function.interface.inputs.map(\.description).joined(separator: ",")
            return #"{"function": "\#(function.interface.name)(\#(types))", "arguments": [\#(values.map(json).joined(separator: ", "))], "data": "\#(hex(function.interface.selector + ABI.encode(values)))"}"#
        }
        let events = contract.events.map { #"{"event": "\#($0.name)(\#($0.fields.map(\.type.description).joined(separator: ",")))", "topic": "\#($0.topic)"}"# }
        func list(_ rows: [String]) -> String { "[\n" + rows.map { "    " + $0 }.joined(separator: ",\n") + "\n  ]" }
        return "{\n  \"calls\": \(list(calls)),\n  \"events\": \(list(events))\n}\n"
    }
    private static func sample(_ type: ABIType, _ place: Int) -> ABIValue {
        switch type {
        case .uint(let bits): .uint(U256(UInt64(bits < 64 ? place : 1_000_000_007 * place)))
        case .int: .int(Int64(-place))
        case .address: .address(Address(number: UInt64(0xA000 + place)))
        case .bool: .bool(place % 2 == 1)
        case .fixedBytes(let count): .fixedBytes(Array(Digest.sha256([UInt8(place)]).bytes.prefix(count)))
        case .bytes: .bytes((0..<33 * place).map { UInt8(truncatingIfNeeded: $0) })
        case .string: .string(String(repeating: "assay ", count: place))
        case .array(let element): .array([sample(element, place), sample(element, place + 1)])
        case .tuple(let types): .tuple(types.enumerated().map { sample($0.element, $0.offset + place) })
        }
    }
    private static func json(_ value: ABIValue) -> String {
        switch value {
        case .uint(let number): "\"\(number)\""
        case .int(let number): "\"\(number)\""
        case .address(let address): "\"\(address)\""
        case .bool(let flag): "\(flag)"
        case .fixedBytes(let bytes), .bytes(let bytes): "\"\(hex(bytes))\""
        case .string(let text): "\"\(text)\""
        case .array(let values), .tuple(let values): "[" + values.map(json).joined(separator: ", ") + "]"
        }
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
