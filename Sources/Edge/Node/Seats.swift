import AssayCrypto
import AssayNetwork
import AssayPrimitives
import AssayProtocol

/// Who sits where in a committee: consensus knows seats, connections know owners.
struct Seats: Sendable {
    let owners: [Address]
    private let seats: [Address: AuthorityIndex]

    /// - Parameter owners: by seat.
    init(_ owners: [Address]) {
        self.owners = owners
        seats = Dictionary(owners.enumerated().map { ($1, AuthorityIndex($0)) }, uniquingKeysWith: { first, _ in first })
    }
    init(_ genesis: Genesis) { self.init(genesis.validators.map(\.owner)) }

    subscript(_ seat: AuthorityIndex) -> Address { owners[seat.index] }
    /// Nil for somebody outside the committee.
    func seat(of owner: Address) -> AuthorityIndex? { seats[owner] }
}

extension PeerNetwork.Peer {
    /// The validators that a network begins with.
    static func all(of genesis: Genesis) throws -> [PeerNetwork.Peer] {
        try genesis.validators.enumerated().map { index, validator in
            let (host, port) = try hostAndPort(validator.endpoint, "genesis.json: validators[\(index)].endpoint")
            return PeerNetwork.Peer(owner: validator.owner, host: host, port: port, key: validator.networkKey)
        }
    }
}
