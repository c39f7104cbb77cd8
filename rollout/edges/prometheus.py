"""The MetricSource port on Prometheus's HTTP API, or on anything that speaks it.

It asks for raw samples (a range selector in an instant query), so that the core can difference counters itself and see
how fresh they are. Whatever is odd about an answer becomes None and a sentence: no evidence, never good evidence.
"""

import itertools
import json
import math
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any

import aiohttp

from rollout.core.counters import CounterProblem, check_buckets
from rollout.core.observation import MetricsView, Series
from rollout.core.spec import Metric, MetricCheck, QueryCheck, RolloutSpec, Source
from rollout.ports import Clock

QUERY_TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 8 * 1024 * 1024
SAMPLES_MAX = 100_000  # 400 series of 250 scrapes: far more than one service's rows
WINDOW_MIN_S = 60.0  # reaches back over a few scrapes, to know what a counter was before
WINDOW_MAX_S = 900.0  # what happened longer ago was judged, or is lost
CLOCK_SKEW_MAX_S = 30.0
VALUE_MAX = 1e15  # beyond exact whole numbers: nothing counts that far
_DURATION = "istio_request_duration_milliseconds"
_POINTS = ("values", "histograms")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|nan|[+-]?inf", re.ASCII | re.IGNORECASE)
"""As Prometheus writes them. Python's float() would read 1_000 as well."""
_TEMPLATE = re.compile(r"\{\{\s*\.?(\w+)\s*\}\}")


class PrometheusSource:
    """One Prometheus. close() it at the end."""

    def __init__(
        self, url: str, clock: Clock, *, own_workload: str = "rollout-load", headers: Mapping[str, str] | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._clock = clock
        self._own_workload = own_workload
        timeout = aiohttp.ClientTimeout(total=QUERY_TIMEOUT_S, connect=2.0)
        self._session = aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=False)

    async def close(self) -> None:
        """Drop the connections."""
        await self._session.close()

    async def observe(self, spec: RolloutSpec, since: float) -> MetricsView:
        """Raw samples for the plan's checks. Never raises: trouble is a value."""
        metrics = {c.metric for c in spec.plan.checks if isinstance(c, MetricCheck) and c.source is Source.PROMETHEUS}
        queries = [check for check in spec.plan.checks if isinstance(check, QueryCheck)]
        trouble: list[str] = []
        requests = buckets = None
        if metrics:
            requests = await self._series(self._selector("istio_requests_total", spec, since), trouble)
        if Metric.LATENCY in metrics:
            buckets = await self._buckets(spec, since, trouble)
        values = {check.name: await self._value(check, spec, trouble) for check in queries}
        return MetricsView(requests=requests, buckets=buckets, values=values, trouble="; ".join(dict.fromkeys(trouble)))

    def _selector(self, name: str, spec: RolloutSpec, since: float) -> str:
        """Users' requests, told by both ends (counters.py counts each once): synthetic load is judged where it is sent.

        The source alone knows of requests that reached nobody, the destination alone of callers without a proxy.
        """
        window_s = min(max(WINDOW_MIN_S, self._clock.now() - since + WINDOW_MIN_S), WINDOW_MAX_S)
        labels = {"destination_service_name": spec.service, "destination_service_namespace": spec.namespace}
        matchers = ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
        matchers = f'reporter=~"source|destination",{matchers},source_workload!={json.dumps(self._own_workload)}'
        return f"{name}{{{matchers}}}[{math.ceil(window_s)}s]"

    async def _series(self, query: str, trouble: list[str]) -> tuple[Series, ...] | None:
        try:
            return tuple(self._counter(row) for row in await self._ask(query, "matrix"))
        except _Odd as odd:
            trouble.append(str(odd))
            return None

    async def _buckets(self, spec: RolloutSpec, since: float, trouble: list[str]) -> tuple[Series, ...] | None:
        """Classic buckets; where there are none, native histograms as if they were classic."""
        try:
            rows = await self._ask(self._selector(f"{_DURATION}_bucket", spec, since), "matrix")
            series = tuple(self._counter(row) for row in rows)
            if not rows:
                series = self._native(await self._ask(self._selector(_DURATION, spec, since), "matrix"))
            check_buckets(series)
        except (_Odd, CounterProblem) as problem:
            trouble.append(str(problem))
            return None
        return series

    async def _value(self, check: QueryCheck, spec: RolloutSpec, trouble: list[str]) -> tuple[float, float] | None:
        try:
            return self._only(await self._ask(filled(check.query, spec), "vector", "scalar"))
        except _Odd as odd:
            trouble.append(f"{check.name}: {odd}")
            return None

    def _only(self, result: list[Any]) -> tuple[float, float] | None:
        """The one value of a vector or scalar; None when there is none."""
        if not result:
            return None
        if not isinstance(result[0], dict):
            return self._sample(result)
        if len(result) > 1:
            names = ", ".join(str(row.get("metric")) for row in result[:3])
            raise _Odd(f"{len(result)} series instead of one: {names}")
        return self._sample(result[0].get("value"))

    def _counter(self, row: Any) -> Series:
        return _series_of(row, [self._sample(point) for point in _list_in(row, "values")])

    def _native(self, rows: list[Any]) -> tuple[Series, ...]:
        """Native histograms as cumulative counts at every edge that any of them has, so that all can be compared."""
        told = [[self._histogram(point) for point in _list_in(row, "histograms")] for row in rows]
        spans = {span for points in told for _, _, counts in points for span in counts}
        edges = sorted({upper for _, upper in spans if upper < math.inf})
        for lower, upper in spans:
            if bisect_right(edges, lower) != bisect_left(edges, upper):
                raise _Odd(
                    f"a native histogram changed its buckets: one from {lower:g} to {upper:g} was split or merged"
                )
        return tuple(
            _series_of(row, [(at, cumulative[i]) for at, cumulative in sums], le=le)
            for row, points in zip(rows, told, strict=True)
            for sums in [[(at, [*_cumulative(counts, edges), whole]) for at, whole, counts in points]]
            for i, le in enumerate([*map(repr, edges), "+Inf"])
        )

    def _histogram(self, point: Any) -> tuple[float, float, dict[tuple[float, float], float]]:
        """(time, requests, requests per bucket); a bucket is [rule, lower, upper, count]."""
        try:
            at, told = point
            whole, buckets = told["count"], told.get("buckets") or []
            counts = {(number_of(low), number_of(high)): number_of(count) for _, low, high, count in buckets}
        except (TypeError, ValueError, KeyError, AttributeError):
            raise _Odd(f"{point!r:.60} is not a native histogram") from None
        at, whole = self._sample((at, whole))
        if any(math.isnan(number) for span, count in counts.items() for number in (*span, count)):
            raise _Odd("a bucket of a native histogram is nan")
        return at, whole, counts

    def _sample(self, point: Any) -> tuple[float, float]:
        """(time, value), both finite, the time not in the future."""
        try:
            at, text = point
            value = number_of(text)
            at = float(at)
        except (TypeError, ValueError):
            raise _Odd(f"{point!r:.60} is not a sample") from None
        if not math.isfinite(value):
            raise _Odd(f"the value is {value}")
        if abs(value) > VALUE_MAX or 0 < abs(value) < sys.float_info.min:
            raise _Odd(f"the value {value:g} is out of all range")
        if not 0 <= at <= self._clock.now() + CLOCK_SKEW_MAX_S:
            raise _Odd("samples come from the future, or from before all time: compare the clocks")
        return at, value

    async def _ask(self, query: str, *kinds: str) -> Any:
        """One query's result; raises _Odd for everything that is not a plain good answer."""
        try:
            body = await self._fetch(query)
        except TimeoutError:
            raise _Odd(f"no answer from {self._url} within {QUERY_TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _Odd(f"{self._url}: {str(error) or type(error).__name__}") from error
        if body.get("warnings"):
            raise _Odd(f"partial answer: {body['warnings'][0]!s:.120}")
        data = body.get("data")
        if (
            not isinstance(data, dict)
            or data.get("resultType") not in kinds
            or not isinstance(data.get("result"), list)
        ):
            kind = data.get("resultType") if isinstance(data, dict) else type(data).__name__
            raise _Odd(f"the query gives a {kind}, expected a {' or '.join(kinds)}")
        rows: list[Any] = data["result"]
        if data["resultType"] != "scalar" and not all(isinstance(row, dict) for row in rows):
            raise _Odd(f"the query gives a {data['resultType']} of something that is no series")
        if sum(len(_list_in(row, key)) for row in rows if isinstance(row, dict) for key in _POINTS) > SAMPLES_MAX:
            raise _Odd(f"more than {SAMPLES_MAX} samples: narrow the query")
        return rows

    async def _fetch(self, query: str) -> dict[str, Any]:
        url, form = f"{self._url}/api/v1/query", {"query": query}
        async with self._session.post(url, data=form, allow_redirects=False) as answer:
            if 300 <= answer.status < 400:
                raise _Odd(
                    f"{self._url} redirects to {answer.headers.get('Location', 'nowhere'):.80}: is it a log-in page?"
                )
            text = await answer.content.read(ANSWER_BYTES_MAX + 1)
            while not answer.content.at_eof() and len(text) <= ANSWER_BYTES_MAX:
                text += await answer.content.read(ANSWER_BYTES_MAX + 1 - len(text))
        if len(text) > ANSWER_BYTES_MAX:
            raise _Odd(f"the answer is larger than {ANSWER_BYTES_MAX} bytes")
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise _Odd(f"{self._url} answers {answer.status} and not with JSON: is this Prometheus?")
        if body.get("status") != "success":
            raise _Odd(f"{answer.status} {body.get('errorType', '')}: {body.get('error', 'no reason given')!s:.200}")
        return body


class _Odd(Exception):
    """An answer that is no evidence, and why."""


def _list_in(row: dict[str, Any], key: str) -> list[Any]:
    found = row.get(key, [])
    if not isinstance(found, list):
        raise _Odd(f"{key} of a series is not a list")
    return found


def _cumulative(counts: Mapping[tuple[float, float], float], edges: list[float]) -> list[float]:
    per_edge: dict[float, float] = {}
    for (_, upper), count in counts.items():
        per_edge[upper] = per_edge.get(upper, 0.0) + count
    return list(itertools.accumulate(per_edge.get(edge, 0.0) for edge in edges))


def _series_of(row: dict[str, Any], points: list[tuple[float, float]], **more: str) -> Series:
    """A counter: its times rise, and nothing was counted less than zero times."""
    labels = row.get("metric")
    if not isinstance(labels, dict):
        raise _Odd("a series has no labels")
    if any(later <= earlier for (earlier, _), (later, _) in itertools.pairwise(points)):
        raise _Odd("the samples of a series are not in order")
    if any(value < 0 for _, value in points):
        raise _Odd(f"the counter {labels.get('__name__', '')} is below zero")
    return Series(labels={str(key): str(value) for key, value in labels.items()} | more, points=tuple(points))


def number_of(text: object) -> float:
    """Read a sample's value, which is a text. Raises ValueError."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r:.40} is not a number")
    return float(text)


def filled(query: str, spec: RolloutSpec) -> str:
    """Fill {{ .version }} (the canary's), {{ .stable }}, {{ .service }} and {{ .namespace }} into a custom query."""
    values = {
        "version": spec.canary,
        "canary": spec.canary,
        "stable": spec.stable,
        "service": spec.service,
        "namespace": spec.namespace,
    }
    return _TEMPLATE.sub(lambda match: values.get(match[1], match[0]), query)


class NoPrometheus:
    """The MetricSource where none is configured: blind, and says so."""

    async def observe(self, spec: RolloutSpec, since: float) -> MetricsView:
        """Nothing can be seen."""
        return MetricsView(trouble="no Prometheus is configured (rollout serve --prometheus URL)")
