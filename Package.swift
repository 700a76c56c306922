// swift-tools-version: 6.1
// The layering chart: one line a room, naming the rooms it may import. Imports go to lower lines only.
import PackageDescription

/// `ASSAY_INNER=1` leaves the Edge out: the inner rooms then resolve no package and build in seconds.
let inner = Context.environment["ASSAY_INNER"] != nil
/// Golden roots must come out the same at -O0: `ASSAY_KERNEL_LEVEL=-O0 swift test --filter Golden`.
let kernelLevel = Context.environment["ASSAY_KERNEL_LEVEL"] ?? "-O3"

func room(_ name: String, _ path: String, _ rooms: [String] = [], _ products: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: rooms.map { .byName(name: $0) } + products, path: path)
}
func tests(_ name: String, _ rooms: [String], _ products: [Target.Dependency] = []) -> Target {
    .testTarget(name: name, dependencies: rooms.map { .byName(name: $0) } + products, path: "Tests/\(name)")
}
func product(_ name: String, _ package: String) -> Target.Dependency { .product(name: name, package: package) }

let base = ["AssayPrimitives", "AssayCrypto", "AssayProtocol"]
let chain = base + ["AssayConsensus", "AssayLedger"]
let compute = ["AssayPrimitives", "AssayCrypto", "AssayProtocol", "CAssayKernels", "AssayTensor", "AssayTraining", "AssayScoring", "AssayAudit", "AssayGym"]

var targets: [Target] = [
    // Base: nouns
    .systemLibrary(name: "CLibcrypto", path: "Sources/Base/Libraries/CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CSecp256k1", path: "Sources/Base/Libraries/CSecp256k1", pkgConfig: "libsecp256k1", providers: [.apt(["libsecp256k1-dev"])]),
    room("AssayPrimitives", "Sources/Base/Primitives"),
    room("AssayCrypto", "Sources/Base/Crypto", ["AssayPrimitives", "CLibcrypto", "CSecp256k1"]),
    room("AssayProtocol", "Sources/Base/Protocol", ["AssayPrimitives", "AssayCrypto"]),

    // Compute: floats
    .target(name: "CAssayKernels", path: "Sources/Compute/Kernels",
            cSettings: [.unsafeFlags([kernelLevel, "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"])]),
    room("AssayTensor", "Sources/Compute/Tensor", ["AssayPrimitives", "CAssayKernels"]),
    room("AssayTraining", "Sources/Compute/Training", base + ["AssayTensor"]),
    room("AssayScoring", "Sources/Compute/Scoring", base + ["AssayTensor", "AssayTraining"]),
    room("AssayAudit", "Sources/Compute/Audit", base + ["AssayTensor", "AssayTraining", "AssayScoring"]),
    room("AssayGym", "Sources/Compute/Gym", base + ["AssayTensor", "AssayTraining"]),

    // Chain: integers
    room("AssayConsensus", "Sources/Chain/Consensus", base),
    room("AssayLedger", "Sources/Chain/Ledger", base),

    // Roles decide; the Simulator is one of the two shells that obey
    room("AssayRoles", "Sources/Roles", chain),
    room("AssaySimulator", "Sources/Simulator", chain + ["AssayRoles"]),

    // Tests
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    room("TestKit", "Tests/TestKit", chain + ["CAllocations"]),
    tests("BaseTests", base + ["TestKit"]),
    tests("ComputeTests", compute + ["TestKit"]),
    tests("ChainTests", chain + ["AssayRoles", "AssaySimulator", "TestKit"]),
    tests("RolesTests", chain + ["AssayRoles", "AssaySimulator", "TestKit"]),
    tests("SimulationTests", chain + ["AssayRoles", "AssaySimulator", "TestKit"]),
    tests("FuzzTests", compute + ["AssayConsensus", "AssayLedger", "AssayRoles", "AssaySimulator", "TestKit"]),
    tests("HouseTests", ["TestKit"]),
]
var products: [Product] = []
var dependencies: [Package.Dependency] = []

if !inner {
    let nio = [product("NIOCore", "swift-nio"), product("NIOPosix", "swift-nio"), product("NIOTLS", "swift-nio")]
    let log = [product("Logging", "swift-log")]
    let rolesAndBelow = chain + ["AssayRoles"]
    targets += [
        // Edge: the world
        .systemLibrary(name: "CZstd", path: "Sources/Edge/Libraries/CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        room("AssayStorage", "Sources/Edge/Storage", rolesAndBelow, log + [product("GRDB", "GRDB.swift")]),
        room("AssayNetwork", "Sources/Edge/Network", base + ["AssayTensor", "AssayTraining", "CLibcrypto", "CZstd"], nio + log + [product("NIOSSL", "swift-nio-ssl")]),
        room("AssayRPC", "Sources/Edge/RPC", rolesAndBelow, log + nio + [
            product("Hummingbird", "hummingbird"), product("AsyncHTTPClient", "async-http-client"),
        ]),
        room("AssayNode", "Sources/Edge/Node", rolesAndBelow + compute + ["AssayStorage", "AssayNetwork", "AssayRPC"], log + nio + [
            product("ServiceLifecycle", "swift-service-lifecycle"),
        ]),
        .executableTarget(name: "assay", dependencies: (rolesAndBelow + compute + ["AssaySimulator", "AssayStorage", "AssayNetwork", "AssayRPC", "AssayNode"])
            .reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }.map { .byName(name: $0) }
            + [product("ArgumentParser", "swift-argument-parser")] + log, path: "Sources/Edge/CLI"),
        tests("EdgeTests", rolesAndBelow + ["AssayGym", "AssaySimulator", "AssayStorage", "AssayNetwork", "AssayRPC", "AssayNode", "TestKit"], nio + log),
    ]
    products += [.executable(name: "assay", targets: ["assay"])]
    dependencies += [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.100.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ]
}

// A target named twice is a mistake of ours; the reduce above and this keep the chart a set.
for target in targets {
    var seen: Set<String> = []
    target.dependencies = target.dependencies.filter { seen.insert("\($0)").inserted }
}

let package = Package(name: "assay", platforms: [.macOS(.v15)], products: products, dependencies: dependencies, targets: targets)
