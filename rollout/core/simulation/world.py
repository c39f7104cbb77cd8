"""The made-up world of a simulated rollout: it shows decide() what production would show, and obeys its actions.

Time passes in whole seconds. Users' requests follow the written weights; the load runs when it is told to. What the
load measured is handed over once per second, Prometheus scrapes every quarter of a minute, and a written route is
served at once.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from math import floor, inf

from rollout.core.breaker import Arm, Outcome
from rollout.core.convergence import scope_of
from rollout.core.decision import Action, StartLoad, StopLoad, WriteRoute
from rollout.core.evidence import Counts, Stratum
from rollout.core.observation import (
    EndpointsView,
    LoadView,
    MetricsView,
    Observation,
    ProxiesView,
    RouteView,
    Series,
)
from rollout.core.routes.target import Json
from rollout.core.routes.virtual_service import find_route, shares
from rollout.core.simulation.chance import Chance, binomial
from rollout.core.simulation.traffic import Behaviour, Traffic
from rollout.core.spec import QueryCheck, RolloutSpec, Source

SCRAPE_S = 15  # Prometheus's usual interval
SCRAPES_KEPT = 5  # a judge asks for the latest minute
ISTIO_BOUNDS_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
TRIPS_FROM = 0.05
"""Where at most one call in twenty is bad, the breaker trips once in 10^8 windows: such calls are not played to it."""


@dataclass(slots=True)
class Arms:
    """What users have met so far, per version."""

    requests: dict[Arm, int] = field(default_factory=lambda: dict.fromkeys(Arm, 0))
    failures: dict[Arm, int] = field(default_factory=lambda: dict.fromkeys(Arm, 0))


class World:
    """Mutable on purpose: it is the only thing in the core that is not a value, since it plays everything else."""

    def __init__(self, spec: RolloutSpec, traffic: Traffic, chance: Chance, start_s: float) -> None:
        self.spec, self.traffic, self.chance = spec, traffic, chance
        self.users, self.probes = Arms(), Arms()
        self._document = _document_of(spec)
        self._rules = (_rule_of(spec),)
        self._weight = 0.0
        self._second = floor(start_s)
        self._loading_from: int | None = None
        self._strata: list[Stratum] = []
        self._outcomes: list[Outcome] = []
        timeout_s = spec.plan.load.timeout if spec.plan.load else inf
        self._seen_by_load = {arm: self._of(arm).with_timeout(timeout_s) for arm in Arm}
        self._buckets = {arm: self._of(arm).buckets(timeout_s) for arm in Arm}
        self._may_trip = self._is_bad_enough_to_trip(timeout_s)
        self._scrapes = _Scrapes(spec, traffic, chance) if _asks_prometheus(spec) else None

    def _of(self, arm: Arm) -> Behaviour:
        return self.traffic.canary if arm is Arm.CANARY else self.traffic.stable

    def _is_bad_enough_to_trip(self, timeout_s: float) -> bool:
        p99_s = self.traffic.stable.median_s * 4
        slow_over_s = min(max(5 * p99_s, 1.0), timeout_s)
        canary = self._seen_by_load[Arm.CANARY]
        return max(canary.error_rate, self.traffic.canary.share_slower(slow_over_s)) > TRIPS_FROM

    def observe(self, now: float) -> Observation:
        """What can be seen at this moment. The load's strata and calls are handed over once."""
        strata, outcomes = tuple(self._strata), tuple(self._outcomes)
        self._strata, self._outcomes = [], []
        ready = EndpointsView(ready=1, total=1)
        return Observation(
            route=RouteView(virtual_service=self._document, destination_rules=self._rules),
            proxies=ProxiesView(canary_percent={"users": self._weight * 100}),
            endpoints={self.spec.stable: ready, self.spec.canary: ready},
            load=LoadView(running=self._loading_from is not None, as_of=now, strata=strata, outcomes=outcomes),
            metrics=self._scrapes.view() if self._scrapes else None,
        )

    def obey(self, action: Action) -> None:
        """Change what decide() wants changed."""
        match action:
            case WriteRoute(document=document):
                scope = scope_of(self.spec)
                self._document = document
                self._weight = shares(find_route(document, scope), scope).get(self.spec.canary, 0.0) / 100
            case StartLoad():
                self._loading_from = self._second + 1
            case StopLoad():
                self._loading_from = None

    def advance(self, until_s: float) -> None:
        """Let time pass; what has not filled a second happens later."""
        while self._second + 1 <= until_s:
            self._users_come()
            if self.spec.plan.load and self._loading_from is not None and self._second >= self._loading_from:
                self._load_runs(self.spec.plan.load.rate, self.spec.plan.load.split)
            self._second += 1
            if self._scrapes and self._second % SCRAPE_S == 0:
                self._scrapes.scrape(self._second, self.users)

    def _users_come(self) -> None:
        self._split(self.users, self.traffic.rps, self._weight, {arm: self._of(arm) for arm in Arm})

    def _load_runs(self, rate: float, split: float) -> None:
        requests, failures = self._split(self.probes, rate, split, self._seen_by_load)
        arms = {
            arm: Counts(requests=requests[arm], failures=failures[arm], latency=self._latencies(arm, requests[arm]))
            for arm in Arm
        }
        start = float(self._second)
        self._strata.append(Stratum(start=start, end=start + 1, stable=arms[Arm.STABLE], canary=arms[Arm.CANARY]))
        if self._may_trip:
            self._outcomes += [outcome for arm in Arm for outcome in self._calls(arm, arms[arm])]

    def _split(
        self, totals: Arms, rps: float, share: float, behaviour: dict[Arm, Behaviour]
    ) -> tuple[dict[Arm, int], dict[Arm, int]]:
        """One second's requests and failures, counted."""
        everything = floor((self._second + 1) * rps) - floor(self._second * rps)
        canary = binomial(self.chance, everything, share)
        requests = {Arm.CANARY: canary, Arm.STABLE: everything - canary}
        failures = {arm: binomial(self.chance, requests[arm], behaviour[arm].error_rate) for arm in Arm}
        for arm in Arm:
            totals.requests[arm] += requests[arm]
            totals.failures[arm] += failures[arm]
        return requests, failures

    def _latencies(self, arm: Arm, requests: int) -> dict[float, int]:
        edges, within = self._buckets[arm]
        counts: dict[float, int] = defaultdict(int)
        for edge in self.chance.choices(edges, cum_weights=within, k=requests):
            counts[edge] += 1
        return dict(counts)

    def _calls(self, arm: Arm, counts: Counts) -> list[Outcome]:
        """The second's calls one by one, the failed ones spread among the others."""
        left = counts.failures
        calls = []
        for index, edge in enumerate(edge for edge, count in counts.latency.items() for _ in range(count)):
            failed = self.chance.random() * (counts.requests - index) < left
            left -= failed
            at_s = self._second + index / counts.requests
            calls.append(Outcome(arm=arm, failed=failed, latency_s=edge, at_s=at_s))
        return calls


class _Scrapes:
    """Prometheus's counters of users' requests, as of its latest scrapes."""

    def __init__(self, spec: RolloutSpec, traffic: Traffic, chance: Chance) -> None:
        self._chance = chance
        self._versions = {Arm.STABLE: spec.stable, Arm.CANARY: spec.canary}
        self._shares = {arm: _shares_of(traffic.canary if arm is Arm.CANARY else traffic.stable) for arm in Arm}
        self._queries = [check for check in spec.plan.checks if isinstance(check, QueryCheck)]
        self._counted = dict.fromkeys(Arm, 0)
        self._below: dict[Arm, list[int]] = {arm: [0] * (len(ISTIO_BOUNDS_MS) + 1) for arm in Arm}
        self._points: dict[tuple[Arm, str, str], list[tuple[float, float]]] = defaultdict(list)
        self._at = 0.0

    def scrape(self, at: float, users: Arms) -> None:
        """Take the counters down."""
        self._at = at
        for arm in Arm:
            failed, requests = users.failures[arm], users.requests[arm]
            self._add(arm, "response_code", "503", at, failed)
            self._add(arm, "response_code", "200", at, requests - failed)
            self._measure(arm, requests - self._counted[arm])
            self._counted[arm] = requests
            for bound, count in zip((*ISTIO_BOUNDS_MS, inf), self._below[arm], strict=True):
                self._add(arm, "le", "+Inf" if bound == inf else f"{bound:g}", at, count)

    def _add(self, arm: Arm, label: str, value: str, at: float, count: float) -> None:
        points = self._points[arm, label, value]
        points.append((at, float(count)))
        del points[:-SCRAPES_KEPT]

    def _measure(self, arm: Arm, requests: int) -> None:
        """Put the requests since the last scrape into buckets, one boundary after the other."""
        left, gone = requests, 0
        for index, share in enumerate(self._shares[arm]):
            found = binomial(self._chance, left, share)
            left, gone = left - found, gone + found
            self._below[arm][index] += gone

    def view(self) -> MetricsView:
        """What a query would answer; custom values are taken to be fine, nothing is known about them here."""
        return MetricsView(
            requests=self._series("response_code"),
            buckets=self._series("le"),
            values={check.name: (self._at, _fine(check)) for check in self._queries if self._at},
        )

    def _series(self, label: str) -> tuple[Series, ...]:
        return tuple(
            Series(
                labels={"instance": "users", "destination_version": self._versions[arm], label: value},
                points=tuple(points),
            )
            for (arm, key, value), points in self._points.items()
            if key == label
        )


def _shares_of(behaviour: Behaviour) -> list[float]:
    """Of the requests above the boundary before, the share that each bucket holds."""
    shares_left, before = [], 1.0
    for bound in (*ISTIO_BOUNDS_MS, inf):
        after = behaviour.share_slower(bound / 1000) if bound != inf else 0.0
        shares_left.append(1 - after / before if before > 0 else 1.0)
        before = after
    return shares_left


def _fine(check: QueryCheck) -> float:
    value = check.max if check.max is not None else check.min
    assert value is not None, "a query check has a limit"
    return value


def _asks_prometheus(spec: RolloutSpec) -> bool:
    return any(check.source is Source.PROMETHEUS for check in spec.plan.checks)


def _document_of(spec: RolloutSpec) -> Json:
    route = {"route": [{"destination": {"host": spec.service, "subset": spec.stable}}]}
    return {
        "metadata": {"name": spec.route.name, "namespace": spec.namespace},
        "spec": {"http": [{"name": spec.route.http, **route} if spec.route.http else route]},
    }


def _rule_of(spec: RolloutSpec) -> Json:
    subsets = [{"name": version} for version in (spec.stable, spec.canary)]
    return {"metadata": {"namespace": spec.namespace}, "spec": {"host": spec.service, "subsets": subsets}}
