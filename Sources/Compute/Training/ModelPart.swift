/// A stage's part of a model: consecutive layers. The first stage has the embeddings too, the last one the final norm and the head.
public struct ModelPart: Hashable, Sendable {
    /// s, from 0.
    public let number: Int
    /// S.
    public let count: Int
    public let layers: Range<Int>
    public var isFirst: Bool { number == 0 }
    public var isLast: Bool { number + 1 == count }

    public init(whole shape: ModelShape) { (number, count, layers) = (0, 1, 0..<shape.layers) }
    private init(_ number: Int, _ count: Int, _ layers: Range<Int>) { (self.number, self.count, self.layers) = (number, count, layers) }

    /// A tensor that this part has; to ask for another's is a mistake of ours.
    func required(_ tensor: UnsafeMutablePointer<Float>?) -> UnsafeMutablePointer<Float> {
        guard let tensor else { preconditionFailure("stage \(number) of \(count) was asked for a tensor of another") }
        return tensor
    }

    /// S parts, as even as possible; who comes earlier gets the layers that are left over.
    ///
    /// - Traps unless 1 ≤ `stages` ≤ layers: whoever asks has told people before.
    public static func split(_ shape: ModelShape, stages: Int) -> [ModelPart] {
        precondition(stages > 0 && stages <= shape.layers, "\(shape.layers) layers in \(stages) stages")
        let each = shape.layers / stages, longer = shape.layers % stages
        return (0..<stages).map { number in
            let first = number * each + min(number, longer)
            return ModelPart(number, stages, first..<first + each + (number < longer ? 1 : 0))
        }
    }
}

