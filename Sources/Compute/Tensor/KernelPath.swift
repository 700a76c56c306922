import CAssayKernels
import Synchronization

/// Which of the kernels' forms runs. All give the same bits; the reference is what they mean.
public enum KernelPath: String, CaseIterable, Hashable, Sendable {
    case reference, avx2, avx512, neon

    /// What this CPU and this build can run, slowest first.
    public static let available: [KernelPath] = allCases.filter { $0.table != nil }

    /// The path that new models take: the fastest, or what was selected, or what ASSAY_KERNELS names.
    public static var current: KernelPath {
        if let path = selection.withLock({ $0 }) { return path }
        do { return try selectFromEnvironment() } catch { preconditionFailure("\(error)") }
    }

    /// Takes the path called `name` from now on: `avx512`, or with its integer unit `avx512-vnni`.
    @discardableResult public static func select(named name: String) throws(KernelPathError) -> KernelPath {
        let parts = name.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = KernelPath(rawValue: String(parts[0])) else { throw .unknown(name) }
        if parts.count == 2 {
            guard let unit = IntegerUnit(rawValue: String(parts[1])) else { throw .unknown(name) }
            guard IntegerUnit.available(on: path).contains(unit) else { throw .notSupported(name) }
            IntegerUnit.select(unit, on: path)
        }
        try select(path)
        return path
    }
    public static func select(_ path: KernelPath) throws(KernelPathError) {
        guard path.table != nil else { throw .notSupported(path.rawValue) }
        selection.withLock { $0 = path }
    }

    /// Takes the path of ASSAY_KERNELS, or the fastest if it is not set. A program calls this first, so that it can print what is wrong.
    @discardableResult public static func selectFromEnvironment() throws(KernelPathError) -> KernelPath {
        if let wanted = assay_kernels_wanted() {
            let name = String(cString: wanted)
            if !name.isEmpty { return try select(named: name) }
        }
        guard assay_machine_supported(), let fastest = available.last else { throw .machineNotSupported }
        try select(fastest)
        return fastest
    }

    var table: UnsafePointer<assay_kernels>? { assay_kernels_of(code) }
    var code: assay_path {
        switch self {
        case .reference: ASSAY_REFERENCE
        case .avx2: ASSAY_AVX2
        case .avx512: ASSAY_AVX512
        case .neon: ASSAY_NEON
        }
    }

    private static let selection = Mutex<KernelPath?>(nil)
}

public enum KernelPathError: Error, Hashable, Sendable, CustomStringConvertible {
    case unknown(String)
    case notSupported(String)
    case machineNotSupported

    public var description: String {
        switch self {
        case .unknown(let name):
            "ASSAY_KERNELS: there is no kernel path '\(name)'; this machine has \(IntegerUnit.allNames)"
        case .notSupported(let name):
            "ASSAY_KERNELS: this machine cannot run the path '\(name)'; it has \(IntegerUnit.allNames)"
        case .machineNotSupported:
            "this CPU has no FMA3 and AVX2; exact kernels need them (or an AArch64 machine)"
        }
    }
}
