import CAssayKernels
import Synchronization

/// What multiplies the integers of profile i8 within a path. All give the same bits.
public enum IntegerUnit: String, CaseIterable, Hashable, Sendable {
    /// AMX's instructions in plain C: slow, and there for tests alone.
    case tiles
    /// Sixteen-bit products in ordinary vectors; in the reference, plain C.
    case plain
    /// AVX-VNNI on the path `avx2`, AVX-512 VNNI on `avx512`.
    case vnni
    /// AMX int8 tiles.
    case amx
    /// The dot product of AArch64.
    case dot

    /// What this CPU and its kernel let run on a path, slowest first. The first question asks Linux for AMX's registers, for the whole process.
    public static func available(on path: KernelPath) -> [IntegerUnit] { allCases.filter { $0.table(on: path) != nil } }

    /// The one that new kernels of a path take: the fastest, or what was selected with it.
    public static func current(on path: KernelPath) -> IntegerUnit {
        selection.withLock { $0[path] } ?? available(on: path).last ?? .plain
    }

    static func select(_ unit: IntegerUnit, on path: KernelPath) { selection.withLock { $0[path] = unit } }

    /// `reference, reference-plain, avx2, avx2-plain …`, for people.
    static var allNames: String {
        KernelPath.available.flatMap { path in [path.rawValue] + available(on: path).map { "\(path.rawValue)-\($0.rawValue)" } }.joined(separator: ", ")
    }

    func table(on path: KernelPath) -> OpaquePointer? { assay_int8_kernels_of(path.code, code) }
    private var code: assay_integer_unit {
        switch self {
        case .tiles: ASSAY_INTEGERS_TILES
        case .plain: ASSAY_INTEGERS_PLAIN
        case .vnni: ASSAY_INTEGERS_VNNI
        case .amx: ASSAY_INTEGERS_AMX
        case .dot: ASSAY_INTEGERS_DOT
        }
    }

    private static let selection = Mutex<[KernelPath: IntegerUnit]>([:])
}

extension KernelPath {
    /// The path that new kernels take with its unit, in the words of ASSAY_KERNELS: what a process tells those that it starts.
    public static var currentName: String { "\(current.rawValue)-\(IntegerUnit.current(on: current).rawValue)" }
}
