import pytest

from tests.rollout.mesh.translate.documents import Json, pick, reviews, route, routes, to

FIELDS = (
    "request_headers_to_add",
    "request_headers_to_remove",
    "response_headers_to_add",
    "response_headers_to_remove",
)


def written(name: str, value: str, action: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": f"{action}_IF_EXISTS_OR_ADD"}


def headers_of(headers: Json) -> Json:
    return pick(route({"route": [to()], "headers": headers}), FIELDS)


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        (
            {"request": {"set": {"b": "1", "a": "2"}, "add": {"c": "3"}, "remove": ["d"]}},
            {
                "request_headers_to_add": [
                    written("a", "2", "OVERWRITE"),
                    written("b", "1", "OVERWRITE"),
                    written("c", "3", "APPEND"),
                ],
                "request_headers_to_remove": ["d"],
            },
        ),
        (
            {"response": {"set": {"a": "1"}, "add": {"b": "2"}, "remove": ["c"]}},
            {
                "response_headers_to_add": [written("a", "1", "OVERWRITE"), written("b", "2", "APPEND")],
                "response_headers_to_remove": ["c"],
            },
        ),
        ({"request": {"set": {"Host": "a"}}}, {}),
        ({"response": {"set": {"host": "a"}}}, {}),
    ],
)
def test_headers_are_set_added_and_removed(headers: Json, fields: Json) -> None:
    assert headers_of(headers) == fields


@pytest.mark.parametrize("operation", ["set", "add"])
@pytest.mark.parametrize("name", ["Host", ":authority", "host"])
def test_a_request_header_can_rewrite_the_authority(operation: str, name: str) -> None:
    made = route({"route": [to()], "headers": {"request": {operation: {name: "a"}}}})

    assert made["route"]["host_rewrite_literal"] == "a"
    assert not pick(made, FIELDS)


def test_headers_of_the_only_destination_follow_those_of_the_route() -> None:
    own = {"request": {"set": {"a": "2", "host": "h"}}}
    made = route({"route": [to(headers=own)], "headers": {"request": {"set": {"a": "1"}}}})

    assert made["request_headers_to_add"] == [written("a", "1", "OVERWRITE"), written("a", "2", "OVERWRITE")]
    assert made["route"]["host_rewrite_literal"] == "h"


def test_headers_of_one_destination_among_several_are_its_own() -> None:
    own = {"request": {"add": {"a": "1"}, "set": {"host": "h"}}, "response": {"remove": ["b"]}}
    made = route({"route": [to(subset="v1", weight=1, headers=own), to(subset="v2", weight=1)]})

    first, second = made["route"]["weighted_clusters"]["clusters"]
    assert pick(first, (*FIELDS, "host_rewrite_literal")) == {
        "request_headers_to_add": [written("a", "1", "APPEND")],
        "response_headers_to_remove": ["b"],
        "host_rewrite_literal": "h",
    }
    assert not pick(second, (*FIELDS, "host_rewrite_literal"))
    assert "host_rewrite_literal" not in made["route"]
    assert not pick(made, FIELDS)


@pytest.mark.parametrize("outcome", [{"redirect": {"uri": "/"}}, {"directResponse": {"status": 200}}])
def test_redirects_and_direct_responses_carry_headers_too(outcome: Json) -> None:
    made = routes(reviews(outcome | {"headers": {"response": {"set": {"a": "1"}}}}))[0]

    assert made["response_headers_to_add"] == [written("a", "1", "OVERWRITE")]
