import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// What a node knows of its own blocks when it has lost the rest.
struct ReservationTests {
    private func reservation(_ epoch: UInt64, _ round: UInt64, doubt: UInt64? = nil) -> Reservation { Reservation(epoch: Epoch(epoch), round: Round(round), doubtThrough: doubt.map { Epoch($0) }) }

    @Test func `own rounds of an epoch are known from its reservation, none are taken in a later one, and of an earlier one nothing is known`() {
        let kept = reservation(3, 128)
        #expect(kept.round(in: Epoch(2)) == nil)
        #expect(kept.round(in: Epoch(3)) == Round(128))
        #expect(kept.round(in: Epoch(4)) == Round(0))
        #expect(Reservation.none.round(in: Epoch(0)) == Round(0))
    }

    @Test func `who lost it asks the others, in the epoch in which they answer and in the next, and is certain then`() {
        var kept = Reservation.lost(in: Epoch(0))
        // It follows through old epochs, in which nobody answers.
        for epoch in 0...4 as ClosedRange<UInt64> {
            #expect(kept.round(in: Epoch(epoch)) == nil)
            kept = kept.reserving(Reservation.unsure, in: Epoch(epoch))
        }
        // A quorum answers in epoch 4: it goes on there, and after a restart too.
        kept = kept.recollected(in: Epoch(4)).reserving(Round(90), in: Epoch(4))
        #expect(kept.round(in: Epoch(4)) == Round(90))
        #expect(kept.round(in: Epoch(5)) == nil)
        #expect(kept.isDoubtful && kept.withoutDoubt().round(in: Epoch(5)) == Round(0))
        kept = kept.reserving(Reservation.unsure, in: Epoch(5))
        #expect(kept.round(in: Epoch(5)) == nil && kept.round(in: Epoch(6)) == nil)
        kept = kept.recollected(in: Epoch(5)).reserving(Round(64), in: Epoch(5))
        #expect(kept.round(in: Epoch(5)) == Round(64) && kept.round(in: Epoch(6)) == Round(0))
        #expect(!kept.isDoubtful)
    }

    @Test func `a database older than the reservation is not taken for the real one`() {
        let kept = reservation(3, 128).reserving(Reservation.unsure, in: Epoch(1))
        for epoch in 1...4 as ClosedRange<UInt64> { #expect(kept.round(in: Epoch(epoch)) == nil) }
        #expect(kept.epoch == Epoch(3))
    }

    @Test func `a database that was made anew is not the one that was written beside it, and the first one is`() {
        let kept = reservation(2, 65).beside(7)
        #expect(kept.store == 7 && kept.round(in: Epoch(2)) == Round(65))
        #expect(kept.reserving(Round(128), in: Epoch(2)).store == 7)
        let other = kept.beside(8)
        #expect(other.round(in: Epoch(2)) == nil && other.round(in: Epoch(3)) == nil)
        #expect(other.store == 8 && other.reserving(Round(64), in: Epoch(3)).round(in: Epoch(3)) == Round(64))
    }
}
