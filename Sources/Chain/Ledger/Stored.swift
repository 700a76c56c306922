import AssayCrypto
import AssayPrimitives

/// A transaction as it was executed, and where: what storage keeps of it and RPC serves.
public struct StoredReceipt: Hashable, Sendable {
    public let hash: Digest
    public let number: UInt64
    public let place: Int
    /// Nil for the system transaction.
    public let raw: [UInt8]?
    public let succeeded: Bool
    public let gasUsed: UInt64
    public let price: U256
    public let revert: [UInt8]
    public let firstLog: Int
    public let logCount: Int

    public init(hash: Digest, number: UInt64, place: Int, raw: [UInt8]?, succeeded: Bool, gasUsed: UInt64, price: U256, revert: [UInt8], firstLog: Int, logCount: Int) {
        (self.hash, self.number, self.place, self.raw, self.succeeded) = (hash, number, place, raw, succeeded)
        (self.gasUsed, self.price, self.revert, self.firstLog, self.logCount) = (gasUsed, price, revert, firstLog, logCount)
    }
}

/// An event, and where.
public struct StoredLog: Hashable, Sendable {
    public let number: UInt64
    /// In its block.
    public let place: Int
    public let log: Log
    public let transactionHash: Digest

    public init(number: UInt64, place: Int, log: Log, transactionHash: Digest) { (self.number, self.place, self.log, self.transactionHash) = (number, place, log, transactionHash) }
}
