import AssayPrimitives
import AssayProtocol

/// What authorities send each other.
public enum AuthorityMessage: Hashable, Sendable, CanonicalCodable {
    case block(SignedBlock)
    /// The sender entered this round.
    case advance(Round)
    case fetch([BlockReference])
    case fetchRounds(from: Slot, to: Round)
    /// An answer, lowest rounds first.
    case blocks([SignedBlock])
    /// The sender may have lost its disk: what have you of its own?
    case recall
    /// The asker's latest block that the sender holds, and the highest block that it has accepted.
    case recollection(own: SignedBlock?, highest: SignedBlock?)
    case fetchCommits(from: CommitIndex, to: CommitIndex)
    /// A run of the chain, and votes of a quorum for its last commit.
    case commits([Commit], proof: [Attestation])
    /// Commits below `kept` are gone here; if it is not above `from`, none of those asked for can be proven.
    case noCommits(from: CommitIndex, kept: CommitIndex)
    case fetchCommitted([BlockReference])
    /// As many of the blocks asked for as an answer holds.
    case committed([SignedBlock])
    /// This epoch is over, its last commit is this one.
    case ended(CommitIndex)

    public func encode(into encoder: inout CanonicalEncoder) {
        switch self {
        case .block(let block):
            encoder.append(0 as UInt8)
            encoder.append(block)
        case .advance(let round):
            encoder.append(1 as UInt8)
            encoder.append(round)
        case .fetch(let references):
            encoder.append(2 as UInt8)
            encoder.append(references)
        case .fetchRounds(let from, let to):
            encoder.append(3 as UInt8)
            encoder.append(from.round)
            encoder.append(from.author)
            encoder.append(to)
        case .blocks(let blocks):
            encoder.append(4 as UInt8)
            encoder.append(blocks)
        case .recall:
            encoder.append(5 as UInt8)
        case .recollection(let own, let highest):
            encoder.append(6 as UInt8)
            encoder.append(optional: own)
            encoder.append(optional: highest)
        case .fetchCommits(let from, let to):
            encoder.append(7 as UInt8)
            encoder.append(from)
            encoder.append(to)
        case .commits(let commits, let proof):
            encoder.append(8 as UInt8)
            encoder.append(commits)
            encoder.append(proof)
        case .noCommits(let from, let kept):
            encoder.append(9 as UInt8)
            encoder.append(from)
            encoder.append(kept)
        case .fetchCommitted(let references):
            encoder.append(10 as UInt8)
            encoder.append(references)
        case .committed(let blocks):
            encoder.append(11 as UInt8)
            encoder.append(blocks)
        case .ended(let last):
            encoder.append(12 as UInt8)
            encoder.append(last)
        }
    }
    public init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        switch try decoder.uint8() {
        case 0: self = .block(try decoder.value())
        case 1: self = .advance(try decoder.value())
        case 2: self = .fetch(try decoder.array(limit: Limits.fetchReferences))
        case 3: self = .fetchRounds(from: Slot(try decoder.value(), try decoder.value()), to: try decoder.value())
        case 4: self = .blocks(try decoder.array(limit: Limits.fetchBlocks))
        case 5: self = .recall
        case 6: self = .recollection(own: try decoder.optional(), highest: try decoder.optional())
        case 7: self = .fetchCommits(from: try decoder.value(), to: try decoder.value())
        case 8: self = .commits(try decoder.array(limit: Limits.fetchCommits), proof: try decoder.array(limit: Limits.committeeSize))
        case 9: self = .noCommits(from: try decoder.value(), kept: try decoder.value())
        case 10: self = .fetchCommitted(try decoder.array(limit: Limits.committedReferences))
        case 11: self = .committed(try decoder.array(limit: Limits.committedReferences))
        case 12: self = .ended(try decoder.value())
        case let tag: throw .invalidValue(field: "message", value: UInt64(tag))
        }
    }
}

extension AuthorityMessage {
    /// An answer: the commits up to the last one that the blocks prove.
    /// - Parameter committee: of the epoch that is asked about; nil if it is not known any more.
    static func commits(_ commits: [Commit], provenBy blocks: [SignedBlock], of committee: Committee?, kept: CommitIndex, from: CommitIndex) -> AuthorityMessage {
        guard let committee, let first = commits.first, first.index == from else { return .noCommits(from: from, kept: kept) }
        // Those of one epoch, which its own committee has voted for.
        let chain = commits.prefix { $0.epoch == committee.epoch }, voting = blocks.filter { $0.block.epoch == committee.epoch && committee.contains($0.block.author) }
        for (place, commit) in chain.enumerated().reversed() {
            let digest = commit.digest
            var tally = StakeTally(committee), proof: [Attestation] = []
            for block in voting where !tally.hasQuorum && !tally.voters.contains(block.block.author) {
                guard block.block.commitVotes.contains(where: { $0.index == commit.index && $0.commit == digest }) else { continue }
                tally.add(block.block.author)
                proof.append(Attestation(block))
            }
            if tally.hasQuorum { return .commits(Array(chain.prefix(place + 1)), proof: proof) }
        }
        return .noCommits(from: from, kept: kept)
    }

    /// Bytes of blocks in one answer: with one block more than that it still fits a frame.
    public static let answerBytes = 4 << 20

    /// Blocks as answers, each of which fits a frame: whoever asks may ask for more than one holds.
    package static func answers(_ blocks: [SignedBlock]) -> [AuthorityMessage] {
        var answers: [AuthorityMessage] = [], part: [SignedBlock] = [], bytes = 0
        for block in blocks {
            if bytes > answerBytes || part.count == Limits.fetchBlocks {
                answers.append(.blocks(part))
                (part, bytes) = ([], 0)
            }
            part.append(block)
            bytes += block.block.transactions.reduce(0) { $0 + 4 + $1.count }
        }
        return part.isEmpty ? answers : answers + [.blocks(part)]
    }
}
