import AssayCrypto
import AssayPrimitives
import AssayProtocol

/// Blobs between validators, chunk by chunk, each proven against the root, so that a wrong byte is found before it is kept.
public actor BlobExchange {
    public static let requestKind: UInt8 = 2
    public static let replyKind: UInt8 = 3

    /// Chunks of a blob that this node has.
    public typealias Provider = @Sendable (Digest, Int) -> (bytes: [UInt8], count: Int, proof: [Digest])?

    private let network: PeerNetwork
    private let provider: Provider
    private var waiting: [UInt64: (peer: Address, continuation: CheckedContinuation<BlobReply?, Never>)] = [:]
    private var number: UInt64 = 0
    private static let timeout = Duration.seconds(3)
    private static let waitingLimit = 256

    public init(_ network: PeerNetwork, provider: @escaping Provider) { (self.network, self.provider) = (network, provider) }

    /// The whole blob from one peer, or nil if it does not have it or does not answer.
    public func fetch(_ root: Digest, from peer: Address, limitBytes: Int) async -> [UInt8]? {
        var bytes: [UInt8] = [], index = 0, count = 1
        while index < count {
            guard let reply = await request(root, index, from: peer), reply.count >= 1, reply.count <= Blob.chunkCount(bytes: limitBytes), index == 0 || reply.count == count,
                  MerkleTree.verifiesInclusion(leafHash: MerkleTree.leafHash(reply.bytes), index: UInt64(index), size: UInt64(reply.count), proof: reply.proof, root: root) else { return nil }
            count = Int(reply.count)
            bytes += reply.bytes
            index += 1
        }
        return bytes
    }

    private func request(_ root: Digest, _ chunk: Int, from peer: Address) async -> BlobReply? {
        guard waiting.count < BlobExchange.waitingLimit else { return nil }
        number += 1
        let id = number
        let bytes = BlobRequest(id: id, root: root, chunk: UInt32(chunk)).canonicalBytes
        return await withCheckedContinuation { continuation in
            waiting[id] = (peer, continuation)
            network.send(Frame(kind: BlobExchange.requestKind, bytes: bytes), to: peer)
            Task {
                try? await Task.sleep(for: BlobExchange.timeout)
                answer(id, nil)
            }
        }
    }

    private func answer(_ id: UInt64, _ reply: BlobReply?) { waiting.removeValue(forKey: id)?.continuation.resume(returning: reply) }

    /// Takes a frame of one of the two kinds. - Returns: false if it is neither a request nor a reply.
    public func receive(_ frame: Frame, from peer: Address) -> Bool {
        if frame.kind == BlobExchange.requestKind { serve(frame, peer) } else { take(frame, peer) }
    }

    private func serve(_ frame: Frame, _ peer: Address) -> Bool {
        guard let request = try? BlobRequest(canonicalBytes: frame.bytes) else { return false }
        let found = provider(request.root, Int(request.chunk))
        let reply = BlobReply(id: request.id, count: UInt32(found?.count ?? 0), proof: found?.proof ?? [], bytes: found?.bytes ?? [])
        network.send(Frame(kind: BlobExchange.replyKind, bytes: reply.canonicalBytes), to: peer)
        return true
    }

    private func take(_ frame: Frame, _ peer: Address) -> Bool {
        guard let reply = try? BlobReply(canonicalBytes: frame.bytes) else { return false }
        // An answer that comes too late is nobody's fault.
        guard waiting[reply.id]?.peer == peer else { return true }
        answer(reply.id, reply.count > 0 ? reply : nil)
        return true
    }
}
