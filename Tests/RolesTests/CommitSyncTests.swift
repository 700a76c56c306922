import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// Catching up by commits, as a machine of its own: a chain from a room of honest authorities, and answers that are right or wrong in one place.
struct CommitSyncTests {
    /// What honest authorities made, and how one of them would serve it.
    private struct Chain {
        let room: Room
        let commits: [Commit]
        init() throws {
            var room = try Room(count: 4)
            for step in 1..<12 as Range<UInt64> {
                room.submit([UInt8(step), 7], to: Int(step) % 4)
                room.run(until: step * 1_500)
            }
            (self.room, commits) = (room, room.disks[0].commits.map(\.commit))
        }
        func blocks(_ names: [BlockReference]) -> [SignedBlock] { room.disks[0].blocks.filter { names.contains(room.verifier.reference(of: $0)) } }
        /// All that voted for a commit.
        func votes(_ commit: Commit) -> [Attestation] {
            let voting = room.disks[0].blocks.filter { $0.block.commitVotes.contains { $0.index == commit.index } }
            return Dictionary(grouping: voting, by: \.block.author).values.compactMap(\.first).sorted { $0.block.author < $1.block.author }.map { Attestation($0) }
        }
        func run(_ from: UInt64, _ to: UInt64) -> [Commit] { Array(commits[Int(from - 1)..<Int(to)]) }
    }
    private static let chain = Result { try Chain() }

    private static var parameters: CommitSyncParameters {
        var parameters = CommitSyncParameters()
        (parameters.threshold, parameters.nearby, parameters.batchCommits, parameters.batchesAhead, parameters.namesAtOnce) = (6, 2, 4, 3, 8)
        (parameters.timeoutMilliseconds, parameters.asideMilliseconds, parameters.patience) = (1_000, 5_000, 6)
        return parameters
    }
    private static let peers = (1...3).map { (peer: AuthorityIndex($0), attested: CommitIndex(1_000)) }
    private static let now = Instant(10_000)

    /// One that has nothing and knows of a quorum at commit 16, with its first questions.
    private func asking(_ chain: Chain) -> (sync: CommitSync, dag: DAG, requests: [CommitSync.Request]) {
        var sync = CommitSync(chain.room.verifier, CommitSyncTests.parameters)
        let change = sync.turn(own: CommitIndex(0), digest: .zero, quorum: CommitIndex(16), now: CommitSyncTests.now)
        #expect(change == .toCommits)
        let dag = DAG(committee: chain.room.verifier.committee, genesisBlocks: chain.room.verifier.genesisBlocks)
        let requests = sync.requests(CommitSyncTests.peers, dag: dag, now: CommitSyncTests.now)
        return (sync, dag, requests)
    }

    @Test func `ranges go to different peers at once, only so many ahead, and what is ready comes in order whatever order the answers have`() throws {
        let chain = try CommitSyncTests.chain.get()
        var (sync, dag, requests) = asking(chain)
        #expect(requests.map(\.message) == [(1, 4), (5, 8), (9, 12)].map { .fetchCommits(from: CommitIndex($0.0), to: CommitIndex($0.1)) })
        #expect(Set(requests.map(\.peer)).count == 3)
        for (request, range) in zip(requests, [(1, 4), (5, 8), (9, 12)] as [(UInt64, UInt64)]).reversed() {
            try sync.take(chain.run(range.0, range.1), proof: chain.votes(chain.commits[Int(range.1) - 1]), from: request.peer, now: CommitSyncTests.now)
        }
        #expect(sync.knownCommits == 12)
        var executed: [Commit] = []
        for _ in 0..<40 {
            for request in sync.requests(CommitSyncTests.peers, dag: dag, now: CommitSyncTests.now) {
                guard case .fetchCommitted(let names) = request.message else { continue }
                #expect(names.count <= 8)
                try sync.take(chain.blocks(names).reversed(), from: request.peer, now: CommitSyncTests.now)
            }
            while case .ready(let commit, let history)? = sync.next(dag) {
                for block in history {
                    #expect(block.ancestors.allSatisfy { dag.contains($0) }, "ancestors come first")
                    dag.insert(block)
                }
                executed.append(commit)
                sync.done(commit)
            }
        }
        #expect(executed == chain.run(1, 12))
        #expect(sync.bufferedBlocks == 0)
    }

    @Test func `every commit of a chain can be proven, since blocks vote for all that their author has executed`() throws {
        let chain = try CommitSyncTests.chain.get()
        for commit in chain.commits.dropLast(4) { #expect(chain.votes(commit).count >= 3, "commit \(commit.index)") }
    }

    private enum Wrong: String, CaseIterable { case link, gap, epoch, nobody, twoOfFour, oneThrice, otherDigest, forged, strangers }

    @Test(arguments: Wrong.allCases.map(\.rawValue)) func `an answer that is wrong in one place is refused, its peer set aside, and another is asked`(name: String) throws {
        let chain = try CommitSyncTests.chain.get(), wrong = try #require(Wrong(rawValue: name))
        var (sync, dag, requests) = asking(chain)
        var commits = chain.run(1, 4), proof = chain.votes(commits[3])
        func changed(_ commit: Commit, epoch: UInt64 = 0, index: UInt64? = nil, previous: Digest? = nil) -> Commit {
            Commit(epoch: Epoch(epoch), index: index.map { CommitIndex($0) } ?? commit.index, previous: previous ?? commit.previous, timestamp: commit.timestamp, leader: commit.leader, blocks: commit.blocks)
        }
        let expected: CommitSync.Fault
        switch wrong {
        case .link: (commits[2], expected) = (changed(commits[2], previous: .zero), .brokenChain(CommitIndex(3)))
        case .gap: (commits[2], expected) = (changed(commits[2], index: 9), .wrongIndex(found: CommitIndex(9), expected: CommitIndex(3)))
        case .epoch: (commits[3], expected) = (changed(commits[3], epoch: 1), .wrongEpoch(CommitIndex(4), found: Epoch(1), expected: Epoch(0)))
        case .nobody: (proof, expected) = ([], .unproven(CommitIndex(4), found: Stake(0), quorum: Stake(3)))
        case .twoOfFour: (proof, expected) = (Array(proof.prefix(2)), .unproven(CommitIndex(4), found: Stake(2), quorum: Stake(3)))
        case .oneThrice: (proof, expected) = (Array(repeating: proof[0], count: 3), .unproven(CommitIndex(4), found: Stake(1), quorum: Stake(3)))
        case .otherDigest:
            let last = commits[3]
            commits[3] = Commit(epoch: last.epoch, index: last.index, previous: last.previous, timestamp: last.timestamp.next, leader: last.leader, blocks: last.blocks)
            expected = .unproven(CommitIndex(4), found: Stake(0), quorum: Stake(3))
        case .forged, .strangers:
            let vote = CommitVote(index: CommitIndex(4), commit: commits[3].digest, stateRoot: .zero, logRoot: .zero), author = AuthorityIndex(wrong == .forged ? 0 : 9)
            proof = [Attestation(SignedBlock(Block(epoch: Epoch(0), round: Round(9), author: author, timestamp: Instant(1), ancestors: [], commitVotes: [vote]), by: KeyPair(seed: "a stranger"), genesis: chain.room.verifier.genesis))]
            expected = .attestation(wrong == .forged ? .wrongSignature(author) : .unknownAuthor(author, committeeSize: 4))
        }
        #expect(throws: expected) { try sync.take(commits, proof: proof, from: requests[0].peer, now: CommitSyncTests.now) }
        #expect(sync.knownCommits == 0)
        // The others answer, and one of them is asked for the range.
        for (request, range) in zip(requests.dropFirst(), [(5, 8), (9, 12)] as [(UInt64, UInt64)]) {
            try sync.take(chain.run(range.0, range.1), proof: chain.votes(chain.commits[Int(range.1) - 1]), from: request.peer, now: CommitSyncTests.now)
        }
        let again = sync.requests(CommitSyncTests.peers, dag: dag, now: CommitSyncTests.now)
        #expect(again.contains { $0.message == .fetchCommits(from: CommitIndex(1), to: CommitIndex(4)) && $0.peer != requests[0].peer })
        #expect(!again.contains { $0.peer == requests[0].peer })
    }

    @Test func `an attestation is worth its author's signature under exactly these votes`() throws {
        let chain = try CommitSyncTests.chain.get(), verifier = chain.room.verifier
        let block = try #require(chain.room.disks[0].blocks.first { !$0.block.commitVotes.isEmpty })
        #expect(throws: Never.self) { try Attestation(block).check(verifier.committee, genesis: verifier.genesis) }
        var bytes = Attestation(block).canonicalBytes
        bytes[bytes.count - 90] ^= 1
        let changed = try Attestation(canonicalBytes: bytes)
        #expect(throws: Attestation.Invalid.otherContent(block.block.author, block.block.round)) { try changed.check(verifier.committee, genesis: verifier.genesis) }
        #expect(throws: Attestation.Invalid.wrongSignature(block.block.author)) { try Attestation(block).check(verifier.committee, genesis: .zero) }
    }

    @Test func `a block with its name but another signature is refused, and one that was not asked for is not looked at`() throws {
        let chain = try CommitSyncTests.chain.get()
        var (sync, dag, requests) = asking(chain)
        try sync.take(chain.run(1, 4), proof: chain.votes(chain.commits[3]), from: requests[0].peer, now: CommitSyncTests.now)
        let request = try #require(sync.requests(CommitSyncTests.peers, dag: dag, now: CommitSyncTests.now).first { if case .fetchCommitted = $0.message { true } else { false } })
        guard case .fetchCommitted(let names) = request.message else { return }
        let other = try #require(chain.room.disks[0].blocks.last), right = chain.blocks(names)
        try sync.take([other], from: request.peer, now: CommitSyncTests.now)
        #expect(sync.bufferedBlocks == 0)
        let wrong = SignedBlock(block: right[0].block, signature: right[1].signature)
        #expect(throws: CommitSync.Fault.block(chain.room.verifier.reference(of: wrong), .wrongSignature(wrong.block.author))) { try sync.take([wrong], from: request.peer, now: CommitSyncTests.now) }
        // All of its names are asked for again, of somebody else.
        let again = sync.requests(CommitSyncTests.peers, dag: dag, now: CommitSyncTests.now).filter { $0.message == request.message }
        #expect(again.count == 1 && again[0].peer != request.peer)
    }

    @Test func `who does not answer is waited for longer each time, and after enough questions in vain the node follows live for a while`() throws {
        let chain = try CommitSyncTests.chain.get()
        var (sync, dag, _) = asking(chain)
        var now = CommitSyncTests.now, wakes: [UInt64] = []
        while sync.turn(own: CommitIndex(0), digest: .zero, quorum: CommitIndex(16), now: now) == nil {
            let next = try #require(sync.nextWake)
            wakes.append(next.milliseconds(since: now))
            now = max(next, now.next)
            _ = sync.requests(CommitSyncTests.peers, dag: dag, now: now)
            try #require(wakes.count < 100)
        }
        #expect(!sync.isOn && wakes.first == 1_000)
        #expect(wakes.contains { $0 > 1_000 } || wakes.count >= 2)
        let atOnce = sync.turn(own: CommitIndex(0), digest: .zero, quorum: CommitIndex(16), now: now.next)
        #expect(atOnce == nil)
        let later = sync.turn(own: CommitIndex(0), digest: .zero, quorum: CommitIndex(16), now: now.advanced(by: 60_000))
        #expect(later == .toCommits)
    }

    @Test func `commits when a quorum is far ahead, blocks when it is near: both ways, with room between`() throws {
        let chain = try CommitSyncTests.chain.get()
        var sync = CommitSync(chain.room.verifier, CommitSyncTests.parameters)
        var changes: [CommitSync.Switch?] = []
        for (own, quorum) in [(4, 10), (4, 11), (8, 11), (9, 11), (9, 15), (9, 16)] as [(UInt64, UInt64)] {
            changes.append(sync.turn(own: CommitIndex(own), digest: .zero, quorum: CommitIndex(quorum), now: CommitSyncTests.now))
        }
        #expect(changes == [nil, .toCommits, nil, .toLive, nil, .toCommits])
    }

    @Test func `a peer that has pruned what is asked for is asked for later commits only`() throws {
        let chain = try CommitSyncTests.chain.get()
        var (sync, dag, requests) = asking(chain)
        let isPruned = sync.lacks(CommitIndex(1), kept: CommitIndex(9), by: requests[0].peer, now: CommitSyncTests.now)
        #expect(isPruned)
        let again = sync.requests([(peer: requests[0].peer, attested: CommitIndex(1_000))], dag: dag, now: CommitSyncTests.now)
        #expect(again.isEmpty, "1…4 is not kept there, and the rest is asked of others already")
        #expect(sync.lowestKept(above: CommitIndex(1)) == CommitIndex(9) && sync.lowestKept(above: CommitIndex(9)) == nil)
    }

    @Test func `where no commit of a range can be proven more are asked for at once`() throws {
        let chain = try CommitSyncTests.chain.get()
        var (sync, dag, requests) = asking(chain)
        let isPruned = sync.lacks(CommitIndex(1), kept: CommitIndex(1), by: requests[0].peer, now: CommitSyncTests.now)
        #expect(!isPruned)
        let again = sync.requests(CommitSyncTests.peers, dag: dag, now: CommitSyncTests.now)
        #expect(again.contains { $0.message == .fetchCommits(from: CommitIndex(1), to: CommitIndex(8)) })
    }
}
