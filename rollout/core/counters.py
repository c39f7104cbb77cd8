"""Prometheus's raw counters as strata: reset-aware differences of both versions over the same interval, no rate().

rate() needs two samples of a series and so loses the first failures of a fresh canary, and it extrapolates; both are
wrong for counting evidence. Here a series that appears between two scrapes of its target counts from zero, a counter
that falls has been reset and counts from zero, and everything else is a plain difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from rollout.core.breaker import Arm
from rollout.core.evidence import Counts, Stratum
from rollout.core.observation import Series

UNKNOWN = "unknown"
_FAILED_FLAGS = frozenset({"UO", "UH", "UF", "UT", "URX", "NC", "UC", "UR", "LH", "LR", "SI", "UMSDR", "OM", "DO"})
"""Envoy response flags that mean the caller got no good answer, whatever the code says (Envoy, access log usage)."""
_FAILED_GRPC = frozenset({"2", "4", "8", "13", "14", "15"})
"""UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS: the server's fault (gRPC)."""


class CounterProblem(ValueError):
    """The series cannot be used as counters; says which and why."""


def stratum_from(
    requests: Iterable[Series], buckets: Iterable[Series], *, stable: str, canary: str, since: float
) -> Stratum | None:
    """What happened between *since* and the newest scrape that every target has seen; None when nothing is new.

    requests are istio_requests_total, buckets istio_request_duration_milliseconds_bucket (ms), with their labels.
    """
    requests, buckets = as_callers_saw(requests), as_callers_saw(buckets)
    until = newest_common_time((*requests, *buckets))
    if until is None or until <= since:
        return None
    targets_known = {
        _target(series) for series in (*requests, *buckets) if series.points and series.points[0][0] <= since
    }
    versions = {stable: Arm.STABLE, canary: Arm.CANARY}
    total: dict[Arm, int] = defaultdict(int)
    failed: dict[Arm, int] = defaultdict(int)
    below: dict[Arm, dict[float, int]] = {arm: defaultdict(int) for arm in Arm}
    for series in requests:
        arm = versions.get(version_of(series.labels))
        if arm is not None:
            count = round(increase(series, since, until, from_zero=_target(series) in targets_known))
            total[arm] += count
            failed[arm] += count if is_failure(series.labels) else 0
    for series in buckets:
        arm = versions.get(version_of(series.labels))
        if arm is not None:
            count = round(increase(series, since, until, from_zero=_target(series) in targets_known))
            below[arm][float(series.labels["le"]) / 1000] += count
    arms = {arm: Counts(requests=total[arm], failures=failed[arm], latency=_counts(below[arm])) for arm in Arm}
    return Stratum(start=since, end=until, stable=arms[Arm.STABLE], canary=arms[Arm.CANARY])


def as_callers_saw(series: Iterable[Series]) -> tuple[Series, ...]:
    """Each request once: as its caller's proxy reports it, or the destination's where the caller has none.

    A request that reached a pod is reported by both. One that did not (no healthy upstream, overflow, refused) is
    reported by the source alone, and one from a caller without a proxy by the destination alone.
    """
    series = tuple(series)
    telling = {_caller(one) for one in series if one.labels.get("reporter") != DESTINATION}
    return tuple(one for one in series if one.labels.get("reporter") != DESTINATION or _caller(one) not in telling)


DESTINATION = "destination"


def _caller(series: Series) -> tuple[str, str]:
    labels = series.labels
    return labels.get("source_workload_namespace", UNKNOWN), labels.get("source_workload", UNKNOWN)


def newest_common_time(series: Iterable[Series]) -> float | None:
    """The newest time up to which every target has been scraped; None without samples.

    Only targets with a fairly recent sample count: one that is gone must not hold the others back.
    """
    newest: dict[str, float] = {}
    for one in series:
        if one.points:
            newest[_target(one)] = max(newest.get(_target(one), 0.0), one.points[-1][0])
    latest = max(newest.values(), default=None)
    return None if latest is None else min(time for time in newest.values() if time >= latest - GONE_AFTER_S)


GONE_AFTER_S = 60.0  # four scrapes at the usual 15 s


def increase(series: Series, since: float, until: float, *, from_zero: bool) -> float:
    """How much a counter grew in (since, until], resets heeded.

    A series without a sample at or before *since* counts from zero if its target was scraped then (*from_zero*), and
    from its first sample otherwise: what happened before anybody looked is not known.
    """
    before = [value for time, value in series.points if time <= since]
    during = [value for time, value in series.points if since < time <= until]
    start = before[-1:] or ([0.0] if from_zero else during[:1])
    return sum(later - earlier if later >= earlier else later for earlier, later in pairwise((*start, *during)))


def version_of(labels: Mapping[str, str]) -> str:
    """Which version a row belongs to: the pod that answered, or the subset that was meant to (UH, UF, UO rows)."""
    version = labels.get("destination_version", UNKNOWN)
    return version if version not in ("", UNKNOWN) else labels.get("destination_subset", UNKNOWN)


def is_failure(labels: Mapping[str, str]) -> bool:
    """Whether the caller got no good answer: 5xx, no answer at all, a gRPC server error, or a flag that says so."""
    code = labels.get("response_code", "0")
    if code == "0" or code.startswith("5") or labels.get("grpc_response_status") in _FAILED_GRPC:
        return True
    return not _FAILED_FLAGS.isdisjoint(labels.get("response_flags", "-").split(","))


def check_buckets(series: Iterable[Series]) -> None:
    """Raise CounterProblem unless the series make cumulative histograms: le a number, +Inf there, none falling."""
    groups: dict[frozenset[tuple[str, str]], dict[float, Series]] = defaultdict(dict)
    for one in series:
        labels = dict(one.labels)
        text = labels.pop("le", None)
        try:
            edge = float(text if text is not None else "")
        except ValueError:
            raise CounterProblem(f"a bucket has le={text!r}, which is not a number") from None
        groups[frozenset(labels.items())][edge] = one
    for edges in groups.values():
        if float("inf") not in edges:
            raise CounterProblem("a histogram has no bucket le=+Inf")
        latest = [(edge, edges[edge].points[-1][1]) for edge in sorted(edges) if edges[edge].points]
        for (_, lower), (edge, upper) in pairwise(latest):
            if upper < lower:
                raise CounterProblem(f"bucket le={edge:g} counts fewer requests than the one below it")


def _counts(below: Mapping[float, int]) -> dict[float, int]:
    """Cumulative counts as counts per bucket; the empty ones stay, for they are the boundaries."""
    edges = sorted(below)
    lower = (0, *(below[edge] for edge in edges))
    return {edge: max(0, below[edge] - less) for edge, less in zip(edges, lower, strict=False)}


def _target(series: Series) -> str:
    return series.labels.get("instance", "")
