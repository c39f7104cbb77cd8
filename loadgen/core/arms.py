"""Which arm, which target, in which order: drawn once from the seed, then only read.

Unpaired draws come in permuted blocks: every block holds each arm exactly by its share, in random order. So the split
is exact at every block's end, no arm is predictable, and nothing in the network can tell them apart by position.
"""

from fractions import Fraction
from math import lcm

from loadgen.core.chance import bits, shuffled, uniform
from loadgen.core.plan import Arm, Target

BLOCK_MAX = 1000  # shares are kept to a thousandth
CYCLE = 4096  # draws before the sequence repeats; long against any block, small against a cache


def block_of(shares: list[float]) -> list[int]:
    """Give the smallest block that holds every arm by its share."""
    total = Fraction(sum(Fraction(share).limit_denominator(BLOCK_MAX) for share in shares))
    parts = [(Fraction(share).limit_denominator(BLOCK_MAX) / total).limit_denominator(BLOCK_MAX) for share in shares]
    size = min(lcm(*(part.denominator for part in parts)), BLOCK_MAX)
    return [arm for arm, part in enumerate(parts) for _ in range(max(1, round(part * size)))]


def draw_arms(arms: tuple[Arm, ...], seed: int) -> list[int]:
    """Give the cycle of arms for unpaired draws."""
    block = block_of([arm.share for arm in arms])
    drawn: list[int] = []
    while len(drawn) < CYCLE:
        drawn.extend(block[place] for place in shuffled(len(block), bits(seed, len(drawn))))
    return drawn


def draw_orders(count: int, seed: int) -> list[tuple[int, ...]]:
    """Give the cycle of orders in which a pair's arms are fired."""
    return [tuple(shuffled(count, bits(seed, turn))) for turn in range(CYCLE)]


def draw_noise(share: float, seed: int) -> list[bool]:
    """Give the cycle that says which pairs send the first arm twice (A/A)."""
    return [uniform(seed ^ 0xAA, turn) < share for turn in range(CYCLE)]


def draw_targets(targets: tuple[Target, ...], seed: int) -> list[int]:
    """Give the cycle of targets, weighted."""
    block = [index for index, target in enumerate(targets) for _ in range(target.weight)]
    drawn: list[int] = []
    while len(drawn) < CYCLE:
        drawn.extend(block[place] for place in shuffled(len(block), bits(seed ^ 0x7A, len(drawn))))
    return drawn
