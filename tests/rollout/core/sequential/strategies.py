"""What hypothesis draws for these tests, and the one way they run: the same cases every time."""

from math import comb

from hypothesis import settings
from hypothesis import strategies as st

from rollout.core.sequential import Tally

steady = settings(derandomize=True, deadline=None, max_examples=40)


def tally(events: float, exposure: float) -> Tally:
    return Tally(events=events, exposure=exposure)


NOTHING = tally(0, 0)

arms = st.integers(0, 400).flatmap(lambda n: st.integers(0, n).map(lambda x: tally(x, n)))
full_arms = st.integers(1, 400).flatmap(lambda n: st.integers(0, n).map(lambda x: tally(x, n)))
strata = st.lists(st.tuples(arms, arms), max_size=12)
etas = st.floats(0.05, 1.0)


def binomial(events: int, requests: int, share: float) -> float:
    return comb(requests, events) * share**events * (1 - share) ** (requests - events)
