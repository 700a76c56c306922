import ArgumentParser
import AssayCrypto
import AssayNode
import AssayPrimitives
import AssayProtocol
import AssayRPC
import Foundation

/// What the commands that sign with an owner's key have in common.
struct OwnerOptions: ParsableArguments {
    @Option(name: .long, help: "JSON-RPC URL of a validator.") var rpc: String
    @Option(name: .long, help: "Keystore of the owner's account.") var keystore: String
    @Option(name: .long, help: "File with its password; else ASSAY_PASSWORD, else asked for.") var passwordFile: String?
    @OptionGroup var output: JSONOption

    struct Done: Codable { var address: String; var block: UInt64; var stakeTokens, claimableTokens: String }

    /// Sends one call of the owner's and says what came of it.
    /// - Parameter check: of the owner's address and the network's chain id, before anything is sent.
    func transact(to contract: Address, value: U256 = 0, _ data: [UInt8], _ what: String, check: (Address, UInt64) throws -> Void = { _, _ in }) async throws {
        let key = try Keystore.read(file(keystore), password: try readPassword(file: passwordFile.map(file), confirm: false))
        let client = RPCClient(rpc)
        let done = try await Refusal.telling {
            let chainID = try await client.uint64("eth_chainId")
            try check(key.address, chainID)
            let block = try await client.transact(key, chainID: chainID, to: contract, value: value, data: data)
            func amount(_ function: String, _ contract: Address) async throws -> String {
                guard case .uint(let value)? = try await client.view(ABIFunction(function), at: contract, [.address(key.address)]).first else { return "0" }
                return tokens(value)
            }
            return Done(address: key.address.description, block: block, stakeTokens: try await amount("stakeOf(address)(uint256)", ContractAddress.staking), claimableTokens: try await amount("claimable(address)(uint256)", ContractAddress.rewards))
        }
        if output.json { try printJSON(done) } else { print("\(what) in block \(done.block). Stake \(done.stakeTokens), claimable \(done.claimableTokens).") }
    }
}

struct StakeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stake", abstract: "Add tokens to the stake of a registered trainer or validator; with --validator register a validator with it.")
    @Argument(help: "Tokens, like 100 or 0.5.") var amount: String
    @Option(name: .long, help: "Register this validator: its home, or the registration.json that `assay validator init` wrote there.") var validator: String?
    @OptionGroup var owner: OwnerOptions

    func run() async throws {
        let value = try wei(amount, "amount")
        guard let validator else { return try await owner.transact(to: ContractAddress.staking, value: value, ABIFunction("addStake()").call(), "Staked \(amount)") }
        let registration = try ValidatorRegistration.read(file(validator))
        try await owner.transact(to: ContractAddress.staking, value: value, try registration.call(), "Registered the validator of \(registration.owner)") { try registration.check(owner: $0, chainID: $1) }
    }
}

struct UnstakeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "unstake", abstract: "Begin to take tokens out of a stake, or with --withdraw collect those whose time is up.")
    @Argument(help: "Tokens, like 100 or 0.5.") var amount: String?
    @Flag(name: .long, help: "Collect what is no longer bound.") var withdraw = false
    @OptionGroup var owner: OwnerOptions
    func validate() throws { if (amount == nil) != withdraw { throw ValidationError("give an amount, or --withdraw") } }
    func run() async throws {
        if let amount {
            try await owner.transact(to: ContractAddress.staking, ABIFunction("beginUnstake(uint256)").call(.uint(try wei(amount, "amount"))), "Unstaking of \(amount) began")
        } else {
            try await owner.transact(to: ContractAddress.staking, ABIFunction("withdraw()").call(), "Withdrawn")
        }
    }
}

struct ClaimCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "claim", abstract: "Move matured rewards to the owner's account.")
    @OptionGroup var owner: OwnerOptions
    func run() async throws { try await owner.transact(to: ContractAddress.rewards, ABIFunction("claim()").call(), "Claimed") }
}
