import AssayCrypto
import AssayProtocol

/// Transactions as they were read at their admission, until they are executed: recovering a sender costs more than all the rest of a transfer.
///
/// It remembers a pure function of a transaction's bytes, so what a commit does never depends on what is in here. Bounded.
struct AdmittedTransactions: Sendable {
    static let limit = 8_192
    private var known: [Digest: Transaction] = [:]

    mutating func remember(_ transaction: Transaction) {
        // What is still to come is worth more than what was never ordered.
        if known.count >= AdmittedTransactions.limit { known = [:] }
        known[Digest.sha256(transaction.raw)] = transaction
    }

    mutating func take(_ raw: [UInt8]) -> Transaction? { known.isEmpty ? nil : known.removeValue(forKey: Digest.sha256(raw)) }
}
