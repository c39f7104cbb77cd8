"""What others do with the same traffic, as their source code does it (see docs/explanation/how-it-decides.md).

Each function takes per-interval numbers of R rollouts and returns when each rollout is rolled back, in seconds, or inf.
"""

from statistics import NormalDist

import numpy as np

from tests.montecarlo.vectorised import Bools, Floats, Ints

NEVER = np.inf


def first(hit: Bools, every_s: float, delay: int = 0) -> Floats:
    """The end of the first interval (counted from 1) in which something happened, `delay` intervals later."""
    return np.where(hit.any(axis=1), (hit.argmax(axis=1) + 1 + delay) * every_s, NEVER)


def flagger(bad: Bools, interval_s: float, threshold: int) -> Floats:
    """Failed checks add up and are never forgiven; the rollback happens at the start of the tick after the last one."""
    return first(np.cumsum(bad, axis=1) >= threshold, interval_s, delay=1)


def argo(bad: Bools, interval_s: float, failure_limit: int) -> Floats:
    """A metric fails as soon as more than failureLimit measurements have failed."""
    return first(np.cumsum(bad, axis=1) > failure_limit, interval_s)


def below_success_rate(failed: Ints, requests: Ints) -> Bools:
    """Less than 99 % success, the threshold of both projects' documents; no data counts as a failed check."""
    return np.where(requests > 0, 1 - failed / np.maximum(requests, 1) < 0.99, True)


def naive_p_value(alpha: float, failed: Ints, requests: Ints, stable_failed: Ints, stable_requests: Ints) -> Bools:
    """A pooled z-test of the totals so far at every look, with at least five failures seen."""
    totals = [np.cumsum(counts, axis=1) for counts in (failed, requests, stable_failed, stable_requests)]
    x_c, n_c, x_b, n_b = totals
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (x_c + x_b) / (n_c + n_b)
        z = (x_c / n_c - x_b / n_b) / np.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_b))
    z = np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray((z > NormalDist().inv_cdf(1 - alpha)) & (x_c + x_b >= 5))


def kayenta_high(canary: Floats, stable: Floats, tolerance: float = 0.25, confidence: float = 0.98) -> Bools:
    """Mann-Whitney on the points of both time series: the Hodges-Lehmann shift's interval above the tolerance."""
    points = canary.shape[1]
    shifts = np.sort((canary[:, :, None] - stable[:, None, :]).reshape(len(canary), -1), axis=1)
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    lower = int(np.floor(points * points / 2 - z * np.sqrt(points * points * (2 * points + 1) / 12)))
    if lower < 0:
        return np.zeros(len(canary), dtype=bool)
    return np.asarray(shifts[:, lower] > tolerance * np.abs(np.median(shifts, axis=1)))
