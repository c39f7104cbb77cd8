"""The MetricSource port on Prometheus's HTTP API, or on anything that speaks it.

It asks for raw samples (a range selector in an instant query), so that the core can difference counters itself and see
how fresh they are. Whatever is odd about an answer becomes None and a sentence: no evidence, never good evidence.
"""

import json
import math
import re
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
            name = "istio_request_duration_milliseconds_bucket"
            buckets = await self._buckets(self._selector(name, spec, since), trouble)
        values = {check.name: await self._value(check, spec, trouble) for check in queries}
        return MetricsView(requests=requests, buckets=buckets, values=values, trouble="; ".join(dict.fromkeys(trouble)))

    def _selector(self, name: str, spec: RolloutSpec, since: float) -> str:
        """Users' requests as their callers saw them: synthetic load is judged where it is sent."""
        window_s = min(max(WINDOW_MIN_S, self._clock.now() - since + WINDOW_MIN_S), WINDOW_MAX_S)
        labels = {
            "reporter": "source",
            "destination_service_name": spec.service,
            "destination_service_namespace": spec.namespace,
        }
        matchers = ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
        return f"{name}{{{matchers},source_workload!={json.dumps(self._own_workload)}}}[{math.ceil(window_s)}s]"

    async def _series(self, query: str, trouble: list[str]) -> tuple[Series, ...] | None:
        try:
            result = await self._ask(query, "matrix")
            return tuple(self._one_series(row) for row in result)
        except _Odd as odd:
            trouble.append(str(odd))
            return None

    async def _buckets(self, query: str, trouble: list[str]) -> tuple[Series, ...] | None:
        series = await self._series(query, trouble)
        try:
            check_buckets(series or ())
        except CounterProblem as problem:
            trouble.append(str(problem))
            return None
        return series

    async def _value(self, check: QueryCheck, spec: RolloutSpec, trouble: list[str]) -> tuple[float, float] | None:
        try:
            return self._only(await self._ask(filled(check.query, spec), "vector", "scalar"))
        except _Odd as odd:
            trouble.append(f"{check.name}: {odd}")
            return None

    def _only(self, result: Any) -> tuple[float, float] | None:
        """The one value of a vector or scalar; None when there is none."""
        if result and not isinstance(result[0], dict):
            return self._sample(result)
        if len(result) > 1:
            names = ", ".join(str(row.get("metric")) for row in result[:3])
            raise _Odd(f"{len(result)} series instead of one: {names}")
        return self._sample(result[0].get("value")) if result else None

    def _one_series(self, row: Any) -> Series:
        labels = {str(key): str(value) for key, value in row["metric"].items()}
        return Series(labels=labels, points=tuple(self._sample(point) for point in row["values"]))

    def _sample(self, point: Any) -> tuple[float, float]:
        """(time, value), both finite, the time not in the future."""
        try:
            at, value = float(point[0]), float(point[1])
        except (TypeError, ValueError, IndexError, KeyError):
            raise _Odd(f"{point!r:.60} is not a sample") from None
        if not math.isfinite(value):
            raise _Odd(f"the value is {value}")
        if abs(value) > 1e15:  # beyond exact whole numbers: nothing counts that far
            raise _Odd(f"the value {value:g} is out of all range")
        if at > self._clock.now() + CLOCK_SKEW_MAX_S:
            raise _Odd("samples come from the future: compare the clocks")
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
        if sum(len(row.get("values", ())) for row in rows if isinstance(row, dict)) > SAMPLES_MAX:
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
