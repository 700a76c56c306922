import AssayRPC

/// The ledger said no: exit code 3.
public struct Refusal: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }

    /// Runs a call to a node, and tells refusals by the ledger from other failures.
    public static func telling<Value: Sendable>(isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch let error as ClientError {
            if case .refused(_, let reason) = error { throw Refusal("refused by the ledger: \(reason.message)") }
            throw Failure(error.description, remedy: "Is the node running, and the URL right?")
        }
    }
}
