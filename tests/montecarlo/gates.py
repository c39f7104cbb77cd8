"""What must hold: the judge's promises as hard limits, and the published numbers within the error of two simulations.

Tolerances. A share of R rollouts has a standard error of sqrt(p(1-p)/R); two shares may differ by three times
the error of their difference. The median of roughly exponential times has a relative error of about 1/sqrt(R); with
theirs and ours that is 3 sqrt(2/R) at three errors, 15 % at R = 1000 (taken as the least) and 30 % at R = 200, or one
look of the clock. Whole rollouts may end sooner or more often as they should than the prototype's: that breaks nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf, sqrt

from tests.montecarlo import published
from tests.montecarlo.experiments import LATENCY_RUNS, Results, per_cent


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A promise, the number it is about, and whether it is kept."""

    promise: str
    limit: str
    measured: str
    holds: bool


_ROLLED_BACK_MAX = {
    "good": 0.001,  # 2 of 2,000
    "both 0.9 % errors": 0.002,  # 1 of 500
    "both 0.5 % errors in bursts, φ = 5": 0.017,  # without a warm-up that teaches φ before the first bet
}


def all_gates(results: Results) -> list[Gate]:
    """Promises first."""
    return [*promises(results), *reproductions(results)]


def promises(results: Results) -> Iterator[Gate]:
    """The Monte-Carlo gates of the statistics reference, section 7, and a few of our own."""
    for cell, row in results["false alarms"].items():
        yield _at_most(f"false alarms of T1 within 30 min, {cell}", row["e-process"], 0.010)
    for name, row in results["bursts"].items():
        yield _at_most(f"false alarms, errors in bursts, {name}, tempered", row["tempered"], 0.017)
        yield _at_most(f"false alarms against the objective, {name}, tempered", row["objective tempered"], 0.017)
    for name, row in results["shared outage"].items():
        yield _at_most(f"false alarms, shared outage, {name}", row["e-process"], 0.017)
    for name, row in results["rollouts never accepted"].items():
        yield _at_most(f"good rollouts rolled back within 30 min, {name}", row["rolled back"], _ROLLED_BACK_MAX[name])
    bad, good = results["rollouts"]["errors 5 %"], results["rollouts"]["good, probes"]
    yield _at_least("errors 5 % at 100 rps rolled back", bad["rolled back"], 1.0)
    yield _seconds_at_most("errors 5 % at 100 rps: median until rolled back", bad["rolled back median s"], 25)
    yield _at_least("good release with 50/50 probes promoted", good["promoted"], 0.99)
    yield _seconds_at_most("good release with 50/50 probes: median until promoted", good["promoted median s"], 220)
    for name, row in results["rollouts"].items():
        if name.startswith(("good", "both")):
            yield _at_most(f"rolled back although good: {name}", row["rolled back"], 0.01)
        else:
            yield _at_most(f"promoted although bad: {name}", row["promoted"], 0.0)
    yield from _exactness(results)
    yield from _edges(results)


def _exactness(results: Results) -> Iterator[Gate]:
    restarts = results["restarts"].values()
    verdicts = int(sum(row["verdicts"] for row in restarts))
    changed = sum(row["rollouts changed"] for row in restarts)
    yield _none(f"rollouts that end differently when saved and read back at each of {verdicts} strata", changed)
    yield _none(
        "rollouts that differ when run again with the same seed", sum(row["rollouts not repeated"] for row in restarts)
    )
    oracle = results["breaker and oracle"].values()
    stories = int(sum(row["stories"] for row in oracle))
    yield _none(
        f"of {stories:,} random stories told differently by breaker and oracle", sum(row["differing"] for row in oracle)
    )
    for weight, row in results["breaker on good traffic"].items():
        name = f"breaker trips in {int(row['requests']):,} requests at an error rate of 1 %, weight {weight}"
        yield _none(name, row["trips"])
    for name, difference in results["agreement"]["with rollout.core.sequential"].items():
        yield _none(f"differences above 1e-9 between the arrays here and the judge's own {name}", difference > 1e-9)


def _edges(results: Results) -> Iterator[Gate]:
    for name, row in results["latency at the edge"].items():
        limit = 0.05 if name.startswith("accept") else 0.01
        yield _at_most(f"false alarms of T4 within 30 min, {name}", row["found"], limit)
    for name, row in results["buckets, good"].items():
        yield _at_most(f"false alarms of T5 within 60 min, {name}", row["found"], 0.01)
    for quantile, row in results["quantile intervals"].items():
        yield _at_most(f"interval of the {quantile} quantile ever missed", row["ever missed"], 0.05)
    for rate, row in results["estimates"].items():
        for kind, missed in row.items():
            yield _at_most(f"interval of the {kind} at {rate} ever missed", missed, 0.05 + 3 * _error(0.05, 500))


def reproductions(results: Results) -> Iterator[Gate]:
    """The published numbers, met again."""
    for policy, shares in published.FALSE_ALARMS.items():
        for (rps, rate), share in zip(published.FALSE_ALARM_CELLS, shares, strict=True):
            cell = f"{rps} rps, {per_cent(rate)}"
            yield _same_share(f"{policy}, {cell}", results["false alarms"][cell][policy], share / 100, 2000)
    for looks, share in published.PEEKING.items():
        yield _same_share(f"peeking, {looks} looks", results["peeking"][str(looks)]["p < 0.05"], share / 100, 4000)
    for phi, share in published.BURSTS.items():
        yield _same_share(f"tempered, φ = {phi:g}", results["bursts"][f"φ = {phi:g}"]["tempered"], share / 100, 1000)
    for (rps, weight, rate), medians in published.TIME_TO_DETECT.items():
        name = f"{rps} rps, {per_cent(weight)}, {per_cent(rate)}"
        for policy, median in medians.items():
            measured = results["time to detect"][name].get(f"{policy} median")
            if measured is not None:
                look = {"Flagger 60 s": 60, "Flagger 30 s": 30, "Argo 0": 60, "Argo 3": 60}.get(policy, 1)
                yield _same_median(f"{policy}, {name}: median s", measured, median, look)
    yield from _same_requests(results)
    yield from _same_latencies(results)
    for name, (end, share, median) in published.ROLLOUTS.items():
        row, runs = results["rollouts"][name], published.ROLLOUT_RUNS
        yield _no_less(f"{name}: {end}", row[end], share / 100, runs)
        if not isinf(median):
            yield _no_later(f"{name}: median s until {end}", row[f"{end} median s"], median, 5, runs)


def _same_requests(results: Results) -> Iterator[Gate]:
    for section, table in (
        ("requests to alarm", published.REQUESTS_TO_ALARM),
        ("requests to accept", published.REQUESTS_TO_ACCEPT),
    ):
        for (weight, rate, psi0), median in table.items():
            name = f"{per_cent(weight)}, {per_cent(rate)}, ψ0 = {psi0:g}"
            yield _same_median(f"{section}, {name}", results[section][name]["total"], median, 20)
    for side, rates in (
        ("harm", published.CANARY_REQUESTS_TO_ALARM),
        ("accept", published.CANARY_REQUESTS_TO_ACCEPT),
    ):
        for rate, median in rates.items():
            section = f"canary requests, objective, {side}"
            yield _same_median(f"{section}, {per_cent(rate)}", results[section][per_cent(rate)]["canary"], median, 10)
    for rate, (plain, restarts) in published.LATE_REGRESSION.items():
        row = results["late regression"][per_cent(rate)]
        yield _same_median(f"late regression, {per_cent(rate)}, plain: median s", row["plain"], plain, 1)
        yield _same_median(f"late regression, {per_cent(rate)}, restarts: median s", row["restarts"], restarts, 1)


def _same_latencies(results: Results) -> Iterator[Gate]:
    for (name, weight, tolerated), median in published.LATENCY.items():
        row = f"{name}, {per_cent(weight)}, δ = {tolerated:g}"
        yield _same_median(f"latency {row}: median s", results["latency"][row]["median"], median, 1, LATENCY_RUNS)
    for (weight, tolerated), median in published.LATENCY_ACCEPT.items():
        row = f"{per_cent(weight)}, δ = {tolerated:g}"
        found = results["latency accepted"][row]["median"]
        yield _same_median(f"latency accepted, {row}: median s", found, median, 1, LATENCY_RUNS)
    for (scale, weight, psi0), median in published.BUCKETS.items():
        row = f"x{scale:g}, {per_cent(weight)}, ψ0 = {psi0:g}"
        yield _same_median(f"buckets {row}: median s", results["buckets"][row]["median"], median, 15)
    for quantile, share in published.QUANTILE_MISSES.items():
        measured = results["quantile intervals"][f"{quantile:g}"]["ever missed"]
        yield _same_share(f"interval of the {quantile:g} quantile ever missed", measured, share / 100, 1000)


def _at_most(promise: str, measured: float, limit: float) -> Gate:
    return Gate(
        promise=promise,
        limit=f"≤ {per_cent(round(limit, 4))}",
        measured=per_cent(round(measured, 5)),
        holds=measured <= limit,
    )


def _at_least(promise: str, measured: float, limit: float) -> Gate:
    return Gate(
        promise=promise, limit=f"≥ {per_cent(limit)}", measured=per_cent(round(measured, 5)), holds=measured >= limit
    )


def _seconds_at_most(promise: str, measured: float, limit: float) -> Gate:
    return Gate(promise=promise, limit=f"≤ {limit:g} s", measured=f"{measured:g} s", holds=measured <= limit)


def _none(promise: str, measured: float) -> Gate:
    return Gate(promise=promise, limit="0", measured=f"{measured:g}", holds=measured == 0)


def _same_share(promise: str, measured: float, known: float, runs: int) -> Gate:
    tolerance = _tolerated_share(measured, known, runs)
    limit = f"{per_cent(known)} ± {tolerance * 100:.1f}"
    measured_text = per_cent(round(measured, 5))
    return Gate(promise=promise, limit=limit, measured=measured_text, holds=abs(measured - known) <= tolerance)


def _no_less(promise: str, measured: float, known: float, runs: int) -> Gate:
    least = max(0.0, known - _tolerated_share(measured, known, runs))
    measured_text = per_cent(round(measured, 5))
    limit = f"≥ {per_cent(round(least, 4))} ({per_cent(known)})"
    return Gate(promise=promise, limit=limit, measured=measured_text, holds=measured >= least)


def _tolerated_share(measured: float, known: float, runs: int) -> float:
    middle = min(max((measured + known) / 2, 1 / runs), 1 - 1 / runs)
    return 3 * sqrt(2) * _error(middle, runs)


def _same_median(promise: str, measured: float, known: float, look: float, runs: int = 1000) -> Gate:
    if isinf(known):
        return Gate(promise=promise, limit="never", measured=f"{measured:g}", holds=isinf(measured))
    tolerance = _tolerated_seconds(known, look, runs)
    limit = f"{known:,g} ± {tolerance:,.0f}"
    return Gate(promise=promise, limit=limit, measured=f"{measured:,g}", holds=abs(measured - known) <= tolerance)


def _no_later(promise: str, measured: float, known: float, look: float, runs: int) -> Gate:
    latest = known + _tolerated_seconds(known, look, runs)
    limit = f"≤ {latest:,.0f} ({known:,g})"
    return Gate(promise=promise, limit=limit, measured=f"{measured:,g}", holds=measured <= latest)


def _tolerated_seconds(known: float, look: float, runs: int) -> float:
    return max(look, max(0.15, 3 * sqrt(2 / runs)) * known)


def _error(share: float, runs: int) -> float:
    return sqrt(share * (1 - share) / runs)
