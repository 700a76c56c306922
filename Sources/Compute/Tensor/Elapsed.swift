extension Duration {
    public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// Wall-clock seconds of a body.
public func timed(_ body: () throws -> Void) rethrows -> Double { try ContinuousClock().measure(body).inSeconds }

/// What a body gives, and its wall-clock seconds.
public func measured<Value>(_ body: () throws -> Value) rethrows -> (value: Value, seconds: Double) {
    let began = ContinuousClock.now, value = try body()
    return (value, (ContinuousClock.now - began).inSeconds)
}
