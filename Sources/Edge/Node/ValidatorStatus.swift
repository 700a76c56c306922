import AssayRPC
import Foundation

/// What a running validator says of itself, for people and for programs.
public struct ValidatorStatus: Sendable {
    private let facts: JSON

    /// From the node whose home this is, or from an address.
    public static func read(home: NodeHome?, rpc: String?) async throws -> ValidatorStatus {
        let url: String
        if let rpc { url = rpc } else if let home { url = "http://\(try home.read(role: .validator).rpc ?? "")" } else { throw Failure("no validator is named") }
        do { return ValidatorStatus(facts: try await RPCClient(url).call("assay_status", [], timeout: .seconds(5))) } catch {
            throw Failure("no validator answers at \(url): \(error)", remedy: "Is it running? Start it with: assay validator run --home HOME")
        }
    }

    public var json: String { String(decoding: facts.data, as: UTF8.self) }

    public var text: String {
        func number(_ name: String) -> Int64 { facts[name]?.int ?? 0 }
        let lag = facts["lag"]?.array?.compactMap(\.int) ?? []
        let connected = Set(facts["peers"]?.array?.compactMap(\.int) ?? [])
        let own = facts["index"]?.int, behind = number("quorumCommit") - number("head")
        let syncing = facts["sync"].flatMap { sync -> String? in
            guard sync["mode"]?.string == "commits", let from = sync["from"]?.int, let at = sync["at"]?.int, let target = sync["target"]?.int else { return nil }
            return "catching up by commits: at \(at) of \(target), \(target > from ? (at - from) * 100 / (target - from) : 100) % of the way from \(from)"
        }
        var lines = [
            "\(own.map { "validator \($0)" } ?? "a validator without a seat") in epoch \(number("epoch")) of \(facts["committee"]?.array?.count ?? 0) validators, at commit \(number("head")), a quorum at \(number("quorumCommit"))\(behind > 2 ? ": \(behind) behind" : "")",
            syncing ?? "following blocks live",
            "round \(number("round")), last own block in round \(number("lastOwnRound")), highest accepted \(number("highestRound"))",
            facts["obstacle"]?.string.map { "makes no block: \($0)" } ?? "makes blocks",
            "own leaders since the start: \(facts["leaders"]?["committed"]?.int ?? 0) committed, \(facts["leaders"]?["skipped"]?.int ?? 0) skipped",
            "blocks waiting for ancestors: \(number("suspended")), missing: \(number("missing")), transactions waiting: \(number("pool"))",
            "from an own block to its commit: \(facts["latencyMs"]?["p50"]?.int ?? 0) ms in half of all cases, \(facts["latencyMs"]?["p99"]?.int ?? 0) ms in 99 of 100",
        ]
        for (seat, rounds) in lag.enumerated() where Int64(seat) != own {
            lines.append("  validator \(seat): \(connected.contains(Int64(seat)) ? "connected" : "not connected"), \(rounds <= 1 ? "up to date" : "\(rounds) rounds behind")")
        }
        return lines.joined(separator: "\n")
    }
}
