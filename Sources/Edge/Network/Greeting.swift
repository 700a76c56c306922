import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// The first frame of a connection, both ways: "ASSY", protocol version (u32), genesis digest, the owner's address.
///
/// Magic and version stay where they are in every version, so that a node can tell what the other speaks.
package struct Greeting: Hashable, Sendable, CanonicalCodable {
    private static let magic: UInt32 = 0x5953_5341
    package let version: UInt32
    package let genesis: Digest
    package let owner: Address

    package init(version: UInt32 = Limits.protocolVersion, genesis: Digest, owner: Address) { (self.version, self.genesis, self.owner) = (version, genesis, owner) }

    package func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(Greeting.magic)
        encoder.append(version)
        encoder.append(genesis)
        encoder.append(owner)
    }
    package init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        version = try Greeting.version(from: &decoder)
        genesis = try decoder.value()
        owner = try decoder.value()
    }

    private static func version(from decoder: inout CanonicalDecoder) throws(DecodingError) -> UInt32 {
        let magic = try decoder.uint32()
        guard magic == Greeting.magic else { throw .invalidValue(field: "greeting", value: UInt64(magic)) }
        return try decoder.uint32()
    }
    /// The version that a greeting is of, whatever follows; nil if it is none.
    package static func version(of bytes: [UInt8]) -> UInt32? {
        var decoder = CanonicalDecoder(bytes)
        return try? version(from: &decoder)
    }
}
