"""A daemon that is killed and started again continues the same fortune: state survives JSON to the last bit."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from rollout.core.sequential import BucketRatioE, Buckets, ExceedE, PoissonE, RatioE, Side, SloE, Tally, Tempering
from tests.rollout.core.sequential.strategies import etas, steady, tally

lively = st.integers(1, 300).flatmap(lambda n: st.integers(0, min(n, 5)).map(lambda x: tally(x, n)))
histories = st.lists(st.tuples(lively, lively, etas, st.booleans()), max_size=5)

BOUNDS = (50.0, 100.0)


def buckets(slow: Tally) -> Buckets:
    fast = slow.exposure - slow.events
    return Buckets(bounds=BOUNDS, cumulative=(fast / 2, fast), total=slow.exposure)


def step(value: Any, canary: Tally, stable: Tally, eta: float) -> Any:
    match value:
        case RatioE() | ExceedE():
            return value.after(canary, stable, eta=eta)
        case SloE() | PoissonE():
            return value.after(canary, eta=eta)
        case BucketRatioE():
            return value.after(buckets(canary), buckets(stable), eta=eta)
        case _:
            return value.after(canary, stable)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("kind", ["ratio", "slo", "poisson", "exceed", "buckets", "tempering"])
@given(before=histories, afterwards=histories)
@steady
def test_saved_and_read_back_at_any_point_it_continues_identically(
    kind: str,
    side: Side,
    before: list[tuple[Tally, Tally, float, bool]],
    afterwards: list[tuple[Tally, Tally, float, bool]],
) -> None:
    value: Any = {
        "ratio": RatioE.fresh(side, psi0=1.5, starts_planned=99),
        "slo": SloE.fresh(side, p0=0.01, starts_planned=99),
        "poisson": PoissonE.fresh(side, rate0=0.01, starts_planned=99),
        "exceed": ExceedE.fresh(side, quantile=0.99, starts_planned=99),
        "buckets": BucketRatioE.fresh(side, bounds=BOUNDS, starts_planned=99),
        "tempering": Tempering(),
    }[kind]
    for canary, stable, eta, restarts in before:
        value = step(value, canary, stable, eta)
        if restarts and kind != "tempering":
            value = value.restarted()
    adapter = TypeAdapter(type(value))
    saved = adapter.dump_json(value)
    json.loads(saved, parse_constant=pytest.fail)
    restored = adapter.validate_json(saved, strict=True)
    assert restored == value
    for canary, stable, eta, _ in afterwards:
        value, restored = step(value, canary, stable, eta), step(restored, canary, stable, eta)
    assert restored == value
    assert adapter.dump_json(restored) == adapter.dump_json(value)


def test_a_lost_stake_is_saved_as_null() -> None:
    adapter = TypeAdapter(SloE)
    lost = SloE.fresh(Side.ACCEPT, p0=0.01).after(tally(1, 10))
    assert json.loads(adapter.dump_json(lost))["stakes"]["logs"][-1] is None
    assert adapter.validate_json(adapter.dump_json(lost)) == lost
