import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Blobs between validators, chunk by chunk, each proven against the root, so that a wrong byte is found before it is kept.
public actor BlobExchange {
    public static let requestKind: UInt8 = 2
    public static let replyKind: UInt8 = 3

    /// Chunks of a blob that this node has.
    public typealias Provider = @Sendable (Digest, Int) -> (bytes: [UInt8], count: Int, proof: [Digest])?

    private struct Reply: Sendable {
        let bytes: [UInt8]
        let count: Int
        let proof: [Digest]
    }
    private let network: PeerNetwork
    private let provider: Provider
    private var waiting: [UInt64: (peer: AuthorityIndex, continuation: CheckedContinuation<Reply?, Never>)] = [:]
    private var number: UInt64 = 0
    private static let timeout = Duration.seconds(3)
    private static let waitingLimit = 256

    public init(_ network: PeerNetwork, provider: @escaping Provider) { (self.network, self.provider) = (network, provider) }

    /// The whole blob from one peer, or nil if it does not have it or does not answer.
    public func fetch(_ root: Digest, from peer: AuthorityIndex, limitBytes: Int) async -> [UInt8]? {
        var bytes: [UInt8] = [], index = 0, count = 1
        while index < count {
            guard let reply = await request(root, index, from: peer), reply.count >= 1, reply.count <= Blob.chunkCount(bytes: limitBytes), index == 0 || reply.count == count, reply.bytes.count <= Blob.chunkBytes,
                  MerkleTree.verifiesInclusion(leafHash: MerkleTree.leafHash(reply.bytes), index: UInt64(index), size: UInt64(reply.count), proof: reply.proof, root: root) else { return nil }
            count = reply.count
            bytes += reply.bytes
            index += 1
        }
        return bytes
    }

    private func request(_ root: Digest, _ chunk: Int, from peer: AuthorityIndex) async -> Reply? {
        guard waiting.count < BlobExchange.waitingLimit else { return nil }
        number += 1
        let id = number
        var encoder = CanonicalEncoder()
        encoder.append(id)
        encoder.append(root)
        encoder.append(UInt32(chunk))
        let bytes = encoder.bytes
        return await withCheckedContinuation { continuation in
            waiting[id] = (peer, continuation)
            network.send(Frame(kind: BlobExchange.requestKind, bytes: bytes), to: peer)
            Task {
                try? await Task.sleep(for: BlobExchange.timeout)
                answer(id, nil)
            }
        }
    }

    private func answer(_ id: UInt64, _ reply: Reply?) { waiting.removeValue(forKey: id)?.continuation.resume(returning: reply) }

    /// Takes a frame of one of the two kinds. - Returns: false if it is neither a request nor a reply.
    public func receive(_ frame: Frame, from peer: AuthorityIndex) -> Bool {
        if frame.kind == BlobExchange.requestKind { serve(frame, peer) } else { take(frame, peer) }
    }

    private func serve(_ frame: Frame, _ peer: AuthorityIndex) -> Bool {
        var decoder = CanonicalDecoder(frame.bytes)
        guard let id = try? decoder.uint64(), let root = try? decoder.value(Digest.self), let chunk = try? decoder.uint32(), (try? decoder.finish()) != nil else { return false }
        var encoder = CanonicalEncoder()
        encoder.append(id)
        let found = provider(root, Int(chunk))
        encoder.append(UInt32(found?.count ?? 0))
        encoder.append(found?.proof ?? [])
        encoder.append(counted: found?.bytes ?? [])
        network.send(Frame(kind: BlobExchange.replyKind, bytes: encoder.bytes), to: peer)
        return true
    }

    private func take(_ frame: Frame, _ peer: AuthorityIndex) -> Bool {
        var decoder = CanonicalDecoder(frame.bytes)
        guard let id = try? decoder.uint64(), let count = try? decoder.uint32(), let proof = try? decoder.array(of: Digest.self, limit: 64), let bytes = try? decoder.counted(limit: Blob.chunkBytes) else { return false }
        // An answer that comes too late is nobody's fault.
        guard waiting[id]?.peer == peer else { return true }
        answer(id, count > 0 ? Reply(bytes: bytes, count: Int(count), proof: proof) : nil)
        return true
    }
}
