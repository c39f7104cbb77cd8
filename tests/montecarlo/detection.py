"""How soon a bad canary is stopped, at a fixed weight; the stable version fails at 0.1 %, the objective is 1 %."""

from collections.abc import Callable
from math import log

import numpy as np

from rollout.core.sequential import Side
from tests.montecarlo import policies
from tests.montecarlo.vectorised import Floats, Ints, Objectives, Ratios

SECONDS = 3600
BASELINE = 0.001
ALARM, ACCEPTED = -log(0.01), -log(0.05)
FAILURES_MIN = 5


def timing(times: Floats) -> dict[str, float]:
    """How many ended at all, and when."""
    median, late = (float(np.quantile(times, q, method="higher")) for q in (0.5, 0.95))
    return {"found": float(np.isfinite(times).mean()), "median": median, "p95": late}


def e_process_times(*, seed: int, runs: int, rps: int, weight: float, rate: float, seconds: int = SECONDS) -> Floats:
    """The mean of T1 and T2, looked at every second, once five canary requests have failed."""
    chance = np.random.default_rng(seed)
    ratios, objectives = Ratios(runs), Objectives(runs, 0.01)
    times, seen = np.full(runs, np.inf), np.zeros(runs)
    for second in range(1, seconds + 1):
        requests = chance.binomial(rps, weight, runs)
        failed, stable_failed = chance.binomial(requests, rate), chance.binomial(rps - requests, BASELINE)
        seen += failed
        ratios.update(failed, requests, stable_failed, rps - requests)
        objectives.update(failed, requests)
        alarmed = (np.logaddexp(ratios.log_e, objectives.log_e) - log(2) >= ALARM) & (seen >= FAILURES_MIN)
        times[alarmed & np.isinf(times)] = second
        if np.isfinite(times).all():
            break
    return times


def time_to_detect(*, seed: int, runs: int, rps: int, weight: float, rate: float) -> dict[str, float]:
    """One row of table 6.3: ours at this weight, ours with probes split 50/50, and the others every 60 or 30 s."""
    chance = np.random.default_rng(seed)
    requests = chance.binomial(rps * 30, weight, (runs, SECONDS // 30))
    failed = chance.binomial(requests, rate)
    bad_60 = policies.below_success_rate(*(counts.reshape(runs, -1, 2).sum(axis=2) for counts in (failed, requests)))
    bad_30 = policies.below_success_rate(*(_trailing_minute(counts) for counts in (failed, requests)))
    times = {
        "ours": e_process_times(seed=seed + 1, runs=runs, rps=rps, weight=weight, rate=rate),
        "Flagger 60 s": policies.flagger(bad_60, 60, 5),
        "Flagger 30 s": policies.flagger(bad_30, 30, 5),
        "Argo 0": policies.argo(bad_60, 60, 0),
        "Argo 3": policies.argo(bad_60, 60, 3),
    }
    if weight < 0.1:
        times["probes"] = e_process_times(seed=seed + 2, runs=runs, rps=rps, weight=0.5, rate=rate)
    return {f"{name} {key}": value for name, ends in times.items() for key, value in timing(ends).items()}


def _trailing_minute(counts: Ints) -> Ints:
    before = np.zeros_like(counts)
    before[:, 1:] = counts[:, :-1]
    return counts + before


def late_regression(*, seed: int, runs: int, rate: float) -> dict[str, float]:
    """A canary that turns bad when it gets half of 100 rps, after 20 good minutes: with and without restarts."""
    chance = np.random.default_rng(seed)
    plain, restarted = Ratios(runs), Ratios(runs, starts_planned=3)
    times = np.full((2, runs), np.inf)
    for second, weight in enumerate(np.repeat([0.05, 0.25, 0.5], 600)):
        if second in (600, 1200):
            restarted.restart()
        requests = chance.binomial(100, weight, runs)
        failed = chance.binomial(requests, BASELINE if second < 1200 else rate)
        arms = failed, requests, chance.binomial(100 - requests, BASELINE), 100 - requests
        alarmed = np.array([plain.update(*arms), restarted.update(*arms)]) >= ALARM
        times[alarmed & np.isinf(times)] = second + 1 - 1200
    return {"plain": timing(times[0])["median"], "restarts": timing(times[1])["median"]}


def requests_to_alarm(*, seed: int, runs: int, weight: float, rate: float, psi0: float = 1.0) -> dict[str, float]:
    """Table 6.1: T1 against a stable version at 0.1 %, requests of both versions together."""
    ratios = Ratios(runs, psi0=psi0)
    return _requests(seed, runs, weight, BASELINE, rate, ratios.update, ALARM)


def requests_to_accept(*, seed: int, runs: int, weight: float, rate: float, psi0: float) -> dict[str, float]:
    """Table 6.1: T1 for "less than ψ0 times worse", both versions alike."""
    ratios = Ratios(runs, psi0=psi0, side=Side.ACCEPT)
    return _requests(seed, runs, weight, rate, rate, ratios.update, ACCEPTED)


def canary_requests_for_objective(*, seed: int, runs: int, rate: float, side: Side) -> dict[str, float]:
    """Table 6.1: T2 against 1 %, to alarm or to accept, in canary requests."""
    objectives = Objectives(runs, 0.01, side)

    def update(failed: Ints, requests: Ints, _stable_failed: Ints, _stable_requests: Ints) -> Floats:
        return objectives.update(failed, requests)

    return _requests(seed, runs, 0.5, BASELINE, rate, update, ALARM if side is Side.HARM else ACCEPTED)


def _requests(
    seed: int,
    runs: int,
    weight: float,
    stable_rate: float,
    rate: float,
    update: Callable[[Ints, Ints, Ints, Ints], Floats],
    threshold: float,
) -> dict[str, float]:
    """Blocks of 20 requests (200 once there have been 20,000) until every rollout has crossed the threshold."""
    chance = np.random.default_rng(seed)
    total, canary, seen = np.full(runs, np.inf), np.full(runs, np.inf), np.zeros(runs)
    sent = 0
    while np.isinf(total).any() and sent < 2_000_000:
        block = 20 if sent < 20_000 else 200
        sent += block
        requests = chance.binomial(block, weight, runs)
        arms = (
            chance.binomial(requests, rate),
            requests,
            chance.binomial(block - requests, stable_rate),
            block - requests,
        )
        seen += requests
        crossed = (update(*arms) >= threshold) & np.isinf(total)
        total[crossed], canary[crossed] = sent, seen[crossed]
    late = float(np.quantile(total, 0.9, method="higher"))
    return {
        "total": timing(total)["median"],
        "total p90": late,
        "canary": timing(canary)["median"],
        "canary p90": float(np.quantile(canary, 0.9, method="higher")),
    }
