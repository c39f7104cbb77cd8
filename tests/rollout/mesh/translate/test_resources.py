import pytest

from rollout.mesh.translate.resources import Api
from tests.rollout.mesh.translate.documents import (
    RATINGS,
    REVIEWS,
    destination_rule,
    gateway,
    registry,
    reviews,
    to,
    translated,
)

VERSIONS = destination_rule(
    {"host": "reviews", "subsets": [{"name": name, "labels": {"version": name}} for name in ("v1", "v3")]}
)


def pod(name: str, version: str) -> dict[str, object]:
    labels = {"app": "reviews", "version": version}
    return {"pod": name, "workload": name, "namespace": "bookinfo", "labels": labels, "address": "127.0.0.1:1"}


def test_there_is_one_cluster_per_port_and_subset_and_its_endpoints() -> None:
    found = translated(VERSIONS, over=registry(workloads=[pod("a", "v1"), pod("b", "v2")]))

    assert (
        set(found.cds)
        == set(found.eds)
        == {
            f"outbound|9080||{RATINGS}",
            f"outbound|9080||{REVIEWS}",
            f"outbound|9080|v1|{REVIEWS}",
            f"outbound|9080|v3|{REVIEWS}",
        }
    )
    pods = {
        name: [
            endpoint["metadata"]["filter_metadata"]["rollout"]["pod"]
            for group in assignment.get("endpoints", [])
            for endpoint in group["lb_endpoints"]
        ]
        for name, assignment in found.eds.items()
        if REVIEWS in name
    }
    assert pods == {
        f"outbound|9080||{REVIEWS}": ["a", "b"],
        f"outbound|9080|v1|{REVIEWS}": ["a"],
        f"outbound|9080|v3|{REVIEWS}": [],
    }


def test_every_caller_and_every_port_of_a_gateway_has_a_listener_with_routes() -> None:
    found = translated()

    assert set(found.lds) == set(found.rds) == {"productpage-v1.bookinfo", "entry.edge:80"}
    assert all(name == listener["name"] for name, listener in found.lds.items())


def test_a_tcp_port_has_no_cluster() -> None:
    service = {"name": "db", "namespace": "bookinfo", "ports": [{"number": 3306, "protocol": "TCP"}]}

    assert not translated(over=registry(services=[service])).cds


def test_routes_of_a_port_with_certificates_are_per_server() -> None:
    tls = {"mode": "SIMPLE", "serverCertificate": "/c", "privateKey": "/k"}
    server = {"port": {"number": 80, "name": "https", "protocol": "HTTPS"}, "hosts": ["*"], "tls": tls}
    found = translated(gateway({"servers": [server]}))

    assert "entry.edge:80/https.bookinfo.entry" in found.rds
    assert "entry.edge:80" not in found.rds


@pytest.mark.parametrize("api", Api)
def test_resources_are_found_by_api(api: Api) -> None:
    found = translated()

    assert found.of(api) is getattr(found, api.value)


def test_what_is_made_first_comes_first() -> None:
    assert [api.value for api in Api] == ["eds", "cds", "lds", "rds"]


def test_a_weight_changes_nothing_but_routes() -> None:
    def split(canary: int) -> dict[str, object]:
        return reviews({"route": [to(subset="v1", weight=100 - canary), to(subset="v3", weight=canary)]})

    before, after = (translated(VERSIONS, split(canary)) for canary in (1, 99))
    assert (before.eds, before.cds, before.lds) == (after.eds, after.cds, after.lds)
    assert before.rds != after.rds
