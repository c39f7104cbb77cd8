"""Chance as a function: number *index* of stream *seed*, so any worker can compute any draw without the ones before.

SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014): a counter and two
multiply-xorshift rounds. It passes BigCrush, needs no state, and is the same on every Python.
"""

import math

MASK = (1 << 64) - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15


def bits(seed: int, index: int) -> int:
    """Give 64 random bits."""
    z = (seed + (index + 1) * GOLDEN_GAMMA) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(seed: int, index: int) -> float:
    """Draw from [0, 1): the upper 53 bits, as many as a double holds."""
    return (bits(seed, index) >> 11) / (1 << 53)


def exponential(seed: int, index: int) -> float:
    """Draw from the exponential law of mean 1; 1 - u is never 0."""
    return -math.log(1.0 - uniform(seed, index))


def shuffled(count: int, seed: int) -> list[int]:
    """Give 0..count-1 in random order (Fisher and Yates)."""
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = int(uniform(seed, last) * (last + 1))
        order[last], order[other] = order[other], order[last]
    return order
