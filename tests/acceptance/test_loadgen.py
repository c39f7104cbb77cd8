"""A small fixed part of what `python -m tests.acceptance.loadgen` does a million times."""

import random

from loadgen.core.http1_head import HeadReader
from loadgen.core.plan import VersionFrom
from tests.acceptance.loadgen import check, mutated


def test_mutated_responses_are_read_the_same_however_they_are_cut_and_as_h11_reads_them() -> None:
    chance = random.Random(2)
    heads = HeadReader(VersionFrom())
    ends = set()
    for number in range(3000):
        data = mutated(chance)
        cuts = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(0, 3)))
        ends.add(check(heads, data, cuts, against_h11=number % 10 == 0))
    assert ends >= {"complete", "incomplete", "protocol"}
