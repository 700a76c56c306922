import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// The run that begins with the network: who is in it, and where it is. Law: `Contracts/Runs`.
enum Runs {
    static let key = StateKey<RunRecord>("run")
    static func memberKey(_ trainer: Address) -> StateKey<MemberRecord> { StateKey("member", trainer.bytes) }
    static func outerKey(_ window: Window) -> StateKey<OuterRecord> { StateKey("outer", window.canonicalBytes) }

    static let joined = EventSignature("Joined(bytes32 indexed run, address indexed trainer, uint64 window)")
    static let left = EventSignature("Left(bytes32 indexed run, address indexed trainer, uint64 window)")
    static let runClosed = EventSignature("RunClosed(bytes32 indexed run, uint64 windows)")
    static let windowOpened = EventSignature("WindowOpened(bytes32 indexed run, uint64 indexed window, bytes32 assignment, bytes32 parametersRoot)")
    static let windowDrawn = EventSignature("WindowDrawn(bytes32 indexed run, uint64 indexed window, bytes32 beacon, uint256 judged)")
    static let windowStalled = EventSignature("WindowStalled(bytes32 indexed run, uint64 indexed window)")
    static let aggregateDropped = EventSignature("AggregateDropped(bytes32 indexed run, uint64 indexed window)")
    static let windowSettled = EventSignature("WindowSettled(bytes32 indexed run, uint64 indexed window, uint256 paid)")

    static let contract = NativeContract(
        "Runs", ContractAddress.runs,
        functions: [
            NativeFunction("joinRun(bytes32 run)", gas: 50_000, join),
            NativeFunction("leaveRun(bytes32 run)", gas: 30_000, leave),
            NativeFunction("run(bytes32 run)(uint64 opened,uint64 settled,bool over,uint256 members)", view: true) { environment, arguments in
                let record = try environment.runRecord(arguments[0])
                return [.uint(min(record.openings, environment.lastWindowCount)), .uint(record.settled), .bool(record.isOver), .uint(UInt64(record.members.count))]
            },
            NativeFunction("runs(uint256 cursor,uint256 limit)(bytes32[] ids)", view: true) { environment, arguments in
                [.array(arguments[0].asUInt.isZero && !arguments[1].asUInt.isZero ? [.bytes32(environment.run)] : [])]
            },
            NativeFunction("members(bytes32 run,uint256 cursor,uint256 limit)(address[] trainers)", view: true) { environment, arguments in
                var list = AddressList()
                list.addresses = try environment.runRecord(arguments[0]).members
                return Staking.page(list, Array(arguments.dropFirst()))
            },
            NativeFunction("window(bytes32 run,uint64 window)(bytes32 assignment,bytes32 beacon,bytes32 parametersRoot,bytes32 outerRoot,uint256 contributions,bool settled)", view: true) { environment, arguments in
                _ = try environment.runRecord(arguments[0])
                let window = Window(arguments[1].asUInt64)
                guard let record = environment.state[Windows.key(window)] else { throw Revert("UnknownWindow(uint64)", arguments[1]) }
                let outer = environment.state[outerKey(window)]?.view
                return [.bytes32(record.assignment), .bytes32(record.beacon ?? .zero), .bytes32(outer?.parametersRoot ?? .zero), .bytes32(outer?.outerRoot ?? .zero), .uint(UInt64(record.contributions.count)), .bool(record.isSettled)]
            },
            NativeFunction("openWindows(bytes32 run)(uint64[] windows)", view: true) { environment, arguments in
                let record = try environment.runRecord(arguments[0])
                return [.array((record.settled..<max(record.settled, min(record.openings, environment.lastWindowCount))).map { .uint($0) })]
            },
        ],
        events: [joined, left, runClosed, windowOpened, windowDrawn, windowStalled, aggregateDropped, windowSettled],
        errors: ["UnknownRun(bytes32 run)", "UnknownWindow(uint64 window)", "NotATrainer(address sender)", "AlreadyJoined(address trainer)", "NotJoined(address trainer)", "RunIsFull(uint256 limit)", "RunIsOver()", "StakeTooLow(uint256 sent, uint256 minimum)"])

    static func begin(_ genesis: Genesis, _ state: inout WorldState) {
        state[key] = RunRecord(start: genesis.time, beacon: Beacon.first(genesis: genesis.digest, run: genesis.runID))
        let first = OuterView.first(parametersRoot: genesis.parametersRoot, pace: .first(genesis.training))
        state[outerKey(Window(0))] = OuterRecord(first)
        state[outerKey(Window(1))] = OuterRecord(.first(parametersRoot: genesis.parametersRoot, pace: first.pace?.next(genesis.training, effectiveRank: 0)))
    }

    @Sendable private static func join(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.runRecord(arguments[0])
        let trainer = environment.sender
        guard let staker = environment.state[Staking.trainerKey(trainer)] else { throw Revert("NotATrainer(address)", .address(trainer)) }
        guard staker.stake >= environment.rules.trainerMinimumStake else { throw Revert("StakeTooLow(uint256,uint256)", .uint(staker.stake), .uint(environment.rules.trainerMinimumStake)) }
        guard !record.isOver else { throw Revert("RunIsOver()") }
        guard !record.members.contains(trainer) else { throw Revert("AlreadyJoined(address)", .address(trainer)) }
        guard record.members.count < RunRecord.memberLimit else { throw Revert("RunIsFull(uint256)", .uint(UInt64(RunRecord.memberLimit))) }
        record.members.append(trainer)
        record.members.sort()
        let window = Window(record.openings)
        // Who comes back keeps its record: faults and jail are not left behind at the door.
        if environment.state[memberKey(trainer)] == nil { environment.state[memberKey(trainer)] = MemberRecord(trainer: trainer, joined: window) }
        environment.state[key] = record
        environment.emit(joined, from: contract.address, .bytes32(environment.run), .address(trainer), .uint(window.rawValue))
        return []
    }

    @Sendable private static func leave(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        var record = try environment.runRecord(arguments[0])
        guard let index = record.members.firstIndex(of: environment.sender) else { throw Revert("NotJoined(address)", .address(environment.sender)) }
        record.members.remove(at: index)
        record.idleTrainers.removeAll { $0 == environment.sender }
        environment.state[key] = record
        environment.emit(left, from: contract.address, .bytes32(environment.run), .address(environment.sender), .uint(record.openings))
        return []
    }
}

extension Environment {
    func runRecord(_ id: ABIValue) throws -> RunRecord {
        guard id.asDigest == run, let record = state[Runs.key] else { throw Revert("UnknownRun(bytes32)", id) }
        return record
    }
    /// Windows that the run will have; without end it is the largest number there is.
    var lastWindowCount: UInt64 { rules.windows == 0 ? .max : rules.windows }
    func isMember(_ trainer: Address) -> Bool { state[Runs.key]?.members.contains(trainer) ?? false }
}
