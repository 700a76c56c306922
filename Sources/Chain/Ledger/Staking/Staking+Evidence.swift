import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Two blocks for one slot, shown to the ledger.
extension Staking {
    /// From so many validators on, several at fault in one span of time pay more: they may have been one.
    private static let correlationValidators = 7

    /// Rule 1: two blocks by one validator for one slot cost 5 % of its stake and its place. Anyone may show them.
    @Sendable static func reportEquivocation(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        func statement(_ argument: ABIValue) throws -> Equivocation.Statement {
            do { return try Equivocation.Statement(canonicalBytes: argument.asBytes) } catch { throw Revert("WrongEvidence(string)", .string("not a signed header: \(error)")) }
        }
        let equivocation = Equivocation(try statement(arguments[0]), try statement(arguments[1]))
        guard let committee = environment.state[Epochs.committeeKey(equivocation.epoch)], committee.epoch <= environment.epochRecord.epoch else {
            throw Revert("WrongEvidence(string)", .string("epoch \(equivocation.epoch) has no committee, or ended too long ago"))
        }
        do { try equivocation.check(committee, genesis: environment.domain) } catch { throw Revert("WrongEvidence(string)", .string(error.description)) }
        let owner = committee.members[equivocation.author.index].owner
        guard var record = environment.state[validatorKey(owner)] else { throw Revert("NotRegistered(address)", .address(owner)) }
        guard !record.isTombstoned else { throw Revert("AlreadyTombstoned(address)", .address(owner)) }

        let amount = try penalty(for: owner, environment)
        var list = environment.state[tombstones] ?? TombstoneList()
        list.entries.append(.init(staker: owner, time: environment.block.time, stake: environment.slashable(owner)))
        environment.state[tombstones] = list
        record.isTombstoned = true
        environment.setStaker(record)
        let evidence = Digest.tagged("assay/equivocation/1") {
            $0.append(environment.domain)
            for statement in [equivocation.first, equivocation.second].sorted(by: { $0.header.content < $1.header.content }) { $0.append(statement.header) }
        }
        let window = Window(max(environment.state[Runs.key]?.openings ?? 0, 1) - 1)
        environment.slash(owner, amount, rule: Rule.equivocation, window: window, evidence: evidence)
        environment.emit(tombstoned, from: contract.address, .address(owner), .uint(UInt64(Rule.equivocation)), .uint(equivocation.epoch.rawValue), .uint(equivocation.round.rawValue))
        return []
    }

    /// 5 %; from seven validators on times 1 + 19 · min(1, 3 · the share of all stake that was tombstoned within an unbonding time before).
    private static func penalty(for owner: Address, _ environment: Environment) throws -> U256 {
        let base = try environment.slashable(owner).scaled(by: 5, over: 100)
        let all = environment.state[validators]?.addresses ?? []
        guard all.count >= correlationValidators else { return base }
        let total = try all.reduce(U256.zero) { try $0.adding(environment.state[validatorKey($1)]?.stake ?? 0) }
        let before = try (environment.state[tombstones] ?? TombstoneList()).entries
            .filter { $0.time.advanced(by: environment.rules.unbondingMilliseconds) >= environment.block.time }
            .reduce(U256.zero) { try $0.adding($1.stake) }
        guard !total.isZero else { return base }
        return try base.adding(base.multiplied(by: 19).scaled(by: min(before.multiplied(by: 3), total), over: total))
    }
}
