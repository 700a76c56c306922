import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// The rules by their numbers, as events and penalties name them.
public enum Rule {
    public static let equivocation: UInt16 = 1
    public static let failedReplay: UInt16 = 2
    public static let falseReport: UInt16 = 3
    public static let miss: UInt16 = 6
    public static let mismatch: UInt16 = 7
    public static let duplicate: UInt16 = 8
    public static let refusedPayload: UInt16 = 9
    public static let unserved: UInt16 = 10
    public static let jailedForMisses: UInt16 = 11

    /// In words, for people.
    public static func name(_ rule: UInt16) -> String {
        switch rule {
        case equivocation: "equivocation"
        case failedReplay: "failed replay"
        case falseReport: "false report"
        case miss: "miss"
        case mismatch: "reveal does not match its commitment"
        case duplicate: "duplicate payload"
        case refusedPayload: "payload refused by a fast check"
        case unserved: "state not served"
        case jailedForMisses: "jailed for misses"
        default: "rule \(rule)"
        }
    }
}

/// Commitments, reveals and attests of a window's work. Law: `Contracts/Windows`.
enum Windows {
    static func key(_ window: Window) -> StateKey<WindowRecord> { StateKey("window", window.canonicalBytes) }

    static let committed = EventSignature("Committed(bytes32 indexed run, uint64 indexed window, address indexed trainer, bytes32 commitment)")
    static let revealed = EventSignature("Revealed(bytes32 indexed run, uint64 indexed window, address indexed trainer, bytes32 parametersRoot, bytes32 payloadRoot, bytes32 trajectoryRoot, bytes32 residualIn, bytes32 residualOut, uint32 steps)")
    static let revealMismatched = EventSignature("RevealMismatched(bytes32 indexed run, uint64 indexed window, address indexed trainer, bytes32 expected, bytes32 found)")
    static let attested = EventSignature("Attested(bytes32 indexed run, uint64 indexed window, address indexed validator, bytes held, bytes refused, bytes32 custody, bytes32 preimage)")
    static let missed = EventSignature("Missed(bytes32 indexed run, uint64 indexed window, address indexed trainer, uint16 rule, uint8 missLevel)")
    static let served = EventSignature("Served(bytes32 indexed run, uint64 indexed window, address indexed trainer, bytes32 stateRoot, bytes32 residualRoot)")
    static let unserved = EventSignature("Unserved(bytes32 indexed run, uint64 indexed window, address indexed trainer)")
    static let voided = EventSignature("Voided(bytes32 indexed run, uint64 indexed window, address indexed trainer)")

    static let contract = NativeContract(
        "Windows", ContractAddress.windows,
        functions: [
            NativeFunction("commit(bytes32 run,uint64 window,bytes32 commitment)", commit),
            NativeFunction("reveal(bytes32 run,uint64 window,bytes fields)", reveal),
            NativeFunction("attest(bytes32 run,uint64 window,bytes held,bytes refused,bytes32 custody,bytes32 preimage)", attest),
            NativeFunction("serve(bytes32 run,uint64 window,bytes32 stateRoot,bytes32 residualRoot)", serve),
            NativeFunction("void(bytes32 run,uint64 window)", void),
            NativeFunction("contribution(bytes32 run,uint64 window,address trainer)(uint8 state,uint16 rule,bytes32 commitment,bytes32 payloadRoot,bytes32 trajectoryRoot,uint32 steps)", view: true) { environment, arguments in
                let record = try environment.window(arguments[0], arguments[1])
                guard let index = record.contribution(of: arguments[2].asAddress) else { throw Revert("NoContribution(uint64,address)", arguments[1], arguments[2]) }
                let found = record.contributions[index]
                return [.uint(UInt64(found.state.rawValue)), .uint(UInt64(found.rule)), .bytes32(found.commitment), .bytes32(found.reveal?.payloadRoot ?? .zero), .bytes32(found.reveal?.trajectoryRoot ?? .zero), .uint(UInt64(found.reveal?.steps ?? 0))]
            },
        ],
        events: [committed, revealed, revealMismatched, attested, missed, served, unserved, voided],
        errors: [
            "UnknownRun(bytes32 run)", "UnknownWindow(uint64 window)", "PhaseNotOpen(uint64 window, uint8 phase)", "NotAMember(address sender)", "NotAValidator(address sender)", "Jailed(uint64 until)",
            "AlreadyCommitted(address trainer)", "AlreadyRevealed(address trainer)", "AlreadyVoided(address trainer)", "NotCommitted(address trainer)", "AlreadyAttested(address validator)", "WrongBitmap(uint256 bytes, uint256 expected)",
            "WrongPreimage(bytes32 tip)", "NotDrawn(address sender)", "AlreadyServed(address trainer)", "WrongFields(string reason)", "NoContribution(uint64 window, address trainer)",
        ])

    @Sendable private static func commit(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.window(arguments[0], arguments[1], open: .commit)
        let trainer = try environment.member(at: record.window).trainer
        guard record.contribution(of: trainer) == nil else { throw Revert("AlreadyCommitted(address)", .address(trainer)) }
        let place = record.contributions.firstIndex { $0.trainer > trainer } ?? record.contributions.count
        record.contributions.insert(ContributionRecord(trainer: trainer, commitment: arguments[2].asDigest, at: environment.clock), at: place)
        environment.state[key(record.window)] = record
        environment.emit(committed, from: contract.address, arguments[0], arguments[1], .address(trainer), arguments[2])
        return []
    }

    @Sendable private static func reveal(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.window(arguments[0], arguments[1], open: .reveal)
        let trainer = environment.sender
        guard let index = record.contribution(of: trainer) else { throw Revert("NotCommitted(address)", .address(trainer)) }
        guard record.contributions[index].state == .committed else { throw Revert("AlreadyRevealed(address)", .address(trainer)) }
        let fields = arguments[2].asBytes, reveal: Reveal
        guard fields.count <= Limits.revealBytes else { throw Revert("WrongFields(string)", .string("\(fields.count) bytes")) }
        do { reveal = try Reveal(canonicalBytes: fields) } catch { throw Revert("WrongFields(string)", .string(error.description)) }
        let found = GradientCommitment(reveal, trainer: trainer, run: environment.run, window: record.window, genesis: environment.domain).digest
        if found == record.contributions[index].commitment {
            record.contributions[index].reveal = reveal
            record.contributions[index].state = .revealed
            environment.emit(revealed, from: contract.address, arguments[0], arguments[1], .address(trainer), .bytes32(reveal.parametersRoot), .bytes32(reveal.payloadRoot),
                             .bytes32(reveal.trajectoryRoot), .bytes32(reveal.residualIn), .bytes32(reveal.residualOut), .uint(UInt64(reveal.steps)))
        } else {
            record.contributions[index].state = .refused
            record.contributions[index].rule = Rule.mismatch
            environment.emit(revealMismatched, from: contract.address, arguments[0], arguments[1], .address(trainer), .bytes32(record.contributions[index].commitment), .bytes32(found))
        }
        environment.state[key(record.window)] = record
        return []
    }

    @Sendable private static func attest(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.window(arguments[0], arguments[1], open: .hold)
        guard record[.reveal].isClosed else { throw Revert("PhaseNotOpen(uint64,uint8)", arguments[1], .uint(UInt64(WindowPhase.hold.rawValue))) }
        var validator = try environment.validator()
        guard !record.attests.contains(where: { $0.validator == validator.owner }) else { throw Revert("AlreadyAttested(address)", .address(validator.owner)) }
        let bytes = (record.revealed.count + 7) / 8
        for bitmap in [arguments[2].asBytes, arguments[3].asBytes] where bitmap.count != bytes { throw Revert("WrongBitmap(uint256,uint256)", .uint(UInt64(bitmap.count)), .uint(UInt64(bytes))) }
        let preimage = arguments[5].asDigest
        guard Digest.sha256(preimage.bytes) == validator.beaconTip else { throw Revert("WrongPreimage(bytes32)", .bytes32(validator.beaconTip)) }
        validator.beaconTip = preimage
        environment.setStaker(validator)
        record.attests.append(AttestRecord(validator: validator.owner, at: environment.clock, held: arguments[2].asBytes, refused: arguments[3].asBytes, custody: arguments[4].asDigest, preimage: preimage))
        environment.state[key(record.window)] = record
        environment.emit(attested, from: contract.address, arguments[0], arguments[1], .address(validator.owner), arguments[2], arguments[3], arguments[4], arguments[5])
        return []
    }

    @Sendable private static func serve(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.window(arguments[0], arguments[1], open: .serve)
        guard let index = record.replays.firstIndex(where: { $0.draw.trainer == environment.sender }) else { throw Revert("NotDrawn(address)", .address(environment.sender)) }
        guard record.replays[index].stateRoot == nil else { throw Revert("AlreadyServed(address)", .address(environment.sender)) }
        record.replays[index].stateRoot = arguments[2].asDigest
        record.replays[index].residualRoot = arguments[3].asDigest
        environment.state[key(record.window)] = record
        environment.emit(served, from: contract.address, arguments[0], arguments[1], .address(environment.sender), arguments[2], arguments[3])
        return []
    }

    @Sendable private static func void(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.window(arguments[0], arguments[1])
        guard record.beacon == nil else { throw Revert("PhaseNotOpen(uint64,uint8)", arguments[1], .uint(UInt64(WindowPhase.hold.rawValue))) }
        guard let index = record.contribution(of: environment.sender) else { throw Revert("NotCommitted(address)", .address(environment.sender)) }
        guard record.contributions[index].state != .voided else { throw Revert("AlreadyVoided(address)", .address(environment.sender)) }
        // Its reveal stays in the list that the attests' bitmaps count.
        record.contributions[index].state = .voided
        environment.state[key(record.window)] = record
        environment.emit(voided, from: contract.address, arguments[0], arguments[1], .address(environment.sender))
        return []
    }
}

extension Environment {
    var clock: UInt64 { state[Runs.key]?.clock ?? 0 }

    func window(_ run: ABIValue, _ window: ABIValue) throws -> WindowRecord {
        guard run.asDigest == self.run else { throw Revert("UnknownRun(bytes32)", run) }
        guard let record = state[Windows.key(Window(window.asUInt64))] else { throw Revert("UnknownWindow(uint64)", window) }
        return record
    }
    func window(_ run: ABIValue, _ window: ABIValue, open phase: WindowPhase) throws -> WindowRecord {
        let record = try self.window(run, window)
        guard record[phase].isOpen else { throw Revert("PhaseNotOpen(uint64,uint8)", window, .uint(UInt64(phase.rawValue))) }
        return record
    }
    func member(at window: Window) throws -> MemberRecord {
        guard isMember(sender), let member = state[Runs.memberKey(sender)] else { throw Revert("NotAMember(address)", .address(sender)) }
        if let until = member.jailedUntil, member.isJailed(at: window) { throw Revert("Jailed(uint64)", .uint(until.rawValue)) }
        return member
    }
    /// One of the committee, or one who has left it and still owes what it was drawn for.
    func validator(drawn: Bool = false) throws -> StakerRecord {
        guard let record = state[Staking.validatorKey(sender)], drawn || epochRecord.seats.contains(where: { $0.owner == sender }) else { throw Revert("NotAValidator(address)", .address(sender)) }
        return record
    }
}
