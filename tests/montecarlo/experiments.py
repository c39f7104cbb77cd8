"""Every measurement of `make montecarlo`: what to call, with which seed, how many rollouts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from rollout.core.sequential import Side
from tests.montecarlo import agreement, detection, false_alarms, latency, published, robustness, rollouts
from tests.montecarlo.judging import LOW_TRAFFIC, NO_INCREASE
from tests.montecarlo.rollouts import Scenario
from tests.montecarlo.traffic import NO_SLOWDOWN, Slowdown

Measured = dict[str, float]
Results = dict[str, dict[str, Measured]]  # section: row: numbers

SLOWDOWNS = {
    "x1": NO_SLOWDOWN,
    "x1.1": Slowdown(scale=1.1),
    "x1.2": Slowdown(scale=1.2),
    "x1.5": Slowdown(scale=1.5),
    "x2": Slowdown(scale=2.0),
    "tail": Slowdown(share=0.02, factor=7.93),
}
_PROBES = 0.5
LATENCY_RUNS = 400
_NEVER: Any = {"accepts": False, "stratum_s": 30, "bucket_width": 1.024}  # the same bets, sooner
SCENARIOS = {
    "good": Scenario(),
    "good, probes": Scenario(probe_split=_PROBES),
    "good, 500 rps": Scenario(rps=500),
    "good, 10 rps": Scenario(rps=10),
    "good, 10 rps, probes": Scenario(rps=10, probe_split=_PROBES),
    "good, 10 rps, probes, low-traffic profile": Scenario(rps=10, probe_split=_PROBES, plan=LOW_TRAFFIC),
    "errors 0.8 %": Scenario(rate=0.008),
    "errors 0.8 %, no increase tolerated": Scenario(rate=0.008, plan=NO_INCREASE),
    "errors 1 %": Scenario(rate=0.01),
    "errors 1 %, no increase tolerated": Scenario(rate=0.01, plan=NO_INCREASE),
    "errors 2 %": Scenario(rate=0.02),
    "errors 2 %, no increase tolerated": Scenario(rate=0.02, plan=NO_INCREASE),
    "errors 5 %": Scenario(rate=0.05),
    "errors 5 %, 10 rps": Scenario(rps=10, rate=0.05),
    "errors 5 %, 10 rps, no increase tolerated": Scenario(rps=10, rate=0.05, plan=NO_INCREASE),
    "errors 5 %, 10 rps, probes": Scenario(rps=10, rate=0.05, probe_split=_PROBES),
    "errors 5 %, 10 rps, probes, no increase tolerated": Scenario(
        rps=10, rate=0.05, probe_split=_PROBES, plan=NO_INCREASE
    ),
    "latency x1.2": Scenario(slowdown=SLOWDOWNS["x1.2"]),
    "latency x1.5": Scenario(slowdown=SLOWDOWNS["x1.5"]),
    "latency x2": Scenario(slowdown=SLOWDOWNS["x2"]),
    "latency x1.2, probes": Scenario(slowdown=SLOWDOWNS["x1.2"], probe_split=_PROBES),
    "tail-only p99 x2": Scenario(slowdown=SLOWDOWNS["tail"]),
    "tail-only p99 x2, probes": Scenario(slowdown=SLOWDOWNS["tail"], probe_split=_PROBES),
    "both 0.9 % errors": Scenario(rate=0.009, stable_rate=0.009),
    "both 0.9 % errors, probes": Scenario(rate=0.009, stable_rate=0.009, probe_split=_PROBES),
    "both 5 % errors": Scenario(rate=0.05, stable_rate=0.05, deadline_s=300),
    "both 5 % errors, probes": Scenario(rate=0.05, stable_rate=0.05, probe_split=_PROBES, stratum_s=1, deadline_s=60),
    "errors 5 % from the last step on, never accepted early": Scenario(rate=0.05, bad_from_step=2, **_NEVER),
}
NEVER_ACCEPTED = {  # a good release that has to stand half an hour of looks
    "good": (2000, Scenario(**_NEVER)),
    "both 0.9 % errors": (500, Scenario(rate=0.009, stable_rate=0.009, **_NEVER)),
    "both 0.5 % errors in bursts, φ = 5": (500, Scenario(rate=0.005, stable_rate=0.005, phi=5.0, **_NEVER)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One measurement: the number's place in the results, and the call that gives it."""

    section: str
    row: str
    measure: Callable[[], Measured]


def per_cent(share: float) -> str:
    """A share as people write it."""
    return f"{share * 100:g} %"


def all_tasks() -> list[Task]:
    """Long ones first, so that both processes end together."""
    tasks = [*_rollouts(), *_false_alarms(), *_detection(), *_latency(), *_robustness()]
    return [
        Task(section=section, row=row, measure=partial(measure, seed=10_000 * index))
        for index, (section, row, measure) in enumerate(tasks, 1)
    ]


_Draft = tuple[str, str, Callable[..., Measured]]


def _rollouts() -> Iterator[_Draft]:
    for name, (runs, scenario) in NEVER_ACCEPTED.items():
        yield "rollouts never accepted", name, partial(rollouts.many, runs=runs, scenario=scenario)
    for name, scenario in SCENARIOS.items():
        yield "rollouts", name, partial(rollouts.many, runs=published.ROLLOUT_RUNS, scenario=scenario)
    for name in ("good", "errors 1 %", "latency x1.2, probes"):
        yield "restarts", name, partial(rollouts.survives_restarts, runs=30, scenario=SCENARIOS[name])


def _false_alarms() -> Iterator[_Draft]:
    for rps in (1000, 100, 10):
        for rate in (0.001, 0.005, 0.009):
            cell = f"{rps} rps, {per_cent(rate)}"
            yield "false alarms", cell, partial(false_alarms.good_rollouts, runs=2000, rps=rps, rate=rate)
    for name, before, after, at_s in (
        ("0.1 % → 5 % in the last step", 0.001, 0.05, 1200),
        ("5 % → 0.1 % after the first step", 0.05, 0.001, 600),
    ):
        outage = partial(false_alarms.shared_outage, before=before, after=after, at_s=at_s)
        yield "shared outage", name, partial(outage, runs=2000)
    yield "shared outage", "latency drifts and triples", partial(latency.shared_drift, runs=600)
    for phi in published.BURSTS:
        yield "bursts", f"φ = {phi:g}", partial(false_alarms.bursts, runs=1000, phi=phi)
    for looks in published.PEEKING:
        yield "peeking", str(looks), partial(false_alarms.peeking, runs=4000, looks=looks)


def _detection() -> Iterator[_Draft]:
    for rps, weight, rate in published.TIME_TO_DETECT:
        row = partial(detection.time_to_detect, runs=2000, rps=rps, weight=weight, rate=rate)
        yield "time to detect", f"{rps} rps, {per_cent(weight)}, {per_cent(rate)}", row
    for weight, rate, psi0 in published.REQUESTS_TO_ALARM:
        row = partial(detection.requests_to_alarm, runs=1000, weight=weight, rate=rate, psi0=psi0)
        yield "requests to alarm", f"{per_cent(weight)}, {per_cent(rate)}, ψ0 = {psi0:g}", row
    for weight, rate, psi0 in published.REQUESTS_TO_ACCEPT:
        row = partial(detection.requests_to_accept, runs=500, weight=weight, rate=rate, psi0=psi0)
        yield "requests to accept", f"{per_cent(weight)}, {per_cent(rate)}, ψ0 = {psi0:g}", row
    for side, rates in (
        (Side.HARM, published.CANARY_REQUESTS_TO_ALARM),
        (Side.ACCEPT, published.CANARY_REQUESTS_TO_ACCEPT),
    ):
        for rate in rates:
            row = partial(detection.canary_requests_for_objective, runs=1000, rate=rate, side=side)
            yield f"canary requests, objective, {side}", per_cent(rate), row
    for rate in published.LATE_REGRESSION:
        yield "late regression", per_cent(rate), partial(detection.late_regression, runs=1000, rate=rate)


def _latency() -> Iterator[_Draft]:
    for name, weight, tolerated in published.LATENCY:
        row = partial(
            latency.time_to_detect,
            runs=LATENCY_RUNS,
            weight=weight,
            slowdown=SLOWDOWNS[name],
            tolerated=tolerated,
            seconds=7200 if name == "tail" else 3600,
        )
        yield "latency", f"{name}, {per_cent(weight)}, δ = {tolerated:g}", row
    for weight, tolerated in published.LATENCY_ACCEPT:
        accept = partial(latency.time_to_detect, slowdown=NO_SLOWDOWN, side=Side.ACCEPT)
        row = partial(accept, runs=LATENCY_RUNS, weight=weight, tolerated=tolerated)
        yield "latency accepted", f"{per_cent(weight)}, δ = {tolerated:g}", row
    half_an_hour = partial(latency.time_to_detect, runs=1500, seconds=1800)
    for weight in (0.05, 0.5):
        for name, tolerated in (("x1", 0.0), ("x1.1", 0.1)):
            row = partial(half_an_hour, weight=weight, slowdown=SLOWDOWNS[name], tolerated=tolerated)
            yield "latency at the edge", f"{name}, {per_cent(weight)}, δ = {tolerated:g}", row
        at_edge = partial(half_an_hour, slowdown=SLOWDOWNS["x1.2"], tolerated=0.2, side=Side.ACCEPT)
        yield "latency at the edge", f"accept x1.2, {per_cent(weight)}, δ = 0.2", partial(at_edge, weight=weight)
    for scale, weight, psi0 in published.BUCKETS:
        row = partial(latency.buckets, runs=500, weight=weight, scale=scale, psi0=psi0)
        yield "buckets", f"x{scale:g}, {per_cent(weight)}, ψ0 = {psi0:g}", row
    for psi0 in (1.0, 1.25):
        row = partial(latency.buckets, runs=1500, weight=0.05, scale=1.0, psi0=psi0)
        yield "buckets, good", f"ψ0 = {psi0:g}", row


def _robustness() -> Iterator[_Draft]:
    for part in range(20):
        yield "breaker and oracle", f"part {part + 1}", partial(robustness.breaker_against_oracle, runs=12_500)
    for weight in (0.05, 0.5):
        row = partial(robustness.breaker_on_good_traffic, requests=1_000_000, rate=0.01, weight=weight)
        yield "breaker on good traffic", per_cent(weight), row
    for quantile in published.QUANTILE_MISSES:
        yield "quantile intervals", f"{quantile:g}", partial(robustness.quantile_misses, runs=4000, quantile=quantile)
    for rate in (0.001, 0.01, 0.1):
        yield "estimates", per_cent(rate), partial(robustness.estimate_misses, runs=500, rate=rate)
    yield "agreement", "with rollout.core.sequential", partial(agreement.largest_differences, runs=40, seconds=300)
