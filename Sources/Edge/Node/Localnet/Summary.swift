import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRPC
import Foundation

extension Localnet {
    /// `summary.json`: what a network's windows came to.
    public struct Summary: Codable, Sendable {
        public struct Trainer: Codable, Sendable {
            public var address, role: String
            /// Billionths of the loss that the contribution took away; null if it was not scored.
            public var score: Int64?
            public var rating: Double?
            /// Wei: credited at settlement less what was forfeited; and what was slashed.
            public var reward, slashed: String
            public var reasons: [String]
        }
        public struct WindowRow: Codable, Sendable {
            public var window: UInt64
            /// θ that the window made, θ(w + 2), and its loss on text that nobody trains on.
            public var parametersRoot: String
            public var validationLoss: Double?
            public var trainingTokens, payloadBytes: Int
            public var trainers: [Trainer]
        }
        public struct Consensus: Codable, Sendable {
            public struct Latency: Codable, Sendable { public var p50, p99: Int64 }
            public var commits, rounds: Int64
            public var latencyMs: Latency
        }
        public struct Safety: Codable, Sendable { public var stateRootsEqual, commitChainsEqual: Bool }
        public var chainId: UInt64
        public var windows: [WindowRow]
        public var consensus: Consensus
        public var safety: Safety

        static func file(_ home: URL) -> URL { home.appending(path: "summary.json") }
        /// Trainers that were slashed though they are honest.
        public var honestSlashed: [String] { windows.flatMap(\.trainers).filter { $0.role == "honest" && $0.slashed != "0" }.map(\.address) }
    }

    /// What the events of a run say, by window and identity.
    struct Tally {
        var reward: [UInt64: [Address: U256]] = [:], forfeited: [UInt64: [Address: U256]] = [:], slashed: [UInt64: [Address: U256]] = [:]
        var score: [UInt64: [Address: Int64]] = [:], rating: [UInt64: [Address: Int64]] = [:], reasons: [UInt64: [Address: [String]]] = [:]

        init(_ logs: [(name: String, values: [String: ABIValue])]) {
            for (name, values) in logs {
                guard case .uint(let number)? = values["window"], let window = number.uint64 else { continue }
                func address(_ key: String) -> Address? { if case .address(let address)? = values[key] { address } else { nil } }
                func amount() -> U256 { if case .uint(let amount)? = values["amount"] { amount } else { 0 } }
                func add(_ table: inout [UInt64: [Address: U256]], _ who: Address) { table[window, default: [:]][who] = try? (table[window]?[who] ?? 0).adding(amount()) }
                func reason(_ who: Address, _ text: String) { reasons[window, default: [:]][who, default: []].append(text) }
                func rule() -> String { if case .uint(let rule)? = values["rule"] { "\(rule) \(Rule.name(UInt16(clamping: rule.uint64 ?? 0)))" } else { "" } }
                switch name {
                case "RewardPending": if let who = address("identity") { add(&reward, who) }
                case "RewardForfeited":
                    if let who = address("identity") {
                        add(&forfeited, who)
                        reason(who, "forfeited: \(rule())")
                    }
                case "Slashed":
                    if let who = address("staker") {
                        add(&slashed, who)
                        reason(who, "slashed: \(rule())")
                    }
                case "Jailed": if let who = address("staker") { reason(who, "jailed: \(rule())") }
                case "Missed": if let who = address("trainer") { reason(who, rule()) }
                case "Excluded": if let who = address("trainer"), case .string(let text)? = values["reason"] { reason(who, "excluded: \(text)") }
                case "Scored":
                    if let who = address("trainer"), case .int(let value)? = values["score"], case .int(let mu)? = values["rating"] {
                        score[window, default: [:]][who] = value
                        rating[window, default: [:]][who] = mu
                    }
                default: break
                }
            }
        }
    }

    /// Reads the events of the native contracts, decoded: of all blocks, or of those named.
    static func events(_ client: RPCClient, from first: UInt64 = 0, through end: UInt64? = nil) async throws -> [(name: String, values: [String: ABIValue])] {
        let names = Ledger.interfaces.flatMap(\.events)
        var byTopic: [Digest: EventSignature] = [:]
        for event in names { byTopic[event.topic] = event }
        let last = if let end { end } else { try await client.uint64("eth_blockNumber") }
        var decoded: [(String, [String: ABIValue])] = []
        for start in stride(from: first, through: last, by: 5_000) {
            let rows = try await client.call("eth_getLogs", [["fromBlock": .string("0x" + String(start, radix: 16)), "toBlock": .string("0x" + String(min(last, start + 4_999), radix: 16))]]).array ?? []
            for row in rows {
                let topics = (row["topics"]?.array ?? []).compactMap { $0.string.flatMap { Digest(hex: $0) } }
                guard let contract = row["address"]?.string.flatMap({ Address($0) }), let data = row["data"]?.string.flatMap({ bytes(hex: $0) }), let topic = topics.first,
                      let event = byTopic[topic], let values = event.decode(Log(contract: contract, topics: topics, data: data)) else { continue }
                decoded.append((event.name, values))
            }
        }
        return decoded
    }
}
