import AssayRPC

/// The ledger said no: exit code 3.
public struct Refusal: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }

    /// Runs a call to a node, and tells refusals by the ledger from other failures.
    public static func telling<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch { throw explained(error) }
    }

    static func explained(_ error: any Error) -> any Error {
        guard let error = error as? ClientError else { return error }
        if case .refused(_, let reason) = error { return Refusal("refused by the ledger: \(reason.message)") }
        return Failure(error.description, remedy: "Is the node running, and the URL right?")
    }
}
