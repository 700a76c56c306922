import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRPC

/// Much to write for every validator: transfers that carry as much data as they may.
struct ChaosFiller: Sendable {
    private let key: KeyPair
    private let chainID: UInt64
    private static let bytes = 15_000

    init(_ layout: Localnet.Layout) { (key, chainID) = (layout.faucet, layout.genesis.chainID) }

    /// As many as are taken in one go; what is refused comes again later, under the next free number.
    func send(_ client: RPCClient) async {
        guard let first = try? await client.uint64("eth_getTransactionCount", [.string(key.address.description), "pending"]) else { return }
        for nonce in first..<first + 16 {
            let transfer = Transaction.dynamicFee(chainID: chainID, nonce: nonce, maxFeePerGas: 2_000_000_000, gasLimit: 1_000_000, to: key.address, value: 0, data: [UInt8](repeating: UInt8(nonce & 255), count: ChaosFiller.bytes), by: key)
            guard (try? await client.call("eth_sendRawTransaction", [.string(hex(transfer.raw))])) != nil else { return }
        }
    }
}
