import AssayCrypto
import AssayPrimitives
import CAllocations
import Foundation
import Synchronization

/// One decoder under many broken inputs.
///
/// Laws that hold for every input: nothing traps, nothing takes longer than a second, the heap grows by no more than a stated multiple of the
/// input, and what the decoder's own `check` asks for, such as that whatever decodes has one encoding.
public struct Fuzz: Sendable, CustomStringConvertible {
    /// A law that an input broke.
    public struct Broken: Error, CustomStringConvertible {
        public let description: String
        public init(_ description: String) { self.description = description }
    }
    /// What one input came to: whether the decoder took it, so that a run in which nothing is ever taken can be told.
    public typealias Check = @Sendable ([UInt8]) throws -> Bool

    public let name: String
    /// Its share of a run's inputs; slow decoders have less.
    public let weight: Double
    public let longest: Int
    /// Whether each input of the corpus is taken as it is; a call that a contract refuses is worth mutating too.
    public let takesCorpus: Bool
    /// Heap at the most: base + factor × input.
    public let baseBytes: Int
    public let factor: Int
    /// What the corpus is written from: real values, encoded.
    public let values: @Sendable () -> [[UInt8]]
    public let check: Check

    public init(_ name: String, weight: Double = 1, longest: Int = 4_096, takesCorpus: Bool = true, baseBytes: Int = 64 << 10, factor: Int = 64, values: @escaping @Sendable () -> [[UInt8]], check: @escaping Check) {
        (self.name, self.weight, self.longest, self.takesCorpus, self.baseBytes, self.factor) = (name, weight, longest, takesCorpus, baseBytes, factor)
        (self.values, self.check) = (values, check)
    }
    public var description: String { name }

    public struct Report: Sendable, CustomStringConvertible {
        public var name: String
        public var inputs = 0, taken = 0
        public var seconds = 0.0
        public var peakBytes = 0
        public var description: String {
            "fuzz \(name): \(inputs) inputs, \(inputs == 0 ? 0 : taken * 100 / inputs)% taken, \(String(format: "%.1f", seconds)) s, heap at most \(peakBytes) bytes"
        }
    }

    // MARK: What a run is told by the environment

    private static let environment = ProcessInfo.processInfo.environment
    /// Inputs of all decoders of a suite together.
    public static let inputs = environment["ASSAY_FUZZ_INPUTS"].flatMap { Int($0) }
    public static let seed = environment["ASSAY_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    /// One input, in hexadecimal, instead of a run: what a failure printed.
    public static let replayed = environment["ASSAY_FUZZ_INPUT"].flatMap { bytes(hex: $0) }
    public static let writesCorpus = environment["ASSAY_FUZZ_WRITE"] != nil

    /// Inputs of this decoder in a run of a suite.
    public func inputs(of suite: [Fuzz], short: Int) -> Int {
        let total = Fuzz.inputs ?? short * suite.count
        return max(1, Int(Double(total) * weight / suite.reduce(0) { $0 + $1.weight }))
    }

    // MARK: Corpus

    public static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Corpus")

    /// A line an input, in hexadecimal; `#` begins a comment.
    public func corpus() throws -> [[UInt8]] {
        let folder = Fuzz.folder, file = folder.appending(path: name.replacingOccurrences(of: " ", with: "-") + ".hex")
        if Fuzz.writesCorpus {
            let lines = values().map { hex($0, prefix: false) + "\n" }
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try ("# \(name): real values, encoded. ASSAY_FUZZ_WRITE=1 writes this file anew.\n" + lines.joined()).write(to: file, atomically: true, encoding: .utf8)
        }
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("#") }.dropLast().map { line in
            guard let bytes = bytes(hex: line) else { throw Broken("\(file.lastPathComponent): “\(line.prefix(40))” is no hexadecimal") }
            return bytes
        }
    }

    // MARK: A run

    /// Its share of a run of the suite, or the one input that the environment names. What it came to goes to standard output.
    /// - Parameter short: inputs of a decoder where the environment does not say how many.
    public func run(in suite: [Fuzz], short: Int = 20_000) throws {
        if let input = Fuzz.replayed {
            print("fuzz \(name): the input is \(try replay(input) ? "taken" : "refused")")
            return
        }
        print(try run(inputs: inputs(of: suite, short: short), corpus: corpus()))
    }

    /// Every input of the corpus as it is, which must be taken, and then mutants.
    /// - Throws: `Broken` with the decoder, the seed and the input.
    public func run(inputs count: Int, seed: UInt64 = Fuzz.seed, corpus: [[UInt8]]) throws -> Report {
        let witness = FuzzWitness(name, seed: seed)
        defer { witness.close() }
        var report = Report(name: name)
        let began = ContinuousClock.now
        // Once uncounted: what is made at its first use is not the input's doing.
        if let first = corpus.first { warm(first, witness) }
        for input in corpus {
            guard try judge(input, witness, &report) || !takesCorpus else { throw broken("an input of the corpus is refused: write it anew with ASSAY_FUZZ_WRITE=1", input, seed) }
        }
        // Mutants that are taken are mutated again, so that a run goes deeper than its corpus.
        var mutator = Mutator(seed: seed, stream: name.utf8.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }, longest: longest), known = corpus
        while report.inputs < count {
            let input = mutator.mutate(known)
            if try judge(input, witness, &report) {
                if known.count < corpus.count + 64 { known.append(input) } else if mutator.below(16) == 0 { known[corpus.count + mutator.below(64)] = input }
            }
        }
        let elapsed = (ContinuousClock.now - began).components
        report.seconds = Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
        guard report.taken > 0 else { throw Broken("\(name): none of \(report.inputs) inputs is taken, so nothing behind the first check was reached") }
        return report
    }

    /// One input, for a failure that is to be looked at.
    public func replay(_ input: [UInt8]) throws -> Bool {
        var report = Report(name: name)
        let witness = FuzzWitness(name, seed: Fuzz.seed)
        defer { witness.close() }
        warm(input, witness)
        return try judge(input, witness, &report)
    }

    private func warm(_ input: [UInt8], _ witness: FuzzWitness) {
        witness.sees(input)
        _ = try? check(input)
    }

    private func judge(_ input: [UInt8], _ witness: FuzzWitness, _ report: inout Report) throws -> Bool {
        witness.sees(input)
        let began = ContinuousClock.now, isTaken: Bool
        allocations_begin(1 << 30)
        do { isTaken = try check(input) } catch {
            _ = allocations_end()
            throw broken("\(error)", input, Fuzz.seed)
        }
        let peak = Int(allocations_end())
        guard ContinuousClock.now - began < .seconds(5) else { throw broken("it took \(ContinuousClock.now - began)", input, Fuzz.seed) }
        guard peak <= baseBytes + factor * input.count else { throw broken("\(peak) bytes of heap for \(input.count) of input: the limit is \(baseBytes + factor * input.count)", input, Fuzz.seed) }
        report.inputs += 1
        if isTaken { report.taken += 1 }
        report.peakBytes = max(report.peakBytes, peak)
        return isTaken
    }
    private func broken(_ what: String, _ input: [UInt8], _ seed: UInt64) -> Broken {
        Broken("decoder “\(name)”, seed \(seed): \(what)\n  input (\(input.count) bytes): \(hex(input, prefix: false))\n  again: ASSAY_FUZZ_INPUT=… with this input, swift test --filter Fuzz")
    }

    /// Whether this machine counts allocations; where it does not, that law is not checked.
    public static var countsAllocations: Bool { Allocations.areCounted }
}

/// Keeps the input at hand where a trap leaves no other word: a signal's handler prints it, and so does a watch on inputs that do not end.
final class FuzzWitness: Sendable {
    private struct Slot { var name: UnsafeMutablePointer<UInt8>, nameCount = 0, bytes: UnsafeMutablePointer<UInt8>, count = 0, number = 0 }
    private static let room = 64, inputRoom = 1 << 16
    nonisolated(unsafe) private static let slots: UnsafeMutablePointer<Slot> = {
        let slots = UnsafeMutablePointer<Slot>.allocate(capacity: room)
        for index in 0..<room { (slots + index).initialize(to: Slot(name: .allocate(capacity: 256), bytes: .allocate(capacity: inputRoom))) }
        return slots
    }()
    private static let used = Mutex<Set<Int>>([])
    private static let armed: Bool = {
        _ = slots
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT] {
            signal(number) { number in
                FuzzWitness.tell()
                signal(number, SIG_DFL)
                raise(number)
            }
        }
        Thread.detachNewThread { FuzzWitness.watch() }
        return true
    }()

    private let slot: Int
    init(_ name: String, seed: UInt64) {
        precondition(FuzzWitness.armed)
        slot = FuzzWitness.used.withLock { used in
            let free = (0..<FuzzWitness.room).first { !used.contains($0) } ?? 0
            used.insert(free)
            return free
        }
        let text = Array("decoder \(name), seed \(seed), input ".utf8.prefix(256))
        FuzzWitness.slots[slot].name.update(from: text, count: text.count)
        (FuzzWitness.slots[slot].nameCount, FuzzWitness.slots[slot].count) = (text.count, 0)
    }
    func sees(_ input: [UInt8]) {
        let count = min(input.count, FuzzWitness.inputRoom)
        input.withUnsafeBufferPointer { if let base = $0.baseAddress { FuzzWitness.slots[slot].bytes.update(from: base, count: count) } }
        FuzzWitness.slots[slot].count = count
        FuzzWitness.slots[slot].number &+= 1
    }
    func close() {
        FuzzWitness.slots[slot].nameCount = 0
        FuzzWitness.used.withLock { used in _ = used.remove(slot) }
    }

    /// What every decoder at work was given, on standard error. Allocates nothing: the heap may be what is broken.
    private static func tell() {
        for index in 0..<room where slots[index].nameCount > 0 {
            write(2, "\nfuzz: ", 7)
            write(2, slots[index].name, slots[index].nameCount)
            for at in 0..<slots[index].count {
                let byte = slots[index].bytes[at]
                var digits: (UInt8, UInt8) = (digit(byte >> 4), digit(byte & 15))
                write(2, &digits, 2)
            }
            write(2, "\n", 1)
        }
    }
    private static func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 + nibble : 87 + nibble }

    /// An input that is still at work after a minute does not end.
    private static func watch() {
        var seen = [Int](repeating: -1, count: room), rounds = [Int](repeating: 0, count: room)
        while true {
            sleep(5)
            for index in 0..<room {
                let number = slots[index].nameCount > 0 ? slots[index].number : -1
                rounds[index] = number >= 0 && number == seen[index] ? rounds[index] + 1 : 0
                seen[index] = number
                if rounds[index] >= 12 {
                    write(2, "\nfuzz: an input does not end\n", 29)
                    abort()
                }
            }
        }
    }
}
