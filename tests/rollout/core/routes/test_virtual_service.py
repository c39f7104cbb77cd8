"""Surgical edits: our own additions come and go, everything else stays as it was, byte for byte."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.routes.target import VERSION_HEADER, RouteProblem, RouteScope, RouteTarget
from rollout.core.routes.virtual_service import (
    destinations_of,
    edited,
    find_route,
    find_service_route,
    restored,
    shares,
)
from tests.rollout.core.documents import virtual_service

SCOPE = RouteScope(namespace="bookinfo", service="reviews", stable="v1", canary="v3")


def target(percent: int, cohort: Any = None) -> RouteTarget:
    return RouteTarget(canary_percent=percent, cohort=cohort)


def document(*routes: Any) -> dict[str, Any]:
    found = virtual_service()
    found["spec"]["http"] = list(routes)
    return found


def destination(subset: str, weight: int | None = None, host: str = "reviews") -> dict[str, Any]:
    return {"destination": {"host": host, "subset": subset}} | ({} if weight is None else {"weight": weight})


JASON_TO_V2 = {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": [destination("v2")]}


def test_weights_are_written_as_a_hundred_on_both_versions() -> None:
    after = edited(virtual_service(), SCOPE, target(25))

    assert shares(find_route(after, SCOPE), SCOPE) == {"v1": 75.0, "v3": 25.0}
    assert [entry["weight"] for entry in find_route(after, SCOPE)["route"]] == [75, 25]


def test_probes_reach_either_version_by_header_first_in_the_list_and_without_retries() -> None:
    after = edited(document({"route": [destination("v1")], "timeout": "3s", "mirror": {"host": "x"}}), SCOPE, target(0))

    canary, stable = after["spec"]["http"][:2]
    assert canary["match"] == [{"headers": {VERSION_HEADER: {"exact": "v3"}}}]
    assert canary["route"][0]["destination"]["subset"] == "v3"
    assert stable["match"] == [{"headers": {VERSION_HEADER: {"exact": "v1"}}}]
    for probe in (canary, stable):
        assert probe["retries"] == {"attempts": 0}
        assert probe["timeout"] == "3s"
        assert "mirror" not in probe
        assert "weight" not in probe["route"][0]


def test_every_response_names_the_version_that_served_it() -> None:
    after = edited(virtual_service(), SCOPE, target(5))

    for route in after["spec"]["http"]:
        for entry in route["route"]:
            named = entry["headers"]["response"]["set"][VERSION_HEADER]
            assert named == entry["destination"]["subset"]


def test_a_cohort_sees_the_canary_whatever_the_weight() -> None:
    after = edited(virtual_service(), SCOPE, target(0, {"end-user": {"exact": "jason"}}))

    cohort = after["spec"]["http"][2]
    assert cohort["name"] == "rollout-cohort"
    assert cohort["match"] == [{"headers": {"end-user": {"exact": "jason"}}}]
    assert [entry["destination"]["subset"] for entry in cohort["route"]] == ["v3"]


def test_own_routes_are_narrowed_by_the_routes_own_matches() -> None:
    matches = [{"uri": {"prefix": "/a"}, "headers": {"x": {"exact": "y"}}}, {"uri": {"prefix": "/b"}}]
    after = edited(document({"match": matches, "route": [destination("v1")]}), SCOPE, target(0))

    probe = after["spec"]["http"][0]
    assert [match["uri"]["prefix"] for match in probe["match"]] == ["/a", "/b"]
    assert probe["match"][0]["headers"] == {"x": {"exact": "y"}, VERSION_HEADER: {"exact": "v3"}}


def test_other_routes_stay_where_and_as_they_are() -> None:
    before = document(JASON_TO_V2, {"route": [destination("v1")], "retries": {"attempts": 3}, "unknown": [1]})

    after = edited(before, SCOPE, target(50))

    theirs = [route for route in after["spec"]["http"] if not route.get("name", "").startswith("rollout-")]
    assert theirs[0] == JASON_TO_V2
    assert {key: theirs[1][key] for key in ("retries", "unknown")} == {"retries": {"attempts": 3}, "unknown": [1]}


def test_the_document_given_is_not_changed() -> None:
    before = virtual_service()
    frozen = copy.deepcopy(before)

    edited(before, SCOPE, target(50))
    restored(before, SCOPE, destinations_of(before, SCOPE), promoted=True)

    assert before == frozen


def test_a_host_may_be_written_in_any_of_kubernetes_forms() -> None:
    for host in ("reviews", "reviews.bookinfo", "reviews.bookinfo.svc", "reviews.bookinfo.svc.cluster.local"):
        after = edited(document({"route": [destination("v1", host=host)]}), SCOPE, target(5))
        assert {entry["destination"]["host"] for entry in find_route(after, SCOPE)["route"]} == {host}


def test_a_destinations_port_is_kept_for_its_new_sibling() -> None:
    entry = {"destination": {"host": "reviews", "subset": "v1", "port": {"number": 9080}}}

    after = edited(document({"route": [entry]}), SCOPE, target(5))

    assert find_route(after, SCOPE)["route"][1]["destination"] == entry["destination"] | {"subset": "v3"}


@pytest.mark.parametrize(
    ("routes", "says"),
    [
        ([], "no http route to subset v1 or v3"),
        ([{"route": [destination("v2")]}], "no http route to subset v1 or v3"),
        ([{"route": [destination("v1", host="reviews.other")]}], "no http route"),
        ([{"route": [destination("v1")]}, {"name": "b", "route": [destination("v1")]}], "one without a name, b"),
        ([{"redirect": {"uri": "/"}}], "no http route"),
    ],
)
def test_a_document_that_cannot_carry_the_rollout_says_why(routes: list[Any], says: str) -> None:
    with pytest.raises(RouteProblem, match=says):
        find_route(document(*routes), SCOPE)


def test_a_rollout_does_not_touch_a_route_with_a_third_version_in_it() -> None:
    crowded = document({"route": [destination("v1", 90), destination("v2", 10)]})

    with pytest.raises(RouteProblem, match="also sends weight 10 to v2"):
        edited(crowded, SCOPE, target(5))
    idle = document({"route": [destination("v1", 100), destination("v2", 0)]})
    assert shares(find_route(edited(idle, SCOPE, target(5)), SCOPE), SCOPE) == {"v1": 95.0, "v3": 5.0}


def test_the_route_that_carries_stable_is_preferred_to_one_that_sends_testers_to_the_canary() -> None:
    testers = {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": [destination("v3")]}
    default = {"route": [destination("v1")]}

    assert find_route(document(testers, default), SCOPE) == default
    assert find_route(document(testers), SCOPE) == testers


def test_among_several_routes_the_one_named_is_taken() -> None:
    both = document({"name": "a", "route": [destination("v1")]}, {"name": "b", "route": [destination("v1")]})
    named = RouteScope(namespace="bookinfo", service="reviews", stable="v1", canary="v3", http="b")
    missing = RouteScope(namespace="bookinfo", service="reviews", stable="v1", canary="v3", http="c")

    assert find_route(both, named)["name"] == "b"
    with pytest.raises(RouteProblem, match="no http route named 'c'"):
        find_route(both, missing)


def test_the_services_own_route_is_the_one_without_a_match_whatever_its_versions() -> None:
    default = {"route": [destination("v9")]}

    assert find_service_route(document(JASON_TO_V2, default), SCOPE) == default
    assert find_service_route(document(JASON_TO_V2), SCOPE) == JASON_TO_V2
    with pytest.raises(RouteProblem, match="no http route to reviews"):
        find_service_route(document(), SCOPE)


def test_shares_follow_istios_rules() -> None:
    assert shares({"route": [destination("v1", 7)]}, SCOPE) == {"v1": 100.0}
    assert shares({"route": [destination("v1", 1), destination("v3", 3)]}, SCOPE) == {"v1": 25.0, "v3": 75.0}
    assert shares({"route": [destination("v1", 1), destination("v3")]}, SCOPE) == {"v1": 100.0}
    assert shares({"route": [destination("v1", 1), destination("v1", 1)]}, SCOPE) == {"v1": 100.0}
    assert shares({"route": [destination("x", 1, host="other"), destination("v1", 1)]}, SCOPE) == {
        "other/x": 50.0,
        "v1": 50.0,
    }


def test_after_a_promotion_only_the_weights_have_changed() -> None:
    before = document(JASON_TO_V2, {"route": [destination("v1")], "timeout": "3s"})
    original = destinations_of(before, SCOPE)

    after = restored(edited(before, SCOPE, target(100)), SCOPE, original, promoted=True)

    assert after == document(JASON_TO_V2, {"route": [destination("v1", 0), destination("v3", 100)], "timeout": "3s"})


def test_a_destination_that_somebody_added_meanwhile_keeps_the_weight_they_gave_it() -> None:
    before = document({"route": [destination("v1")]})
    live = edited(before, SCOPE, target(10))
    find_route(live, SCOPE)["route"].append(destination("v2", 0))

    after = restored(live, SCOPE, destinations_of(before, SCOPE), promoted=False)

    assert find_route(after, SCOPE)["route"] == [destination("v1"), destination("v2", 0)]


headers = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "request": st.just({"add": {"a": "b"}}),
        "response": st.fixed_dictionaries(
            {}, optional={"set": st.just({"c": "d"}) | st.just({}), "remove": st.just(["e"])}
        ),
    },
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """VirtualServices with all traffic of reviews on v1, in many shapes."""
    entries = []
    for subset, weight in (("v1", 100), ("v3", 0), ("v2", 0)):
        if subset == "v1" or draw(st.booleans()):
            entry = destination(subset, weight)
            if (extra := draw(headers)) is not None:
                entry["headers"] = extra
            entries.append(entry)
    if len(entries) == 1 and draw(st.booleans()):
        del entries[0]["weight"]
    route = {"route": entries} | draw(
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.just("default"),
                "timeout": st.just("3s"),
                "retries": st.just({"attempts": 2}),
                "fault": st.just({"delay": {"fixedDelay": "1s", "percentage": {"value": 1}}}),
                "mirror": st.just({"host": "reviews", "subset": "v2"}),
                "somethingNew": st.just({"x": [1, None]}),
            },
        )
    )
    shapes: list[list[Any]] = [[route], [JASON_TO_V2, route], [route, JASON_TO_V2]]
    return document(*draw(st.sampled_from(shapes)))


@given(documents(), st.lists(st.integers(0, 100), max_size=4), st.booleans())
def test_a_rollback_leaves_no_trace(before: dict[str, Any], weights: list[int], has_cohort: bool) -> None:
    original = destinations_of(before, SCOPE)
    cohort = {"end-user": {"exact": "ann"}} if has_cohort else None
    live = before
    for weight in weights:
        live = edited(live, SCOPE, target(weight, cohort))

    after = restored(live, SCOPE, original, promoted=False)

    assert json.dumps(after) == json.dumps(before)  # order of keys and all


@given(documents(), st.integers(0, 100), st.booleans())
def test_edits_are_idempotent_so_that_comparing_tells_whether_anything_is_left_to_do(
    before: dict[str, Any], weight: int, promoted: bool
) -> None:
    original = destinations_of(before, SCOPE)
    once = edited(before, SCOPE, target(weight))
    back = restored(once, SCOPE, original, promoted=promoted)

    assert edited(once, SCOPE, target(weight)) == once
    assert restored(back, SCOPE, original, promoted=promoted) == back
    assert shares(find_route(back, SCOPE), SCOPE) == ({"v3": 100.0} if promoted else {"v1": 100.0})


@given(documents(), st.integers(1, 99))
def test_outside_what_a_rollout_owns_nothing_changes(before: dict[str, Any], weight: int) -> None:
    after = edited(before, SCOPE, target(weight))

    def theirs(found: dict[str, Any]) -> Any:
        cleaned = copy.deepcopy(found)
        cleaned["spec"]["http"] = [r for r in cleaned["spec"]["http"] if not r.get("name", "").startswith("rollout-")]
        find_route(cleaned, SCOPE)["route"] = []
        return cleaned

    assert theirs(after) == theirs(before)
