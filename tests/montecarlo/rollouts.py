"""Whole rollouts, judged every few seconds by the real judge: steps of 5 %, 25 % and 50 %."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from math import log

import numpy as np
from pydantic import TypeAdapter

from rollout.core.evidence import Counts, Stratum
from rollout.core.ledger import Evidence
from rollout.core.spec import PlanSpec
from tests.montecarlo.judging import USUAL, WEIGHTS, Judge, Verdict
from tests.montecarlo.traffic import MEDIAN_MS, NO_SLOWDOWN, SIGMA, Slowdown, failures
from tests.montecarlo.vectorised import Floats

HOLD_S = 30


class End(StrEnum):
    """How a rollout ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Traffic and both versions. With `probe_split` the judge sees the load generator's requests, else the users'."""

    rps: int = 100
    rate: float = 0.001
    stable_rate: float = 0.001
    slowdown: Slowdown = NO_SLOWDOWN
    probe_split: float | None = None
    stratum_s: int = 5
    deadline_s: int = 600  # of each step
    accepts: bool = True  # False: every step runs to its deadline, however good the canary looks
    plan: PlanSpec = USUAL
    phi: float = 1.0
    bad_from_step: int = 0
    bucket_width: float = 1.005  # the load generator's are finer still


class Traffic:
    """Strata for one rollout, drawn a step at a time."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.chance = np.random.default_rng(seed)

    def step(self, index: int) -> Iterator[Stratum]:
        """One step's strata up to its deadline."""
        scenario, chance = self.scenario, self.chance
        total, count = scenario.rps * scenario.stratum_s, scenario.deadline_s // scenario.stratum_s
        is_bad = index >= scenario.bad_from_step
        requests = chance.binomial(total, scenario.probe_split or WEIGHTS[index], count)
        failed = failures(chance, requests, scenario.rate if is_bad else scenario.stable_rate, scenario.phi)
        stable_failed = failures(chance, total - requests, scenario.stable_rate, scenario.phi)
        slowdown = scenario.slowdown if is_bad else NO_SLOWDOWN
        for k in range(count):
            start = float(index * scenario.deadline_s + k * scenario.stratum_s)
            yield Stratum(
                start=start,
                end=start + scenario.stratum_s,
                canary=self._counts(int(requests[k]), int(failed[k]), slowdown),
                stable=self._counts(total - int(requests[k]), int(stable_failed[k]), NO_SLOWDOWN),
            )

    def _counts(self, requests: int, failed: int, slowdown: Slowdown) -> Counts:
        latencies = log(MEDIAN_MS / 1000 * slowdown.scale) + SIGMA * self.chance.standard_normal(requests)
        if slowdown.share:
            latencies += log(slowdown.factor) * (self.chance.random(requests) < slowdown.share)
        return Counts(requests=requests, failures=failed, latency=_bucketed(latencies, self.scenario.bucket_width))


def _bucketed(logarithms: Floats, width: float) -> dict[float, int]:
    buckets, counts = np.unique(np.ceil(logarithms / log(width)), return_counts=True)
    return dict(zip((width**buckets).tolist(), counts.tolist(), strict=True))


def run(
    scenario: Scenario, seed: int, each: Callable[[Judge], Judge] = lambda judge: judge
) -> tuple[End, int, list[Verdict]]:
    """One rollout: how it ended, after how many seconds of steps, and every verdict on the way."""
    judge = Judge.fresh(scenario.plan)
    traffic, verdicts, now_s = Traffic(scenario, seed), list[Verdict](), 0
    for index in range(len(WEIGHTS)):
        if index:
            judge = judge.start_step()
        in_step_s, accepted = 0, False
        for stratum in traffic.step(index):
            judge = each(judge.update(stratum))
            now_s, in_step_s = now_s + scenario.stratum_s, in_step_s + scenario.stratum_s
            verdicts.append(judge.verdict())
            if verdicts[-1] is Verdict.ROLLBACK:
                return End.ROLLED_BACK, now_s, verdicts
            accepted = scenario.accepts and verdicts[-1] is Verdict.ACCEPT and in_step_s >= HOLD_S
            if accepted:
                break
        if scenario.accepts and not accepted:
            return End.TIMED_OUT, now_s, verdicts
    return End.PROMOTED, now_s, verdicts


def many(*, seed: int, runs: int, scenario: Scenario) -> dict[str, float]:
    """Shares of the ends, and their median times."""
    ends: dict[End, list[int]] = {end: [] for end in End}
    for offset in range(runs):
        end, seconds, _ = run(scenario, seed + offset)
        ends[end].append(seconds)
    shares = {end.value: len(times) / runs for end, times in ends.items()}
    return {**shares, **{f"{end.value} median s": float(np.median(times)) for end, times in ends.items() if times}}


def survives_restarts(*, seed: int, runs: int, scenario: Scenario) -> dict[str, float]:
    """How many verdicts change when the evidence is saved as JSON and read back after every stratum, or run again."""
    adapter = TypeAdapter(Evidence)

    def saved(judge: Judge) -> Judge:
        return replace(judge, evidence=adapter.validate_json(adapter.dump_json(judge.evidence), strict=True))

    changed = verdicts = unequal = 0
    for offset in range(runs):
        straight = run(scenario, seed + offset)
        verdicts += len(straight[2])
        changed += straight != run(scenario, seed + offset, saved)
        unequal += straight != run(scenario, seed + offset)
    return {"rollouts changed": changed, "rollouts not repeated": unequal, "verdicts": verdicts}
