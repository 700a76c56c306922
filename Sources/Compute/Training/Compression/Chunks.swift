/// How tensors are cut into chunks of at most 64 × 64 without a remainder: each side into equal parts of its largest divisor that is not above 64.
///
/// A vector's rows are one. Chunks are numbered through tensors in table order, tile rows, tile columns; values within by row, then column. So an
/// index within a chunk has 12 bits, and nothing is padded.
package struct Chunks: Sendable {
    package static let side = 64
    /// Values of a whole chunk, of which the rules' k are kept; smaller ones keep their share, rounded half up, and at least one.
    package static let whole = side * side

    /// The chunks of one tensor.
    package struct Tensor: Sendable {
        package let offset: Int, rows: Int, columns: Int
        /// Of a chunk.
        package let height: Int, width: Int
        package let firstChunk: Int
        package var across: Int { columns / width }
        package var chunks: Int { rows / height * across }
        package var size: Int { height * width }
        /// Where a chunk of this tensor begins in the flat allocation.
        package func start(_ chunk: Int) -> Int { offset + chunk / across * height * columns + chunk % across * width }
        package func kept(_ k: Int) -> Int { max(1, (2 * k * size + Chunks.whole) / (2 * Chunks.whole)) }
    }

    package let tensors: [Tensor]
    package let count: Int
    package let chunks: Int
    /// Parameters of the whole model, of which these may be a part.
    package let wholeCount: Int

    package init(_ table: ParameterTable) {
        var tensors: [Tensor] = [], chunks = 0
        for entry in table.entries {
            let tensor = Tensor(offset: entry.offset, rows: entry.rows, columns: entry.columns, height: Chunks.part(entry.rows), width: Chunks.part(entry.columns), firstChunk: chunks)
            tensors.append(tensor)
            chunks += tensor.chunks
        }
        (self.tensors, self.chunks, count, wholeCount) = (tensors, chunks, table.count, table.wholeCount)
    }

    /// The largest divisor that is not above 64.
    package static func part(_ side: Int) -> Int { (1...min(side, Chunks.side)).last { side.isMultiple(of: $0) }! }
}
