import ArgumentParser
import AssayTensor
import AssayTraining
import Foundation

struct BenchCompressCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "compress", abstract: "Speed, payload and error of every compressor on one made update.")
    @Option(name: .long, help: "The model.") var shape = BenchShape.char
    @Option(name: .long, help: "Threads.") var threads = 1
    @OptionGroup var output: JSONOption

    func run() throws {
        try KernelPath.selectFromEnvironment()
        guard (1...256).contains(threads) else { throw ValidationError("--threads is 1…256") }
        let report = try benchCompression(shape: shape.shape, threads: threads)
        if output.json { return try printJSON(report) }
        print("\(shape): \(report.parameters) parameters, \(report.threads) threads, \(report.path)")
        for rate in report.rates {
            print("\(rate.compressor)  \(String(format: "%.0f", rate.compressMegabytesPerSecond)) MB/s  back \(String(format: "%.0f", rate.decompressMegabytesPerSecond)) MB/s  "
                + "\(rate.payloadBytes) bytes  1/\(String(format: "%.1f", rate.ratio))  error \(String(format: "%.4f", rate.relativeError))")
        }
    }
}
