/// Strategies that need no file: `assay gym --strategy NAME --data FILE`.
public enum BuiltIn {
    public static let strategies: [(name: String, summary: String)] = [
        ("adamw", "one worker"),
        ("allreduce", "gradients averaged after every step"),
        ("diloco", "windows of 20 steps, an outer step without delay"),
        ("diloco-plain", "with the one-step delay as published for DiLoCoX"),
        ("diloco-continued", "with the delay, started from the worker's own progress"),
        ("diloco-int4", "the same, payloads in four bits a value"),
        ("dilocox", "the same, in low rank, rank and windows adapting"),
        ("sparseloco", "the largest values of each chunk, in two bits"),
        ("demo", "the largest of each chunk's cosine transform, in one bit"),
        ("sparta", "one parameter of twenty, drawn anew in every window"),
    ]

    /// The file that a name stands for: the char model of `Gym/char.json`, on characters, with this one arm.
    public static func file(_ name: String) -> GymFile? {
        guard strategies.contains(where: { $0.name == name }) else { return nil }
        var arm = GymFile.Arm()
        arm.name = name
        arm.strategy = name == "adamw" || name == "allreduce" ? name : "diloco"
        (arm.workers, arm.innerSteps) = (4, 20)
        switch name {
        case "diloco-plain": (arm.delay, arm.outerLearningRate, arm.outerMomentum) = ("plain", 0.5, 0.5)
        case "diloco-continued": arm.delay = "continued"
        case "diloco-int4": (arm.delay, arm.compressor) = ("continued", "int4")
        case "dilocox":
            (arm.delay, arm.compressor, arm.rank) = ("continued", "lowrank-int4", 16)
            arm.adaptation = GymFile.Adaptation(minimumRank: 4, maximumRank: 32, minimumSteps: 10, maximumSteps: 40)
        case "sparseloco": (arm.compressor, arm.keptValues, arm.valueBits, arm.feedbackDecay) = ("topk", 115, 2, 0.95)
        case "demo": (arm.compressor, arm.keptValues, arm.valueBits, arm.feedbackDecay) = ("dct-topk", 124, 1, 0.95)
        case "sparta": (arm.compressor, arm.oneOf) = ("sparta", 20)
        default: break
        }
        var file = GymFile(name: name, rows: 12, arms: [arm])
        file.data.alphabet = "characters"
        file.steps = 2_000
        (file.evaluation.every, file.evaluation.sequences) = (100, 320)
        return file
    }
}
