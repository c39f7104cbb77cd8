"""Users who are not where the weights say are no evidence, and nothing goes on before they are."""

from dataclasses import replace
from random import Random

import pytest

from rollout.core.absorption import absorb, judgement_of
from rollout.core.evidence import Stratum
from rollout.core.machine import decide
from rollout.core.observation import MetricsView, Observation, ProxiesView, Series
from rollout.core.phase import Cause, State
from rollout.core.split import is_off, is_split_as_set, split_gap
from tests.rollout.core.worlds import NOW, counts, route_at, seen, short_spec, state_of

SPEC = short_spec(
    load=None,
    steps=[{"weight": 10, "hold": "1s"}, {"weight": 100, "hold": "1s"}],
    checks=[{"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%"}],
)


def world(canary: int, stable: int, percent: int = 10) -> Observation:
    """Proxies that have answered so many requests."""
    proxies = ProxiesView(canary_percent={"productpage": float(percent)}, served={"v1": stable, "v3": canary})
    return seen(percent, proxies=proxies, load=None)


def arrived(**changes: object) -> State:
    return replace(state_of(SPEC, served={"v1": 0, "v3": 0}), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("canary", "stable", "weight", "off"),
    [
        (0, 20, 10, False),  # nothing is known yet
        (0, 400, 10, True),  # stuck at the old weight
        (10, 90, 10, False),
        (9_200, 90_800, 10, False),  # a little off is not off, however sure
        (5_000, 95_000, 10, True),
        (300, 700, 10, True),  # far too many
        (0, 0, 10, False),
        (50, 50, 0, False),  # nobody is meant to come
        (900, 0, 100, False),
        (100, 900, 100, True),
        (-5, 10, 10, False),  # the proxies were restarted
        (5, -10, 10, False),
    ],
)
def test_a_share_is_off_when_it_is_a_quarter_off_for_sure(canary: int, stable: int, weight: int, off: bool) -> None:
    assert is_off(canary, stable, weight, may_exceed=False) is off


def test_a_cohort_may_bring_more_but_not_fewer() -> None:
    assert not is_off(300, 700, 10, may_exceed=True)
    assert is_off(0, 400, 10, may_exceed=True)


def test_a_right_split_is_hardly_ever_called_off_however_often_one_looks() -> None:
    chance, called_off = Random(1), 0
    for _ in range(200):
        canary = 0
        for total in range(10, 2001, 10):
            canary += sum(chance.random() < 0.05 for _ in range(10))
            called_off += is_off(canary, total - canary, 5, may_exceed=False)
    assert called_off == 0


def scrapes(canary_per_s: int, stable_per_s: int, until: float) -> tuple[Series, ...]:
    times = [NOW - 5 + 5 * i for i in range(round((until - NOW) / 5) + 2)]
    return tuple(
        Series(
            labels={"destination_version": version, "response_code": "200"},
            points=tuple((at, float(per_s) * (at - NOW + 5)) for at in times),
        )
        for version, per_s in (("v1", stable_per_s), ("v3", canary_per_s))
    )


def absorbed(observation: Observation, canary_per_s: int, stable_per_s: int, state: State | None = None) -> State:
    view = MetricsView(requests=scrapes(canary_per_s, stable_per_s, NOW + 10))
    return absorb(SPEC, state or arrived(), replace(observation, metrics=view), NOW + 10)


def test_a_scrape_of_users_who_are_elsewhere_counts_for_nothing_and_is_not_counted_later() -> None:
    stuck = absorbed(world(canary=0, stable=1000), 0, 100)

    assert stuck.evidence.prometheus.stable.requests == 0
    assert stuck.evidence.prometheus.cursor == NOW + 10
    right = absorbed(world(canary=100, stable=900), 10, 90)
    assert right.evidence.prometheus.stable.requests == 900


def test_where_proxies_cannot_be_asked_the_scrapes_tell_themselves() -> None:
    blind = seen(10, proxies=None, load=None)

    assert absorbed(blind, 0, 100).evidence.prometheus.stable.requests == 0
    assert absorbed(blind, 10, 90).evidence.prometheus.stable.requests == 900


def test_the_step_waits_and_says_for_what() -> None:
    good = absorbed(world(canary=100, stable=900), 50, 450, arrived(arrived=NOW - 5))
    assert judgement_of(SPEC, good).may_advance

    stuck = decide(SPEC, good, world(canary=0, stable=1000), NOW + 11)
    there = decide(SPEC, good, world(canary=100, stable=900), NOW + 11)

    assert stuck.state.step == 0
    assert stuck.outlook.waiting_for == "0% of users' requests reach v3, not 10%"
    assert (there.state.step, there.state.cause) == (1, Cause.STEP_PASSED)


def test_what_cannot_be_told_from_the_totals_is_not_held_against_anybody() -> None:
    document = route_at(10).virtual_service
    assert document is not None
    several = {**document, "spec": {**document["spec"], "http": [*document["spec"]["http"], {"name": "other"}]}}
    off = world(canary=0, stable=1000)

    assert split_gap(SPEC, arrived(), off)
    assert not split_gap(SPEC, arrived(), replace(off, route=replace(route_at(10), virtual_service=several)))
    assert not split_gap(SPEC, arrived(), replace(off, route=None))
    assert not split_gap(SPEC, arrived(), replace(off, proxies=None))
    assert not split_gap(SPEC, arrived(served=None), off)


def test_a_cohort_of_the_plan_brings_more() -> None:
    both = short_spec(
        steps=[
            {"cohort": {"headers": {"a": {"exact": "b"}}, "hold": "1s"}},
            {"weight": 10, "hold": "1s"},
            {"weight": 100, "hold": "1s"},
        ]
    )
    crowd = world(canary=300, stable=700)
    stratum = Stratum(start=NOW, end=NOW + 1, stable=counts(700), canary=counts(300))

    assert split_gap(SPEC, arrived(), crowd)
    assert not split_gap(both, arrived(step=1, steps=3), crowd)
    assert is_split_as_set(both, arrived(step=1, steps=3), crowd, stratum)
