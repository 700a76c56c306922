import AssayNetwork
import AssayTraining
import Foundation

/// Which stage of a trainer's pipeline a process is, and where its neighbours are: what `--stage`, `--listen` and `--next` say.
public struct StagePlace: Sendable {
    public var number, count: Int
    public var listen: (host: String, port: Int)?
    public var next: (host: String, port: Int)?
    /// Seconds without a byte after which a neighbour counts as lost.
    public var timeout: Double

    /// - Parameter stage: s/S, s from 0.
    public init(stage: String, listen: String?, next: String?, timeoutSeconds: Double = 300) throws {
        let parts = stage.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let number = parts[0], let count = parts[1], (2...256).contains(count), (0..<count).contains(number) else {
            throw Failure("--stage \(stage): it is s/S, such as 0/3, 1/3 and 2/3 for three stages")
        }
        guard (listen != nil) == (number > 0) else { throw Failure(number > 0 ? "--stage \(stage) needs --listen HOST:PORT, where stage \(number - 1) reaches it" : "--stage \(stage) listens to nobody: leave --listen out") }
        guard (next != nil) == (number + 1 < count) else { throw Failure(number + 1 < count ? "--stage \(stage) needs --next HOST:PORT, where stage \(number + 1) listens" : "--stage \(stage) is the last: leave --next out") }
        guard (1...86_400).contains(timeoutSeconds) else { throw Failure("--stage-timeout is \(timeoutSeconds), allowed is 1…86400 seconds") }
        (self.number, self.count, timeout) = (number, count, timeoutSeconds)
        self.listen = try listen.map { try hostAndPort($0, "--listen") }
        self.next = try next.map { try hostAndPort($0, "--next") }
    }

    /// This stage's part of a model.
    public func part(of shape: ModelShape) throws -> ModelPart {
        guard count <= shape.layers else { throw Failure("--stage \(number)/\(count): the model has \(shape.layers) layers, so it has at most as many stages") }
        return ModelPart.split(shape, stages: count)[number]
    }
}
