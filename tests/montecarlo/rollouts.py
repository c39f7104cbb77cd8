"""Whole rollouts, judged every few seconds by a judge behind the Protocol: steps of 5 %, 25 % and 50 %."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
from pydantic import TypeAdapter

from rollout.core.sequential import Tally
from tests.montecarlo.judging import HARM_QUANTILES, Judge, Policy, ReferenceJudge, Stratum, Verdict
from tests.montecarlo.latency import bands, earlier_quantiles
from tests.montecarlo.traffic import NO_SLOWDOWN, Slowdown, failures

WEIGHTS = (0.05, 0.25, 0.5)
HOLD_S, DEADLINE_S, WARM_UP_S = 30, 600, 120
NOTHING = Tally(events=0, exposure=0)


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
    accepts: bool = True  # False: every step runs to its deadline, however good the canary looks
    low_traffic: bool = False  # accept on p50 and p95 alone, with half as slow again tolerated
    phi: float = 1.0
    bad_from_step: int = 0

    @property
    def policy(self) -> Policy:
        """The reference policy, or its low-traffic profile."""
        return Policy(accept_quantiles=(0.5, 0.95)) if self.low_traffic else Policy()

    @property
    def tolerated_accept(self) -> float:
        """How much slower may still be accepted."""
        return 0.5 if self.low_traffic else 0.2


TOLERATED_HARM = 0.1

J = TypeVar("J", bound=Judge)


class Traffic:
    """Strata for one rollout, drawn a step at a time."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.chance = np.random.default_rng(seed)
        tau = earlier_quantiles(self.chance, 1, HARM_QUANTILES)[0]
        harm, accept = tau * (1 + TOLERATED_HARM), tau * (1 + scenario.tolerated_accept)
        self.thresholds = np.sort(np.concatenate([harm, accept]))
        self.harm_at = [int(np.searchsorted(self.thresholds, value)) for value in harm]
        self.accept_at = [
            int(np.searchsorted(self.thresholds, value))
            for quantile, value in zip(HARM_QUANTILES, accept, strict=True)
            if quantile in scenario.policy.accept_quantiles
        ]
        self.stable_at = [
            i for i, quantile in enumerate(HARM_QUANTILES) if quantile in scenario.policy.accept_quantiles
        ]
        self.of_stable = bands(NO_SLOWDOWN, tau[None])[0]
        self.of_canary = {
            slowdown: bands(slowdown, self.thresholds[None])[0] for slowdown in (NO_SLOWDOWN, scenario.slowdown)
        }

    def warm_up(self) -> Iterator[Stratum]:
        """The stable version alone, before the first step."""
        per_stratum = self.scenario.rps * self.scenario.stratum_s
        requests = np.full(WARM_UP_S // self.scenario.stratum_s, per_stratum)
        for failed in failures(self.chance, requests, self.scenario.stable_rate, self.scenario.phi):
            yield Stratum(canary=NOTHING, stable=_tally(failed, per_stratum))

    def step(self, index: int) -> Iterator[Stratum]:
        """One step's strata up to its deadline."""
        scenario, chance = self.scenario, self.chance
        total, count = scenario.rps * scenario.stratum_s, DEADLINE_S // scenario.stratum_s
        is_bad = index >= scenario.bad_from_step
        requests = chance.binomial(total, scenario.probe_split or WEIGHTS[index], count)
        failed = failures(chance, requests, scenario.rate if is_bad else scenario.stable_rate, scenario.phi)
        stable_failed = failures(chance, total - requests, scenario.stable_rate, scenario.phi)
        slowdown = scenario.slowdown if is_bad else NO_SLOWDOWN
        beyond = _beyond(chance.multinomial(requests, self.of_canary[slowdown]))
        stable_beyond = _beyond(chance.multinomial(total - requests, self.of_stable))
        for k in range(count):
            n_c, n_b = int(requests[k]), int(total - requests[k])
            slow_stable = [_tally(x, n_b) for x in stable_beyond[k]]
            yield Stratum(
                canary=_tally(failed[k], n_c),
                stable=_tally(stable_failed[k], n_b),
                harm=tuple((_tally(beyond[k, at], n_c), slow_stable[i]) for i, at in enumerate(self.harm_at)),
                accept=tuple(
                    (_tally(beyond[k, at], n_c), slow_stable[i])
                    for i, at in zip(self.stable_at, self.accept_at, strict=True)
                ),
            )


def _tally(events: int, exposure: int) -> Tally:
    return Tally(events=int(events), exposure=exposure)


def _beyond(banded: np.ndarray) -> np.ndarray:
    """Requests slower than each threshold, from requests per band."""
    return banded[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]


def run(
    scenario: Scenario, judge: J, seed: int, each: Callable[[J], J] = lambda judge: judge
) -> tuple[End, int, list[Verdict]]:
    """One rollout: how it ended, after how many seconds of steps, and every verdict on the way."""
    traffic, verdicts, now_s = Traffic(scenario, seed), [], 0
    for stratum in traffic.warm_up():
        judge = judge.update(stratum)
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
        end, seconds, _ = run(scenario, ReferenceJudge.fresh(scenario.policy), seed + offset)
        ends[end].append(seconds)
    shares = {end.value: len(times) / runs for end, times in ends.items()}
    return {**shares, **{f"{end.value} median s": float(np.median(times)) for end, times in ends.items() if times}}


def survives_restarts(*, seed: int, runs: int, scenario: Scenario) -> dict[str, float]:
    """How many verdicts change when the judge is saved as JSON and read back after every stratum, or run again."""
    adapter = TypeAdapter(ReferenceJudge)
    changed = verdicts = unequal = 0
    for offset in range(runs):
        fresh = ReferenceJudge.fresh(scenario.policy)
        straight = run(scenario, fresh, seed + offset)
        again = run(scenario, fresh, seed + offset)
        saved = run(
            scenario, fresh, seed + offset, lambda judge: adapter.validate_json(adapter.dump_json(judge), strict=True)
        )
        verdicts += len(straight[2])
        changed += straight != saved
        unequal += straight != again
    return {"rollouts changed": changed, "rollouts not repeated": unequal, "verdicts": verdicts}
