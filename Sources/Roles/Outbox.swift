import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Duties on their way to the ledger: each goes out until the ledger shows it or its phase has closed, always with the content it had first.
struct Outbox: Sendable {
    private struct Entry: Sendable {
        let transaction: Transaction
        var sent: Instant
    }
    private var entries: [Duty: Entry] = [:]
    private let resendMilliseconds: UInt64

    init(resendMilliseconds: UInt64) { self.resendMilliseconds = resendMilliseconds }

    /// The transaction to submit now, if it is time: the first one made for this duty, whatever is made later.
    mutating func due(_ duty: Duty, now: Instant, make: () -> Transaction?) -> Transaction? {
        if let entry = entries[duty] {
            guard now.milliseconds(since: entry.sent) >= resendMilliseconds else { return nil }
            entries[duty]?.sent = now
            return entry.transaction
        }
        guard let transaction = make() else { return nil }
        entries[duty] = Entry(transaction: transaction, sent: now)
        return transaction
    }

    /// True if something went out for this duty and may have to again.
    func holds(_ duty: Duty) -> Bool { entries[duty] != nil }

    /// Forgets the duties of windows below.
    mutating func forget(below window: Window) { entries = entries.filter { $0.key.window >= window } }
}
