/// What went wrong at the edge, for people: what, where, and what to do.
public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    public let what: String
    public let remedy: String?

    public init(_ what: String, remedy: String? = nil) {
        self.what = what
        self.remedy = remedy
    }
    public var description: String { remedy.map { "\(what)\n  \($0)" } ?? what }
}
