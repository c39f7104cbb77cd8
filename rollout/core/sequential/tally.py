"""What one version showed in one interval of the clock: events, and what they could have happened to.

A pair of tallies over the same interval is a *stratum*. Comparing only within a stratum is what lets an outage, a
daily cycle or a change of weight, which strike both versions, cancel out.
"""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """`events` (failed requests, restarts, requests slower than a bound) out of `exposure` (requests, pod-seconds)."""

    events: float
    exposure: float

    def __post_init__(self) -> None:
        if not (0 <= self.events < inf and 0 <= self.exposure < inf):
            raise ValueError(f"a tally needs finite counts of at least 0, got {self.events} of {self.exposure}")


def check_share(tally: Tally) -> None:
    """Where every event is one of the requests, there cannot be more events than requests."""
    if tally.events > tally.exposure:
        raise ValueError(f"{tally.events} events among {tally.exposure} requests")
