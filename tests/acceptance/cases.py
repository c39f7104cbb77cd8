"""What v2 and v3 of reviews play, and how the release of v3 has to end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

SECONDS_MAX = 10.0  # the promise about errors of 5 % at a weight of 5 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One release, as it went."""

    case: str
    end: str
    """promoted, rolled_back, held (told as a shared outage, and still held after a while), or what went wrong."""
    why: str
    seconds: float | None = None
    """Rolled back: from the first request that v3 got until no proxy sent users to it any more."""
    duration_s: float = 0.0
    weight_max: float = 0.0
    """Percent of the users."""
    user_requests: int = 0
    failed_user_requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One promise."""

    name: str
    says: str
    end: str
    canary: str = "healthy"
    """The scenario that v3 plays (rollout/demo/scenarios.py)."""
    stable: str = "healthy"
    seconds_max: float | None = None
    """Of the median."""

    def broken_by(self, takes: Sequence[Take]) -> str:
        """Why the promise is not kept; empty when it is."""
        others = [take for take in takes if take.end != self.end]
        if others:
            told = "; ".join(sorted({f"{take.end}: {take.why}" for take in others}))
            return f"{len(others)} of {len(takes)} did not end as {self.end}: {told}"
        took = seconds_of(takes)
        if self.seconds_max is not None and (not took or median(took) > self.seconds_max):
            return f"the median is {median(took):.1f} s" if took else "no time was taken"
        return ""


def seconds_of(takes: Sequence[Take]) -> list[float]:
    """The times that were taken."""
    return [take.seconds for take in takes if take.seconds is not None]


@dataclass(slots=True)
class Account:
    """What has been played so far."""

    takes: dict[str, list[Take]] = field(default_factory=dict)

    def add(self, take: Take) -> None:
        """One more."""
        self.takes.setdefault(take.case, []).append(take)

    def of(self, case: Case) -> list[Take]:
        """Those of one case."""
        return self.takes.get(case.name, [])


CASES = (
    Case(name="healthy", says="a good release is promoted", end="promoted"),
    Case(
        name="errors-5",
        says="one request in twenty fails: rolled back at 5 % weight",
        end="rolled_back",
        canary="errors-5",
        seconds_max=SECONDS_MAX,
    ),
    Case(name="slow", says="every answer comes 500 ms later: rolled back", end="rolled_back", canary="slow"),
    Case(
        name="both-bad",
        says="both versions fail alike: held as a shared outage, nobody is blamed",
        end="held",
        canary="both-bad",
        stable="both-bad",
    ),
    Case(
        name="slow-p99",
        says="2 % of the requests take eight times as long, which doubles p99 at least: rolled back",
        end="rolled_back",
        canary="slow-p99",
    ),
)
