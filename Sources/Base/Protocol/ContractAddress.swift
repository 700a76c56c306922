import AssayCrypto

/// Where the native contracts live.
public enum ContractAddress {
    public static let staking = Address(number: 0x0A01)
    public static let runs = Address(number: 0x0A02)
    public static let windows = Address(number: 0x0A03)
    public static let scores = Address(number: 0x0A04)
    public static let rewards = Address(number: 0x0A05)
    public static let disputes = Address(number: 0x0A06)
    public static let checkpoints = Address(number: 0x0A07)

    /// By number, with the names of the interfaces in `Contracts/`.
    public static let all: [(name: String, address: Address)] = [
        ("Staking", staking), ("Runs", runs), ("Windows", windows), ("Scores", scores),
        ("Rewards", rewards), ("Disputes", disputes), ("Checkpoints", checkpoints),
    ]
}
