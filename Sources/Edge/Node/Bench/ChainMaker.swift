import AssayConsensus
import AssayCrypto
import AssayLedger
import AssayNetwork
import AssayPrimitives
import AssayProtocol
import AssayRoles
import AssayStorage
import Foundation
import Logging

/// Makes a long chain in little time: one whole authority with its store, ledger and signatures, and three others whose blocks are drawn and signed for it.
/// Time is virtual, so a day of commits takes minutes.
struct ChainMaker {
    /// Transfers in each of the others' blocks, in every so many rounds.
    struct Load {
        var transfers = 0
        var everyRounds: UInt64 = 1
    }

    let plans: [BenchPlan]
    let genesis: Genesis
    private let verifier: BlockVerifier
    private var shell: AuthorityShell<Ledger>
    private var now: Instant
    private let roundMilliseconds: UInt64
    private let load: Load
    private var loads: [BenchLoad]
    private var round = Round(1)
    private var last: [BlockReference]
    /// Its own blocks: it makes that of the next round as soon as this one is whole.
    private var own: [Round: BlockReference] = [:]
    private var unsaid: [CommitVote] = []

    /// - Parameter store: made anew, and not made durable: what is measured is its content.
    init(_ plans: [BenchPlan], store: NodeStore, roundMilliseconds: UInt64, load: Load, keptCommits: UInt64? = nil) throws {
        genesis = try Genesis(canonicalBytes: [UInt8](plans[0].genesis))
        (self.plans, self.roundMilliseconds, self.load) = (plans, roundMilliseconds, load)
        verifier = BlockVerifier(committee: try genesis.committee(), genesis: genesis.digest)
        now = genesis.time
        last = verifier.genesisBlocks
        var parameters = Authority<Ledger>.Parameters()
        // It follows the others' pace.
        (parameters.pacing.busyDelayMilliseconds, parameters.pacing.idleDelayMilliseconds) = (0, 0)
        let machine = Succession(identity: .init(owner: genesis.validators[0].owner, key: BenchPlan.consensusKey(0)), genesis: genesis.digest, start: genesis.time, committee: verifier.committee,
                                 parameters: parameters, executor: try Ledger(genesis: genesis), recovered: .init(reserved: nil), reservation: Reservation.none, now: now)
        // Nobody is connected: what is sent goes nowhere.
        let network = PeerNetwork(identity: try NetworkIdentity(pem: plans[0].networkPEM), own: genesis.validators[0].owner, genesis: genesis.digest, peers: [], log: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
        shell = AuthorityShell(machine, store: store, network: network, keptCommits: keptCommits, reserve: { _ in }) { $0 }
        loads = plans.map { BenchLoad(.signed, bytes: $0.bytes, node: $0.index) }
    }

    var commits: UInt64 { shell.authority.lastCommit?.index.rawValue ?? 0 }
    var head: BlockHeader { shell.authority.executor.head }

    /// Signs the transactions of so many rounds.
    mutating func prepare(rounds: Int) {
        for seat in loads.indices.dropFirst() { loads[seat].prepare((rounds / Int(load.everyRounds) + 1) * load.transfers, node: seat, chainID: genesis.chainID) }
    }

    /// Goes on until there are so many commits.
    mutating func run(until count: UInt64, progress: (UInt64) -> Void = { _ in }) throws {
        if commits == 0 { note(try shell.handle(.started, now: now)) }
        while commits < count {
            now = now.advanced(by: roundMilliseconds)
            if round > Round(1) { last[0] = own.removeValue(forKey: round.lowered(by: 1)) ?? last[0] }
            let before = last, votes = unsaid
            unsaid = []
            for seat in 1..<verifier.committee.size {
                let author = AuthorityIndex(seat)
                let block = Block(epoch: verifier.committee.epoch, round: round, author: author, timestamp: now, ancestors: [before[seat]] + before.filter { $0.author != author },
                                  transactions: transactions(seat), commitVotes: votes)
                let signed = SignedBlock(block, by: BenchPlan.consensusKey(seat), genesis: genesis.digest)
                last[seat] = verifier.reference(of: signed)
                note(try shell.handle(.received(Letter(verifier.committee.epoch, .block(signed)), from: genesis.validators[seat].owner), now: now))
            }
            guard own[round] != nil else { throw Failure("the chain stands still in round \(round): \(shell.authority.obstacle ?? "for no reason")") }
            round = round.next
            if round.rawValue.isMultiple(of: 10_000) { progress(commits) }
        }
    }

    private mutating func note(_ outcome: AuthorityShell<Ledger>.Outcome) {
        for block in outcome.proposed { own[block.round] = BlockReference(round: block.round, author: block.author, digest: block.digest(genesis: genesis.digest)) }
        unsaid += outcome.executed.map(\.vote)
    }

    private mutating func transactions(_ seat: Int) -> [[UInt8]] {
        round.rawValue.isMultiple(of: load.everyRounds) ? (0..<load.transfers).compactMap { _ in loads[seat].take() } : []
    }
}
