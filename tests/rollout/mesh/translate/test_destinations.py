import pytest

from tests.rollout.mesh.translate.documents import (
    RATINGS,
    REVIEWS,
    Json,
    destination_rule,
    registry,
    reviews,
    route,
    routes,
    to,
)


def hashing(**how: object) -> Json:
    return {"loadBalancer": {"consistentHash": how}}


def policies(policy: Json, **rule: object) -> list[Json] | None:
    document = destination_rule({"host": "reviews", "trafficPolicy": policy, **rule})
    found: list[Json] | None = route({"route": [to(subset="v1")]}, document)["route"].get("hash_policy")
    return found


@pytest.mark.parametrize(
    ("how", "made"),
    [
        ({"httpHeaderName": "user"}, {"header": {"header_name": "user"}}),
        ({"httpQueryParameterName": "user"}, {"query_parameter": {"name": "user"}}),
        ({"useSourceIp": True}, {"connection_properties": {"source_ip": True}}),
        ({"httpCookie": {"name": "user"}}, {"cookie": {"name": "user"}}),
        (
            {"httpCookie": {"name": "user", "ttl": "0s", "path": "/", "attributes": [{"name": "a", "value": "b"}]}},
            {"cookie": {"name": "user", "ttl": "0s", "path": "/", "attributes": [{"name": "a", "value": "b"}]}},
        ),
    ],
)
def test_a_consistent_hash_is_a_hash_policy_on_every_route(how: Json, made: Json) -> None:
    assert policies(hashing(**how)) == [made]


def test_without_one_there_is_none() -> None:
    assert policies({"loadBalancer": {"simple": "RANDOM"}}) is None
    assert policies({"outlierDetection": {}}) is None


def test_the_subsets_hash_counts_and_so_does_the_ports() -> None:
    own = [{"name": "v1", "trafficPolicy": hashing(httpHeaderName="subset")}]
    port = {"portLevelSettings": [{"port": {"number": 9080}, **hashing(httpHeaderName="port")}]}

    assert policies(hashing(httpHeaderName="all"), subsets=own) == [{"header": {"header_name": "subset"}}]
    assert policies(port) == [{"header": {"header_name": "port"}}]


def test_each_destination_that_is_served_brings_its_hash() -> None:
    rules = [
        destination_rule({"host": host, "trafficPolicy": hashing(httpHeaderName=host)}, host)
        for host in ("reviews", "ratings")
    ]
    both = {"route": [to("reviews", weight=1), to("ratings", weight=1)]}
    one = {"route": [to("reviews", weight=1), to("ratings", weight=0)]}

    assert len(route(both, *rules)["route"]["hash_policy"]) == 2
    assert len(route(one, *rules)["route"]["hash_policy"]) == 1


@pytest.mark.parametrize(
    ("host", "cluster"),
    [
        ("reviews", f"outbound|9080||{REVIEWS}"),
        ("ratings.bookinfo.svc.cluster.local", f"outbound|9080||{RATINGS}"),
        ("ratings.bookinfo", "outbound|9080||ratings.bookinfo"),
        ("missing", "outbound|9080||missing.bookinfo.svc.cluster.local"),
    ],
)
def test_a_destination_is_named_from_its_own_namespace_and_need_not_exist(host: str, cluster: str) -> None:
    assert route({"route": [to(host)]})["route"]["cluster"] == cluster


def test_the_port_is_the_services_only_one_else_the_callers() -> None:
    services = [
        {"name": "reviews", "namespace": "bookinfo", "ports": [{"number": 9080}, {"number": 9081}]},
        {"name": "ratings", "namespace": "bookinfo", "ports": [{"number": 7000}]},
    ]
    over = registry(services=services)

    def cluster(host: str, port: int) -> str:
        made = routes(reviews({"route": [to(host)]}), host=f"{REVIEWS}:{port}", over=over)
        return str(made[0]["route"]["cluster"])

    assert cluster("reviews", 9081) == f"outbound|9081||{REVIEWS}"
    assert cluster("ratings", 9081) == f"outbound|7000||{RATINGS}"
