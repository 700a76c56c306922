import AssayCrypto
import AssayPrimitives
import Foundation

/// A hook for tests: the file `cut` in a node's home, with an owner's address a line. To those validators this node sends nothing and from them it
/// hears nothing while the file names them: a partition of the network, without rights over the machine's network. Nothing is cut where there is no file.
struct Cut: Sendable {
    let file: URL
    private var last: Date?
    init(_ file: URL) { self.file = file }

    /// Whom to cut off, if the file is another than it was; nil if it is as before. Lines that are no addresses cut nobody off.
    mutating func look() -> Set<Address>? {
        let written = (try? FileManager.default.attributesOfItem(atPath: file.path))?[.modificationDate] as? Date
        guard written != last else { return nil }
        last = written
        return Set(((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(whereSeparator: \.isWhitespace).compactMap { Address(String($0)) })
    }
}
