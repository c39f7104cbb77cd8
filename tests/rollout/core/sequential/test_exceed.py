from itertools import product
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.sequential import ExceedE, Side, Tally, empirical_quantile
from tests.rollout.core.sequential.strategies import NOTHING, binomial, full_arms, steady, strata, tally


@pytest.mark.parametrize(
    ("side", "factor"), [(Side.HARM, 1.0), (Side.HARM, 0.5), (Side.ACCEPT, 1.0), (Side.ACCEPT, 1.6)]
)
@pytest.mark.parametrize("quantile", [0.5, 0.75, 0.99])
@pytest.mark.parametrize("slow_share", [0.005, 0.05, 0.5])
def test_no_alternative_is_expected_to_win_while_the_hypothesis_is_true(
    side: Side, factor: float, quantile: float, slow_share: float
) -> None:
    """Whatever share of the stable requests is slow: τ may be outdated."""
    fortunes = [0.0] * len(ExceedE.fresh(side, quantile=quantile).stakes.logs)
    for slow, slow_stable in product(range(8), range(13)):
        chance = binomial(slow, 7, factor * slow_share) * binomial(slow_stable, 12, slow_share)
        after = ExceedE.fresh(side, quantile=quantile).after(tally(slow, 7), tally(slow_stable, 12))
        fortunes = [
            fortune + chance * exp(stake)
            for fortune, stake in zip(fortunes, after.stakes.logs, strict=True)
            if stake is not None
        ]
    assert max(fortunes) <= 1 + 1e-12


@given(strata=strata, alone=full_arms, seed=st.randoms(use_true_random=False))
@steady
def test_neither_order_nor_one_armed_strata_matter(
    strata: list[tuple[Tally, Tally]], alone: Tally, seed: object
) -> None:
    shuffled = [*strata, (alone, NOTHING), (NOTHING, alone)]
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    in_order = in_disorder = ExceedE.fresh(Side.HARM, quantile=0.95)
    for canary, stable in strata:
        in_order = in_order.after(canary, stable)
    for canary, stable in shuffled:
        in_disorder = in_disorder.after(canary, stable)
    assert in_disorder.log_e == pytest.approx(in_order.log_e, abs=1e-9)


def test_one_arm_alone_is_not_even_rounding_noise() -> None:
    harm = ExceedE.fresh(Side.HARM, quantile=0.95)
    assert harm.after(tally(7, 90), NOTHING) is harm
    assert harm.after(NOTHING, tally(7, 90)) is harm


def test_a_slow_down_of_both_versions_is_no_evidence() -> None:
    both = alone = ExceedE.fresh(Side.HARM, quantile=0.99)
    for _ in range(20):
        both, alone = both.after(tally(25, 50), tally(25, 50)), alone.after(tally(5, 50), tally(0, 50))
    assert both.log_e < 0 < alone.log_e


@pytest.mark.parametrize("quantile", [0.5, 0.6, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999])
def test_every_quantile_of_interest_has_alternatives(quantile: float) -> None:
    harm = ExceedE.fresh(Side.HARM, quantile=quantile)
    assert len(harm.stakes.logs) >= 4
    for _ in range(50):
        harm = harm.after(tally(30, 50), tally(50 * (1 - quantile), 50))
    assert harm.log_e > 2


@pytest.mark.parametrize("quantile", [0.0, 0.49, 0.99995, 1.0])
def test_other_quantiles_are_refused(quantile: float) -> None:
    with pytest.raises(ValueError, match="latency quantile"):
        ExceedE.fresh(Side.HARM, quantile=quantile)


@pytest.mark.parametrize(("canary", "stable"), [(tally(3, 2), tally(1, 2)), (tally(1, 2), tally(3, 2))])
def test_more_slow_requests_than_requests_are_refused(canary: Tally, stable: Tally) -> None:
    with pytest.raises(ValueError, match="3 events among 2 requests"):
        ExceedE.fresh(Side.HARM, quantile=0.5).after(canary, stable)


@pytest.mark.parametrize(("quantile", "value"), [(0.0, 10), (0.25, 10), (0.26, 20), (0.5, 20), (0.99, 40), (1.0, 40)])
def test_an_empirical_quantile_is_one_of_the_samples(quantile: float, value: float) -> None:
    assert empirical_quantile([10, 20, 30, 40], quantile) == value


def test_no_samples_have_no_quantile() -> None:
    with pytest.raises(ValueError, match="no samples"):
        empirical_quantile([], 0.5)
