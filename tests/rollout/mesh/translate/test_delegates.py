import pytest

from rollout.mesh.translate.virtual_service import HttpRoute
from tests.rollout.mesh.translate.documents import Json, configured, pick, reviews, routes, to, virtual_service

DELEGATE = {"delegate": {"name": "leaf"}}


def merged(root: Json, *leaves: Json, namespace: str = "bookinfo", **more: object) -> list[HttpRoute]:
    leaf = virtual_service({"http": [{"route": [to()], **http} for http in leaves], **more}, "leaf", namespace)
    (service,) = configured(reviews(DELEGATE | root), leaf).virtual_services
    return list(service.spec.http)


def matches(root: Json, leaf: Json) -> list[Json] | None:
    """The one merged route's Envoy matches; None when the delegate's route is dropped."""
    rest = virtual_service({"http": [{"route": [to()], "match": [leaf]}]}, "leaf")
    found = routes(reviews(DELEGATE | {"match": [root]}), rest)
    return None if found[0].get("name") == "default" else [item["match"] for item in found]


def test_a_route_is_replaced_by_its_delegates_routes() -> None:
    found = merged({"name": "root"}, {"name": "a"}, {})

    assert [route.name for route in found] == ["root-a", "root"]
    assert all(route.route and route.delegate is None for route in found)
    assert [route.name for route in merged({}, {"name": "a"})] == ["a"]


@pytest.mark.parametrize(
    ("root", "leaf", "is_found"),
    [
        (DELEGATE, "bookinfo", True),
        (DELEGATE, "other", False),
        ({"delegate": {"name": "leaf", "namespace": "other"}}, "other", True),
        ({"delegate": {"name": "missing"}}, "bookinfo", False),
    ],
)
def test_a_delegate_is_looked_for_beside_its_root_or_where_the_root_says(root: Json, leaf: str, is_found: bool) -> None:
    assert bool(merged(root, {}, namespace=leaf)) is is_found


def test_a_delegate_that_is_not_exported_to_its_root_leaves_nothing() -> None:
    root = {"delegate": {"name": "leaf", "namespace": "other"}}

    assert merged(root, {}, namespace="other", exportTo=["."]) == []
    assert merged(root, {}, namespace="other", exportTo=["bookinfo"])


def test_only_delegating_routes_change() -> None:
    leaf = virtual_service({"http": [{"route": [to()], "name": "leaf"}]}, "leaf")
    root = reviews({"name": "own", "match": [{"uri": {"exact": "/a"}}], "route": [to()]}, DELEGATE)

    (service,) = configured(root, leaf).virtual_services
    assert [route.name for route in service.spec.http] == ["own", "leaf"]


INHERITED = {
    "rewrite": {"uri": "/"},
    "timeout": "1s",
    "retries": {"attempts": 1},
    "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 1}}},
    "corsPolicy": {},
    "mirror": {"host": "ratings"},
    "mirrorPercentage": {"value": 1},
    "headers": {"request": {"set": {"a": "1"}}},
}
OWN = {
    "rewrite": {"uri": "/own"},
    "timeout": "2s",
    "retries": {"attempts": 2},
    "fault": {"abort": {"httpStatus": 501, "percentage": {"value": 1}}},
    "corsPolicy": {"allowMethods": ["GET"]},
    "mirror": {"host": "own"},
    "mirrorPercentage": {"value": 2},
    "headers": {"request": {"set": {"a": "2"}}},
}


@pytest.mark.parametrize(
    ("key", "attribute"),
    [
        ("rewrite", "rewrite"),
        ("timeout", "timeout"),
        ("retries", "retries"),
        ("fault", "fault"),
        ("corsPolicy", "cors_policy"),
        ("mirror", "mirror"),
        ("mirrorPercentage", "mirror_percentage"),
        ("headers", "headers"),
    ],
)
def test_what_the_delegate_does_not_say_the_root_does(key: str, attribute: str) -> None:
    (plain,) = merged({}, pick(INHERITED, [key]))
    (inherited,) = merged(pick(INHERITED, [key]), {})
    (own,) = merged(pick(INHERITED, [key]), pick(OWN, [key]))
    (alone,) = merged({}, pick(OWN, [key]))

    assert getattr(inherited, attribute) == getattr(plain, attribute) is not None
    assert getattr(own, attribute) == getattr(alone, attribute) != getattr(plain, attribute)


def test_mirrors_are_inherited_as_a_whole() -> None:
    root = {"mirrors": [{"destination": {"host": "a"}}, {"destination": {"host": "b"}}]}
    own = {"mirrors": [{"destination": {"host": "c"}}]}

    assert [mirror.destination.host for mirror in merged(root, {})[0].mirrors] == ["a", "b"]
    assert [mirror.destination.host for mirror in merged(root, own)[0].mirrors] == ["c"]


@pytest.mark.parametrize(
    ("root", "leaf", "path"),
    [
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a/b"}}, {"prefix": "/a/b"}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"exact": "/a/b"}}, {"path": "/a/b"}),
        ({"uri": {"exact": "/a"}}, {"uri": {"exact": "/a"}}, {"path": "/a"}),
        ({"uri": {"prefix": "/a"}}, {}, {"prefix": "/a"}),
        ({}, {"uri": {"exact": "/a"}}, {"path": "/a"}),
        ({"port": 9080}, {"uri": {"exact": "/a"}}, {"path": "/a"}),
        ({"sourceLabels": {"app": "productpage"}}, {"sourceLabels": {"version": "v1"}}, {"prefix": "/"}),
        ({"sourceNamespace": "bookinfo"}, {"sourceNamespace": "bookinfo"}, {"prefix": "/"}),
        ({"gateways": ["mesh", "entry"]}, {"gateways": ["mesh"]}, {"prefix": "/"}),
        ({"gateways": ["mesh"]}, {"uri": {"exact": "/a"}}, {"path": "/a"}),
        ({}, {"gateways": ["mesh"]}, {"prefix": "/"}),
    ],
)
def test_a_delegate_may_narrow_its_root(root: Json, leaf: Json, path: Json) -> None:
    assert matches(root, leaf) == [path | {"case_sensitive": True}]


@pytest.mark.parametrize(
    ("root", "leaf"),
    [
        ({"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/a"}}),
        ({"uri": {"exact": "/a"}}, {"uri": {"prefix": "/a"}}),
        ({"uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}),
        ({"uri": {}}, {"uri": {"exact": "/b"}}),
        ({"method": {"exact": "GET"}}, {"method": {"exact": "POST"}}),
        ({"headers": {"a": {"exact": "1"}}}, {"headers": {"a": {"exact": "2"}}}),
        ({"withoutHeaders": {"a": {"exact": "1"}}}, {"withoutHeaders": {"a": {}}}),
        ({"queryParams": {"a": {"prefix": "1"}}}, {"queryParams": {"a": {"prefix": "2"}}}),
        ({"port": 9080}, {"port": 80}),
        ({"ignoreUriCase": True}, {}),
        ({"sourceLabels": {"app": "productpage"}}, {"sourceLabels": {"app": "ratings"}}),
        ({"sourceNamespace": "bookinfo"}, {}),
        ({"gateways": ["mesh"]}, {"gateways": ["mesh", "entry"]}),
    ],
)
def test_a_delegates_route_that_is_not_narrower_is_dropped(root: Json, leaf: Json) -> None:
    assert matches(root, leaf) is None


@pytest.mark.parametrize(
    "root",
    [
        {"sourceLabels": {"app": "ratings"}},
        {"gateways": ["entry"]},
        {"port": 80},
        {"sourceNamespace": "elsewhere"},
    ],
)
def test_whom_the_root_does_not_mean_the_delegate_does_not_reach(root: Json) -> None:
    assert matches(root, pick(root, ["sourceNamespace"])) is None


def test_every_match_of_the_delegate_meets_every_match_of_the_root_it_narrows() -> None:
    root = {"match": [{"name": "r", "uri": {"prefix": "/a"}}, {"statPrefix": "s", "headers": {"h": {"exact": "1"}}}]}
    leaf = {"match": [{"name": "l", "uri": {"prefix": "/a/b"}}, {"headers": {"h": {"exact": "1"}, "i": {}}}]}

    (route,) = merged(root, leaf)
    assert [(match.name, match.stat_prefix, sorted(match.headers)) for match in route.match] == [
        ("r-l", "", []),
        ("l", "s", ["h"]),
        ("r", "", ["h", "i"]),
        ("", "s", ["h", "i"]),
    ]


def test_one_match_that_narrows_nothing_drops_the_whole_route() -> None:
    root = {"match": [{"uri": {"prefix": "/a"}}]}

    assert merged(root, {"match": [{"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/c"}}]}, {"name": "rest"}) == [
        *merged(root, {"name": "rest"})
    ]


def test_without_matches_of_its_own_the_delegate_takes_the_roots() -> None:
    (route,) = merged({"match": [{"uri": {"prefix": "/a"}}]}, {})

    assert [match.uri and match.uri.prefix for match in route.match] == ["/a"]
