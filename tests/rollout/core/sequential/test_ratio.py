from collections.abc import Sequence
from itertools import product
from math import exp, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.sequential import RatioE, Side, Tally
from tests.rollout.core.sequential.strategies import binomial, etas, full_arms, steady, strata, tally


def judged(ratio: RatioE, strata: Sequence[tuple[Tally, Tally]]) -> RatioE:
    for canary, stable in strata:
        ratio = ratio.after(canary, stable)
    return ratio


@pytest.mark.parametrize(
    ("side", "worse"), [(Side.HARM, 1.0), (Side.HARM, 0.6), (Side.ACCEPT, 1.0), (Side.ACCEPT, 1.4)]
)
@pytest.mark.parametrize("psi0", [0.8, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("stable_rate", [0.01, 0.1, 0.3])
def test_no_alternative_is_expected_to_win_while_the_hypothesis_is_true(
    side: Side, worse: float, psi0: float, stable_rate: float
) -> None:
    """Every outcome of 7 canary and 12 stable requests, at the edge of the hypothesis and inside it."""
    canary_rate = worse * psi0 * stable_rate
    fortunes = [0.0] * len(RatioE.fresh(side).stakes.logs)
    for failed, failed_stable in product(range(8), range(13)):
        chance = binomial(failed, 7, canary_rate) * binomial(failed_stable, 12, stable_rate)
        after = RatioE.fresh(side, psi0=psi0).after(tally(failed, 7), tally(failed_stable, 12))
        fortunes = [
            fortune + chance * (0.0 if stake is None else exp(stake))
            for fortune, stake in zip(fortunes, after.stakes.logs, strict=True)
        ]
    assert max(fortunes) <= 1 + 1e-12


def test_the_exhaustive_check_can_fail() -> None:
    won = sum(
        binomial(x, 7, 0.4) * binomial(y, 12, 0.1) * exp(RatioE.fresh(Side.HARM).after(tally(x, 7), tally(y, 12)).log_e)
        for x, y in product(range(8), range(13))
    )
    assert won > 1


@given(strata=strata, side=st.sampled_from(Side), seed=st.randoms(use_true_random=False))
@steady
def test_the_order_of_strata_does_not_matter(strata: list[tuple[Tally, Tally]], side: Side, seed: object) -> None:
    shuffled = list(strata)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert judged(RatioE.fresh(side), shuffled).log_e == pytest.approx(
        judged(RatioE.fresh(side), strata).log_e, abs=1e-9
    )


@given(strata=strata, alone=full_arms, side=st.sampled_from(Side))
@steady
def test_strata_of_one_arm_change_nothing(strata: list[tuple[Tally, Tally]], alone: Tally, side: Side) -> None:
    ratio = judged(RatioE.fresh(side), strata)
    assert ratio.after(alone, tally(0, 0)) == ratio.after(tally(0, 0), alone) == ratio


@given(strata=strata, eta=etas)
@steady
def test_one_temper_for_all_strata_is_the_power_of_the_whole(strata: list[tuple[Tally, Tally]], eta: float) -> None:
    tempered = RatioE.fresh(Side.HARM)
    for canary, stable in strata:
        tempered = tempered.after(canary, stable, eta=eta)
    for careful, bold in zip(tempered.stakes.logs, judged(RatioE.fresh(Side.HARM), strata).stakes.logs, strict=True):
        assert careful is not None
        assert bold is not None
        assert careful == pytest.approx(eta * bold, abs=1e-6)


def test_a_shared_outage_leaves_less_evidence_than_a_canary_that_fails_alone() -> None:
    shared = judged(RatioE.fresh(Side.HARM), [(tally(0, 50), tally(0, 50)), (tally(45, 50), tally(45, 50))] * 20)
    alone = judged(RatioE.fresh(Side.HARM), [(tally(0, 50), tally(0, 50)), (tally(45, 50), tally(0, 50))])
    assert shared.log_e < 0 < alone.log_e


def test_the_tolerated_ratio_may_differ_in_one_stratum() -> None:
    canary, stable = tally(3, 100), tally(1, 100)
    once = RatioE.fresh(Side.HARM).after(canary, stable, psi0=2.0)
    assert once.stakes == RatioE.fresh(Side.HARM, psi0=2.0).after(canary, stable).stakes
    assert once.psi0 == 1.0


def test_one_failure_ruins_the_alternative_that_the_canary_never_fails() -> None:
    clean = RatioE.fresh(Side.ACCEPT, psi0=2.0).after(tally(0, 100), tally(3, 100))
    assert None not in clean.stakes.logs
    assert clean.after(tally(1, 100), tally(3, 100)).stakes.logs[-1] is None


def test_a_restart_forgets_the_losses_but_not_the_gains() -> None:
    patient = RatioE.fresh(Side.HARM, starts_planned=2)
    good = judged(patient, [(tally(0, 100), tally(1, 100))] * 50)
    assert good.restarted().after(tally(5, 100), tally(0, 100)).log_e > good.after(tally(5, 100), tally(0, 100)).log_e


@pytest.mark.parametrize("psi0", [0.0, -1.0, inf, nan])
def test_a_tolerated_ratio_must_be_a_ratio(psi0: float) -> None:
    with pytest.raises(ValueError, match="tolerated ratio"):
        RatioE.fresh(Side.HARM, psi0=psi0)
    with pytest.raises(ValueError, match="tolerated ratio"):
        RatioE.fresh(Side.HARM).after(tally(1, 2), tally(1, 2), psi0=psi0)
