import AssayTensor
import AssayTraining
import Foundation

/// A model in a directory, as Hugging Face transformers keeps it: `model.safetensors` and `config.json`.
public enum ModelFiles {
    /// Writes both, each whole or not at all.
    ///
    /// - Returns: bytes of `model.safetensors`.
    @discardableResult public static func write(_ parameters: FloatBuffer, shape: ModelShape, to folder: URL) throws -> Int {
        let target = folder.appending(path: "model.safetensors"), part = folder.appending(path: "model.safetensors.part")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data().write(to: part)
            let file = try FileHandle(forWritingTo: part)
            defer { try? file.close() }
            var bytes = 0
            try ModelExchange(shape).write(parameters) { piece in
                try file.write(contentsOf: Data(piece))
                bytes += piece.count
            }
            try file.synchronize()
            if rename(part.path, target.path) != 0 { throw Failure("cannot replace \(target.path): \(String(cString: strerror(errno)))") }
            try Data(shape.configuration.utf8).write(to: folder.appending(path: "config.json"), options: .atomic)
            return bytes
        } catch let error as Failure { throw error } catch {
            throw Failure("cannot write the model to \(folder.path): \(error.localizedDescription)", remedy: "Is the directory writable, and the disk not full?")
        }
    }

    /// The parameters of a safetensors file, or of a directory that holds one. A `config.json` beside it must be of the same shape.
    public static func read(_ place: URL, shape: ModelShape) throws -> FloatBuffer {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder) else { throw Failure("there is no model at \(place.path)", remedy: "Give a safetensors file, or a directory with model.safetensors.") }
        let file = isFolder.boolValue ? place.appending(path: "model.safetensors") : place
        let configuration = file.deletingLastPathComponent().appending(path: "config.json")
        if FileManager.default.fileExists(atPath: configuration.path) { try check(configuration, shape) }
        let content: Data
        do { content = try Data(contentsOf: file, options: .alwaysMapped) } catch { throw Failure("cannot read \(file.path)", remedy: "A model in several files must be made one first.") }
        do { return try content.withUnsafeBytes { try ModelExchange(shape).parameters($0) } } catch { throw Failure("\(file.path): \(error)") }
    }

    /// Sizes that a file's tensors do not show, such as heads, must be the model's too.
    private static func check(_ file: URL, _ shape: ModelShape) throws {
        let found: ModelShape
        do { found = try ModelShape(configuration: try Data(contentsOf: file)) } catch { throw Failure("\(file.path): \(error)") }
        for (field, theirs, ours) in [
            ("style", found.style.name, shape.style.name), ("vocabulary", "\(found.vocabulary)", "\(shape.vocabulary)"), ("context", "\(found.context)", "\(shape.context)"),
            ("width", "\(found.width)", "\(shape.width)"), ("heads", "\(found.heads)", "\(shape.heads)"), ("keyValueHeads", "\(found.keyValueHeads)", "\(shape.keyValueHeads)"),
            ("layers", "\(found.layers)", "\(shape.layers)"), ("hidden", "\(found.hidden)", "\(shape.hidden)"), ("tied", "\(found.tied)", "\(shape.tied)"),
        ] where theirs != ours { throw Failure("\(file.path) is of another model: its \(field) is \(theirs), the one to train has \(ours)") }
    }
}
