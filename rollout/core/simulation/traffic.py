"""Two versions and their users, as a simulation is told about them.

Latencies are log-normal. SPREAD makes the usual shape of a web service: the p99 is four times the median.
"""

from dataclasses import dataclass, replace
from math import ceil, exp, log
from statistics import NormalDist

from rollout.core.quantities import format_duration, format_percent, parse_duration, parse_percent, shown

SPREAD = 0.6
RPS_MAX = 1_000_000.0
FACTOR_MAX = 1000.0
_FINEST = 1.005  # width of the made-up load generator's buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one version answers: it fails independently at error_rate, and takes median_s in the middle."""

    error_rate: float
    median_s: float

    def share_slower(self, than_s: float) -> float:
        """Share of the requests that take longer."""
        if than_s <= 0:
            return 1.0
        return 1 - NormalDist().cdf(log(than_s / self.median_s) / SPREAD)

    def buckets(self, timeout_s: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Rising bucket edges up to the timeout, and how large a share of the requests stays within each."""
        first, last = (ceil(log(self.median_s * exp(z * SPREAD)) / log(_FINEST)) for z in (-4, 5))
        edges = [_FINEST**step for step in range(first, last)]
        within = [1 - self.share_slower(edge) for edge in edges if edge < timeout_s]
        return (*edges[: len(within)], timeout_s), (*within, 1.0)

    def with_timeout(self, timeout_s: float) -> "Behaviour":
        """As somebody sees it who waits no longer: what takes more has failed."""
        late = self.share_slower(timeout_s)
        return replace(self, error_rate=self.error_rate + (1 - self.error_rate) * late)

    def __str__(self) -> str:
        return f"errors {format_percent(self.error_rate)}, median {format_duration(round(self.median_s, 6))}"


BASELINE = Behaviour(error_rate=0.001, median_s=0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Users' requests per second, and how both versions answer them."""

    rps: float
    stable: Behaviour = BASELINE
    canary: Behaviour = BASELINE

    def __post_init__(self) -> None:
        if not 0 <= self.rps <= RPS_MAX:
            raise ValueError(f"{self.rps:g} requests per second: a number between 0 and {RPS_MAX:,.0f} makes sense")

    @property
    def healthy(self) -> "Traffic":
        """The same with a canary that is as good as stable."""
        return replace(self, canary=self.stable)


def parse_behaviour(text: str, usual: Behaviour) -> Behaviour:
    """Read "errors=2%,latency=x1.2": what is not named is as *usual*, and x1.2 means 1.2 times the usual latency.

    Raises ValueError naming the part that makes no sense.
    """
    found = usual
    for part in filter(None, text.split(",")):
        key, _, value = part.strip().partition("=")
        match key:
            case "errors":
                found = replace(found, error_rate=parse_percent(value))
            case "latency":
                found = replace(found, median_s=_median_s(value, usual))
            case _:
                raise ValueError(f"{shown(part)} is unknown: write errors=2%, latency=x1.2, or both with a comma")
    return found


def _median_s(text: str, usual: Behaviour) -> float:
    """A factor (x1.2) or a median of its own (60ms)."""
    if not text.startswith("x"):
        median_s = parse_duration(text)
        if not median_s:
            raise ValueError("a latency of 0s: nothing takes no time")
        return median_s
    try:
        factor = float(text[1:])
    except ValueError:
        factor = 0.0
    if not 1 / FACTOR_MAX <= factor <= FACTOR_MAX:
        raise ValueError(f"latency={text}: write a factor between x0.001 and x1000, or a median such as 60ms")
    return usual.median_s * factor
