import pytest

from rollout.mesh.registry import ProxyKind
from rollout.mesh.translate.resources import translate
from tests.rollout.mesh.translate.bookinfo import DIRECTORY, SETS, applied, bookinfo_registry, documents_of


@pytest.mark.parametrize("name", SETS)
def test_every_set_of_the_tutorial_is_accepted_without_a_warning(name: str) -> None:
    configuration = applied("destination-rule-all", "virtual-service-all-v1", name)

    assert configuration.warnings == ()
    assert translate(configuration, lambda api, resource: {"path": f"{api}/{resource}"}).rds


@pytest.mark.parametrize("name", SETS)
def test_every_set_says_what_it_teaches_and_stays_in_its_namespace(name: str) -> None:
    assert (DIRECTORY / f"{name}.yaml").read_text().startswith("# ")
    for document in documents_of(name):
        assert document["apiVersion"] == "networking.istio.io/v1"
        assert document["metadata"]["namespace"] == "bookinfo"


def test_the_registry_knows_the_services_and_callers_of_the_tutorial() -> None:
    registry = bookinfo_registry()

    assert {service.host(registry.domain): service.ports[0].number for service in registry.services} == {
        "productpage.bookinfo.svc.cluster.local": 9080,
        "details.bookinfo.svc.cluster.local": 9080,
        "ratings.bookinfo.svc.cluster.local": 9080,
        "reviews.bookinfo.svc.cluster.local": 9080,
        "httpbin.bookinfo.svc.cluster.local": 8000,
    }
    assert registry.workloads == ()
    assert registry.listeners == {
        "productpage-v1.bookinfo": 0,
        "reviews-v2.bookinfo": 0,
        "reviews-v3.bookinfo": 0,
        "fortio.bookinfo": 0,
        "rollout-load.rollout-system": 0,
        "istio-ingressgateway.istio-system:80": 0,
    }
    labels = {proxy.name: dict(proxy.labels) for proxy in registry.proxies}
    assert labels["reviews-v3"] == {"app": "reviews", "version": "v3"}
    assert labels["rollout-load"] == {"app": "rollout-load"}
    assert labels["istio-ingressgateway"] == {"istio": "ingressgateway"}
    assert [proxy.name for proxy in registry.proxies if proxy.kind is ProxyKind.GATEWAY] == ["istio-ingressgateway"]
