import pytest

from rollout.mesh.registry import Address, Service, Workload
from rollout.mesh.translate.endpoints import endpoints_of, identity_of, load_assignment
from tests.rollout.mesh.translate.documents import Json


def pod(name: str, namespace: str = "bookinfo", address: str = "127.0.0.1:1", **labels: str) -> Workload:
    return Workload(pod=name, workload=name, namespace=namespace, labels=labels, address=Address.parse(address))


PODS = (
    pod("v1-a", app="reviews", version="v1"),
    pod("v1-b", app="reviews", version="v1", tier="x"),
    pod("v3-a", app="reviews", version="v3"),
    pod("other", app="ratings", version="v1"),
    pod("away", "elsewhere", app="reviews", version="v1"),
)


@pytest.mark.parametrize(
    ("selector", "labels", "pods"),
    [
        ({"app": "reviews"}, {}, ["v1-a", "v1-b", "v3-a"]),
        ({"app": "reviews"}, {"version": "v1"}, ["v1-a", "v1-b"]),
        ({"app": "reviews"}, {"version": "v1", "tier": "x"}, ["v1-b"]),
        ({"app": "reviews"}, {"version": "v9"}, []),
        ({}, {"version": "v1"}, []),
    ],
)
def test_a_pod_must_fit_the_selector_and_the_subset(selector: Json, labels: Json, pods: list[str]) -> None:
    service = Service(name="reviews", namespace="bookinfo", selector=selector)

    assert [found.pod for found in endpoints_of(service, PODS, labels)] == pods


def test_an_endpoint_carries_who_it_is() -> None:
    made = load_assignment("c", [pod("v1-a", address="[::1]:9080", app="reviews", version="v1")])

    assert made == {
        "cluster_name": "c",
        "endpoints": [
            {
                "lb_endpoints": [
                    {
                        "endpoint": {"address": {"socket_address": {"address": "::1", "port_value": 9080}}},
                        "metadata": {
                            "filter_metadata": {
                                "rollout": {
                                    "workload": "v1-a",
                                    "namespace": "bookinfo",
                                    "pod": "v1-a",
                                    "app": "reviews",
                                    "version": "v1",
                                    "service": "reviews",
                                    "revision": "v1",
                                }
                            }
                        },
                    }
                ]
            }
        ],
    }


def test_nobody_behind_a_cluster_is_legal() -> None:
    assert load_assignment("c", []) == {"cluster_name": "c"}


@pytest.mark.parametrize(
    ("labels", "identity"),
    [
        ({}, ("unknown", "unknown", "unknown", "latest")),
        ({"app": "a", "version": "v1"}, ("a", "v1", "a", "v1")),
        ({"istio": "ingressgateway"}, ("ingressgateway", "unknown", "ingressgateway", "latest")),
        (
            {"app": "a", "service.istio.io/canonical-name": "s", "service.istio.io/canonical-revision": "r"},
            ("a", "unknown", "s", "r"),
        ),
    ],
)
def test_metrics_name_a_pod_by_its_labels(labels: Json, identity: tuple[str, ...]) -> None:
    assert tuple(identity_of(labels).values()) == identity
    assert list(identity_of(labels)) == ["app", "version", "service", "revision"]
