/// Strategies that need no file: `assay gym --strategy NAME --data FILE`.
public enum BuiltIn {
    public static let strategies: [(name: String, summary: String)] = [
        ("adamw", "one worker"),
        ("allreduce", "gradients averaged after every step"),
        ("diloco", "windows of 20 steps, an outer step without delay"),
        ("diloco-plain", "with the one-step delay as published for DiLoCoX"),
        ("diloco-continued", "with the delay, started from the worker's own progress"),
        ("diloco-int4", "the same, payloads in four bits a value"),
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
        default: break
        }
        var file = GymFile(name: name, rows: 12, arms: [arm])
        file.data.alphabet = "characters"
        file.steps = 2_000
        (file.evaluation.every, file.evaluation.sequences) = (100, 320)
        return file
    }
}
