import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayRPC
import AssayStorage
import AssayTensor
import AssayTraining
import Foundation

/// The auditor's commands: what happened, and whether it computes to the same again.
public enum Audit {
    public enum Source: Sendable { case home(URL), rpc(String) }

    public struct Row: Codable, Sendable {
        public var block: UInt64
        public var event: String
        public var window: UInt64?
        public var values: [String: String]
        public var text: String {
            let rest = values.filter { !["run", "window"].contains($0.key) }.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            return "block \(block)\(window.map { "  window \($0)" } ?? "")  \(event): \(rest)"
        }
    }

    /// Events of the native contracts, the changes of money and standing among them.
    public static func history(_ source: Source, trainer: String?, windows: ClosedRange<UInt64>?) async throws -> [Row] {
        let wanted = try trainer.map { try address($0, "--trainer") }
        let reader = try await Reader(source)
        var rows: [Row] = []
        for stored in try await reader.logs() {
            guard let event = Ledger.interfaces.lazy.flatMap(\.events).first(where: { $0.topic == stored.log.topics.first }), let values = event.decode(stored.log) else { continue }
            var window: UInt64?
            if case .uint(let number)? = values["window"] { window = number.uint64 }
            if let windows, !(window.map { windows.contains($0) } ?? false) { continue }
            if let wanted, !values.values.contains(.address(wanted)) { continue }
            rows.append(Row(block: stored.number, event: event.name, window: window, values: values.mapValues(text)))
        }
        return rows
    }

    static func text(_ value: ABIValue) -> String {
        switch value {
        case .uint(let number): number.description
        case .int(let number): "\(number)"
        case .address(let address): address.description
        case .bool(let flag): "\(flag)"
        case .fixedBytes(let bytes), .bytes(let bytes): hex(bytes)
        case .string(let text): text
        case .array(let values), .tuple(let values): "[\(values.map(text).joined(separator: ", "))]"
        }
    }

    public struct Replay: Codable, Sendable {
        public struct Check: Codable, Sendable { public var piece, finding: String; public var expected, found: String? }
        public var trainer: String
        public var window: UInt64
        public var isEqual: Bool
        public var checks: [Check]
    }

    /// Computes a contribution again and compares: loss-delta, segments, compression; and stored blobs against their roots, chunk by chunk.
    public static func replay(_ source: Source, trainer: String, window: UInt64, segment: UInt32?, genesis: URL?, data: URL?, tell: (String) -> Void) async throws -> Replay {
        try KernelPath.selectFromEnvironment()
        let who = try address(trainer, "--trainer"), number = Window(window)
        let reader = try await Reader(source)
        guard let genesisFile = genesis ?? reader.genesisFile else { throw Failure("no genesis file", remedy: "Give it with --genesis.") }
        let genesisValue = try GenesisFile.read(genesisFile).genesis()
        guard let dataFile = data ?? reader.dataFile, let content = try? Data(contentsOf: dataFile) else { throw Failure("no data file", remedy: "Give the run's text with --data.") }
        let corpus: Corpus
        do { corpus = try Corpus(Array(content), genesis: genesisValue) } catch { throw Failure("\(dataFile.path): \(error)") }
        let scratch = FileManager.default.temporaryDirectory.appending(path: "assay-audit-\(getpid())-\(UInt64.random(in: 0...UInt64.max))")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let blobs = try BlobStore(scratch)
        let engine = try ComputeEngine(genesis: genesisValue, corpus: corpus, blobs: blobs, threads: 1)
        try engine.firstParameters(genesisValue)

        var views: [WindowView] = []
        for near in [number.lowered(by: 1), number, number.next] where !views.contains(where: { $0.window == near }) { if let view = try await reader.window(near) { views.append(view) } }
        var auditor: Auditor
        do { auditor = try Auditor(of: who, in: number, views: views, genesis: genesisValue, scope: segment.map { .segments([$0]) } ?? .all) } catch { throw Failure("\(error)") }

        var checks: [Replay.Check] = [], damaged = false
        func bring(_ root: Digest, _ what: String) async throws -> Bool {
            if root == .zero || blobs.has(root) { return true }
            switch try await reader.blob(root) {
            case .whole(let bytes):
                try blobs.put(bytes, root: root)
                return true
            case .damaged(let chunks):
                damaged = true
                let finding = "chunk \(chunks.map(String.init).joined(separator: ", ")) of the stored \(what) of window \(number) is not what was committed to"
                tell(finding)
                checks.append(.init(piece: what, finding: finding, expected: root.description, found: nil))
                return false
            case .absent: return false
            }
        }
        var effects = auditor.begin(), verdict: AuditVerdict?
        while let effect = effects.first {
            switch effect {
            case .score(let job):
                let isHere = try await [bring(job.payloadRoot, "payload"), bring(job.base.parametersRoot, "parameters")].allSatisfy { $0 }
                tell("loss-delta …")
                effects = auditor.handle(isHere ? .scored(try engine.score(job).fact) : .unavailable)
            case .replay(let job):
                var isHere = try await bring(job.opening.parametersRoot, "parameters")
                if let own = job.opening.ownPayload { isHere = try await bring(own, "payload of the window before") && isHere }
                isHere = try await bring(job.reveal.trajectoryRoot, "trajectory") && isHere
                isHere = try await bring(job.reveal.payloadRoot, "payload") && isHere
                if job.draw.withCompression { _ = try await bring(job.opening.residualIn, "residual") }
                tell("segment \(job.draw.segment)\(job.draw.withCompression ? " and the compression" : "") …")
                effects = auditor.handle(isHere ? .replayed(job.draw, try engine.replay(job).fact) : .unavailable)
            case .done(let found):
                verdict = found
                effects = []
            }
        }
        guard let verdict else { throw Failure("the audit ended without a verdict") }
        // The residual is the trainer's own and served only when drawn: without it everything but the compression is checked.
        var isEqual = !damaged
        for check in verdict.checks {
            switch check.finding {
            case .equal: checks.append(.init(piece: "\(check.piece)", finding: "equal"))
            case .differs(let expected, let found):
                isEqual = false
                checks.append(.init(piece: "\(check.piece)", finding: "differs", expected: expected, found: found))
            case .notOnTheLedger(let found): checks.append(.init(piece: "\(check.piece)", finding: "computed, but the ledger has no such fact", found: found))
            case .unavailable:
                let onlyResidual = check.piece == .compression && !damaged
                if !onlyResidual { isEqual = false }
                checks.append(.init(piece: "\(check.piece)", finding: onlyResidual ? "not checked: the residual was not served" : "not checked: a blob is not to be had"))
            }
        }
        for check in checks { tell("\(check.piece): \(check.finding)\(check.expected.map { ", expected \($0)" } ?? "")\(check.found.map { ", found \($0)" } ?? "")") }
        return Replay(trainer: who.description, window: window, isEqual: isEqual, checks: checks)
    }

    /// A running validator, or the files of one that has stopped.
    struct Reader {
        enum BlobState { case whole([UInt8]), damaged([Int]), absent }
        private var client: RPCClient?
        private var ledger: Ledger?
        private var store: NodeStore?
        private var stores: [BlobStore] = []
        var genesisFile: URL?, dataFile: URL?

        init(_ source: Source) async throws {
            switch source {
            case .rpc(let url): client = RPCClient(url)
            case .home(let home):
                let files = FileManager.default
                let homes = ((try? files.contentsOfDirectory(at: home, includingPropertiesForKeys: nil)) ?? []).filter { $0.lastPathComponent.hasPrefix("validator-") }.sorted { $0.path < $1.path }.map { NodeHome($0) }
                guard let first = homes.first else { throw Failure("no validators in \(home.path)", remedy: "Give a local network's directory, or a validator's URL with --rpc.") }
                let file = try first.read(role: .validator)
                genesisFile = first.path(file.genesis)
                dataFile = first.path(file.data)
                for home in homes where FileManager.default.fileExists(atPath: home.url.appending(path: "blobs").path) { stores.append(try BlobStore(home.url.appending(path: "blobs"))) }
                let running = RPCClient("http://\(file.rpc ?? "")")
                if (try? await running.call("eth_chainId", [], timeout: .seconds(2))) != nil { client = running } else {
                    let genesis = try GenesisFile.read(genesisFile!).genesis()
                    let opened = try NodeStore(first.url.appending(path: "store.sqlite"), genesis: genesis)
                    store = opened
                    ledger = try opened.recover(genesis, gcDepth: 60, reputationPeriod: 1).ledger
                }
            }
        }

        func window(_ window: Window) async throws -> WindowView? {
            if let ledger { return ledger.windowView(window) }
            return try await client?.window(window)
        }

        /// The last window that has agreed parameters: those of a window are agreed on while the one or two before it are under way.
        func lastWindow() async throws -> WindowView? {
            let opened: Window?
            if let ledger { opened = ledger.runStatus.opened } else { opened = try await client?.head().status.opened }
            let last = opened.map { $0.next.next.rawValue } ?? 0
            for number in (last - min(last, 8)...last).reversed() {
                if let view = try await window(Window(number)), view.outer != nil { return view }
            }
            return nil
        }

        /// From the stored files first, whose damage can be named; else from the node.
        func blob(_ root: Digest) async throws -> BlobState {
            for store in stores {
                guard let bytes = store.get(root) else { continue }
                if let chunks = store.differingChunks(root), !chunks.isEmpty { return .damaged(chunks) }
                return .whole(bytes)
            }
            if let client, let bytes = try await client.blob(root) { return .whole(bytes) }
            return .absent
        }

        func logs() async throws -> [StoredLog] {
            if let store, let ledger { return try store.logs(from: 0, to: ledger.head.number, contracts: [], topics: [], limit: .max) }
            guard let client else { return [] }
            let last = try await Refusal.telling { try await client.uint64("eth_blockNumber") }
            var logs: [StoredLog] = []
            for start in stride(from: 0, through: last, by: 5_000) {
                let rows = try await client.call("eth_getLogs", [["fromBlock": .string("0x" + String(start, radix: 16)), "toBlock": .string("0x" + String(min(last, start + 4_999), radix: 16))]]).array ?? []
                for row in rows {
                    guard let contract = row["address"]?.string.flatMap({ Address($0) }), let data = row["data"]?.string.flatMap({ bytes(hex: $0) }), let block = row["blockNumber"]?.string.flatMap({ U256($0)?.uint64 }),
                          let index = row["logIndex"]?.string.flatMap({ U256($0)?.uint64 }), let hash = row["transactionHash"]?.string.flatMap({ Digest(hex: $0) }) else { continue }
                    let topics = (row["topics"]?.array ?? []).compactMap { $0.string.flatMap { Digest(hex: $0) } }
                    logs.append(StoredLog(number: block, place: Int(index), log: Log(contract: contract, topics: topics, data: data), transactionHash: hash))
                }
            }
            return logs
        }
    }
}
