import AssayPrimitives
import AssayRoles
import Foundation

/// The small file beside the database that says up to where own blocks may exist: which database that is, epoch, round, and the last epoch of which that is not certain; `-` for none.
/// Made with the keys, written anew every few hundred rounds.
enum LastRound {
    /// Durable when this returns: the file is replaced whole, and its folder synced.
    static func write(_ reservation: Reservation, to url: URL) throws {
        let part = url.appendingPathExtension("part")
        func check(_ isDone: Bool) throws { if !isDone { throw Failure("cannot write \(url.path): \(String(cString: strerror(errno)))", remedy: "Is the disk full?") } }
        let numbers: [UInt64?] = [reservation.store, reservation.epoch.rawValue, reservation.round.rawValue, reservation.doubtThrough?.rawValue]
        let text = Array("\(numbers.map { $0.map(String.init) ?? "-" }.joined(separator: " "))\n".utf8)
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
    static func read(_ url: URL) throws -> Reservation? {
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        let words = (try? String(contentsOf: url, encoding: .utf8))?.split(whereSeparator: \.isWhitespace) ?? [], numbers = words.map { UInt64($0) }
        guard words.count == 4, zip(words, numbers).allSatisfy({ $0 == "-" || $1 != nil }), let epoch = numbers[1], let round = numbers[2] else {
            throw Failure("\(url.path) holds no epoch and round", remedy: "Remove it: the node then asks the others which blocks of its own they hold.")
        }
        return Reservation(epoch: Epoch(epoch), round: Round(round), doubtThrough: numbers[3].map { Epoch($0) }, store: numbers[0])
    }
}
