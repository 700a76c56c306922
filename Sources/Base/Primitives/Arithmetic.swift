/// An amount that does not exist: above the largest, below zero, or a division by zero.
public enum ArithmeticError: Error, Hashable, Sendable { case overflow, underflow, divisionByZero }

extension FixedWidthInteger {
    public func adding(_ other: Self) throws(ArithmeticError) -> Self {
        let (value, over) = addingReportingOverflow(other)
        guard !over else { throw .overflow }
        return value
    }
    public func subtracting(_ other: Self) throws(ArithmeticError) -> Self {
        let (value, over) = subtractingReportingOverflow(other)
        guard !over else { throw .underflow }
        return value
    }
    public func multiplied(by other: Self) throws(ArithmeticError) -> Self {
        let (value, over) = multipliedReportingOverflow(by: other)
        guard !over else { throw .overflow }
        return value
    }
}
