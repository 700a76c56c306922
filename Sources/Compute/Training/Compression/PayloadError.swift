/// Why payload bytes were refused.
public enum PayloadError: Error, Hashable, Sendable {
    case wrongSize(found: Int, expected: Int)
    case wrongMagic(UInt32)
    case wrongCount(found: UInt32, expected: Int)
    /// It ends within the chunk with this number.
    case truncated(chunk: Int)
    case trailingBytes(Int)
    case scaleNotFinite(group: Int)
    case scaleOutOfRange(group: Int, bits: UInt32)
    /// −8, −128 and the like have no positive twin and are never written; nor is a kept value of zero.
    case valueOutOfRange(index: Int)
    case valueNotFinite(index: Int)
    case paddingNotZero
    /// A group's largest value is the largest there is and its scale is made from that value, or its scale is 0 and so are all its values: there is
    /// one encoding of a group, so nobody can write a copy differently.
    case groupNotNormal(group: Int)
    case wrongRank(found: UInt32, allowed: ClosedRange<UInt32>)
    /// The first value of a column of P is positive, columns stand by falling scale, and a column that is zero in P is zero in Q.
    case columnNotNormal(tensor: Int, column: Int)
    case tooManyValues(chunk: Int, found: Int, limit: Int)
    case indexOutOfRange(chunk: Int, index: Int)
    case indicesNotIncreasing(chunk: Int)
    /// The values are those of other parameters than the window's draw chose.
    case wrongDraw
}
