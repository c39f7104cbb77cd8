"""The wanted world minus the live world."""

from dataclasses import replace
from typing import Any

import pytest

from rollout.core.convergence import converge, preflight, remember_original, route_gap, wanted_document, wanted_percent
from rollout.core.decision import StartLoad, StopLoad, WriteRoute
from rollout.core.observation import EndpointsView, Observation, ProxiesView, RouteView
from rollout.core.phase import Phase
from tests.rollout.core.documents import destination_rule, virtual_service
from tests.rollout.core.worlds import route_at, seen, short_spec, state_of

SPEC = short_spec()


def view(**changes: Any) -> RouteView:
    return replace(RouteView(virtual_service=virtual_service(), destination_rules=(destination_rule(),)), **changes)


def split(**weights: int) -> dict[str, Any]:
    document = virtual_service()
    document["spec"]["http"][0]["route"] = [
        {"destination": {"host": "reviews", "subset": subset}, "weight": weight} for subset, weight in weights.items()
    ]
    return document


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"route": None, "trouble": {"routes": "no answer within 1 s"}}, "cannot be read: no answer within 1 s"),
        ({"route": view(virtual_service=None)}, "there is no VirtualService reviews in namespace bookinfo"),
        ({"route": view(destination_rules=())}, "no DestinationRule defines subset v1"),
        ({"route": view(virtual_service=split(v2=100))}, "no http route to subset v1 or v3"),
        ({"route": view(virtual_service=split(v1=90, v3=10))}, "sends 90% to v1, 10% to v3; a rollout from v1 starts"),
        ({"route": view(virtual_service=split(v1=0, v3=100))}, "sends 100% to v3; a rollout from v1 starts at 100%"),
        ({"endpoints": None}, "endpoints cannot be read"),
        ({"endpoints": {"v1": EndpointsView(ready=1, total=1)}}, "v3 of reviews has no ready endpoint"),
        ({"endpoints": {}}, "v1 and v3 of reviews have no ready endpoint"),
        ({}, ""),
    ],
)
def test_the_preflight_says_what_is_missing(changes: dict[str, Any], says: str) -> None:
    problem = preflight(SPEC, replace(seen(), **changes))

    assert says in problem
    assert bool(says) is bool(problem)


def test_each_phase_wants_its_weight() -> None:
    wanted = {phase: wanted_percent(SPEC, state_of(SPEC, phase)) for phase in Phase}

    assert wanted == {
        Phase.PENDING: 0,
        Phase.PROGRESSING: 50,
        Phase.PAUSED: 50,
        Phase.ROLLING_BACK: 0,
        Phase.ROLLED_BACK: 0,
        Phase.SUCCEEDED: 100,
    }
    assert wanted_percent(SPEC, state_of(SPEC, step=3)) == 100


def test_what_was_never_touched_is_never_written() -> None:
    pending = state_of(SPEC, Phase.PENDING)

    assert wanted_document(SPEC, pending, virtual_service()) == virtual_service()
    assert converge(SPEC, pending, seen()) == ()


def test_a_write_that_was_lost_is_asked_for_again() -> None:
    state = state_of(SPEC)

    (write,) = converge(SPEC, state, seen(5))
    assert isinstance(write, WriteRoute)
    assert write.document == route_at(50).virtual_service
    assert converge(SPEC, state, seen(50)) == ()


def test_the_document_written_is_the_one_that_was_read_so_that_a_conflict_shows() -> None:
    (write,) = converge(SPEC, state_of(SPEC), seen(5))

    assert isinstance(write, WriteRoute)
    assert write.document["metadata"]["resourceVersion"] == "7"


def test_documents_that_cannot_carry_the_rollout_are_left_alone_and_named() -> None:
    broken = seen(50, route=view(virtual_service=split(v2=100)))

    assert converge(SPEC, state_of(SPEC), broken) == ()
    assert "no http route" in route_gap(SPEC, state_of(SPEC), broken)


def test_load_is_stopped_before_anything_is_written() -> None:
    actions = converge(SPEC, state_of(SPEC, Phase.ROLLING_BACK), seen(50))

    assert [type(action) for action in actions] == [StopLoad, WriteRoute]


def test_load_starts_once_the_traffic_has_arrived_and_only_if_the_plan_has_one() -> None:
    checks = [{"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%"}]
    without = short_spec(load=None, checks=checks)

    assert converge(SPEC, state_of(SPEC), seen(50, load=None)) == (StartLoad(),)
    assert converge(SPEC, state_of(SPEC, arrived=None), seen(50, load=None)) == ()
    assert converge(without, state_of(without), seen(50, load=None)) == ()


def test_blind_to_the_documents_nothing_is_written() -> None:
    assert converge(SPEC, state_of(SPEC), Observation(load=seen(50).load)) == ()


@pytest.mark.parametrize(
    ("phase", "changes", "says"),
    [
        (Phase.PROGRESSING, {"route": None}, "routing documents cannot be read"),
        (Phase.PROGRESSING, {"route": view(virtual_service=None)}, "VirtualService reviews is gone"),
        (Phase.PROGRESSING, {"route": route_at(5)}, "VirtualService reviews is being written"),
        (
            Phase.PROGRESSING,
            {"route": route_at(5), "trouble": {"write": "bad regex"}},
            "VirtualService reviews cannot be written: bad regex",
        ),
        (Phase.PROGRESSING, {"proxies": None}, "proxies cannot be seen"),
        (Phase.PROGRESSING, {"proxies": ProxiesView(canary_percent={}, rejected="x")}, "reject the new routes: x"),
        (
            Phase.PROGRESSING,
            {"proxies": ProxiesView(canary_percent={"d": 5, "b": 5, "a": 50, "c": 5, "e": 5})},
            "b, c, d not yet at 50%",
        ),
        (Phase.PROGRESSING, {}, ""),
        (Phase.ROLLING_BACK, {"route": view(), "proxies": None}, ""),
        (Phase.ROLLING_BACK, {"route": view()}, "not yet at 0%"),
    ],
)
def test_the_gap_between_the_wanted_and_the_live_world_is_a_sentence(
    phase: Phase, changes: dict[str, Any], says: str
) -> None:
    gap = route_gap(SPEC, state_of(SPEC, phase), seen(50, **changes))

    assert says in gap
    assert bool(says) is bool(gap)


def test_the_original_is_remembered_as_it_was() -> None:
    assert remember_original(SPEC, view()) == '[{"destination": {"host": "reviews", "subset": "v1"}}]'
