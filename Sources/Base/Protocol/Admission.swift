import AssayPrimitives

/// Whether a transaction may wait to be ordered.
public enum Admission: Hashable, Sendable {
    /// Free of charge, and first.
    case duty
    /// By its tip per gas.
    case paid(tip: U256)
    /// In the words that wallets know.
    case refused(String)
}
