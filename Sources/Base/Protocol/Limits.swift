/// What a peer may send at the most. A larger thing is refused before it is stored or allocated for.
public enum Limits {
    public static let protocolVersion: UInt32 = 4
    public static let committeeSize = 128
    public static let transactionBytes = 16 * 1024
    public static let blockTransactions = 4_096
    public static let blockTransactionBytes = 2 * 1024 * 1024
    public static let blockBytes = blockTransactionBytes + 256 * 1024
    public static let commitVotes = 100
    public static let frameBytes = 8 * 1024 * 1024
    public static let blobBytes = 1 << 30
    public static let fetchReferences = 32
    public static let fetchBlocks = 64
    /// Commits in one answer, and names in one question for blocks of commits.
    public static let fetchCommits = 200
    public static let committedReferences = 1_000
    /// Blocks further ahead of the last commit than this are not kept: the node has to catch up by commits.
    public static let roundsAhead: UInt64 = 500
    public static let suspendedBlocks = 5_000
    /// Of the transactions in them; a single block of an author always has room.
    public static let suspendedBytes = 256 << 20
    public static let revealBytes = 400
    public static let nameBytes = 64
    public static let endpointBytes = 256
}
