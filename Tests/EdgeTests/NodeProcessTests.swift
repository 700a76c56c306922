import AssayCrypto
import AssayNode
import AssayPrimitives
import AssayProtocol
import AssayRPC
import Foundation
import TestKit
import Testing

/// One local network's homes, and what can go wrong when their nodes are started again.
@Suite(.enabled(if: Program.isThere, "\(Program.absent)"))
struct NodeProcessTests {
    private struct Node {
        let process: Process
        let errors: URL
        var said: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }
    }
    private func start(_ validator: Localnet.Network.Validator, in folder: URL) throws -> Node {
        let errors = folder.appending(path: "err-\(UUID().uuidString)")
        return Node(process: try Program.start(["validator", "run", "--home", validator.home], output: folder.appending(path: "out-\(UUID().uuidString)"), errors: errors), errors: errors)
    }
    /// Polls until the condition holds; records an issue after a minute.
    private func comes(_ what: String, _ condition: () async -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while !(await condition()) {
            guard ContinuousClock.now < end else {
                Issue.record("never came: \(what)")
                return
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
    private func head(_ validator: Localnet.Network.Validator) async -> Int64 { (try? await RPCClient(validator.rpc).call("assay_status", [], timeout: .seconds(2)))?["head"]?.int ?? -1 }

    /// Transfers that carry as much data as they may.
    private func fill(_ network: Localnet.Network, megabytes: Int) async throws {
        let client = RPCClient(network.validators[0].rpc)
        let faucet = try KeyPair(privateBytes: try #require(bytes(hex: network.faucet.privateKey)))
        let first = try await client.uint64("eth_getTransactionCount", [.string(faucet.address.description), "latest"])
        for number in 0..<UInt64(megabytes << 20 / 16_000) {
            let transfer = Transaction.dynamicFee(chainID: network.chainId, nonce: first + number, maxFeePerGas: 2_000_000_000, gasLimit: 1_000_000, to: faucet.address, value: 0,
                                                  data: [UInt8](repeating: UInt8(number & 255), count: 16_000), by: faucet)
            // Only so many may wait at a time.
            try await comes("room for transfer \(number)") { (try? await client.call("eth_sendRawTransaction", [.string(hex(transfer.raw))])) != nil }
        }
    }

    @Test(.timeLimit(.minutes(5))) func `ports in use, another genesis, a full disk and garbage each cost one node one clear message, and nothing is lost`() async throws {
        let folder = try Program.scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let home = folder.appending(path: "net")
        let made = try await Program.run(["localnet", "up", "--home", home.path, "--validators", "4", "--trainers", "1", "--windows", "1", "--data", Program.text!])
        #expect(made.status == 0, "\(made.errors.suffix(1_000))")
        let validators = try Localnet.Network.read(home).validators
        let fileURL = URL(filePath: validators[0].home).appending(path: "node.json"), file = try JSONDecoder().decode(NodeFile.self, from: Data(contentsOf: fileURL))

        for (address, field) in [(file.listen!, "`listen`"), (file.rpc!, "`rpc`")] {
            let port = try hostAndPort(address, "").port
            let taken = try Loopback.listen(on: port)
            let node = try start(validators[0], in: folder)
            while node.process.isRunning { try await Task.sleep(for: .milliseconds(20)) }
            close(taken)
            #expect(node.process.terminationStatus == 1)
            for words in ["\(port)", "in use", field, "node.json"] { #expect(node.said.contains(words), "\(node.said.suffix(500))") }
        }

        var genesis = try GenesisFile.read(home.appending(path: "genesis.json"))
        genesis.name = "another network"
        let other = home.appending(path: "other-genesis.json")
        try JSONEncoder().encode(try genesis.sealed()).write(to: other)
        var changed = file
        changed.genesis = "../other-genesis.json"
        try JSONEncoder().encode(changed).write(to: fileURL)
        let stranger = try start(validators[0], in: folder)
        while stranger.process.isRunning { try await Task.sleep(for: .milliseconds(20)) }
        #expect(stranger.process.terminationStatus == 1 && stranger.said.contains("belongs to another network") && stranger.said.contains("genesis"), "\(stranger.said.suffix(500))")
        try JSONEncoder().encode(file).write(to: fileURL)

        // All four again, one of them with a disk that is full.
        let lastURL = URL(filePath: validators[3].home).appending(path: "node.json"), last = try JSONDecoder().decode(NodeFile.self, from: Data(contentsOf: lastURL))
        var full = last
        full.storeLimitMiB = 1
        try JSONEncoder().encode(full).write(to: lastURL)
        var nodes = try validators.map { try start($0, in: folder) }
        defer {
            for node in nodes where node.process.isRunning { kill(node.process.processIdentifier, SIGTERM) }
            for node in nodes { node.process.waitUntilExit() }
        }
        try await comes("the first validator") { await head(validators[0]) > 0 }
        try await fill(Localnet.Network.read(home), megabytes: 2)
        try await comes("the end of the node with the full disk") { !nodes[3].process.isRunning }
        try #require(!nodes[3].process.isRunning)
        #expect(nodes[3].process.terminationStatus == 1)
        for words in ["the disk is full", validators[3].home, "make room"] { #expect(nodes[3].said.contains(words), "\(nodes[3].said.suffix(800))") }

        let before = await head(validators[0])
        for _ in 0..<5 { #expect(try Loopback.exchange(port: try hostAndPort(file.listen!, "").port, sends: [UInt8](repeating: 0xA5, count: 100_000)) != nil) }
        try await comes("commits of the other three, garbage or not") { await head(validators[0]) > before + 3 }

        try JSONEncoder().encode(last).write(to: lastURL)
        nodes[3] = try start(validators[3], in: folder)
        let then = await head(validators[0])
        try await comes("the fourth at the height of the others") { await head(validators[3]) > then }
        let number = JSON.string("0x" + String(then, radix: 16))
        let blocks = try await [validators[0], validators[3]].asyncMap { try await RPCClient($0.rpc).call("eth_getBlockByNumber", [number, false]) }
        #expect(blocks[0]["stateRoot"] != nil && blocks[0]["stateRoot"] == blocks[1]["stateRoot"] && blocks[0]["hash"] == blocks[1]["hash"])
        #expect(nodes.allSatisfy { $0.process.isRunning })
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ body: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await body(element)) }
        return results
    }
}
