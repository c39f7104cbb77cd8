import pytest

from tests.rollout.mesh.translate.documents import REVIEWS, Json, destination_rule, reviews, routes, to

EVERYTHING = {"route": [to()]}


def only(uri: Json, **more: object) -> Json:
    return {"match": [{"uri": uri}], **EVERYTHING, **more}


def test_there_is_one_route_per_match_in_order() -> None:
    http = {"name": "r", "match": [{"name": "a", "uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}], **EVERYTHING}

    found = routes(reviews(http, only({"exact": "/c"}, name="s"), EVERYTHING))
    assert [(item.get("name"), item["match"].get("path")) for item in found] == [
        ("r.a", "/a"),
        ("r", "/b"),
        ("s", "/c"),
        (None, None),
    ]


@pytest.mark.parametrize("last", [EVERYTHING, only({"prefix": "/"}), only({"regex": ".*"}), only({})])
def test_nothing_follows_what_catches_all(last: Json) -> None:
    assert len(routes(reviews(only({"exact": "/a"}), last, only({"exact": "/b"})))) == 2


def test_a_match_may_have_statistics_of_its_own() -> None:
    http = {"match": [{"statPrefix": "counted", "uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}], **EVERYTHING}

    assert [item.get("stat_prefix") for item in routes(reviews(http))] == ["counted", None]


def test_every_route_says_where_it_comes_from() -> None:
    found = routes(reviews(only({"exact": "/a"}), EVERYTHING))

    assert [item["metadata"]["filter_metadata"]["rollout"] for item in found] == [
        {"virtual_service": "VirtualService bookinfo/it", "http": index} for index in (0, 1)
    ]


def test_without_a_virtual_service_everything_goes_to_the_whole_service() -> None:
    (found,) = routes()

    assert (found["name"], found["match"]) == ("default", {"prefix": "/"})
    assert (found["route"]["cluster"], found["route"]["timeout"]) == (f"outbound|9080||{REVIEWS}", "0s")


def test_a_route_for_other_callers_is_not_sent() -> None:
    http = {"match": [{"sourceLabels": {"app": "ratings"}}, {"sourceLabels": {"app": "productpage"}}], **EVERYTHING}

    assert len(routes(reviews(http))) == 1
    assert [item.get("name") for item in routes(reviews({"match": [{"port": 80}], **EVERYTHING}))] == ["default"]


def test_the_default_route_is_hashed_when_the_rule_says_so() -> None:
    balancer = {"consistentHash": {"httpHeaderName": "user"}}
    (found,) = routes(destination_rule({"host": "reviews", "trafficPolicy": {"loadBalancer": balancer}}))

    assert found["route"]["hash_policy"] == [{"header": {"header_name": "user"}}]
    assert "retry_host_predicate" in found["route"]["retry_policy"]
