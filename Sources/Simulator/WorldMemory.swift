import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayPrimitives
import AssayProtocol
import Synchronization

/// What a world's nodes would all find out by themselves, found out once: whose signature it is, and what a transaction's bytes say.
///
/// Both are pure functions of what is asked, so an answer may serve whoever asks the same; the real check is made for each distinct question.
/// Nodes of the world outside share nothing, so there is no such memory anywhere else. It belongs to one world, and is bounded.
final class WorldMemory: Sendable {
    private struct Question: Hashable {
        let key, signature: [UInt8]
        let digest: Digest
        func hash(into hasher: inout Hasher) {
            // The key and the signature differ with the digest but for attacks, and then only in few.
            hasher.combine(digest)
        }
    }
    private struct Raw: Hashable {
        let bytes: [UInt8]
        let chainID: UInt64
        func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }
    private static let limit = 1 << 16
    private let signatures = Mutex<[Question: Bool]>([:])
    private let transactions = Mutex<[Raw: Result<Transaction, Transaction.Invalid>]>([:])

    var isSigned: BlockVerifier.SignatureCheck {
        { key, signature, digest in
            let question = Question(key: key.bytes, signature: signature.bytes, digest: digest)
            return self.signatures.withLock { known in
                if let answer = known[question] { return answer }
                if known.count >= WorldMemory.limit { known = [:] }
                let answer = key.verifies(signature, hash: digest.bytes)
                known[question] = answer
                return answer
            }
        }
    }

    var read: Ledger.TransactionReader {
        { (raw, chainID) throws(Transaction.Invalid) in
            let question = Raw(bytes: raw, chainID: chainID)
            let answer = self.transactions.withLock { known in
                if let answer = known[question] { return answer }
                if known.count >= WorldMemory.limit { known = [:] }
                let answer = Result { () throws(Transaction.Invalid) in try Transaction(raw: raw, chainID: chainID) }
                known[question] = answer
                return answer
            }
            return try answer.get()
        }
    }
}
