import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Asks for one chunk of a blob.
package struct BlobRequest: Hashable, Sendable, CanonicalCodable {
    package let id: UInt64
    package let root: Digest
    package let chunk: UInt32
    package init(id: UInt64, root: Digest, chunk: UInt32) { (self.id, self.root, self.chunk) = (id, root, chunk) }

    package func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(id)
        encoder.append(root)
        encoder.append(chunk)
    }
    package init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        id = try decoder.uint64()
        root = try decoder.value()
        chunk = try decoder.uint32()
    }
}

/// A chunk and its proof; `count`, the chunks of the whole blob, is 0 from who does not have it.
package struct BlobReply: Hashable, Sendable, CanonicalCodable {
    package let id: UInt64
    package let count: UInt32
    package let proof: [Digest]
    package let bytes: [UInt8]
    package init(id: UInt64, count: UInt32, proof: [Digest], bytes: [UInt8]) { (self.id, self.count, self.proof, self.bytes) = (id, count, proof, bytes) }

    package func encode(into encoder: inout CanonicalEncoder) {
        encoder.append(id)
        encoder.append(count)
        encoder.append(proof)
        encoder.append(counted: bytes)
    }
    package init(from decoder: inout CanonicalDecoder) throws(DecodingError) {
        id = try decoder.uint64()
        count = try decoder.uint32()
        proof = try decoder.array(limit: 64)
        bytes = try decoder.counted(limit: Blob.chunkBytes)
    }
}
