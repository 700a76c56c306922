import ArgumentParser
import AssayProtocol
import AssayTraining

/// A choice as an option: the parser names what it knows when something else is asked for.
struct Named<Rule: NamedRule>: ExpressibleByArgument {
    let rule: Rule
    init(_ rule: Rule) { self.rule = rule }
    init?(argument: String) {
        guard let rule = Rule(named: argument) else { return nil }
        self.rule = rule
    }
    var defaultValueDescription: String { rule.name }
    static var allValueStrings: [String] { Rule.names }
}
extension BenchShape: ExpressibleByArgument {}
