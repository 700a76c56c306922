import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Attested parameters, and the log's roots. Law: `Contracts/Checkpoints`.
enum Checkpoints {
    static let parametersAttested = EventSignature("ParametersAttested(bytes32 indexed run, uint64 indexed window, address indexed validator, bytes32 outerRoot, bytes32 witness)")
    static let parametersAgreed = EventSignature("ParametersAgreed(bytes32 indexed run, uint64 indexed window, bytes32 outerRoot, bytes32 parametersRoot, bytes32 momentumRoot)")

    static let contract = NativeContract(
        "Checkpoints", ContractAddress.checkpoints,
        functions: [
            NativeFunction("attestParameters(bytes32 run,uint64 window,bytes32 outerRoot,bytes32 parametersRoot,bytes32 momentumRoot,bytes clipNorms,uint32 effectiveRank,bytes32 witness)", attestParameters),
            NativeFunction("logRoot()(bytes32 root,uint64 size)", view: true) { environment, _ in [.bytes32(environment.logTree.root), .uint(UInt64(environment.logTree.count))] },
            NativeFunction("checkpoint(uint64 size)(bytes32 root)", view: true) { environment, arguments in
                guard arguments[0].asUInt64 <= UInt64(environment.logTree.count) else { throw Revert("SizeTooLarge(uint64,uint64)", arguments[0], .uint(UInt64(environment.logTree.count))) }
                return [.bytes32(environment.logTree.root(size: Int(arguments[0].asUInt64)))]
            },
            NativeFunction("parameters(bytes32 run,uint64 window)(bytes32 outerRoot,bytes32 parametersRoot,bytes32 momentumRoot)", view: true) { environment, arguments in
                guard let outer = environment.state[Runs.outerKey(Window(arguments[1].asUInt64))]?.view else { throw Revert("UnknownWindow(uint64)", arguments[1]) }
                return [.bytes32(outer.outerRoot), .bytes32(outer.parametersRoot), .bytes32(outer.momentumRoot)]
            },
        ],
        events: [parametersAttested, parametersAgreed],
        errors: ["UnknownRun(bytes32 run)", "UnknownWindow(uint64 window)", "PhaseNotOpen(uint64 window, uint8 phase)", "NotAValidator(address sender)", "AlreadyAttested(address validator)", "WrongOuterRoot(bytes32 found, bytes32 expected)", "WrongClipNorms(uint256 bytes)", "NothingAdapts(uint32 effectiveRank)", "SizeTooLarge(uint64 size, uint64 known)"])

    @Sendable private static func attestParameters(_ environment: inout Environment, _ arguments: [ABIValue]) throws -> [ABIValue] {
        let target = arguments[1].asUInt64
        guard target >= 2 else { throw Revert("UnknownWindow(uint64)", arguments[1]) }
        var record = try environment.window(arguments[0], .uint(target - 2), open: .parameters)
        let validator = try environment.validator()
        guard !record.parameterVotes.contains(where: { $0.validator == validator.owner }) else { throw Revert("AlreadyAttested(address)", .address(validator.owner)) }
        var decoder = CanonicalDecoder(arguments[5].asBytes)
        guard let norms = try? decoder.array(of: FloatBits.self, limit: 65_536), decoder.remaining == 0 else { throw Revert("WrongClipNorms(uint256)", .uint(UInt64(arguments[5].asBytes.count))) }
        let training = environment.genesis.training, effectiveRank = UInt32(clamping: arguments[6].asUInt64)
        guard training.adaptation != nil || effectiveRank == 0 else { throw Revert("NothingAdapts(uint32)", arguments[6]) }
        // Rank and H of the next window follow from those of the one before, which the sender must have known.
        guard let base = environment.state[Runs.outerKey(Window(target - 1))]?.view else { throw Revert("UnknownWindow(uint64)", .uint(target - 1)) }
        let view = OuterView(parametersRoot: arguments[3].asDigest, momentumRoot: arguments[4].asDigest, clipNorms: norms, pace: base.pace?.next(training, effectiveRank: effectiveRank), rules: training)
        guard view.outerRoot == arguments[2].asDigest else { throw Revert("WrongOuterRoot(bytes32,bytes32)", arguments[2], .bytes32(view.outerRoot)) }
        record.parameterVotes.append(ParameterVote(validator: validator.owner, outer: OuterRecord(view), witness: arguments[7].asDigest))
        environment.state[Windows.key(record.window)] = record
        environment.emit(parametersAttested, from: contract.address, arguments[0], arguments[1], .address(validator.owner), arguments[2], arguments[7])
        return []
    }
}
