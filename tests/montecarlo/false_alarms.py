"""How often a good release is rolled back: one rollout of 30 minutes, 5 % → 25 % → 50 %, both versions alike."""

from math import log

import numpy as np
import numpy.typing as npt

from tests.montecarlo import policies
from tests.montecarlo.traffic import failures
from tests.montecarlo.vectorised import Floats, Ints, Objectives, Ratios, Temperings

SECONDS = 1800
WEIGHTS = np.repeat([0.05, 0.25, 0.50], SECONDS // 3)
WARM_UP_S = 120
ALARM = -log(0.01)

Seconds = tuple[
    Ints, Ints, Ints, Ints
]  # failures and requests of the canary, then of the stable version: (runs, seconds)


def good_release(seed: int, runs: int, rps: int, rates: Floats, phi: float = 1.0) -> Seconds:
    """What both versions show each second while they fail at the same rate."""
    chance = np.random.default_rng(seed)
    shape = (runs, len(rates))
    failed, requests, stable_failed = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64)
    for second, rate in enumerate(rates):
        of_canary = chance.binomial(rps, WEIGHTS[second], runs)
        requests[:, second] = of_canary
        failed[:, second] = failures(chance, of_canary, rate, phi)
        stable_failed[:, second] = failures(chance, rps - of_canary, rate, phi)
    return failed, requests, stable_failed, rps - requests


def e_process_alarms(seconds: Seconds) -> dict[str, float]:
    """T1 alone, and its mean with T2 against 1 %, looked at every second."""
    failed, requests, stable_failed, stable_requests = seconds
    runs = len(failed)
    ratios, objectives = Ratios(runs), Objectives(runs, 0.01)
    worst, worst_mean = np.zeros(runs), np.zeros(runs)
    for second in range(failed.shape[1]):
        arms = failed[:, second], requests[:, second], stable_failed[:, second], stable_requests[:, second]
        relative, absolute = ratios.update(*arms), objectives.update(arms[0], arms[1])
        worst = np.maximum(worst, relative)
        worst_mean = np.maximum(worst_mean, np.logaddexp(relative, absolute) - log(2))
    return {"e-process": _share(worst >= ALARM), "e-process with objective": _share(worst_mean >= ALARM)}


def policy_alarms(seconds: Seconds) -> dict[str, float]:
    """Everybody else on the same traffic."""
    every_10_s = [counts.reshape(len(counts), -1, 10).sum(axis=2) for counts in seconds]
    failed, requests, stable_failed, stable_requests = (
        counts.reshape(len(counts), -1, 60).sum(axis=2) for counts in seconds
    )
    bad = policies.below_success_rate(failed, requests)
    rate, stable_rate = failed / np.maximum(requests, 1), stable_failed / np.maximum(stable_requests, 1)
    kayenta = [policies.kayenta_high(rate[:, :k], stable_rate[:, :k]) for k in range(5, rate.shape[1] + 1)]
    ends = {
        "Flagger 99 %, threshold 5": policies.flagger(bad, 60, 5),
        "Flagger 99 %, threshold 1": policies.flagger(bad, 60, 1),
        "Argo 99 %, failureLimit 0": policies.argo(bad, 60, 0),
        "Argo 99 %, failureLimit 3": policies.argo(bad, 60, 3),
        "1.5 times the baseline, 5 strikes": policies.flagger(rate > 1.5 * stable_rate, 60, 5),
    }
    return {
        "p < 0.05 every 10 s": _share(policies.naive_p_value(0.05, *every_10_s).any(axis=1)),
        "p < 0.01 every 10 s": _share(policies.naive_p_value(0.01, *every_10_s).any(axis=1)),
        **{name: _share(np.isfinite(end)) for name, end in ends.items()},
        "Kayenta every minute": _share(np.any(kayenta, axis=0)),
    }


def good_rollouts(*, seed: int, runs: int, rps: int, rate: float) -> dict[str, float]:
    """Table H1, one cell."""
    seconds = good_release(seed, runs, rps, np.full(SECONDS, rate))
    return {**e_process_alarms(seconds), **policy_alarms(seconds)}


def shared_outage(*, seed: int, runs: int, before: float, after: float, at_s: int) -> dict[str, float]:
    """Table H2: the error rate of both versions jumps at a moment at which most traffic has just moved."""
    seconds = good_release(seed, runs, 100, np.where(np.arange(SECONDS) < at_s, before, after))
    every_10_s = [counts.reshape(runs, -1, 10).sum(axis=2) for counts in seconds]
    naive = policies.naive_p_value(0.05, *every_10_s).any(axis=1)
    return {"e-process": e_process_alarms(seconds)["e-process"], "p < 0.05 every 10 s": _share(naive)}


def bursts(*, seed: int, runs: int, phi: float, rate: float = 0.005) -> dict[str, float]:
    """Errors that come together: T1 as it is, and tempered by the dispersion measured so far."""
    seconds = good_release(seed, runs, 100, np.full(SECONDS, rate), phi)
    failed, requests, stable_failed, stable_requests = seconds
    chance, temper = np.random.default_rng(seed + 1), Temperings(runs)
    all_requests, nobody = np.full(runs, 100), np.zeros(runs, np.int64)
    for _ in range(WARM_UP_S):
        temper.update(nobody, nobody, failures(chance, all_requests, rate, phi), all_requests)
    plain, tempered, objective, tempered_objective = (
        Ratios(runs),
        Ratios(runs),
        Objectives(runs, 0.01),
        Objectives(runs, 0.01),
    )
    worst = np.zeros((4, runs))
    for second in range(SECONDS):
        arms = failed[:, second], requests[:, second], stable_failed[:, second], stable_requests[:, second]
        eta = temper.eta
        fortunes = (
            plain.update(*arms),
            tempered.update(*arms, eta),
            objective.update(arms[0], arms[1]),
            tempered_objective.update(arms[0], arms[1], eta),
        )
        worst = np.maximum(worst, fortunes)
        temper.update(*arms)
    names = ("untempered", "tempered", "objective untempered", "objective tempered")
    return {name: _share(alarms) for name, alarms in zip(names, worst >= ALARM, strict=True)}


def peeking(*, seed: int, runs: int, looks: int) -> dict[str, float]:
    """A p-value at 5 %, looked at more and more often during the same half hour (100 rps, half the traffic each)."""
    chance = np.random.default_rng(seed)
    requests = chance.binomial(100 * SECONDS // looks, 0.5, (runs, looks))
    stable_requests = 100 * SECONDS // looks - requests
    failed, stable_failed = chance.binomial(requests, 0.005), chance.binomial(stable_requests, 0.005)
    return {
        "p < 0.05": _share(policies.naive_p_value(0.05, failed, requests, stable_failed, stable_requests).any(axis=1))
    }


def _share(alarms: npt.ArrayLike) -> float:
    return float(np.asarray(alarms, dtype=np.float64).mean())
