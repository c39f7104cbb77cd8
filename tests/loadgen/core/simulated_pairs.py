"""A/B runs in numbers only: a world whose load drifts, two arms in it, and the questions asked with production code.

A request takes world x own noise x the arm's own slowness. The world (a shared queue, a busy neighbour) is the same for
both sides of a pair and moves slowly; unpaired requests meet it at different times.
"""

import math
import random
from collections.abc import Iterable

from loadgen.core.comparison import ratio_of
from loadgen.core.interval import z_of
from loadgen.core.pairs import PairSum

BASE_NS = 20e6
WORLD = 0.5  # standard deviation of the world's log
STAYS = 0.9  # how much of it is still there at the next due time
OWN = 0.2  # of each request's own log
CONFIDENCE = 0.95


def world(chance: random.Random, moments: int) -> list[float]:
    """Draw a stationary, slowly moving log factor."""
    at = chance.gauss(0, WORLD)
    found = []
    for _ in range(moments):
        found.append(at)
        at = STAYS * at + chance.gauss(0, WORLD * math.sqrt(1 - STAYS * STAYS))
    return found


def times(chance: random.Random, moments: list[float], slowness: float) -> list[int]:
    """Draw one arm's latencies."""
    return [round(BASE_NS * slowness * math.exp(at + chance.gauss(0, OWN))) for at in moments]


def paired_differs(seed: int, requests: int, slowness: float) -> bool:
    """Ask our own paired interval whether the arms differ; each pair is two requests."""
    chance = random.Random(seed)
    moments = world(chance, requests // 2)
    total = PairSum(arm="canary")
    for one, other in zip(times(chance, moments, 1.0), times(chance, moments, slowness), strict=True):
        total = total.with_pair(one, other)
    ratio = ratio_of(total, CONFIDENCE)
    assert ratio is not None
    return not ratio.lower <= 1 <= ratio.upper


def unpaired_differs(seed: int, requests: int, slowness: float) -> bool:
    """Ask the same of two groups (the mean log, Welch), each request at a moment far from the others."""
    chance = random.Random(seed)
    groups = [
        [math.log(t) for t in times(chance, [chance.gauss(0, WORLD) for _ in range(requests // 2)], slow)]
        for slow in (1.0, slowness)
    ]
    means = [sum(group) / len(group) for group in groups]
    errors = [
        sum((value - mean) ** 2 for value in group) / (len(group) - 1) / len(group)
        for group, mean in zip(groups, means, strict=True)
    ]
    return abs(means[1] - means[0]) > z_of(CONFIDENCE) * math.sqrt(sum(errors))


def power(seeds: Iterable[int], *, requests: int, paired: bool, slowness: float = 1.15) -> float:
    """Give the share of runs that see a difference."""
    differs = paired_differs if paired else unpaired_differs
    seen = [differs(seed, requests, slowness) for seed in seeds]
    return sum(seen) / len(seen)


def rejections(seeds: Iterable[int], *, requests: int, paired: bool) -> float:
    """Give the share of runs that see a difference where there is none."""
    return power(seeds, requests=requests, paired=paired, slowness=1.0)
