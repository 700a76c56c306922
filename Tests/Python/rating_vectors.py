"""Ratings after matches of single players, by the openskill package. Input: a list of matches, each {mu, sigma, scores}; output: [[mu, sigma], …] each."""
import json
import sys

from openskill.models import PlackettLuce

model = PlackettLuce(beta=7.0, tau=0.1, kappa=1e-4)
answers = []
for match in json.load(sys.stdin):
    teams = [[model.create_rating([mu, sigma])] for mu, sigma in zip(match["mu"], match["sigma"])]
    # The package takes the higher score for the better one.
    rated = model.rate(teams, scores=[float(score) for score in match["scores"]])
    answers.append([[player.mu, player.sigma] for (player,) in rated])
json.dump(answers, sys.stdout)
