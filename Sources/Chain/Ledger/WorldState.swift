import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Where a value of the ledger stands: a table's name and what tells its rows apart.
public struct StateKey<Value: CanonicalCodable & Sendable>: Sendable {
    public let bytes: [UInt8]

    public init(_ table: String, _ parts: [UInt8]...) {
        var encoder = CanonicalEncoder()
        encoder.append(table)
        for part in parts { encoder.append(counted: part) }
        bytes = encoder.bytes
    }
}

/// The ledger's state: canonical bytes by key, typed at the access. Changes since a mark can be taken back.
public struct WorldState: Sendable {
    /// Hashed and compared as one run of bytes.
    private struct Key: Hashable, Comparable, Sendable {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
        static func < (a: Key, b: Key) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
    }
    private var values: [Key: [UInt8]] = [:]
    private var journal: [(key: Key, before: [UInt8]?)] = []

    public init() {}
    public init(entries: some Sequence<(key: [UInt8], value: [UInt8])>) { for entry in entries { values[Key(entry.key)] = entry.value } }

    public var count: Int { values.count }

    public subscript<Value>(_ key: StateKey<Value>) -> Value? {
        get {
            guard let bytes = values[Key(key.bytes)] else { return nil }
            do { return try Value(canonicalBytes: bytes) } catch { preconditionFailure("state.readable: \(Value.self) at \(hex(key.bytes)): \(error)") }
        }
        set {
            let bytes = newValue?.canonicalBytes, key = Key(key.bytes), before = values[key]
            guard before != bytes else { return }
            journal.append((key, before))
            values[key] = bytes
        }
    }

    public func bytes(_ key: [UInt8]) -> [UInt8]? { values[Key(key)] }

    /// A place to come back to.
    public var mark: Int { journal.count }
    public mutating func rollback(to mark: Int) {
        while journal.count > mark, let change = journal.popLast() { values[change.key] = change.before }
    }

    /// What changed since the last call, by key; nil for what is gone.
    public mutating func takeChanges() -> [(key: [UInt8], value: [UInt8]?)] {
        var first: [Key: [UInt8]?] = [:]
        for change in journal where first[change.key] == nil { first[change.key] = .some(change.before) }
        journal = []
        return first.filter { values[$0.key] != $0.value }.keys.sorted().map { ($0.bytes, values[$0]) }
    }
}
