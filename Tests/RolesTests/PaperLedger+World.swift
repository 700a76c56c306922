import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssaySimulator

extension PaperLedger: WorldLedger {
    /// Its committee never changes.
    public func seats(of epoch: Epoch) -> [Address] { genesis.validators.map(\.owner) }
    mutating func execute(_ commit: OrderedCommit) -> (vote: CommitVote, executed: Int) {
        let fresh = commit.entries.map(\.transaction).filter { executed.insert(Digest.sha256($0)).inserted }
        execute(fresh, at: commit.commit.timestamp)
        chain = Digest.tagged("paper/state") {
            $0.append(chain)
            $0.append(commit.digest)
            $0.append(UInt64(refusals.count))
            $0.append(status.phaseClock)
            for view in views { for contribution in view.contributions { $0.append(contribution.commitment) } }
        }
        return (CommitVote(index: commit.commit.index, commit: commit.digest, stateRoot: chain, logRoot: .zero), fresh.count)
    }
    func admission(of transaction: [UInt8]) -> Admission { executed.contains(Digest.sha256(transaction)) ? .refused("already known") : .duty }
    func nextNonce(of sender: Address) -> UInt64? { nil }
    func isStale(_ transaction: [UInt8]) -> Bool { executed.contains(Digest.sha256(transaction)) }

    static func eventNames(_ executed: Int) -> [String] { [] }
    var worldHead: LedgerHead { head }
    var slashedIdentities: [Address] { slashed }
    var brokenInvariants: [String] { [] }
}
