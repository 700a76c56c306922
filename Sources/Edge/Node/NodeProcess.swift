import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRPC
import AssayTensor
import AssayTraining
import Foundation
import Logging

/// What validators and trainers have in common as processes: reading their home, logging, ending when told.
enum NodeProcess {
    static func log(_ name: String) -> Logger {
        var log = Logger(label: name) { StreamLogHandler.standardError(label: $0) }
        log.logLevel = ProcessInfo.processInfo.environment["ASSAY_LOG"].flatMap { Logger.Level(rawValue: $0) } ?? .info
        return log
    }

    /// Genesis and data of a home, checked against each other.
    static func load(_ home: NodeHome, _ file: NodeFile) throws -> (genesis: Genesis, corpus: Corpus) {
        try KernelPath.selectFromEnvironment()
        let genesis = try GenesisFile.read(home.path(file.genesis)).genesis()
        try home.check(belongsTo: genesis.digest)
        let path = home.path(file.data)
        guard let data = try? Data(contentsOf: path) else { throw Failure("no data file at \(path.path)", remedy: "node.json names it as `data`; every node needs the run's text.") }
        do { return (genesis, try Corpus(Array(data), genesis: genesis)) } catch { throw Failure("\(path.path): \(error)") }
    }

    /// Runs the body until it ends, or SIGINT or SIGTERM come, or the parent is gone.
    static func untilTold(exitWithParent: Bool, _ body: @escaping @Sendable () async throws -> Void) async throws {
        signal(SIGPIPE, SIG_IGN)
        let task = Task { try await body() }
        var sources: [any DispatchSourceSignal] = []
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { task.cancel() }
            source.resume()
            sources.append(source)
        }
        if exitWithParent {
            Thread.detachNewThread {
                var byte: UInt8 = 0
                while read(STDIN_FILENO, &byte, 1) > 0 {}
                task.cancel()
            }
        }
        defer { for source in sources { source.cancel() } }
        do { try await task.value } catch is CancellationError {}
    }
}

extension ValidatorNode {
    /// `assay validator run`.
    public static func run(home: NodeHome, exitWithParent: Bool, json: Bool) async throws {
        let file = try home.read(role: .validator)
        let log = NodeProcess.log(file.name)
        let (genesis, corpus) = try NodeProcess.load(home, file)
        let keys = try ValidatorKeys.read(home)
        let (host, port) = try hostAndPort(file.rpc ?? "", "node.json: rpc")
        try await NodeProcess.untilTold(exitWithParent: exitWithParent) {
            let node = try ValidatorNode(genesis: genesis, file: file, home: home, keys: keys, corpus: corpus, log: log)
            let backend = ValidatorBackend(node: node, genesis: genesis, store: node.store, blobs: node.blobs, validatorURLs: file.validatorURLs)
            let server = RPCServer(backend, .init(host: host, port: port), log: log)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await node.run() }
                group.addTask {
                    do {
                        try await server.run { port in
                            if json { print("{\"rpc\":\"http://\(host):\(port)\",\"index\":\(await node.seat.map { "\($0.index)" } ?? "null")}") } else { log.info("validator \(node.owner) serves JSON-RPC on http://\(host):\(port), kernels \(KernelPath.current)") }
                        }
                    } catch let error as RPCError { throw Failure(error.message) }
                }
                do { try await group.next() } catch {
                    group.cancelAll()
                    throw error
                }
                group.cancelAll()
            }
        }
        log.info("validator ended")
    }
}
