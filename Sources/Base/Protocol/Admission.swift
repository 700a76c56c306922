import AssayCrypto
import AssayPrimitives

/// Whether a transaction may wait to be ordered.
public enum Admission: Hashable, Sendable {
    /// Free of charge, and first.
    case duty
    /// By its tip per gas, and of one sender by nonce.
    case paid(tip: U256, by: Address, nonce: UInt64)
    /// In the words that wallets know.
    case refused(String)
}
