import AssayPrimitives
import AssayProtocol

/// What goes over the wire between nodes: a message of authorities, and in which epoch it is meant.
public struct Letter: Hashable, Sendable, CanonicalCodable {
    public let epoch: Epoch
    public let message: AuthorityMessage
    public init(_ epoch: Epoch, _ message: AuthorityMessage) { (self.epoch, self.message) = (epoch, message) }

    public func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(epoch)
        encoder.append(message)
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        epoch = try decoder.value()
        message = try decoder.value()
    }
}

/// Up to where own blocks may exist. Kept beside the database, so that a node knows when it has lost that.
public struct Reservation: Hashable, Sendable {
    public let epoch: Epoch
    public let round: Round
    /// From `epoch` on through this one the others must be asked: a node that has lost this memory may have been there. Nil for none.
    public let doubtThrough: Epoch?
    /// A round that no memory fulfils: written while it is not certain which rounds of our own are free.
    public static let unsure = Round(.max)
    /// Doubt of a node that has not found out anything yet.
    private static let withoutEnd = Epoch(.max)
    /// Of a node that has lost it.
    package static func lost(in epoch: Epoch) -> Reservation { Reservation(epoch: epoch, round: unsure, doubtThrough: withoutEnd) }

    /// The database that was written beside it. Another one there is not the one that knows of these rounds. Nil before there was one.
    public let store: UInt64?

    public init(epoch: Epoch, round: Round, doubtThrough: Epoch? = nil, store: UInt64? = nil) { (self.epoch, self.round, self.doubtThrough, self.store) = (epoch, round, doubtThrough, store) }

    /// As it holds beside a database: if that is another one, what was reserved may have been used.
    package func beside(_ found: UInt64) -> Reservation {
        Reservation(epoch: epoch, round: store ?? found == found ? round : Reservation.unsure, doubtThrough: doubtThrough, store: found)
    }
    /// Of a node that has never made a block.
    public static let none = Reservation(epoch: Epoch(0), round: Round(0))

    /// Up to which round own blocks of an epoch may exist; nil if that is not known.
    package func round(in epoch: Epoch) -> Round? {
        if round == Reservation.unsure || self.epoch > epoch { return nil }
        if self.epoch == epoch { return round }
        return doubtThrough.map { epoch <= $0 } ?? false ? nil : Round(0)
    }

    /// The next epoch had not begun when the memory was lost: nothing of ours is in it.
    package func withoutDoubt() -> Reservation { Reservation(epoch: epoch, round: round, doubtThrough: nil, store: store) }

    /// Not certain of this epoch, or of the next.
    public var isDoubtful: Bool { round == Reservation.unsure || doubtThrough != nil }

    /// What is to be kept before own blocks of an epoch may go up to a round, or while it is not known up to which they do.
    package func reserving(_ round: Round, in epoch: Epoch) -> Reservation {
        round == Reservation.unsure || self.epoch > epoch
            ? Reservation(epoch: max(epoch, self.epoch), round: Reservation.unsure, doubtThrough: doubtThrough, store: store)
            : Reservation(epoch: epoch, round: round, doubtThrough: doubtThrough, store: store)
    }

    /// The others have been asked in an epoch. Nothing of ours is in a later one than the next: a quorum of them had not closed this one when we had lost our memory.
    /// In the next one we may have been before them, and must ask again.
    package func recollected(in epoch: Epoch) -> Reservation {
        Reservation(epoch: self.epoch, round: round, doubtThrough: doubtThrough == Reservation.withoutEnd ? epoch.next : nil, store: store)
    }
}
