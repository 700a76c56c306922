import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import Testing

/// Every reason for which a block is refused, each by a block that has nothing else wrong with it.
struct BlockVerifierTests {
    private let keys = (0..<4).map { KeyPair(seed: "verifier \($0)") }
    private let genesis = Digest.sha256([1])
    private var verifier: BlockVerifier {
        let members = keys.map { Committee.Member(owner: $0.address, consensusKey: $0.publicKey, networkKey: .zero, stake: Stake(1)) }
        guard let committee = try? Committee(epoch: Epoch(3), members: members) else { preconditionFailure("four keys are a committee") }
        return BlockVerifier(committee: committee, genesis: genesis)
    }

    private func reference(_ round: UInt64, _ seat: Int) -> BlockReference {
        round == 0 && seat < 4 ? verifier.genesisBlocks[seat] : BlockReference(round: Round(round), author: AuthorityIndex(seat), digest: Digest.sha256([UInt8(round), UInt8(seat)]))
    }
    private func block(epoch: UInt64 = 3, round: UInt64 = 5, author: Int = 1, ancestors: [(UInt64, Int)] = [(4, 1), (4, 0), (4, 2)], transactions: [[UInt8]] = [], votes: Int = 0) -> Block {
        let vote = CommitVote(index: CommitIndex(1), commit: .zero, stateRoot: .zero, logRoot: .zero)
        return Block(epoch: Epoch(epoch), round: Round(round), author: AuthorityIndex(author), timestamp: Instant(1), ancestors: ancestors.map { reference($0.0, $0.1) },
                     transactions: transactions, commitVotes: Array(repeating: vote, count: votes))
    }
    private func refusal(_ block: Block, by signer: Int? = nil, genesis other: Digest? = nil) -> BlockError? {
        let signer = signer ?? min(block.author.index, 3)
        do {
            _ = try verifier.verify(SignedBlock(block, by: keys[signer], genesis: other ?? genesis))
            return nil
        } catch { return error }
    }

    @Test func `a valid block passes, and so does one on an old block of an idle author`() {
        #expect(refusal(block()) == nil)
        #expect(refusal(block(ancestors: [(4, 1), (4, 0), (4, 2), (1, 3)])) == nil)
        #expect(refusal(block(round: 1, ancestors: [(0, 1), (0, 0), (0, 3)])) == nil)
    }

    @Test func `each rule has its refusal, with the offender and both sides of the comparison`() {
        let size = 4, quorum = Stake(3)
        #expect(refusal(block(epoch: 2)) == .wrongEpoch(found: Epoch(2), expected: Epoch(3)))
        #expect(refusal(block(round: 0)) == .genesisRound)
        #expect(refusal(block(author: 4)) == .unknownAuthor(AuthorityIndex(4), committeeSize: size))
        #expect(refusal(block(author: 65_535)) == .unknownAuthor(AuthorityIndex(65_535), committeeSize: size))
        #expect(refusal(block(), by: 2) == .wrongSignature(AuthorityIndex(1)))
        #expect(refusal(block(), genesis: Digest.sha256([2])) == .wrongSignature(AuthorityIndex(1)))
        #expect(refusal(block(ancestors: [])) == .ancestorCount(found: 0, limit: size))
        #expect(refusal(block(ancestors: [(4, 1), (4, 0), (4, 2), (4, 3), (3, 3)])) == .ancestorCount(found: 5, limit: size))
        #expect(refusal(block(ancestors: [(4, 1), (4, 0), (4, 200)])) == .unknownAncestorAuthor(AuthorityIndex(200), committeeSize: size))
        #expect(refusal(block(ancestors: [(4, 0), (4, 1), (4, 2)])) == .firstAncestorNotOwn(found: AuthorityIndex(0), author: AuthorityIndex(1)))
        #expect(refusal(block(ancestors: [(4, 1), (3, 1), (4, 0), (4, 2)])) == .ownAncestorTwice)
        #expect(refusal(block(ancestors: [(4, 1), (5, 0), (4, 2)])) == .ancestorNotBelow(ancestor: reference(5, 0), round: Round(5)))
        #expect(refusal(block(ancestors: [(4, 1), (4, 0), (3, 0), (4, 2)])) == .authorTwice(AuthorityIndex(0)))
        #expect(refusal(block(ancestors: [(4, 1), (4, 0), (3, 2), (3, 3)])) == .parentStakeTooLow(found: Stake(2), quorum: quorum))
        #expect(refusal(block(transactions: Array(repeating: [], count: Limits.blockTransactions + 1))) == .transactionCount(found: Limits.blockTransactions + 1, limit: Limits.blockTransactions))
        let long = [UInt8](repeating: 0, count: Limits.transactionBytes)
        #expect(refusal(block(transactions: [long + [0]])) == .transactionBytes(found: Limits.transactionBytes + 1, limit: Limits.transactionBytes))
        let many = Limits.blockTransactionBytes / Limits.transactionBytes + 1
        #expect(refusal(block(transactions: Array(repeating: long, count: many))) == .blockBytes(found: many * Limits.transactionBytes, limit: Limits.blockTransactionBytes))
        #expect(refusal(block(votes: Limits.commitVotes + 1)) == .commitVoteCount(found: Limits.commitVotes + 1, limit: Limits.commitVotes))
    }

    @Test func `a genesis block of another network is not ours`() {
        let stranger = BlockReference(round: Round(0), author: AuthorityIndex(0), digest: .zero)
        let block = Block(epoch: Epoch(3), round: Round(1), author: AuthorityIndex(1), timestamp: Instant(1), ancestors: [reference(0, 1), stranger, reference(0, 2)])
        #expect(refusal(block) == .unknownGenesis(stranger))
    }

    @Test func `a signature with another s is no second block, and is refused`() throws {
        let signed = SignedBlock(block(), by: keys[1], genesis: genesis)
        let order = U256(high: 0xFFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFE, low: 0xBAAE_DCE6_AF48_A03B_BFD2_5E8C_D036_4141)
        let high = Signature(r: signed.signature.r, s: try order.subtracting(signed.signature.s), recovery: signed.signature.recovery ^ 1)
        #expect(throws: BlockError.wrongSignature(AuthorityIndex(1))) { try verifier.verify(SignedBlock(block: signed.block, signature: high)) }
    }

    @Test func `a block's bytes cut anywhere, or longer, are an error and never a trap`() throws {
        let bytes = SignedBlock(block(transactions: [[1, 2, 3], []], votes: 2), by: keys[1], genesis: genesis).canonicalBytes
        #expect(try SignedBlock(canonicalBytes: bytes).canonicalBytes == bytes)
        for count in 0..<bytes.count { #expect(throws: DecodingError.self) { try SignedBlock(canonicalBytes: Array(bytes.prefix(count))) } }
        #expect(throws: DecodingError.trailingBytes(count: 1)) { try SignedBlock(canonicalBytes: bytes + [0]) }
        // A count of four thousand million ancestors allocates nothing.
        var huge = bytes
        for place in 26..<30 { huge[place] = 0xFF }
        #expect(throws: DecodingError.self) { try SignedBlock(canonicalBytes: huge) }
    }
}
