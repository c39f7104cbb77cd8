"""The breaker against its oracle and good traffic, and the intervals against the truth."""

from math import inf
from random import Random

import numpy as np

from rollout.core.breaker import Arm, Breaker, BreakerState, Outcome
from rollout.core.sequential import Tally, difference_estimate, rate_estimate, ratio_estimate
from rollout.core.sequential.quantiles import quantile_counts
from tests.rollout.core.breaker_oracle import oracle, random_case, states_of


def breaker_against_oracle(*, seed: int, runs: int) -> dict[str, float]:
    """Random stories in which the breaker and the oracle part ways; and how many of each end there were."""
    chance, differing, tripped, shared = Random(seed), 0, 0, 0
    for _ in range(runs):
        outcomes, limits = random_case(chance)
        expected = oracle(outcomes, limits, 0.1)
        differing += states_of(outcomes, limits, 0.1) != expected
        tripped += expected[-1] == "tripped"
        shared += "shared" in expected
    return {"stories": runs, "differing": differing, "tripped": tripped, "shared": shared}


def breaker_on_good_traffic(*, seed: int, requests: int, rate: float, weight: float) -> dict[str, float]:
    """Trips in many requests of two versions that fail now and then."""
    chance, breaker, trips = Random(seed), Breaker(), 0
    for start in range(0, requests, 1000):
        outcomes = [
            Outcome(
                arm=Arm.CANARY if chance.random() < weight else Arm.STABLE,
                failed=chance.random() < rate,
                latency_s=0.05,
                at_s=index * 0.01,
            )
            for index in range(start, start + 1000)
        ]
        breaker = breaker.after(outcomes, stable_p99_s=0.2)
        if breaker.state is BreakerState.TRIPPED:
            trips, breaker = trips + 1, Breaker()
    return {"requests": requests, "trips": trips}


def quantile_misses(*, seed: int, runs: int, quantile: float, samples: int = 20_000) -> dict[str, float]:
    """How often the interval for a quantile misses the truth at any of 400 looks."""
    chance = np.random.default_rng(seed)
    below, missed = np.zeros(runs, dtype=np.int64), np.zeros(runs, dtype=bool)
    for n in range(50, samples + 1, 50):
        below += chance.binomial(50, quantile, runs)
        lowest, highest = quantile_counts(n, quantile, 0.05)
        missed |= (below < lowest) | (below > highest)
    return {"ever missed": float(missed.mean())}


def estimate_misses(*, seed: int, runs: int, rate: float, looks: int = 25) -> dict[str, float]:
    """How often the displayed intervals miss the truth at any look; the canary fails twice as often, at 20 % weight."""
    chance = np.random.default_rng(seed)
    missed = np.zeros((3, runs), dtype=bool)
    for index in range(runs):
        totals = np.zeros(4)
        for block in np.diff(np.unique(np.geomspace(20, 50_000, looks).astype(int)), prepend=0):
            requests = chance.binomial(block, 0.2)
            totals += (
                chance.binomial(requests, 2 * rate),
                requests,
                chance.binomial(block - requests, rate),
                block - requests,
            )
            canary = Tally(events=totals[0], exposure=totals[1])
            stable = Tally(events=totals[2], exposure=totals[3])
            for kind, (estimate, truth) in enumerate(
                (
                    (rate_estimate(canary), 2 * rate),
                    (difference_estimate(canary, stable), rate),
                    (ratio_estimate(canary, stable), 2.0),
                )
            ):
                lower = -inf if estimate.lower is None else estimate.lower
                upper = inf if estimate.upper is None else estimate.upper
                missed[kind, index] |= not lower <= truth <= upper
    return dict(zip(("rate", "difference", "ratio"), missed.mean(axis=1).tolist(), strict=True))
