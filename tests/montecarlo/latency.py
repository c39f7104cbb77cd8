"""How soon a slow canary is stopped, from raw samples (T4) and from Istio's buckets (T5), and how often a good one."""

from math import log

import numpy as np

from rollout.core.sequential import Buckets, Side, empirical_quantile, usable_bounds
from tests.montecarlo.detection import ACCEPTED, ALARM, timing
from tests.montecarlo.traffic import MEDIAN_MS, NO_SLOWDOWN, SIGMA, Slowdown, normal_quantile
from tests.montecarlo.vectorised import Exceedances, Floats, Ratios, log_mean

QUANTILES = (0.5, 0.9, 0.95, 0.99)
ACCEPT_QUANTILES = (0.5, 0.95, 0.99)
EARLIER = 2000  # stable samples that τ is taken from
ISTIO_BOUNDS_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)


def earlier_quantiles(chance: np.random.Generator, runs: int, quantiles: tuple[float, ...]) -> Floats:
    """The empirical quantiles of EARLIER stable samples, drawn directly: order statistics of uniforms are Dirichlet."""
    ranks = [int(np.ceil(quantile * EARLIER)) for quantile in quantiles]
    gaps = chance.gamma(np.diff([0, *ranks, EARLIER + 1]), size=(runs, len(ranks) + 1))
    below = np.cumsum(gaps / gaps.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    return MEDIAN_MS * np.exp(SIGMA * normal_quantile(below))


def bands(slowdown: Slowdown, thresholds_ms: Floats) -> Floats:
    """The probability that a latency falls between consecutive rising thresholds, per rollout."""
    beyond = slowdown.slower_than(thresholds_ms)
    full = np.ones((len(beyond), 1))
    edges = np.concatenate([full, beyond, full * 0], axis=1)
    shares = np.maximum(edges[:, :-1] - edges[:, 1:], 0.0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def time_to_detect(
    *,
    seed: int,
    runs: int,
    weight: float,
    slowdown: Slowdown,
    tolerated: float,
    seconds: int = 3600,
    side: Side = Side.HARM,
) -> dict[str, float]:
    """Table 6.2 at 100 rps: the mean over the quantiles crosses 1/α; to accept, every quantile must."""
    chance = np.random.default_rng(seed)
    quantiles = QUANTILES if side is Side.HARM else ACCEPT_QUANTILES
    tests = [Exceedances(runs, quantile, side) for quantile in quantiles]
    thresholds = earlier_quantiles(chance, runs, quantiles)
    of_canary, of_stable = bands(slowdown, thresholds * (1 + tolerated)), bands(NO_SLOWDOWN, thresholds)
    times = np.full(runs, np.inf)
    accepted = np.zeros((len(tests), runs), dtype=bool)
    for second in range(1, seconds + 1):
        requests = chance.binomial(100, weight, runs)
        canary, stable = chance.multinomial(requests, of_canary), chance.multinomial(100 - requests, of_stable)
        for index, test in enumerate(tests, 1):
            test.update(canary[:, index:].sum(axis=1), requests, stable[:, index:].sum(axis=1), 100 - requests)
        fortunes = np.array([test.log_e for test in tests])
        accepted |= fortunes >= ACCEPTED
        ended = log_mean(fortunes.T) >= ALARM if side is Side.HARM else accepted.all(axis=0)
        times[ended & np.isinf(times)] = second
        if np.isfinite(times).all():
            break
    return timing(times)


def buckets(*, seed: int, runs: int, weight: float, scale: float, psi0: float, seconds: int = 3600) -> dict[str, float]:
    """T5 at 100 rps and a scrape every 15 s: T1 at each usable boundary, averaged."""
    chance = np.random.default_rng(seed)
    bounds = np.array([ISTIO_BOUNDS_MS])
    of_canary, of_stable = bands(Slowdown(scale=scale), bounds)[0], bands(NO_SLOWDOWN, bounds)[0]
    earlier = Buckets(bounds=ISTIO_BOUNDS_MS, cumulative=tuple(np.cumsum(of_stable)[:-1] * 1e6), total=1e6 + 1e-3)
    usable = [ISTIO_BOUNDS_MS.index(bound) for bound in usable_bounds(earlier)]
    tests = [Ratios(runs, psi0=psi0) for _ in usable]
    times = np.full(runs, np.inf)
    for second in range(15, seconds + 1, 15):
        requests = chance.binomial(1500, weight, runs)
        canary, stable = chance.multinomial(requests, of_canary), chance.multinomial(1500 - requests, of_stable)
        for index, test in zip(usable, tests, strict=True):
            above, stable_above = canary[:, index + 1 :].sum(axis=1), stable[:, index + 1 :].sum(axis=1)
            test.update(above, requests, stable_above, 1500 - requests)
        alarmed = log_mean(np.array([test.log_e for test in tests]).T) >= ALARM
        times[alarmed & np.isinf(times)] = second
        if np.isfinite(times).all():
            break
    return timing(times)


def shared_drift(*, seed: int, runs: int, seconds: int = 1200, rps: int = 50) -> dict[str, float]:
    """Table H2's latency twin: both versions breathe with the day, wander, and become three times slower at once.

    τ is taken from the last 2,000 stable samples every 30 s; the naive judge pools and compares with the first τ.
    """
    chance = np.random.default_rng(seed)
    tests = [Exceedances(runs, quantile) for quantile in QUANTILES]
    earlier = np.exp(log(MEDIAN_MS) + SIGMA * chance.standard_normal((runs, EARLIER)))
    tau = _quantiles(earlier)
    first_p99, wander, oldest = tau[:, -1:], np.zeros(runs), 0
    worst, naive = np.zeros(runs), np.zeros(runs, dtype=bool)
    totals = np.zeros((4, runs))
    for second, weight in enumerate(np.repeat([0.05, 0.25, 0.5], seconds // 3)):
        wander = 0.95 * wander + 0.1 * chance.standard_normal(runs)
        pace = (
            (1 + 0.5 * np.sin(2 * np.pi * second / 300)) * np.exp(wander) * (3.0 if second >= seconds * 2 // 3 else 1.0)
        )
        samples = pace[:, None] * np.exp(log(MEDIAN_MS) + SIGMA * chance.standard_normal((runs, rps)))
        is_canary = chance.random((runs, rps)) < weight
        requests = is_canary.sum(axis=1)
        for index, test in enumerate(tests):
            slow = samples > tau[:, index : index + 1]
            test.update((slow & is_canary).sum(axis=1), requests, (slow & ~is_canary).sum(axis=1), rps - requests)
        worst = np.maximum(worst, log_mean(np.array([test.log_e for test in tests]).T))
        slow = samples > first_p99
        totals += np.array([(slow & is_canary).sum(axis=1), requests, (slow & ~is_canary).sum(axis=1), rps - requests])
        if second % 10 == 9:
            naive |= _pooled_z(totals) > 1.645
        for column in range(0, rps, 5):
            earlier[:, oldest] = np.where(is_canary[:, column], earlier[:, oldest], samples[:, column])
            oldest = (oldest + 1) % EARLIER
        if second % 30 == 29:
            tau = _quantiles(earlier)
    return {"e-process": float((worst >= ALARM).mean()), "p < 0.05 every 10 s": float(naive.mean())}


def _quantiles(samples: Floats) -> Floats:
    ordered = np.sort(samples, axis=1)
    positions = [int(empirical_quantile(range(EARLIER), quantile)) for quantile in QUANTILES]
    return np.asarray(ordered[:, positions])


def _pooled_z(totals: Floats) -> Floats:
    x_c, n_c, x_b, n_b = totals
    pooled = (x_c + x_b) / (n_c + n_b)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (x_c / n_c - x_b / n_b) / np.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_b))
    return np.asarray(np.nan_to_num(z))
