import ArgumentParser
import AssayProtocol
import AssayTraining

// Choices as options: the parser names what it knows when something else is asked for.

extension ExpressibleByArgument where Self: NamedRule & RawRepresentable, RawValue: ExpressibleByArgument {
    public init?(argument: String) { self.init(named: argument) }
    public var defaultValueDescription: String { name }
    public static var allValueStrings: [String] { names }
}
extension NumericsProfile: ExpressibleByArgument {}
extension TrainingRules.Compressor: ExpressibleByArgument {}
extension BenchShape: ExpressibleByArgument {}
