import AssayPrimitives
import Foundation

/// The small file beside the database that says up to which round own blocks may exist. Made with the keys, written anew every few hundred rounds.
enum LastRound {
    /// Durable when this returns: the file is replaced whole, and its folder synced.
    static func write(_ round: Round, to url: URL) throws {
        let part = url.appendingPathExtension("part")
        func check(_ isDone: Bool) throws { if !isDone { throw Failure("cannot write \(url.path): \(String(cString: strerror(errno)))", remedy: "Is the disk full?") } }
        let text = Array("\(round.rawValue)\n".utf8)
        let file = open(part.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try check(file >= 0)
        defer { close(file) }
        try check(Foundation.write(file, text, text.count) == text.count && fsync(file) == 0 && rename(part.path, url.path) == 0)
        let folder = open(url.deletingLastPathComponent().path, O_RDONLY)
        try check(folder >= 0)
        defer { close(folder) }
        try check(fsync(folder) == 0)
    }

    /// Nil if there is no such file.
    static func read(_ url: URL) throws -> Round? {
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        guard let text = try? String(contentsOf: url, encoding: .utf8), let round = UInt64(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw Failure("\(url.path) holds no round", remedy: "Remove it: the node then asks the others which blocks of its own they hold.")
        }
        return Round(round)
    }
}
