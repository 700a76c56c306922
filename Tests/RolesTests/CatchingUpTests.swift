import AssayConsensus
import AssayCrypto
import AssayPrimitives
import AssayProtocol
import AssayRoles
import Testing

/// A whole authority that was away for hundreds of commits.
struct CatchingUpTests {
    /// Four, of which the last one is cut off for a minute and more.
    private func away(_ change: (inout Room) -> Void = { _ in }) throws -> (room: Room, before: Int) {
        var parameters = Room.Machine.Parameters()
        (parameters.commitSync.threshold, parameters.commitSync.batchCommits, parameters.commitSync.timeoutMilliseconds) = (40, 20, 1_000)
        var room = try Room(count: 4, parameters: parameters)
        room.run(until: 5_000)
        room.away = [3]
        for step in 1...300 as ClosedRange<UInt64> {
            room.submit([UInt8(step % 251), UInt8(step / 251)], to: Int(step) % 3)
            room.run(until: 5_000 + step * 500)
        }
        change(&room)
        room.away = []
        for peer in 0..<3 { room.greet(3, peer) }
        return (room, room.disks[3].commits.count)
    }

    @Test func `one that was cut off for hundreds of commits catches up by commits, follows live again, and proposes`() throws {
        var (room, before) = try away()
        let ahead = room.disks[0].commits.count
        #expect(ahead > before + 200)
        room.run(until: room.now + 4_000)
        let events = room.events
        #expect(events.contains { if case .syncing(let from, let to) = $0 { from.rawValue == UInt64(before) && to.rawValue + 10 > UInt64(ahead) } else { false } })
        #expect(events.contains { if case .live(_, let behind) = $0 { behind <= 20 } else { false } })
        #expect(room.chainsAgree() && room.disks[3].commits.count >= ahead)
        #expect(room.machines[3]?.commitSyncStatus == nil && room.machines[3]?.suspendedCount == 0)
        room.submit([9, 9, 9], to: 3)
        room.run(until: room.now + 4_000)
        #expect(room.disks[0].executor.executed.contains([9, 9, 9]), "what it proposes is ordered again")
        #expect(room.machines.allSatisfy { $0?.executor.digest != nil && $0?.isHalted == false })
        #expect(!room.events.contains { if case .equivocated = $0 { true } else { false } })
        // And once more.
        room.away = [3]
        for step in 1...200 as ClosedRange<UInt64> {
            room.submit([7, UInt8(step), 1], to: Int(step) % 3)
            room.run(until: room.now + 500)
        }
        room.away = []
        for peer in 0..<3 { room.greet(3, peer) }
        room.run(until: room.now + 6_000)
        #expect(room.events.filter { if case .syncing = $0 { true } else { false } }.count >= 2)
        #expect(room.chainsAgree() && room.disks[3].commits.count + 5 > room.disks[0].commits.count)
    }

    @Test func `a crash in the middle of it costs nothing that was executed`() throws {
        var (room, before) = try away()
        var steps = 0
        while room.disks[3].commits.count < before + 60, steps < 400 {
            room.run(until: room.now + 5)
            steps += 1
        }
        let middle = room.disks[3].commits.count
        #expect(middle >= before + 60 && middle + 50 < room.disks[0].commits.count, "in the middle: \(middle)")
        room.crash(3)
        room.start(3)
        #expect(room.machines[3]?.lastCommit?.index.rawValue == UInt64(middle))
        room.run(until: room.now + 6_000)
        #expect(room.chainsAgree() && room.disks[3].commits.count + 5 > room.disks[0].commits.count)
        #expect(room.machines[3]?.obstacle == nil)
    }

    @Test func `one that lost its disk catches up by commits from the first, and proposes above what it had`() throws {
        var (room, _) = try away { room in
            room.crash(3)
            room.disks[3] = Room.Disk(reserved: nil)
        }
        room.start(3)
        room.run(until: room.now + 8_000)
        #expect(room.events.contains { if case .syncing(CommitIndex(0), _) = $0 { true } else { false } })
        #expect(room.events.contains { if case .recollected = $0 { true } else { false } })
        #expect(room.chainsAgree() && room.disks[3].commits.count + 5 > room.disks[0].commits.count)
        room.submit([8, 8, 8], to: 3)
        room.run(until: room.now + 4_000)
        #expect(room.disks[0].executor.executed.contains([8, 8, 8]))
        #expect(!room.events.contains { if case .equivocated = $0 { true } else { false } })
    }

    @Test func `where nobody keeps the commits it says so, and goes on by blocks`() throws {
        var (room, before) = try away { $0.kept = CommitIndex(150) }
        var said: Set<String> = []
        for _ in 0..<200 {
            room.run(until: room.now + 10)
            if let obstacle = room.machines[3]?.obstacle { said.insert(obstacle) }
        }
        #expect(room.events.contains { if case .pruned(_, CommitIndex(150)) = $0 { true } else { false } })
        #expect(room.events.contains { if case .live(_, let behind) = $0 { behind > 200 } else { false } })
        #expect(said.contains { $0.contains("keep commits from 150 on only") }, "\(said)")
        room.run(until: room.now + 20_000)
        #expect(room.chainsAgree() && room.disks[3].commits.count > before + 200)
    }

    @Test func `a chain of a quorum that does not go on from ours halts the node, and names the commit`() throws {
        var (room, before) = try away { room in
            // Its last commit is one that nobody else has made: as if its own linearizer were broken.
            let last = room.disks[3].commits.removeLast().commit
            room.crash(3)
            let other = Commit(epoch: last.epoch, index: last.index, previous: last.previous, timestamp: last.timestamp.next, leader: last.leader, blocks: last.blocks)
            room.disks[3].commits.append(OrderedCommit(commit: other, entries: []))
        }
        room.start(3)
        room.run(until: room.now + 3_000)
        #expect(room.machines[3]?.isHalted == true)
        #expect(room.events.contains { if case .commitDiffers(CommitIndex(UInt64(before)), _, let quorum) = $0 { quorum == room.disks[0].commits[before - 1].digest } else { false } })
        #expect(room.disks[3].commits.count == before, "nothing is executed on top of it")
    }
}
