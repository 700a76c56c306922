import Foundation

/// A password from a file, from ASSAY_PASSWORD, or from the terminal without echo.
public func readPassword(file: URL?, confirm: Bool) throws -> String {
    if let file {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { throw Failure("no password file at \(file.path)") }
        return text.trimmingCharacters(in: .newlines)
    }
    if let password = ProcessInfo.processInfo.environment["ASSAY_PASSWORD"] { return password }
    guard isatty(STDIN_FILENO) == 1 else { throw Failure("no password", remedy: "Give --password-file, or set ASSAY_PASSWORD.") }
    func ask(_ prompt: String) throws -> String {
        guard let entered = getpass(prompt) else { throw Failure("no password was entered") }
        return String(cString: entered)
    }
    let password = try ask("Password: ")
    if confirm, try ask("Again: ") != password { throw Failure("the two passwords differ") }
    return password
}
