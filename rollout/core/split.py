"""Whether users really are split as the documents say: before they are, nothing they meet is evidence.

The proxies have said that they hold the weights (convergence.py); this looks at what they do with them. Of n requests
since then, k went to the canary. If its true share were q, the beta-binomial mixture

    M(k) = B(a+k, b+n-k) / B(a, b) / (q^k (1-q)^(n-k)),      (a, b) = (q, 1-q) 125

would be a fortune that starts at 1 (sequential/quantiles.py), so it reaches 1/α with probability α at most, however
often one looks. The split is wrong when that happens for a q that is a quarter off the weight: a route that is stuck
shows within some hundred requests, and a share that is a little off for ever (requests that were under way when the
weights changed) never does.
"""

from math import log, log1p

from rollout.core.evidence import Stratum
from rollout.core.observation import Observation
from rollout.core.phase import State
from rollout.core.routes.virtual_service import has_one_route
from rollout.core.sequential.quantiles import log_beta
from rollout.core.spec import RolloutSpec

ALPHA = 0.001  # per step; a false alarm only delays, until more requests prove it wrong
OFF = 1.25  # shares up to so many times too large or too small do no harm
STRENGTH = 125.0  # as of the quantiles' intervals: narrow at a thousand requests


def split_gap(spec: RolloutSpec, state: State, seen: Observation) -> str:
    """How the users' split differs from the step's weight, in a sentence; empty while it does not or is not known."""
    served = seen.proxies.served if seen.proxies else None
    if served is None or state.served is None:
        return ""
    canary, stable = (served.get(version, 0) - state.served.get(version, 0) for version in (spec.canary, spec.stable))
    if not _is_off(spec, state, seen, canary, stable):
        return ""
    share = 100 * canary / (canary + stable)
    return f"{share:.3g}% of users' requests reach {spec.canary}, not {spec.weight_at(state.step)}%"


def is_split_as_set(spec: RolloutSpec, state: State, seen: Observation, stratum: Stratum) -> bool:
    """Whether a stratum of users' requests may count. Where no proxy can be asked, it and those before it tell."""
    if seen.proxies is not None and seen.proxies.served is not None:
        return not split_gap(spec, state, seen)
    part = state.evidence.prometheus
    canary = part.canary.requests + stratum.canary.requests
    return not _is_off(spec, state, seen, canary, part.stable.requests + stratum.stable.requests)


def _is_off(spec: RolloutSpec, state: State, seen: Observation, canary: int, stable: int) -> bool:
    """With several http routes the service's share is no single route's, and with a cohort the canary's is larger."""
    document = seen.route.virtual_service if seen.route else None
    if document is None or not has_one_route(document):
        return False
    has_cohort = spec.cohort_at(state.step) is not None
    return is_off(canary, stable, spec.weight_at(state.step), may_exceed=has_cohort)


def is_off(canary: int, stable: int, weight: int, *, may_exceed: bool) -> bool:
    """Whether so many requests of either version contradict a weight in percent."""
    total = canary + stable
    if not weight or min(canary, stable) < 0:
        return False  # nobody is meant to come, or the proxies were restarted and count anew
    lowest, highest = weight / 100 / OFF, weight / 100 * OFF
    if canary < lowest * total:
        return _is_refuted(canary, total, lowest)
    return not may_exceed and canary > highest * total and _is_refuted(canary, total, highest)


def _is_refuted(canary: int, total: int, share: float) -> bool:
    a, b = share * STRENGTH, (1 - share) * STRENGTH
    mixture = log_beta(a + canary, b + total - canary) - log_beta(a, b)
    return mixture - canary * log(share) - (total - canary) * log1p(-share) >= log(1 / ALPHA)
