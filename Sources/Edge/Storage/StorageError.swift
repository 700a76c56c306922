/// What went wrong with a node's files: what, where, and what to do.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable { case full, damaged, otherNetwork, newerVersion, tooLarge, notThere, system }
    public let kind: Kind
    public let description: String

    public init(_ kind: Kind, _ description: String) { (self.kind, self.description) = (kind, description) }
}
