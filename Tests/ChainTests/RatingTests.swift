import AssayLedger
import AssayPrimitives
import Foundation
import TestKit
import Testing

/// The ledger's ratings, in fixed point, held to the equations in double precision and to the openskill package.
struct RatingTests {
    struct Match: Sendable {
        let name: String, mu: [Double], sigma: [Double], scores: [Int64], expected: [(Double, Double)]
        var constants = Rating.Constants.standard
    }
    private static let third = 25.0 / 3
    /// Computed from the equations of Weng and Lin in double precision; A to C agree with openskill 6.2.0 to 1e-14.
    private static let published = [
        Match(name: "A: three new players", mu: [25, 25, 25], sigma: [third, third, third], scores: [30, 10, -20],
              expected: [(27.456249477209283, 8.253534696231965), (25.61406236930232, 8.162139691070465), (21.929688153488396, 8.162139691070465)]),
        Match(name: "B: five of unlike strength", mu: [30, 27, 25, 22, 25], sigma: [3, 4, third, 2.5, 6], scores: [10, 50, 20, -10, 40],
              expected: [(29.73803468165095, 2.9968654987181975), (27.64674735903715, 3.9983909672817375), (25.893120519333248, 8.152925053645115),
                         (21.66639566213362, 2.5000584633561234), (26.048281130355225, 5.9714705622881175)]),
        Match(name: "C: a tie for the second place", mu: [25, 28, 22, 25], sigma: [third, 4, 5, third], scores: [20, 20, -10, 30],
              expected: [(24.716295979392132, 8.197780751190402), (27.854570663248452, 3.9934537978539173), (21.35998372875834, 4.985072834963797), (27.69197235476183, 8.271903930433233)]),
        Match(name: "D: β = 25/6, τ = 25/300, the second of two wins", mu: [25, 25], sigma: [third, third], scores: [0, 1],
              expected: [(22.364610506859503, 8.06590141354368), (27.635389493140497, 8.06590141354368)],
              constants: .init(betaBillionths: 4_166_666_667, tauBillionths: 83_333_333)),
    ]

    private static func rating(_ mu: Double, _ sigma: Double) -> Rating { Rating(mu: Int64((mu * 1e9).rounded()), sigma: Int64((sigma * 1e9).rounded())) }
    private static func update(_ match: Match) -> [(Double, Double)] {
        Rating.update(zip(match.mu, match.sigma).map { rating($0, $1) }, scores: match.scores, match.constants).map { (Double($0.mu) / 1e9, Double($0.sigma) / 1e9) }
    }

    @Test(arguments: 0..<4) func `the published matches come out to 1e-8`(index: Int) {
        let match = RatingTests.published[index]
        for (found, expected) in zip(RatingTests.update(match), match.expected) {
            #expect(abs(found.0 - expected.0) < 1e-8 && abs(found.1 - expected.1) < 1e-8, "\(match.name): \(found) where \(expected) should be")
        }
    }

    @Test(.enabled(if: Python.isThere, "\(Python.absent)")) func `openskill agrees on two hundred matches of two to twenty players, with ties`() throws {
        var chance = SeededGenerator(seed: 4, stream: 0x05)
        let matches = (0..<200).map { number -> Match in
            let players = 2 + number % 19
            let mu = (0..<players).map { _ in Double(chance.below(40_000)) / 1_000 }, sigma = (0..<players).map { _ in 0.5 + Double(chance.below(9_000)) / 1_000 }
            return Match(name: "\(number)", mu: mu, sigma: sigma, scores: (0..<players).map { _ in Int64(chance.below(UInt64(players))) }, expected: [])
        }
        let answers = try #require(try Python.json("rating_vectors.py", matches.map { ["mu": $0.mu, "sigma": $0.sigma, "scores": $0.scores] as [String: Any] }) as? [[[Double]]])
        #expect(answers.count == matches.count)
        for (match, answer) in zip(matches, answers) {
            for (found, expected) in zip(RatingTests.update(match), answer) {
                #expect(abs(found.0 - expected[0]) < 1e-7 && abs(found.1 - expected[1]) < 1e-7, "match \(match.name): \(found) where \(expected) should be")
            }
        }
    }

    @Test func `nothing that a score or a rating can be makes it trap, and the order of players does not matter`() {
        let extremes = [Rating(mu: .max, sigma: .max), Rating(mu: .min, sigma: .min), Rating(mu: 0, sigma: 0), .new]
        let scores: [Int64] = [.min, .max, 0, 0]
        #expect(Rating.update(extremes, scores: scores).count == 4)
        #expect(Rating.update([], scores: []) == [] && Rating.update([.new], scores: [5]) == [.new])
        let players = [Rating(mu: 30_000_000_000, sigma: 3_000_000_000), .new, Rating(mu: 20_000_000_000, sigma: 5_000_000_000)]
        let forward = Rating.update(players, scores: [1, 2, 3]), backward = Rating.update(players.reversed(), scores: [3, 2, 1])
        // Sums run in players' order, so the last digit may differ: the ledger fixes the order by address.
        for (a, b) in zip(forward, backward.reversed()) { #expect(abs(a.mu - b.mu) <= 1 && abs(a.sigma - b.sigma) <= 1) }
    }
}
