/// What goes over one worker's link, by formula: the gym sends nothing.
///
/// A payload is published once and fetched by the others, so of a window a worker sends its own and receives D − 1.
public enum Traffic {
    /// Bytes that one of D workers sends, and as many that it receives, when fp32 gradients are averaged by a ring: ⌊2(D − 1) · 4P ÷ D⌋.
    ///
    /// Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations" (2009), section 3.
    public static func allReduceBytes(parameters: Int, workers: Int) -> Int { 2 * (workers - 1) * 4 * parameters / workers }

    /// Seconds on a link that sends and receives at once at this rate; latency is left out.
    public static func seconds(sent: Int, received: Int, bitsPerSecond: Double) -> Double { Double(max(sent, received)) * 8 / bitsPerSecond }

    /// The share of time that a worker computes.
    /// - Parameter overlapped: the transfer of one window runs beside the computing of the next.
    public static func utilisation(compute: Double, transfer: Double, overlapped: Bool) -> Double {
        compute <= 0 ? 0 : compute / (overlapped ? max(compute, transfer) : compute + transfer)
    }
}
