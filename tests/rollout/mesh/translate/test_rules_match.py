import pytest

from tests.rollout.mesh.translate.documents import Json, errors_in, reviews, to, warnings_in


def matching(**match: object) -> Json:
    return reviews({"match": [match], "route": [to()]})


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"uri": {"prefix": ""}},
        {"uri": {"exact": ""}, "method": {"exact": "GET"}, "scheme": {"prefix": "http"}, "authority": {"regex": ".*"}},
        {"headers": {"end-user": {"exact": "jason"}, "x-any": {}, ":path": {"prefix": "/"}, "x-old": {"regex": "*"}}},
        {"withoutHeaders": {"x": {"exact": ""}}, "queryParams": {"a b": {}}},
        {"uri": {"regex": "a" * 1024}},
        {"uri": {"regex": r"\pN+(?i)[[:alpha:]]"}},
        {"sourceNamespace": "ns", "sourceLabels": {"app": "a"}, "port": 9080},
        {"gateways": ["mesh", "entry", "edge/entry"]},
    ],
)
def test_conditions_istiod_lets_in_come_in(match: Json) -> None:
    assert errors_in(matching(**match)) == []
    assert warnings_in(matching(**match)) == []


@pytest.mark.parametrize(
    ("match", "path", "message"),
    [
        ({"uri": {"regex": ""}}, "uri.regex", "must not be empty"),
        ({"uri": {"regex": "a" * 1025}}, "uri.regex", "1025 characters are too many, at most 1024"),
        (
            {"uri": {"regex": "("}},
            "uri.regex",
            "not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (
            {"uri": {"exact": "a", "regex": "b"}},
            "uri",
            "only one of exact, prefix, regex: exact and regex are given",
        ),
        ({"method": {"prefix": ""}}, "method.prefix", "must not be empty"),
        ({"headers": {"a": {"prefix": ""}}}, "headers.a.prefix", "must not be empty"),
        ({"withoutHeaders": {"a": {"regex": "["}}}, "withoutHeaders.a.regex", None),
        ({"queryParams": {"a": {"prefix": ""}}}, "queryParams.a.prefix", "must not be empty"),
        ({"queryParams": {"": {}}}, 'queryParams[""]', "a query parameter needs a name"),
        ({"headers": {"a b": {}}}, 'headers["a b"]', "not a header name: 'a b'"),
        ({"withoutHeaders": {"": {}}}, 'withoutHeaders[""]', "not a header name: ''"),
        (
            {"headers": {"@request.auth.claims.sub": {}}},
            'headers["@request.auth.claims.sub"]',
            "JWT claims can only be matched behind request authentication",
        ),
        ({"headers": {"a": {"suffix": "b"}}}, "headers.a.suffix", None),
        ({"sourceNamespace": "a.b"}, "sourceNamespace", "not a namespace: 'a.b'"),
        ({"gateways": ["a/b/c"]}, "gateways[0]", "not a gateway: 'a/b/c'; write name or namespace/name"),
        ({"gateways": ["mesh", "/b"]}, "gateways[1]", "not a gateway: '/b'; write name or namespace/name"),
        ({"port": 0}, "port", "must be in 1..65535, got 0"),
    ],
)
def test_conditions_istiod_refuses_are_refused_at_their_key(match: Json, path: str, message: str | None) -> None:
    found = dict(errors_in(matching(**match)))

    assert f"spec.http[0].match[0].{path}" in found
    assert message in (None, found[f"spec.http[0].match[0].{path}"])


def test_a_source_beside_gateways_has_no_effect() -> None:
    assert warnings_in(matching(gateways=["mesh"], sourceLabels={"app": "a"})) == [
        ("spec.http[0].match[0].gateways", "sourceLabels and sourceNamespace have no effect beside gateways")
    ]


@pytest.mark.parametrize(
    ("operations", "path", "message"),
    [
        ({"request": {"set": {"a b": "1"}}}, 'request.set["a b"]', "not a header name: 'a b'"),
        ({"request": {"add": {":path": "/"}}}, 'request.add[":path"]', "not a header name: ':path'"),
        ({"response": {"set": {":authority": "a"}}}, 'response.set[":authority"]', "not a header name: ':authority'"),
        ({"request": {"set": {"a": "b\r\nc: d"}}}, "request.set.a", "a header value is one line"),
        ({"request": {"remove": ["Host"]}}, "request.remove[0]", "not a header that can be removed: 'Host'"),
        ({"response": {"remove": ["a", ":b"]}}, "response.remove[1]", "not a header that can be removed: ':b'"),
    ],
)
def test_header_operations_name_headers(operations: Json, path: str, message: str) -> None:
    assert errors_in(reviews({"route": [to()], "headers": operations})) == [(f"spec.http[0].headers.{path}", message)]
