/// A counted thing with a unit of its own, so that a round is never added to a window.
public protocol Counted: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible, CanonicalCodable, Codable where RawValue == UInt64 {
    init(_ rawValue: UInt64)
}

extension Counted {
    public init(rawValue: UInt64) { self.init(rawValue) }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "\(rawValue)" }

    /// The value `count` later, or the largest there is: peers choose these numbers, so adding never traps.
    public func advanced(by count: UInt64) -> Self {
        let (sum, over) = rawValue.addingReportingOverflow(count)
        return Self(over ? .max : sum)
    }

    /// The value `count` earlier, or zero.
    public func lowered(by count: UInt64) -> Self { Self(rawValue > count ? rawValue - count : 0) }
    public var next: Self { advanced(by: 1) }

    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(rawValue) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) { self.init(try decoder.uint64()) }
}

/// A committee's term.
public struct Epoch: Counted { public let rawValue: UInt64; public init(_ rawValue: UInt64) { self.rawValue = rawValue } }

/// DAG time. Round 0 is the implicit genesis.
public struct Round: Counted { public let rawValue: UInt64; public init(_ rawValue: UInt64) { self.rawValue = rawValue } }

/// Training time: H inner steps of every trainer, and what becomes of them.
public struct Window: Counted { public let rawValue: UInt64; public init(_ rawValue: UInt64) { self.rawValue = rawValue } }

/// Position of a commit in the ledger's one sequence; the first is 1, and 0 is genesis.
public struct CommitIndex: Counted { public let rawValue: UInt64; public init(_ rawValue: UInt64) { self.rawValue = rawValue } }

/// Weight of an authority in a quorum, in whole tokens. Money is a `U256` of wei.
public struct Stake: Counted { public let rawValue: UInt64; public init(_ rawValue: UInt64) { self.rawValue = rawValue } }

/// Ledger time or machine time, in milliseconds since 1970-01-01 UTC.
public struct Instant: Counted {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    public var milliseconds: UInt64 { rawValue }

    /// Milliseconds from `earlier` to here; zero if it is later.
    public func milliseconds(since earlier: Instant) -> UInt64 { rawValue > earlier.rawValue ? rawValue - earlier.rawValue : 0 }
}

/// Seat in the committee, from 0. A peer may send any number: check it against the committee before indexing.
public struct AuthorityIndex: Hashable, Comparable, Sendable, CustomStringConvertible, CanonicalCodable {
    public let rawValue: UInt16
    public init(_ rawValue: UInt16) { self.rawValue = rawValue }
    public init(_ index: Int) { rawValue = UInt16(index) }
    public var index: Int { Int(rawValue) }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// A, B, C … as in drawn DAGs, then [26], [27] ….
    public var description: String { rawValue < 26 ? String(UnicodeScalar(UInt8(65 + rawValue))) : "[\(rawValue)]" }
    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(rawValue) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) { rawValue = try decoder.uint16() }
}

/// One window's judged value in billionths: the share of the loss that a contribution took away. Negative if it made things worse.
public struct Score: Hashable, Comparable, Sendable, CanonicalCodable {
    public let billionths: Int64
    public init(billionths: Int64) { self.billionths = billionths }
    public static func < (a: Self, b: Self) -> Bool { a.billionths < b.billionths }
    public func encode(into encoder: inout CanonicalEncoder) { encoder.append(UInt64(bitPattern: billionths)) }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) { billionths = Int64(bitPattern: try decoder.uint64()) }
}
