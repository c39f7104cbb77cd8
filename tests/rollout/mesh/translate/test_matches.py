import pytest

from rollout.mesh.registry import Proxy
from rollout.mesh.translate.matches import Caller, is_catch_all, route_match
from rollout.mesh.translate.virtual_service import HttpMatch
from tests.rollout.mesh.translate.documents import Json, route, to


def match_of(**match: object) -> Json:
    found: Json = route({"match": [match], "route": [to()]})["match"]
    return found


@pytest.mark.parametrize(
    ("uri", "made"),
    [
        (None, {"prefix": "/"}),
        ({}, {"prefix": "/"}),
        ({"regex": "*"}, {"prefix": "/"}),
        ({"exact": "/a"}, {"path": "/a"}),
        ({"prefix": "/a"}, {"prefix": "/a"}),
        ({"regex": "/a.*"}, {"safe_regex": {"regex": "/a.*"}}),
    ],
)
def test_paths_are_compared_as_asked(uri: Json | None, made: Json) -> None:
    assert match_of(uri=uri) == made | {"case_sensitive": True}


def test_case_may_be_ignored() -> None:
    assert match_of(uri={"exact": "/a"}, ignoreUriCase=True) == {"path": "/a", "case_sensitive": False}


@pytest.mark.parametrize(
    ("string", "made"),
    [
        ({}, {"present_match": True}),
        ({"regex": "*"}, {"present_match": True}),
        ({"exact": "b"}, {"string_match": {"exact": "b"}}),
        ({"prefix": "b"}, {"string_match": {"prefix": "b"}}),
        ({"regex": "b+"}, {"string_match": {"safe_regex": {"regex": "b+"}}}),
    ],
)
def test_headers_and_query_parameters_are_compared_or_only_present(string: Json, made: Json) -> None:
    assert match_of(headers={"a": string})["headers"] == [{"name": "a", **made}]
    assert match_of(queryParams={"a": string})["query_parameters"] == [{"name": "a", **made}]
    empty = {} if "present_match" in made else {"treat_missing_header_as_empty": True}
    assert match_of(withoutHeaders={"a": string})["headers"] == [{"name": "a", **made, "invert_match": True, **empty}]


def test_headers_are_sorted_and_pseudo_headers_follow() -> None:
    headers = match_of(
        headers={"z": {}, "b": {}},
        withoutHeaders={"a": {}},
        method={"exact": "GET"},
        authority={"prefix": "a"},
        scheme={"exact": "http"},
    )["headers"]

    assert [header["name"] for header in headers] == ["a", "b", "z", ":method", ":authority", ":scheme"]
    assert headers[3:5] == [
        {"name": ":method", "string_match": {"exact": "GET"}},
        {"name": ":authority", "string_match": {"prefix": "a"}},
    ]


CALLER = Caller(
    proxy=Proxy(name="a", namespace="here", labels={"app": "a", "version": "v1"}), port=9080, gateway="mesh"
)


@pytest.mark.parametrize(
    ("match", "is_meant"),
    [
        (HttpMatch(), True),
        (HttpMatch(port=9080), True),
        (HttpMatch(port=80), False),
        (HttpMatch(source_labels={"app": "a"}), True),
        (HttpMatch(source_labels={"app": "a", "version": "v2"}), False),
        (HttpMatch(source_labels={"tier": "a"}), False),
        (HttpMatch(source_namespace="here"), True),
        (HttpMatch(source_namespace="there"), False),
        (HttpMatch(gateways=("mesh",)), True),
        (HttpMatch(gateways=("entry", "ns/entry")), False),
        (HttpMatch(gateways=("mesh",), source_labels={"app": "b"}, source_namespace="there"), True),
        (HttpMatch(gateways=("mesh",), port=80), False),
    ],
)
def test_a_route_is_made_only_for_whom_it_concerns(match: HttpMatch, is_meant: bool) -> None:
    assert CALLER.is_meant_by(match, "ns") is is_meant


def test_gateways_of_a_match_are_in_the_virtual_services_namespace() -> None:
    caller = Caller(proxy=CALLER.proxy, port=80, gateway="ns/entry")

    assert caller.is_meant_by(HttpMatch(gateways=("entry",)), "ns")
    assert not caller.is_meant_by(HttpMatch(gateways=("entry",)), "other")


@pytest.mark.parametrize(
    ("match", "catches"),
    [
        (route_match(None), True),
        (route_match(HttpMatch()), True),
        ({"safe_regex": {"regex": ".*"}}, True),
        ({"prefix": "/a"}, False),
        ({"path": "/"}, False),
        ({"prefix": "/", "headers": [{}]}, False),
        ({"prefix": "/", "query_parameters": [{}]}, False),
    ],
)
def test_what_nothing_can_pass_catches_all(match: Json, catches: bool) -> None:
    assert is_catch_all(match) is catches
