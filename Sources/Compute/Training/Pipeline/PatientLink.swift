/// The link to the next stage, over which one waits in parts and after each says so to the stage before.
///
/// So nobody is given up who only waits for another: it is always the neighbour of the silent one that does, and the right stage is named.
final class PatientLink: StageLink {
    private static let parts = 4
    private let link: any StageLink
    private let before: (any StageLink)?
    var place: String { link.place }
    var activity: Int { link.activity }

    init(_ link: any StageLink, before: (any StageLink)?) { (self.link, self.before) = (link, before) }

    func send(_ message: StageMessage, seconds: Double) throws(StageLinkError) {
        try patiently(seconds) { (part) throws(StageLinkError) in try link.send(message, seconds: part) }
    }
    func receive(seconds: Double) throws(StageLinkError) -> StageMessage {
        try patiently(seconds) { (part) throws(StageLinkError) in try link.receive(seconds: part) }
    }
    func close() { link.close() }

    private func patiently<Result>(_ seconds: Double, _ body: (Double) throws(StageLinkError) -> Result) throws(StageLinkError) -> Result {
        var silent = 0
        while true {
            let activity = link.activity
            do { return try body(seconds / Double(PatientLink.parts)) } catch {
                guard case .timedOut = error else { throw error }
                silent = link.activity == activity ? silent + 1 : 1
                guard silent < PatientLink.parts else { throw .timedOut(seconds: seconds) }
            }
            // If the stage before is gone, that is found when it is its turn.
            try? before?.send(StageMessage(.waiting, []), seconds: 0)
        }
    }
}
