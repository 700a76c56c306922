import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// The first frame of a connection, both ways: "ASSY", protocol version (u32), genesis digest, owner's address.
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
        let magic = try decoder.uint32()
        guard magic == Greeting.magic else { throw .invalidValue(field: "greeting", value: UInt64(magic)) }
        version = try decoder.uint32()
        genesis = try decoder.value()
        owner = try decoder.value()
    }
}
