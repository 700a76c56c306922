import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Foundation

/// A run's model out of the network: θ of a window, by the root that the ledger has, into a directory that transformers loads.
public enum Export {
    public struct Exported: Codable, Sendable {
        public var window: UInt64?
        public var parametersRoot: String
        public var parameters: Int
        public var directory: String
        public var bytes: Int
    }

    /// From a validator, or from the files of a local network.
    ///
    /// - Parameters:
    ///   - window: whose opening parameters are meant; nil for the last one that has any.
    ///   - genesis: the run's file; that of a home otherwise.
    public static func network(_ source: Audit.Source, window: UInt64?, genesis: URL?, out: URL) async throws -> Exported {
        let reader = try await Audit.Reader(source)
        guard let genesisFile = genesis ?? reader.genesisFile else { throw Failure("no genesis file", remedy: "Give it with --genesis.") }
        let model = try GenesisFile.read(genesisFile).genesis().model, found: WindowView?
        if let window { found = try await reader.window(Window(window)) } else { found = try await reader.lastWindow() }
        guard let view = found, let root = view.outer?.parametersRoot else {
            throw Failure(window.map { "window \($0) has no agreed parameters" } ?? "no window has agreed parameters yet", remedy: "Give another --window, or wait for the run to begin.")
        }
        let bytes: [UInt8]
        switch try await reader.blob(root) {
        case .whole(let found): bytes = found
        case .damaged(let chunks): throw Failure("the stored parameters \(root) are damaged in chunk \(chunks.map(String.init).joined(separator: ", "))", remedy: "Ask another validator, with --rpc.")
        case .absent: throw Failure("the parameters \(root) of window \(view.window) are not kept any more", remedy: "Give a later --window, or ask another validator.")
        }
        guard Blob.root(bytes) == root else { throw Failure("what came as the parameters \(root) is something else", remedy: "Ask another validator, with --rpc.") }
        return try write(bytes, ModelShape(model), "parameters \(root)", window: view.window.rawValue, out)
    }

    /// From a file of floats, as blobs of θ are kept.
    public static func checkpoint(_ file: URL, genesis: URL, out: URL) throws -> Exported {
        let model = try GenesisFile.read(genesis).genesis().model
        let content: Data
        do { content = try Data(contentsOf: file) } catch { throw Failure("cannot read \(file.path)") }
        return try write(Array(content), ModelShape(model), file.path, window: nil, out)
    }

    private static func write(_ bytes: [UInt8], _ shape: ModelShape, _ what: String, window: UInt64?, _ out: URL) throws -> Exported {
        let count = ParameterTable(shape).count
        guard bytes.count == 4 * count, let parameters = try? FloatBuffer(littleEndianBytes: bytes) else { throw Failure("\(what): \(bytes.count) bytes, where the run's model has \(count) parameters of four") }
        let size = try ModelFiles.write(parameters, shape: shape, to: out)
        return Exported(window: window, parametersRoot: Blob.root(bytes).description, parameters: count, directory: out.path, bytes: size)
    }
}
