import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayTensor
import AssayTraining
import Testing

/// The whole of Compute without a network: three trainers, windows one after the other, the one-step delay, payloads, the clipped mean, Nesterov.
@Suite struct DiLoCoTests {
    /// θ's root after each window, and the validation loss before and after all.
    private func windows(_ count: UInt64, compressor: TrainingRules.Compressor = .int4, threads: Int = 1, path: KernelPath = .current) throws -> (roots: [Digest], before: Double, after: Double) {
        var run = SmallRun()
        run.rules.compressor = compressor
        let trainer = try run.trainer(threads: threads, path: path), outer = run.outer(path: path)
        // θ(0) = θ(1); the payloads of w enter θ(w + 2).
        var current = OuterState(parameters: SmallRun.initial, momentum: nil, clipNorms: [])
        var next = current, roots: [Digest] = []
        var payloads: [[UInt8]?] = [nil, nil, nil], residuals: [FloatBuffer?] = [nil, nil, nil]
        for window in 0..<count {
            var decoded: [FloatBuffer] = []
            for number in 0..<3 {
                let residual = window % UInt64(run.rules.residualRestart) == 0 ? nil : residuals[number]
                let result = try trainer.train(run.opening(window, trainer: UInt64(number + 1), parameters: current.parameters, ownPayload: payloads[number], residual: residual))
                payloads[number] = result.payload
                residuals[number] = result.residual
                decoded.append(try trainer.compressor.decompress(result.payload))
            }
            current = next
            next = outer.apply(current, aggregated: decoded, judged: decoded)
            roots.append(next.parameters.blobRoot)
        }
        return (roots, trainer.validationLoss(SmallRun.initial, sequences: 20), trainer.validationLoss(next.parameters, sequences: 20))
    }

    @Test(arguments: [TrainingRules.Compressor.int4, .none])
    func `three trainers learn the text together`(compressor: TrainingRules.Compressor) throws {
        let (roots, before, after) = try windows(12, compressor: compressor)
        #expect(Set(roots).count == 12)
        #expect(before > 5 && after < 3, "validation loss \(before) before, \(after) after")
    }

    @Test func `the same parameters come out with two threads and on every path`() throws {
        let one = try windows(4).roots
        #expect(try windows(4, threads: 2).roots == one)
        for path in KernelPath.available { #expect(try windows(4, path: path).roots == one) }
    }

    /// Stands for every machine: shards, kernels, payloads, clipping and the outer step are all in it. It changes with a rule and with nothing else.
    @Test func `four windows end on the golden root`() throws {
        let root = try #require(try windows(4).roots.last)
        #expect("\(root)" == "0xeb09215307046a4c0d2593591403ef5743e66026be8aa9b037842f6aed0894ef")
    }
}
